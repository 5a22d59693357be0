"""The sha256 of sources, taken by threads of its own while other work goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ..checkpoints.unchanged import check_unchanged
from ..codes import Code
from ..errors import CheckpointError, Location, Problem, XttsRecipeError
from ..specs import FileStamp, Header
from .cache import recalled, remember

_READ_BYTES = 1 << 20
_MOST_THREADS = 4


class SourceDigests:
    """Reads the files of these headers, those that are not known from an earlier time, while a block lasts that it is
    the context manager of.
    """

    def __init__(self, headers: Iterable[Header]) -> None:
        self._files = {header.path: header.stamp for header in headers}
        self._stopped = False
        self._known: dict[Path, str] = {}
        self._pending: dict[Path, Future[str]] = {}
        self._threads = ThreadPoolExecutor(_MOST_THREADS, "digest")

    def __enter__(self) -> SourceDigests:
        """Begin to read. Raises XttsRecipeError where the system gives no threads."""
        for path, stamp in self._files.items():
            digest = recalled(path, stamp)
            if digest:
                self._known[path] = digest
                continue
            try:
                self._pending[path] = self._threads.submit(self._read, path, stamp)
            except RuntimeError as error:
                self.__exit__()
                what, hint = f"the system gives no more threads: {error}", "run again where fewer programs are at work"
                raise XttsRecipeError(Problem(Code.NO_MORE_THREADS, what, hint=hint)) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._threads.shutdown(cancel_futures=True)

    def of(self, header: Header) -> str:
        """The sha256, hex, of a file; waits for it. Raises CheckpointError where it cannot be read or changed."""
        if header.path not in self._known:
            self._known[header.path] = self._pending[header.path].result()
        return self._known[header.path]

    def _read(self, path: Path, stamp: FileStamp) -> str:
        digest = hashlib.sha256()
        buffer = memoryview(bytearray(_READ_BYTES))
        try:
            with path.open("rb", buffering=0) as file:
                while not self._stopped and (count := file.readinto(buffer)):
                    digest.update(buffer[:count])
                check_unchanged(file.fileno(), stamp, path)
        except OSError as error:
            raise CheckpointError(
                Problem(Code.UNREADABLE_FILE, f"cannot be read: {error.strerror or error}", Location(str(path)))
            ) from error
        if not self._stopped:
            remember(path, stamp, digest.hexdigest())
        return digest.hexdigest()


def sha256_of(headers: Mapping[str, Header]) -> dict[str, str]:
    """The sha256, hex, of several files, read side by side. Raises CheckpointError."""
    with SourceDigests(headers.values()) as digests:
        return {name: digests.of(header) for name, header in headers.items()}
