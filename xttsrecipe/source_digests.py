"""The sha256 of sources, taken by threads of its own while other work goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from .checkpoints.unchanged import check_unchanged
from .codes import Code
from .digest_cache import recalled, remember
from .errors import CheckpointError, Location, Problem
from .specs import FileStamp, Header

_READ_BYTES = 1 << 20
_MOST_THREADS = 4


class SourceDigests:
    """Begins to read the files of these headers at once, those that are not known from an earlier time.

    To be used as a context manager: at its end the threads are, too.
    """

    def __init__(self, headers: Iterable[Header]) -> None:
        files = {header.path: header.stamp for header in headers}
        self._stopped = False
        self._known: dict[Path, str] = {}
        self._pending: dict[Path, Future[str]] = {}
        self._threads: ThreadPoolExecutor | None = None
        for path, stamp in files.items():
            digest = recalled(path, stamp)
            if digest:
                self._known[path] = digest
                continue
            self._threads = self._threads or ThreadPoolExecutor(_MOST_THREADS, "digest")
            self._pending[path] = self._threads.submit(self._read, path, stamp)

    def __enter__(self) -> SourceDigests:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        if self._threads:
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
