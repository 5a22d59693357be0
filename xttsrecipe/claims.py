"""One run at a time writes an output: a lock in a file beside it, held for as long as the run lasts.

The system drops a lock with the process that held it, however that ended. So a run that is dead is told from one that
is at work without process ids, times or host names, all of which come again, differ or lie.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from .codes import Code
from .errors import Location, OutputError, Problem

if sys.platform == "win32":
    import msvcrt

    def _lock(file: FileIO) -> None:
        """Raises BlockingIOError where another holds it."""
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            raise BlockingIOError from None

else:
    import fcntl

    def _lock(file: FileIO) -> None:
        """Raises BlockingIOError where another holds it, another OSError or AttributeError where there are no locks."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# The name of a lock file may pass from hand to hand while we open it; not so often.
_ATTEMPTS = 100


def hidden_name(target: Path, rest: str) -> str:
    """``.DIGEST.rest``: the name of what lies beside ``target`` on its behalf.

    Short, whatever the target is called: a name that is as long as names may be must not fail. The digest is that of
    the name, not of the whole path, as a folder has several: in a container, over a network, after it was moved.
    """
    digest = hashlib.sha256(os.fsencode(os.path.normcase(target.name))).hexdigest()[:16]
    return f".{digest}.{rest}"


@contextlib.contextmanager
def claim(target: Path) -> Iterator[bool]:
    """While the block lasts no other run can claim ``target``: True; False where its file system has no locks.

    The folder of the target must be there. Raises OutputError where another run has claimed it.
    """
    lock = _Lock(target.with_name(hidden_name(target, "xttsrecipe.lock")))
    try:
        try:
            claimed = lock.acquire()
        except BlockingIOError:
            hint = "wait until that one is done, then run again if it is still wanted"
            raise OutputError(
                Problem(Code.ANOTHER_RUN, "is being written by another run", Location(str(target)), hint=hint)
            ) from None
        yield claimed
        lock.release()
    except BaseException:
        lock.release()
        raise


class _Lock:
    """An interrupt may come at any line: ``release`` finds out what there is to be removed, and may be called again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._is_new = False

    def acquire(self) -> bool:
        """False where there are no locks. Raises BlockingIOError where another holds it."""
        for _ in range(_ATTEMPTS):
            try:
                self._file = self._made() or self._found()
                _lock(self._file)
                if self._is_named(self._file):
                    if self._is_new:
                        _show(self._file)
                    return True
                self._file.close()  # whoever held it removed it after we had opened it
                self._file = None
            except BlockingIOError:
                raise
            except FileNotFoundError:
                continue
            except (OSError, AttributeError):
                break
        self.release()
        return False

    def release(self) -> None:
        try:
            file = self._file = self._file or self._found()
        except OSError:
            return
        if file.closed:
            return
        if sys.platform == "win32":
            file.close()
            _remove(self._path)  # which the system refuses where another has opened it meanwhile
            return
        if self._is_held(file):
            _remove(self._path)  # as long as it is locked: after that it may be another's
        file.close()

    def _made(self) -> FileIO | None:
        self._is_new = True
        with contextlib.suppress(FileExistsError):
            return FileIO(self._path, "xb")
        self._is_new = False
        return None

    def _found(self) -> FileIO:
        # A link is not followed, a pipe not waited for.
        flags = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
        try:
            file = FileIO(os.open(self._path, os.O_RDWR | flags), "rb")
        except PermissionError:  # another user's
            file = FileIO(os.open(self._path, os.O_RDONLY | flags), "rb")
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError("is no file of ours")
        return file

    def _is_held(self, file: FileIO) -> bool:
        try:
            _lock(file)  # who holds a lock may lock again
            return self._is_named(file)
        except BlockingIOError:
            return False
        except (OSError, AttributeError):  # there are no locks
            return self._is_new

    def _is_named(self, file: FileIO) -> bool:
        """Whether the open file is still the one under this name."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.lstat())
        except FileNotFoundError:
            return False


def _show(file: FileIO) -> None:
    """Others must be able to find it locked, whatever the umask."""
    with contextlib.suppress(OSError, AttributeError):
        os.fchmod(file.fileno(), 0o644)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
