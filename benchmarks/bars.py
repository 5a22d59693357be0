"""The bars: what speed and memory must be, told from what was measured, with the arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from . import cases
from .cases import FLOOR, FLOOR_FSYNC, NAIVE, OURS, SPEED, TORCH
from .measure import Result, Spread
from .rivals import MERGEKIT, SD_MECHA

# By case and contender, of all that were to be measured: None where one was left out.
Results = Mapping[str, Mapping[str, Result | None]]

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


YES, NO, NOT_MEASURED = "yes", "NO", "not measured"


@dataclass(frozen=True, slots=True)
class Bar:
    """One of them: its number, the arithmetic, and the verdict; None for what is only said along with it."""

    number: int
    arithmetic: str
    verdict: str | None

    @property
    def fails(self) -> bool:
        return self.verdict in (NO, NOT_MEASURED)

    def __str__(self) -> str:
        return f"{self.number}  {self.arithmetic}{f': {self.verdict}' if self.verdict else ''}"


def all_bars(results: Results, largest: int) -> list[Bar]:
    """The bars of all that was to be measured; ``largest``: bytes of the largest tensor."""
    return [*_streaming(results), *_whole_process(results), *_memory(results, largest), *_instant(results)]


def _bar(
    number: int,
    what: str,
    value: float,
    limit: float,
    unit: str = "",
    *,
    sign: str = "≤",
    digits: int = 2,
    whence: str = "",
) -> Bar:
    """A value that is held to a limit. ``whence``: how the limit comes about."""
    holds = value <= limit if sign == "≤" else value >= limit
    verdict = NOT_MEASURED if math.isnan(value - limit) else YES if holds else NO
    while verdict == NO and _number(value, digits) == _number(limit, digits):
        digits += 1  # as printed it would hold
    shown = f"{_number(value, digits)}{unit} {sign} {_number(limit, digits)}{unit}"
    return Bar(number, f"{what} = {shown}{whence}", verdict)


def _number(value: float, digits: int = 2) -> str:
    return "?" if math.isnan(value) else f"{value:,.{digits}f}"


def _median(results: Results, case: str, contender: str, of: Callable[[Result], Spread | None]) -> float | None:
    """None where it was not to be measured; where it was, and was not, NaN, as is whatever is computed from it."""
    contenders = results.get(case, {})
    if contender not in contenders:
        return None
    result = contenders[contender]
    spread = of(result) if result else None
    return spread.median if spread else math.nan


def _loop(results: Results, case: str, contender: str) -> float | None:
    """Seconds that a contender spent on moving data."""
    return _median(results, case, contender, lambda result: result.streaming)


def _whole(results: Results, case: str, contender: str) -> float | None:
    """Seconds of the whole process."""
    return _median(results, case, contender, lambda result: result.seconds)


def _peak(results: Results, case: str, contender: str) -> float | None:
    """Bytes."""
    return _median(results, case, contender, lambda result: result.peak)


def _streaming(results: Results) -> Iterator[Bar]:
    for count, case in SPEED.items():
        ours, floor = _loop(results, case, OURS), _loop(results, case, FLOOR)
        if ours and floor:
            what = f"{count} inputs: streaming {_number(ours)} s / floor {_number(floor)} s"
            yield _bar(1, what, ours / floor, 1.0)
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
            whence = f" = torch {_number(torch)} s + 0.2 s + 1.3 × floor {_number(floor)} s"
            yield _bar(2, f"{count} inputs: whole run", ours, torch + 0.2 + 1.3 * floor, " s", whence=whence)
            flushed = _loop(results, case, FLOOR_FSYNC)
            if flushed:
                limit = _number(torch + 0.2 + 1.3 * flushed)
                what = f"with a floor that waits for the disk too, {_number(flushed)} s, the limit is {limit} s"
                yield Bar(2, f"{count} inputs: {what}", None)
    few = min(SPEED)
    for contender, times in FASTER.items():
        ours, theirs = (_whole(results, SPEED[few], who) for who in (OURS, contender))
        if ours and theirs:
            what = f"{few} inputs: {contender} {_number(theirs)} s / whole run {_number(ours)} s"
            yield _bar(2, what, theirs / ours, times, sign="≥", digits=1)


def _memory(results: Results, largest: int) -> Iterator[Bar]:
    methods = [case for case in results if case.startswith(cases.METHOD)]
    whole = dict.fromkeys((*WHOLE, *methods), float(WHOLE_TENSORS * largest))
    limits = {**dict.fromkeys(STREAMED, STREAMED_BYTES), **whole}
    for case, limit in limits.items():
        ours, torch = (_peak(results, case, who) for who in (OURS, TORCH))
        if ours and torch:
            what = f"{case}: peak {_number(ours / MB, 0)} MB - importing torch {_number(torch / MB, 0)} MB"
            yield _bar(3, what, (ours - torch) / MB, limit / MB, " MB", digits=0)


def _instant(results: Results) -> Iterator[Bar]:
    for case, limit in INSTANT.items():
        seconds = _whole(results, case, OURS)
        if seconds:
            yield _bar(4, f"{case}: whole process", seconds, limit, " s")
