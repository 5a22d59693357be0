"""Model directories, as the XTTS client loads them: which file is the model, and what lies beside it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..codes import Code
from ..errors import CheckpointError, Location, Problem
from ..specs import CompanionFile, FileStamp
from ..strict_json import check_size
from ..xtts import COMPANION_FILES, MODEL_FILES, OUTPUT_FILES
from .content_digest import content_digest
from .plain import to_plain
from .records import MalformedPickleError

_MAX_CONFIG_BYTES = 16 << 20


def find_model(directory: Path) -> Path:
    """The model's file in a directory: model.pth, or else best_model.pth. Raises CheckpointError, OSError."""
    entries = {entry.name for entry in directory.iterdir()}
    for name in MODEL_FILES:
        if name in entries:
            return directory / name
    inside = sorted(name for name in entries if name.endswith((".pth", ".pt", ".safetensors")))
    inside = [name for name in inside if name not in COMPANION_FILES]
    hint = f"name a file in it: {', '.join(inside[:5])}" if inside else "name a .pth or .safetensors file"
    raise CheckpointError(
        Problem(
            Code.NO_MODEL_IN_DIRECTORY,
            "is a directory without a model",
            Location(str(directory)),
            expected=f"{' or '.join(MODEL_FILES)} in it",
            hint=hint,
        )
    )


def companions(directory: Path) -> Mapping[str, CompanionFile]:
    """The files in a model directory that belong to its model, by name, in the order that people list them.

    Raises CheckpointError for what has such a name and cannot be read.
    """
    found: dict[str, CompanionFile] = {}
    for name in COMPANION_FILES:
        path = directory / name
        if not os.path.lexists(path):
            continue
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise _refused(Code.UNREADABLE_FILE, path, "is no file")
            found[name] = CompanionFile(path, FileStamp.of(status), content_digest(path))
        except OSError as error:
            raise _refused(Code.UNREADABLE_FILE, path, f"cannot be read: {error.strerror or error}") from error
    return found


def foreign_entries(directory: Path) -> list[str]:
    """What in a directory does not belong to one of ours, by name: other files, folders, links. Raises OSError."""
    return sorted(
        entry.name
        for entry in directory.iterdir()
        if entry.name not in OUTPUT_FILES or entry.is_symlink() or not entry.is_file()
    )


def read_config(path: Path) -> Mapping[str, Any]:
    """A config.json as data. Raises CheckpointError."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_CONFIG_BYTES + 1)
        config = to_plain(json.loads(check_size(text))) if len(text) <= _MAX_CONFIG_BYTES else None
    except (OSError, ValueError, RecursionError, MalformedPickleError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        code = Code.UNREADABLE_FILE if isinstance(error, OSError) else Code.MALFORMED_CONFIG
        raise _refused(code, path, f"cannot be read as JSON: {reason}") from error
    if len(text) > _MAX_CONFIG_BYTES:
        raise _refused(Code.MALFORMED_CONFIG, path, f"is larger than {_MAX_CONFIG_BYTES >> 20} MiB, which no config is")
    if not isinstance(config, dict):
        raise _refused(Code.MALFORMED_CONFIG, path, "holds no JSON object")
    return config


def _refused(code: Code, path: Path, what: str) -> CheckpointError:
    hint = f"get the {path.name} that belongs to the model, or name the model's file instead of the directory"
    return CheckpointError(Problem(code, what, Location(str(path)), hint=hint))
