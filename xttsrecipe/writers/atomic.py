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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from ..checkpoints.model_directory import foreign_entries
from ..errors import Location, OutputError, Problem
from ..specs import FileStamp
from ..xtts import OUTPUT_FILES
from .exchange import exchange


@contextlib.contextmanager
def atomic_outputs(targets: Sequence[Path]) -> Iterator[list[BinaryIO]]:
    """New files, open for reading and writing, that become ``targets`` when the block ends without an exception.

    All are whole and on the disk before the first takes its place. Missing folders on the way are made, and removed
    again if the block fails. A symbolic link is followed: the file it points to is replaced. Permissions of a file that
    is replaced are kept. Raises OutputError where the system refuses, or somebody else wrote a target meanwhile.
    """
    targets = [Path(os.path.realpath(target)) for target in targets]
    before = [_stamp(target) for target in targets]
    with ExitStack() as places:
        pairs = [(places.enter_context(_becoming(target)), target) for target in targets]
        with ExitStack() as open_files:
            yield [open_files.enter_context(new_file(temporary, target, target)) for temporary, target in pairs]
        for target, stamp in zip(targets, before, strict=True):
            if _stamp(target) != stamp:
                raise _not_replaced(target, "it was written or changed since the run began")
        for temporary, target in pairs:
            with writing(target):
                temporary.replace(target)


def _stamp(target: Path) -> FileStamp | None:
    with contextlib.suppress(OSError):  # nothing is there; or what makes the run fail by itself
        return FileStamp.of(target.stat())
    return None


@contextlib.contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """A new folder that becomes ``target`` when the block ends without an exception; the old one is then removed.

    Otherwise as ``atomic_outputs``. Files are to be made in it with ``new_file``. Raises OutputError too where the old
    folder holds what does not belong to a model directory, or anything in it changed while the block was at work.
    """
    target = Path(os.path.realpath(target))
    before = _stamps_in(target)
    with _becoming(target) as temporary:
        with writing(target):
            temporary.mkdir()
        _keep_permissions(temporary, target)
        yield temporary
        _sync_folder(temporary)
        if _stamps_in(target) != before:
            raise _not_replaced(target, "files came into it, went or changed since the run began")
        with writing(target):
            _put_in_place(temporary, target)


def _stamps_in(folder: Path) -> dict[str, FileStamp]:
    """What lies in a folder that may be replaced, by name; nothing where there is none."""
    with writing(folder):
        try:
            if foreign_entries(folder):
                raise _not_replaced(folder, "it holds what does not belong to a model directory")
            return {entry.name: FileStamp.of(entry.stat()) for entry in folder.iterdir()}
        except FileNotFoundError:
            return {}


def _not_replaced(target: Path, why: str) -> OutputError:
    hint = "see whether that is wanted, then run again"
    return OutputError(Problem(f"is not replaced: {why}", Location(str(target)), hint=hint))


def _put_in_place(new: Path, target: Path) -> None:
    """Rename a folder to ``target``; the old one, if there was one, then has the new one's name, or ``_aside``."""
    if not target.exists():
        new.rename(target)
    elif not exchange(new, target):
        # Without an exchange there is a moment with no folder of that name.
        target.rename(_aside(new))
        new.rename(target)


def _aside(temporary: Path) -> Path:
    return temporary.with_suffix(".old")


@contextlib.contextmanager
def _becoming(target: Path) -> Iterator[Path]:
    """A name beside ``target`` for what is to become it; in the end nothing else is left, whatever happens."""
    made: list[Path] = []
    # Short, whatever the target is called: a name that is as long as names may be must not fail.
    temporary = target.with_name(f".{secrets.token_hex(8)}.xttsrecipe.tmp")
    try:
        _make_folders(target.parent, made)
        yield temporary
        _clear(temporary, target)
    except BaseException:
        _clear(temporary, target)
        _remove_folders(reversed(made))  # not those in which the target is by now
        raise
    _sync_folder(target.parent)


def _clear(temporary: Path, target: Path) -> None:
    """Remove what is left beside ``target``: a half-made output, or the old one, unless it lost its name to nothing."""
    aside = _aside(temporary)
    with contextlib.suppress(OSError):
        if aside.exists() and not target.exists():
            aside.rename(target)
    for path in (temporary, aside):
        if path.is_dir():
            for name in OUTPUT_FILES:
                _remove(path / name)
            _remove_folders([path])
        else:
            _remove(path)


def _remove(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)


def _remove_folders(folders: Iterable[Path]) -> None:
    """Remove those folders that are there and empty."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


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
    """The rename itself must reach the disk; where folders cannot be opened (Windows) the system sees to that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
