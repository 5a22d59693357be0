"""An output, a file or a folder, appears whole or not at all.

Everything goes to a temporary file or folder beside the target, which is flushed to disk and renamed over it. Whatever
goes wrong before the rename leaves the old output as it was and no litter.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import Location, OutputError, Problem
from ..xtts import COMPANION_FILES, MODEL_FILES
from .exchange import exchange


@contextlib.contextmanager
def atomic_output(target: Path) -> Iterator[BinaryIO]:
    """A new file, open for reading and writing, that becomes ``target`` when the block ends without an exception.

    Missing folders on the way to it are made, and removed again if the block fails. A symbolic link is followed:
    the file it points to is replaced. Permissions of a file that is replaced are kept. Raises OutputError where the
    system refuses.
    """
    with atomic_outputs([target]) as (file,):
        yield file


@contextlib.contextmanager
def atomic_outputs(targets: Sequence[Path]) -> Iterator[list[BinaryIO]]:
    """Several files as ``atomic_output``: all are whole and on the disk before the first takes its place."""
    targets = [Path(os.path.realpath(target)) for target in targets]
    with ExitStack() as places:
        becoming = [places.enter_context(_becoming(target)) for target in targets]
        with ExitStack() as open_files:
            yield [
                open_files.enter_context(new_file(temporary.path, target, target))
                for temporary, target in zip(becoming, targets, strict=True)
            ]
        for temporary, target in zip(becoming, targets, strict=True):
            with writing(target):
                temporary.path.replace(target)
            temporary.is_placed = True


@contextlib.contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """A new folder that becomes ``target`` when the block ends without an exception, as ``atomic_output``.

    Files are to be made in it with ``new_file``. Of the old folder the files of a model directory are removed; should
    it hold anything else by now, that moves into the new one.
    """
    target = Path(os.path.realpath(target))
    with _becoming(target) as temporary:
        with writing(target):
            temporary.path.mkdir()
        _keep_permissions(temporary.path, target)
        yield temporary.path
        with writing(target):
            _sync_folder(temporary.path)
            old = _put_in_place(temporary, target)
        if old is not None:
            try:
                _retire(old, target)
            except KeyboardInterrupt:
                _retire(old, target)  # quickly done, and nothing is left lying about
                raise


def _put_in_place(temporary: _Becoming, target: Path) -> Path | None:
    """Rename a folder to ``target``; where the old one is now, if there was one. Raises OSError with both in place."""
    new = temporary.path
    if not target.exists():
        new.rename(target)
        temporary.is_placed = True
        return None
    if exchange(new, target):
        temporary.is_placed = True
        return new
    # Without an exchange there is a moment with no folder of that name; the old one then has another name.
    aside = new.with_suffix(".old")
    try:
        target.rename(aside)
        new.rename(target)
        temporary.is_placed = True
    except BaseException:
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise
    return aside


def _retire(old: Path, new: Path) -> None:
    """Remove a folder that was replaced. What somebody put into it while the new one was made is theirs: it stays."""
    _remove_files(old)
    with contextlib.suppress(OSError):  # then it stays where it is
        for entry in list(old.iterdir()):
            entry.rename(new / entry.name)
        old.rmdir()


def _remove_files(folder: Path) -> None:
    """Remove the files of a model directory from a folder, and nothing else."""
    for name in (MODEL_FILES[0], *COMPANION_FILES):
        with contextlib.suppress(OSError):
            (folder / name).unlink(missing_ok=True)


@dataclass
class _Becoming:
    """What is to take the place of a target, under a name beside it until ``is_placed``."""

    path: Path
    is_placed: bool = False


@contextlib.contextmanager
def _becoming(target: Path) -> Iterator[_Becoming]:
    """A name beside ``target``; if the block fails before that was placed, nothing is left of it."""
    made = _make_folders(target.parent)
    # Short, whatever the target is called: a name that is as long as names may be must not fail.
    becoming = _Becoming(target.with_name(f".{secrets.token_hex(8)}.xttsrecipe.tmp"))
    try:
        yield becoming
    except BaseException:
        if not becoming.is_placed:
            with contextlib.suppress(OSError):
                becoming.path.unlink(missing_ok=True)
            if becoming.path.is_dir():
                _remove_files(becoming.path)
                _remove_folders([becoming.path])
            _remove_folders(made)
        raise
    _sync_folder(target.parent)


@contextlib.contextmanager
def new_file(path: Path, replaced: Path, target: Path) -> Iterator[BinaryIO]:
    """A new file at ``path``, flushed to disk when the block ends, with the permissions of the one to be ``replaced``.

    Raises OutputError, naming ``target``.
    """
    with writing(target):
        # Not tempfile: the output gets the permissions that any new file of the user's gets.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    file = os.fdopen(descriptor, "w+b")
    try:
        _keep_permissions(path, replaced)
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


def _keep_permissions(new: Path, replaced: Path) -> None:
    with contextlib.suppress(OSError):  # there was none; or this system has no permissions
        new.chmod(stat.S_IMODE(replaced.stat().st_mode))


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
        except BaseException:
            _remove_folders(made)
            raise
    return made


def _remove_folders(made: Sequence[Path]) -> None:
    for folder in reversed(made):
        with contextlib.suppress(OSError):  # not empty any more, or gone
            folder.rmdir()


def _sync_folder(folder: Path) -> None:
    """The rename itself must reach the disk; where folders cannot be opened (Windows) the system sees to that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
