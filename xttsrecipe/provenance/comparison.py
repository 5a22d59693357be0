"""Takes the tensors that a plan makes, as a writer does, and compares them with those that a checkpoint has."""

from __future__ import annotations

from ..codes import Code
from ..errors import CheckpointError, Location, Problem
from ..source_files import SourceFile
from ..specs import Header


class Comparison:
    """``found``: for every tensor that differs, by the checkpoint's name for it, the first element that does."""

    def __init__(self, header: Header, file: SourceFile) -> None:
        self._tensors = header.stored
        self._path = header.path
        self._file = file
        self.found: dict[str, int] = {}

    def write(self, name: str, position: int, data: memoryview) -> None:
        """Compare with what lies at byte ``position`` of a tensor. Raises CheckpointError."""
        tensor = self._tensors[name]
        if name in self.found:
            return
        if not tensor.is_contiguous:
            raise CheckpointError(
                Problem(Code.NOT_AS_MADE, f"{name} does not lie in row-major order", Location(str(self._path)))
            )
        stored = bytearray(len(data))
        self._file.read(tensor, position, memoryview(stored))
        if stored != data:  # as bytes: two memoryviews would be compared element by element
            first = next(at for at, (one, other) in enumerate(zip(stored, data, strict=True)) if one != other)
            self.found[name] = (position + first) // tensor.spec.dtype.itemsize

    def tensor_done(self, name: str) -> None:
        """Nothing is left to do."""

    def finish(self) -> None:
        """Nothing is left to do."""
