"""Swaps two folders in one step, where the system can."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_AT_FDCWD = -100
_EXCHANGE = 2  # RENAME_EXCHANGE in linux/fs.h, RENAME_SWAP in macOS's sys/stdio.h


def exchange(first: Path, second: Path) -> bool:
    """Give two folders each other's name; no moment passes in which either name is free.

    False, and nothing has changed, where that cannot be: no such call (renameat2 of Linux, renamex_np of macOS), a file
    system without it, or no permission, which the ordinary way then says.
    """
    if sys.platform not in ("linux", "darwin"):
        return False
    names = (os.fsencode(first), os.fsencode(second))
    try:
        library = ctypes.CDLL(None)
        if sys.platform == "linux":
            return bool(library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE) == 0)
        return bool(library.renamex_np(names[0], names[1], _EXCHANGE) == 0)
    except (OSError, TypeError, AttributeError):  # no C library, or one without that call
        return False
