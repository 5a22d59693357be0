"""That an open file is still the one that a plan was made with."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import CheckpointError, Location, Problem
from ..specs import FileStamp


def check_unchanged(descriptor: int, stamp: FileStamp, path: Path) -> None:
    """Raises CheckpointError, naming ``path``, where the open file has another stamp by now, or cannot be asked."""
    try:
        found = FileStamp.of(os.fstat(descriptor))
    except OSError as error:
        hint = "check the file and its disk"
        raise CheckpointError(
            Problem(f"cannot be read any more: {error.strerror or error}", Location(str(path)), hint=hint)
        ) from error
    if found != stamp:
        raise CheckpointError(
            Problem(
                "was changed or replaced since the plan was made",
                Location(str(path)),
                hint="wait until whatever writes it is done, then run again",
            )
        )
