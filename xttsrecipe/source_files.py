"""A source's file during a run: open, and still the one that was planned with."""

from __future__ import annotations

import os

from .checkpoints.unchanged import check_unchanged
from .codes import Code
from .errors import CheckpointError, Location, Problem
from .positional import read_at
from .specs import Header, StoredTensor


class SourceFile:
    """Open while it is used as a context manager. May be read by several threads at once."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self._path = str(header.path)

    def __enter__(self) -> SourceFile:
        try:
            self._descriptor = os.open(self.header.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise CheckpointError(
                Problem(
                    Code.UNREADABLE_FILE, f"cannot be read any more: {error.strerror or error}", Location(self._path)
                )
            ) from error
        try:
            self.check_unchanged()
        except CheckpointError:
            os.close(self._descriptor)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def check_unchanged(self) -> None:
        """Raises CheckpointError where the file is not as it was when its header was read."""
        check_unchanged(self._descriptor, self.header.stamp, self.header.path)

    def read(self, tensor: StoredTensor, position: int, buffer: memoryview) -> None:
        """Fill the buffer from byte ``position`` after the tensor's first element, as the bytes lie in the file.

        Raises CheckpointError, naming the tensor.
        """
        try:
            count = read_at(self._descriptor, buffer, tensor.offset + position)
        except OSError as error:
            raise self._unreadable(tensor, error.strerror or str(error)) from error
        if count < len(buffer):
            raise self._unreadable(tensor, f"the file ends {len(buffer) - count:,} bytes too early")

    def _unreadable(self, tensor: StoredTensor, why: str) -> CheckpointError:
        return CheckpointError(
            Problem(
                Code.UNREADABLE_FILE,
                f"tensor {tensor.name!r} cannot be read: {why}",
                Location(self._path),
                hint="check the file and its disk",
            )
        )
