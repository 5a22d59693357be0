"""What the C library does with memory that was freed."""

from __future__ import annotations

import contextlib
import ctypes

# M_MMAP_THRESHOLD of mallopt(3). More than any piece of a tensor takes.
_MMAP_THRESHOLD = -3
_LARGE_BYTES = 2 << 20


def give_back_large_blocks() -> None:
    """From now on blocks of 2 MiB and more go back to the system as soon as they are free, in the whole process.

    glibc by default keeps those of up to 32 MiB for the next that are as large: with tensors of many sizes, held whole
    by several threads, twice the memory that they need. Elsewhere nothing happens.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library; no way to ask it (Windows)
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
