"""How a run goes about its plan: nothing here changes what comes out, but for what it refuses."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

# More do not make it faster: memory is what they share.
_MOST_THREADS = 4


def default_threads() -> int:
    """The processors that this process may use, four at most."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(usable or 1, _MOST_THREADS)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """``threads``: how many tensors are worked on at once, at least 1. ``device``: where methods that need whole
    tensors compute, as torch names it (``cpu``, ``cuda``, ``cuda:1``). ``check``: look for values that are not finite
    in what is taken as it is, too. ``allow_overflow``: write infinity where a value is too large for the output's type,
    instead of refusing.
    """

    threads: int = field(default_factory=default_threads)
    device: str = "cpu"
    check: bool = True
    allow_overflow: bool = False
