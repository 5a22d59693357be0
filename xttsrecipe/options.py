"""How a run goes about its plan."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

# More would mostly wait for the memory that they share.
_MOST_THREADS = 4


def default_threads() -> int:
    """The processors that this process may use, four at most."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(usable or 1, _MOST_THREADS)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """``threads``: how many tensors are worked on at once, at least 1; the bytes are the same. ``device``: where
    methods that need whole tensors compute, as torch names it (``cpu``, ``cuda``, ``cuda:1``); last bits may then
    differ. ``check``: look for values that are not finite in what is taken as it is, too. ``allow_overflow``: write
    infinity where a value is too large for the output's type, instead of refusing. ``digest``: take that of the
    output's tensors (see ``tensor_digests``).

    Raises ValueError for less than one thread.
    """

    threads: int = field(default_factory=default_threads)
    device: str = "cpu"
    check: bool = True
    allow_overflow: bool = False
    digest: bool = False

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"threads must be 1 or more, not {self.threads}")
