"""Model directories, as the XTTS client loads them: which file is the model, and what lies beside it."""

from __future__ import annotations

import contextlib
import json
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, Location, Problem
from ..specs import CompanionFile, FileStamp
from ..xtts import COMPANION_FILES, MEL_STATS_FILE, MODEL_FILES, OUTPUT_FILES
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
    inside = [name for name in inside if name not in COMPANION_FILES] or inside
    hint = f"name a file in it: {', '.join(inside[:5])}" if inside else "name a .pth or .safetensors file"
    raise CheckpointError(
        Problem(
            "is a directory without a model",
            Location(str(directory)),
            expected=f"{' or '.join(MODEL_FILES)} in it",
            hint=hint,
        )
    )


def companions(directory: Path) -> Mapping[str, CompanionFile]:
    """The files in a model directory that belong to its model, by name, in the order that people list them."""
    found: dict[str, CompanionFile] = {}
    for name in COMPANION_FILES:
        path = directory / name
        with contextlib.suppress(OSError):  # not there, or a link that leads nowhere
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                content = _stored_data(path) if name == MEL_STATS_FILE else None
                found[name] = CompanionFile(path, FileStamp.of(status), content)
    return found


def foreign_entries(directory: Path) -> list[str]:
    """What in a directory does not belong to one of ours, by name: other files, folders, links. Raises OSError."""
    return sorted(
        entry.name
        for entry in directory.iterdir()
        if entry.name not in OUTPUT_FILES or entry.is_symlink() or not entry.is_file()
    )


def _stored_data(path: Path) -> tuple[int, ...] | None:
    """Equal for files of equal tensors: the checksums of a torch zip's data, whatever its root is called."""
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(info.CRC for info in archive.infolist() if "/data/" in info.filename)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        return None


def read_config(path: Path) -> Mapping[str, Any]:
    """A config.json as data. Raises CheckpointError."""
    try:
        with path.open("rb") as file:
            # Cut off where it is far too long for a config, it is no JSON any more.
            config = to_plain(json.loads(file.read(_MAX_CONFIG_BYTES)))
    except (OSError, ValueError, RecursionError, MalformedPickleError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise _refused(path, f"cannot be read as JSON: {reason}") from error
    if not isinstance(config, dict):
        raise _refused(path, "holds no JSON object")
    return config


def _refused(path: Path, what: str) -> CheckpointError:
    hint = "get the config.json that belongs to the model, or name the model's file instead of the directory"
    return CheckpointError(Problem(what, Location(str(path)), expected="the model's config", hint=hint))
