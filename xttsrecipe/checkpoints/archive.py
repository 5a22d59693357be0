"""Zip files, opened by stdlib ``zipfile`` so that a hostile directory costs no more memory than a real one."""

from __future__ import annotations

import zipfile
import zlib
from typing import BinaryIO, cast

# Fifty times that of a real trainer checkpoint. A record of 50 bytes becomes an object of 600.
_MAX_DIRECTORY_BYTES = 8 << 20
# What zipfile searches for the end of the directory, which has a comment of up to 64 KiB behind it: all to the end.
_END_BYTES = 1 << 17
# What zipfile raises for archives and records that are damaged, or packed in ways that it does not know.
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, OSError, RuntimeError, ValueError, EOFError, NotImplementedError, OverflowError,
)  # fmt: skip


def open_archive(file: BinaryIO) -> zipfile.ZipFile:
    """The zip archive in an open file. Raises one of ``UNREADABLE``."""
    archive = zipfile.ZipFile(cast(BinaryIO, _Directory(file)))
    archive.fp = file
    return archive


class _Directory:
    """The file while zipfile reads its directory, whose size the file itself may say to be anything."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"a directory of {size:,} bytes")
        return self._file.read(_END_BYTES if size < 0 else size)
