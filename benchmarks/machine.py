"""On what was measured: processor, memory, system, versions. No names of machines, users or folders."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path


def machine(data: Path) -> str:
    """One line; ``data``: the folder with the checkpoints, whose filesystem counts."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    parts = (
        _processor(),
        f"{cores} cores",
        f"{memory / (1 << 30):.0f} GiB of memory",
        f"{platform.system()} {platform.release().partition('-')[0]}",
        _filesystem(data),
        f"Python {platform.python_version()}",
        f"torch {importlib.metadata.version('torch')}",
        datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat(),
    )
    return ", ".join(part for part in parts if part)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _filesystem(folder: Path) -> str:
    """Its type, where the system tells (Linux)."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    except OSError:
        return ""
    real = folder.resolve()
    around = [(len(where), kind) for where, kind in mounts if real.is_relative_to(where)]
    return max(around)[1] if around else ""
