"""Runs a command as a process of its own and says how long it took and how much memory; and what repetitions gave."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .children import run

_PIECE = 1 << 20


class MeasureError(Exception):
    """A command failed; ``str()`` is the command and the end of what it said."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a command.

    ``seconds``: wall time of the whole process; ``streaming``: of the part that it says it spent moving tensor data,
    None where it says nothing; ``peak``: the most memory that was resident, in bytes. Linux begins to count a child's
    at its parent's: what is less than this process itself takes, some 30 MB, cannot be told.
    """

    seconds: float
    streaming: float | None
    peak: int


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some numbers, the least and the greatest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Result:
    """What the runs of one command gave, in the same order for all commands of a case."""

    samples: tuple[Sample, ...]

    @property
    def seconds(self) -> Spread:
        return Spread.of([sample.seconds for sample in self.samples])

    @property
    def streaming(self) -> Spread | None:
        """None where the command does not say."""
        values = [sample.streaming for sample in self.samples if sample.streaming is not None]
        return Spread.of(values) if values else None

    @property
    def peak(self) -> Spread:
        """Bytes."""
        return Spread.of([sample.peak for sample in self.samples])


def measure(command: Sequence[str | Path]) -> Sample:
    """Run a command in the project's folder. Raises MeasureError where its exit status is not 0."""
    # As it is where it was installed: with bytecode beside the modules.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        status, peak = run(command, said, environ)
        seconds = time.perf_counter() - started
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
    if status:
        shown = " ".join(map(str, command))
        raise MeasureError(f"exit status {status} of: {shown}\n{text[-2000:]}")
    return Sample(seconds, _streaming(text), peak)


def _streaming(text: str) -> float | None:
    """What a command says of itself: a line ``{"streaming": SECONDS}``."""
    for line in reversed(text.splitlines()):
        if line.startswith('{"streaming":'):
            return float(json.loads(line)["streaming"])
    return None


def settle(inputs: Sequence[Path], scratch: Path) -> None:
    """Make every command begin alike: nothing left to be written by others, all inputs in the page cache, and the
    memory that the output will take in the page cache fresh from use: a virtual machine may have given back to its
    host what was free for a while, and fetching it again is slower than copying. ``scratch``: a file name to use.
    """
    os.sync()
    buffer = bytearray(_PIECE)
    for path in inputs:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    try:
        with scratch.open("wb", buffering=0) as file:
            for _ in range(0, min((path.stat().st_size for path in inputs), default=0), _PIECE):
                file.write(buffer)
    finally:
        scratch.unlink(missing_ok=True)


def available_memory() -> int | None:
    """Bytes that processes may still take without swapping; None where the system does not say so (not Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
