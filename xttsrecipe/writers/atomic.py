"""An output, a file or a folder, appears whole or not at all.

Everything goes to a temporary file or folder beside the target, which is flushed to disk and renamed over it. Whatever
goes wrong before the rename leaves the old output as it was and no litter. A kill, which nothing can follow, leaves the
old output too, and litter that the next run to the same output clears.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from ..checkpoints.model_directory import foreign_entries
from ..checkpoints.unchanged import stamps_at
from ..claims import claim
from ..codes import Code
from ..errors import Location, OutputError, Problem
from ..remains import aside_of, clear, clear_remains, remove_folders, temporary_beside
from ..specs import FileStamp
from .exchange import exchange

Stamps = Mapping[Path, FileStamp]

# What a system says of a disk that does not take a folder; anything else, that it has no way to be asked.
_DISK_ERRORS = (errno.EIO, errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


@contextlib.contextmanager
def atomic_outputs(targets: Sequence[Path], replaced: Stamps | None = None) -> Iterator[list[BinaryIO]]:
    """New files, open for reading and writing, that become ``targets`` when the block ends without an exception.

    All are whole and on the disk before the first takes its place, and the last, which the others belong to, decides:
    where it cannot take its place, the others have their old content again. Missing folders on the way are made, and
    removed again if the block fails. A symbolic link is followed: the file it points to is replaced. Permissions of a
    file that is replaced are kept. ``replaced``: what ``stamps_at`` the targets must be, if that was looked at before.
    Raises OutputError where the system refuses, another run is at work on a target, or somebody wrote one meanwhile.
    """
    targets = [Path(os.path.realpath(target)) for target in targets]
    with ExitStack() as places:
        pairs = [(places.enter_context(_becoming(target)), target) for target in targets]
        before = _stamps_before(targets, replaced)
        with ExitStack() as open_files:
            yield [open_files.enter_context(new_file(temporary, target, target)) for temporary, target in pairs]
        _check_replaced(targets, before)
        _put_files_in_place(pairs, before)


def _stamps_before(targets: Sequence[Path], replaced: Stamps | None) -> Stamps:
    if replaced is not None:
        _check_replaced(targets, replaced)
        return replaced
    with writing(targets[-1]):
        return stamps_at(targets)


def _check_replaced(targets: Sequence[Path], stamps: Stamps) -> None:
    """Raises OutputError where other files lie there than did, or they changed."""
    with writing(targets[-1]):
        now = stamps_at(targets)
    changed = sorted(path for path in {*now, *stamps} if now.get(path) != stamps.get(path))
    if changed:
        raise _not_replaced(
            Code.CHANGED_MEANWHILE, changed[0], "it was written, changed or removed since the run began"
        )


def _put_files_in_place(pairs: Sequence[tuple[Path, Path]], before: Stamps) -> None:
    *beside, (last, _) = pairs
    for temporary, target in beside:
        with contextlib.suppress(OSError):  # there is no old one; or no second name for a file on this file system
            aside_of(temporary).hardlink_to(target)
    try:
        for temporary, target in pairs:
            with writing(target):
                temporary.replace(target)
    except BaseException:
        if os.path.lexists(last):
            for temporary, target in beside:
                _put_file_back(temporary, target, was_there=target in before)
        raise


def _put_file_back(temporary: Path, target: Path, was_there: bool) -> None:
    if os.path.lexists(temporary):
        return  # it had not been replaced
    with contextlib.suppress(OSError):
        if was_there:
            aside_of(temporary).replace(target)
        else:
            target.unlink()


@contextlib.contextmanager
def atomic_directory(target: Path, replaced: Stamps | None = None) -> Iterator[Path]:
    """A new folder that becomes ``target`` when the block ends without an exception; the old one is then removed.

    Otherwise as ``atomic_outputs``. Files are to be made in it with ``new_file``. Raises OutputError too where the old
    folder holds what does not belong to a model directory.
    """
    target = Path(os.path.realpath(target))
    with _becoming(target) as temporary:
        _check_entries(target)
        before = _stamps_before([target], replaced)
        with writing(target):
            temporary.mkdir()
        _keep_permissions(temporary, target)
        yield temporary
        with writing(target):
            _sync_folder(temporary)
        _check_entries(target)
        _check_replaced([target], before)
        with writing(target):
            _put_in_place(temporary, target)


def _check_entries(folder: Path) -> None:
    with writing(folder), contextlib.suppress(FileNotFoundError):
        if foreign_entries(folder):
            raise _not_replaced(Code.FOREIGN_FILES, folder, "it holds what does not belong to a model directory")


def _not_replaced(code: Code, target: Path, why: str) -> OutputError:
    hint = "see whether that is wanted, then run again"
    return OutputError(Problem(code, f"is not replaced: {why}", Location(str(target)), hint=hint))


def _put_in_place(new: Path, target: Path) -> None:
    """Rename a folder to ``target``; the old one, if there was one, then has the new one's name, or ``aside_of`` it."""
    if not target.exists():
        new.rename(target)
    elif not exchange(new, target):
        # Without an exchange there is a moment with no folder of that name.
        target.rename(aside_of(new))
        new.rename(target)


@contextlib.contextmanager
def _becoming(target: Path) -> Iterator[Path]:
    """A name beside ``target`` for what is to become it; in the end nothing else is left, whatever happens."""
    made: list[Path] = []
    try:
        _make_folders(target.parent, made)
        with claim(target) as claimed:
            if claimed:
                clear_remains(target)
            temporary = temporary_beside(target, claimed)
            try:
                yield temporary
                clear(temporary, target)
            except BaseException:
                clear(temporary, target)
                raise
    except BaseException:
        remove_folders(reversed(made))  # not those in which the target is by now
        raise
    try:
        for folder in (target.parent, *(folder.parent for folder in reversed(made))):
            _sync_folder(folder)
    except OSError as error:
        what = f"is in its place, but the disk does not say that it will stay there: {error.strerror or error}"
        raise OutputError(
            Problem(Code.NOT_ON_DISK, what, Location(str(target)), hint="check the disk, then run again")
        ) from error


@contextlib.contextmanager
def new_file(path: Path, target: Path, replaced: Path | None = None) -> Iterator[BinaryIO]:
    """A new file at ``path``, flushed to disk when the block ends, with the permissions of the one to be ``replaced``.

    Raises OutputError, naming ``target``.
    """
    with writing(target):
        # Not tempfile: the output gets the permissions that any new file of the user's gets.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    file = os.fdopen(descriptor, "w+b")
    try:
        if replaced:
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
                Code.UNWRITABLE,
                f"cannot be written: {error.strerror or error}",
                Location(str(target)),
                hint="the old output, if there was one, is as it was; make room there or choose another place with -o",
            )
        ) from error


def _make_folders(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it that are missing; ``made`` gets them, outermost first."""
    with writing(folder):
        missing = list(itertools.takewhile(lambda above: not above.exists(), (folder, *folder.parents)))
        for missing_folder in reversed(missing):
            made.append(missing_folder)
            missing_folder.mkdir()


def _sync_folder(folder: Path) -> None:
    """The names in it must reach the disk; where folders cannot be opened (Windows) the system sees to that.

    Raises OSError where the disk fails.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in _DISK_ERRORS:
            raise
    finally:
        os.close(descriptor)
