"""An output file appears whole or not at all.

Everything goes to a temporary file beside the target, which is flushed to disk and renamed over it. Whatever goes
wrong before the rename leaves the old output as it was and no litter.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import Location, OutputError, Problem


@contextlib.contextmanager
def atomic_output(target: Path) -> Iterator[BinaryIO]:
    """A new file, open for reading and writing, that becomes ``target`` when the block ends without an exception.

    Missing folders on the way to it are made, and removed again if the block fails. A symbolic link is followed:
    the file it points to is replaced. Raises OutputError where the folder cannot be written to.
    """
    target = target.resolve()
    made = _make_folders(target.parent)
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        try:
            # Not tempfile: the output gets the permissions that any new file of the user's gets.
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            raise _cannot_write(target, error) from error
        try:
            with os.fdopen(descriptor, "w+b", buffering=0) as file:
                yield file
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except BaseException:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
    _sync_folder(target.parent)


def _make_folders(folder: Path) -> list[Path]:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    made: list[Path] = []
    try:
        for missing_folder in reversed(missing):
            missing_folder.mkdir()
            made.append(missing_folder)
    except OSError as error:
        for made_folder in reversed(made):
            made_folder.rmdir()
        raise _cannot_write(missing[0], error) from error
    return made


def _cannot_write(target: Path, error: OSError) -> OutputError:
    return OutputError(
        Problem(
            f"cannot be written: {error.strerror or error}",
            Location(str(target)),
            hint="choose another place with -o, or see to it that the folder can be written to",
        )
    )


def _sync_folder(folder: Path) -> None:
    """The rename itself must reach the disk; where folders cannot be opened (Windows) the system sees to that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
