"""An output, a file or a folder, appears whole or not at all.

Everything goes to a temporary file or folder beside the target, which is flushed to disk and renamed over it. Whatever
goes wrong before the rename leaves the old output as it was and no litter.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import Location, OutputError, Problem
from .exchange import exchange


@contextlib.contextmanager
def atomic_output(target: Path) -> Iterator[BinaryIO]:
    """A new file, open for reading and writing, that becomes ``target`` when the block ends without an exception.

    Missing folders on the way to it are made, and removed again if the block fails. A symbolic link is followed:
    the file it points to is replaced. Permissions of a file that is replaced are kept. Raises OutputError where the
    system refuses.
    """
    target = Path(os.path.realpath(target))
    with _becoming(target) as temporary:
        with new_file(temporary, target) as file:
            with contextlib.suppress(OSError, AttributeError):  # no old file; no permissions on this system
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            yield file
        with writing(target):
            temporary.replace(target)


@contextlib.contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """A new folder that becomes ``target`` when the block ends without an exception; the old one is then removed.

    Otherwise as ``atomic_output``. Files are to be made in it with ``new_file``.
    """
    target = Path(os.path.realpath(target))
    with _becoming(target) as temporary:
        with writing(target):
            temporary.mkdir()
        with contextlib.suppress(OSError):  # no old folder
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        yield temporary
        with writing(target):
            _sync_folder(temporary)
            old = _put_in_place(temporary, target)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _put_in_place(new: Path, target: Path) -> Path | None:
    """Rename a folder to ``target``; where the old one is now, if there was one. Raises OSError with both in place."""
    if not target.exists():
        new.rename(target)
        return None
    if exchange(new, target):
        return new
    # Without an exchange there is a moment with no folder of that name; the old one then has another name.
    aside = new.with_suffix(".old")
    try:
        target.rename(aside)
        new.rename(target)
    except BaseException:
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise
    return aside


@contextlib.contextmanager
def _becoming(target: Path) -> Iterator[Path]:
    """A name beside ``target`` for what is to become it; if the block fails nothing is left of it."""
    made = _make_folders(target.parent)
    # Short, whatever the target is called: a name that is as long as names may be must not fail.
    temporary = target.with_name(f".{secrets.token_hex(8)}.xttsrecipe.tmp")
    try:
        yield temporary
    except BaseException:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
    _sync_folder(target.parent)


@contextlib.contextmanager
def new_file(path: Path, target: Path) -> Iterator[BinaryIO]:
    """A new file at ``path``, flushed to disk when the block ends. Raises OutputError, naming ``target``."""
    with writing(target):
        # Not tempfile: the output gets the permissions that any new file of the user's gets.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    file = os.fdopen(descriptor, "w+b")
    try:
        yield file
        with writing(target):
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):  # closing writes what is left, and fails as what went before did
            file.close()
        raise
    with writing(target):
        file.close()


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Says of whatever the system refuses in the block that ``target`` cannot be written. Raises OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            Problem(
                f"cannot be written: {error.strerror or error}",
                Location(str(target)),
                hint="the old output, if there was one, is as it was; make room there or choose another place with -o",
            )
        ) from error


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it that are missing; the ones made, outermost first."""
    made: list[Path] = []
    with writing(folder):
        missing = list(itertools.takewhile(lambda above: not above.exists(), (folder, *folder.parents)))
        try:
            for missing_folder in reversed(missing):
                missing_folder.mkdir()
                made.append(missing_folder)
        except OSError:
            for made_folder in reversed(made):
                made_folder.rmdir()
            raise
    return made


def _sync_folder(folder: Path) -> None:
    """The rename itself must reach the disk; where folders cannot be opened (Windows) the system sees to that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
