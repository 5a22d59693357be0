"""That a file is still the one it was: one that is read, since the plan; one that is replaced, since the run began."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..codes import Code
from ..errors import CheckpointError, Location, Problem
from ..specs import FileStamp


def check_unchanged(descriptor: int, stamp: FileStamp, path: Path) -> None:
    """Raises CheckpointError, naming ``path``, where the open file has another stamp by now, or cannot be asked."""
    try:
        found = FileStamp.of(os.fstat(descriptor))
    except OSError as error:
        hint = "check the file and its disk"
        raise CheckpointError(
            Problem(
                Code.UNREADABLE_FILE,
                f"cannot be read any more: {error.strerror or error}",
                Location(str(path)),
                hint=hint,
            )
        ) from error
    if found != stamp:
        raise CheckpointError(
            Problem(
                Code.SOURCE_CHANGED,
                "was changed or replaced since the plan was made",
                Location(str(path)),
                hint="wait until whatever writes it is done, then run again",
            )
        )


def stamps_at(targets: Iterable[Path]) -> Mapping[Path, FileStamp]:
    """What lies where something is to be written: files by their real path, of a folder the entries of that.

    Empty where nothing is. Raises OSError.
    """
    found: dict[Path, FileStamp] = {}
    for target in targets:
        real = Path(os.path.realpath(target))
        try:
            status = real.stat()
            paths = list(real.iterdir()) if stat.S_ISDIR(status.st_mode) else [real]
            found |= {path: FileStamp.of(path.lstat()) for path in paths}
        except (FileNotFoundError, NotADirectoryError):
            continue
    return found
