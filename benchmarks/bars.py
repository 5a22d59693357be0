"""The bars: what speed and memory must be, told from what was measured, with the arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from . import cases
from .cases import FLOOR, FLOOR_FSYNC, NAIVE, OURS, SPEED, TORCH
from .measure import Result
from .rivals import MERGEKIT, SD_MECHA

Results = Mapping[str, Mapping[str, Result]]

MB = 1e6

# Memory over that of importing torch: for whatever is merged in pieces.
STREAMED = (SPEED[2], SPEED[8], *cases.HALVES.values(), cases.WITH_TRAINER, cases.TAKEN)
STREAMED_BYTES = 32e6
# And for methods that need tensors whole: so many times the largest.
WHOLE = tuple(cases.WHOLE.values())
WHOLE_TENSORS = 8
# How many times faster than others on two inputs.
FASTER = {NAIVE: 4.0, MERGEKIT: 7.0, SD_MECHA: 7.0}
# Seconds of the whole process.
INSTANT = {cases.PLAN: 0.5, cases.VALIDATE: 1.5, cases.VALIDATE_ABSENT: 1.5}


@dataclass(frozen=True, slots=True)
class Bar:
    """One of them: its number, the arithmetic, and whether it holds; None for what is only said along with it."""

    number: int
    arithmetic: str
    holds: bool | None

    def __str__(self) -> str:
        verdict = "" if self.holds is None else ": yes" if self.holds else ": NO"
        return f"{self.number}  {self.arithmetic}{verdict}"


def all_bars(results: Results, largest: int) -> list[Bar]:
    """The bars that the results, by case and contender, can tell; ``largest``: bytes of the largest tensor."""
    return [*_streaming(results), *_whole_process(results), *_memory(results, largest), *_instant(results)]


def _bar(number: int, what: str, value: float, limit: float, unit: str = "") -> Bar:
    shown = f"{value:,.2f}{unit} ≤ {limit:,.2f}{unit}" if unit != " MB" else f"{value:,.0f}{unit} ≤ {limit:,.0f}{unit}"
    return Bar(number, f"{what} = {shown}", value <= limit)


def _loop(results: Results, case: str, contender: str) -> float | None:
    """Median seconds that a contender spent on moving data."""
    result = results.get(case, {}).get(contender)
    return result.streaming.median if result and result.streaming else None


def _whole(results: Results, case: str, contender: str) -> float | None:
    """Median seconds of the whole process."""
    result = results.get(case, {}).get(contender)
    return result.seconds.median if result else None


def _streaming(results: Results) -> Iterator[Bar]:
    for count, case in SPEED.items():
        ours, floor = _loop(results, case, OURS), _loop(results, case, FLOOR)
        if ours and floor:
            yield _bar(1, f"{count} inputs: streaming {ours:.2f} s / floor {floor:.2f} s", ours / floor, 1.0)
    few, many = min(SPEED), max(SPEED)
    ends = [_loop(results, SPEED[count], who) for who in (OURS, FLOOR) for count in (few, many)]
    if all(ends):
        ours, floor = ((last - first) / (many - few) for first, last in (ends[:2], ends[2:]))  # type: ignore[operator]
        yield _bar(1, f"{few} to {many} inputs: each further one takes the streaming", ours, floor, " s")


def _whole_process(results: Results) -> Iterator[Bar]:
    for count, case in SPEED.items():
        ours, floor = _whole(results, case, OURS), _loop(results, case, FLOOR)
        torch = _whole(results, case, TORCH)
        if ours and floor and torch:
            limit = torch + 0.2 + 1.3 * floor
            what = f"torch {torch:.2f} s + 0.2 s + 1.3 × floor {floor:.2f} s"
            yield Bar(2, f"{count} inputs: whole run {ours:.2f} s ≤ {what} = {limit:.2f} s", ours <= limit)
            flushed = _loop(results, case, FLOOR_FSYNC)
            if flushed:
                limit = torch + 0.2 + 1.3 * flushed
                what = f"with a floor that waits for the disk too, {flushed:.2f} s, the limit is {limit:.2f} s"
                yield Bar(2, f"{count} inputs: {what}", None)
    few = min(SPEED)
    for contender, times in FASTER.items():
        ours, theirs = (_whole(results, SPEED[few], who) for who in (OURS, contender))
        if ours and theirs:
            what = f"{few} inputs: {contender} {theirs:.2f} s / whole run {ours:.2f} s = {theirs / ours:.1f}"
            yield Bar(2, f"{what} ≥ {times:.0f}", theirs / ours >= times)


def _memory(results: Results, largest: int) -> Iterator[Bar]:
    limits = {**dict.fromkeys(STREAMED, STREAMED_BYTES), **dict.fromkeys(WHOLE, float(WHOLE_TENSORS * largest))}
    for case, limit in limits.items():
        ours, torch = (results.get(case, {}).get(who) for who in (OURS, TORCH))
        if ours and torch:
            peak, imported = ours.peak.median / MB, torch.peak.median / MB
            what = f"{case}: peak {peak:,.0f} MB - importing torch {imported:,.0f} MB"
            yield _bar(3, what, peak - imported, limit / MB, " MB")


def _instant(results: Results) -> Iterator[Bar]:
    for case, limit in INSTANT.items():
        seconds = _whole(results, case, OURS)
        if seconds:
            yield _bar(4, f"{case}: whole process", seconds, limit, " s")
