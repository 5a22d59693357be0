"""What a file holds as a short text, so that it can be told later whether it still holds that."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

from .archive import UNREADABLE, open_archive

# What begins the digest of a torch.save zip file.
DATA = "data"
# Larger files are none that the client or the trainer reads as text; they are not read whole for a plan.
_MAX_WHOLE_BYTES = 64 << 20
_END_BYTES = 1 << 20


def content_digest(path: Path) -> str:
    """``data:HEX`` of a torch.save zip file, equal for equal objects: of the checksums of its pickle and its tensors,
    whatever its archive is called; read quickly, as the data itself is not. ``sha256:HEX`` of any other file up to
    64 MiB, ``ends:HEX`` of the size and both ends of a larger one. Raises OSError.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # of which reading might never end, or never begin
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    try:
        with path.open("rb") as file:
            archive = open_archive(file)
            names = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            kept = [
                f"{name} {info.file_size} {info.CRC:08x}"
                for name, info in sorted(names.items())
                if name == "data.pkl" or name.startswith("data/")
            ]
        if kept:
            text = "\n".join(kept).encode("utf-8", "replace")
            return f"{DATA}:{hashlib.sha256(text).hexdigest()}"
    except UNREADABLE:
        pass  # what is wrong with the disk shows again
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size <= _MAX_WHOLE_BYTES:
            return bytes_digest(file.read())
        digest = hashlib.sha256(f"{size}\n".encode())
        digest.update(file.read(_END_BYTES))
        file.seek(-_END_BYTES, os.SEEK_END)
        digest.update(file.read(_END_BYTES))
    return f"ends:{digest.hexdigest()}"


def bytes_digest(content: bytes) -> str:
    """The digest of a file that has this content and is no zip file."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
