"""Remembers the sha256 of large files in the user's cache folder, by path, size, time of change and inode.

Only ever saves time: where the folder cannot be read or written nothing is remembered. A file that was changed a moment
ago is not remembered either, as it may change again within the same tick of its clock.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from pathlib import Path

import platformdirs

from ..specs import FileStamp

# Names another folder, or nothing at all for not remembering anything.
VARIABLE = "XTTSRECIPE_CACHE"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SETTLED_NS = 2_000_000_000
# Each a hundred bytes; the oldest go.
_MOST = 1_000


def recalled(path: Path, stamp: FileStamp) -> str | None:
    """The sha256, hex, that the file had when it was read last; None where it may have changed since."""
    entry = _entry(path, stamp)
    with contextlib.suppress(OSError, ValueError):
        text = entry.read_text("ascii").strip() if entry else ""
        return text if _DIGEST.fullmatch(text) else None
    return None


def remember(path: Path, stamp: FileStamp, digest: str) -> None:
    """Keep the sha256 that the file was found to have."""
    entry = _entry(path, stamp)
    if entry is None or time.time_ns() - stamp.mtime_ns < _SETTLED_NS:
        return
    temporary = entry.with_name(f"{entry.name}.{os.getpid()}.tmp")
    with contextlib.suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(f"{digest}\n", "ascii")
            temporary.replace(entry)
        finally:
            temporary.unlink(missing_ok=True)
        _forget_oldest(entry.parent)


def _entry(path: Path, stamp: FileStamp) -> Path | None:
    named = os.environ.get(VARIABLE)
    if named == "":
        return None
    folder = Path(named).expanduser() if named else platformdirs.user_cache_path("xttsrecipe", appauthor=False)
    identity = b"%s\0%d\0%d\0%d" % (os.fsencode(os.path.realpath(path)), stamp.size, stamp.mtime_ns, stamp.inode)
    return folder / "sha256" / hashlib.sha256(identity).hexdigest()


def _forget_oldest(folder: Path) -> None:
    entries = sorted(os.scandir(folder), key=lambda entry: entry.stat().st_mtime_ns)
    for entry in entries[: max(len(entries) - _MOST, 0)]:
        Path(entry).unlink(missing_ok=True)
