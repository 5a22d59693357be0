"""How the measurements look: a table of all of them, and the shorter ones of the README."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from .bars import INSTANT, MB, STREAMED, WHOLE, Bar, Results
from .cases import FLOOR, FLOOR_FSYNC, NAIVE, NAIVE_MMAP, OURS, SPEED, TORCH
from .measure import Result, Spread
from .rivals import MERGEKIT, SD_MECHA, VERSIONS

_DASH = "–"

# Whom the README's first table shows, and as what.
_SPEED = {
    FLOOR: "a loop that only reads all inputs and writes one output",
    FLOOR_FSYNC: "the same, and waits for the disk (fsync)",
    TORCH: "`import torch`",
    OURS: "**`xttsrecipe run`**",
    NAIVE: "naive script: `torch.load`, sum, `torch.save`",
    NAIVE_MMAP: "the same with `mmap=True`",
    MERGEKIT: f"mergekit-pytorch {VERSIONS[MERGEKIT]}",
    SD_MECHA: f"{SD_MECHA} {VERSIONS[SD_MECHA]}",
}


def spread(values: Spread, scale: float = 1.0, digits: int = 2) -> str:
    """``1.23 [1.20–1.31]``: median, least and greatest, each divided by ``scale``."""
    median, low, high = (f"{value / scale:,.{digits}f}" for value in (values.median, values.low, values.high))
    return f"{median} [{low}–{high}]"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its columns as wide as they must be; all but the first aligned right."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join((first.strip().ljust(widths[0]), *others))} |\n"

    first, *others = ("-" * width for width in widths)
    rule = f"|-{first}-|{''.join(f'-{dashes}:|' for dashes in others)}\n"
    return line(header) + rule + "".join(map(line, lines[1:]))


def everything(results: Results, titles: Mapping[str, str]) -> str:
    """All measurements: a table for each case, with ratios to the floor and to ours."""
    header = ("", "seconds", "of these moving data", "÷ floor", "÷ xttsrecipe", "peak memory, MB", "over torch")
    parts = []
    for case, contenders in results.items():
        rows = [(name, *_row(name, contenders)) for name in contenders]
        parts.append(f"{titles[case]}\n\n{table(header, rows)}")
    return "\n".join(parts)


def _row(name: str, contenders: Mapping[str, Result]) -> Sequence[str]:
    result = contenders[name]
    floor, ours, torch = (contenders.get(yardstick) for yardstick in (FLOOR, OURS, TORCH))
    moving = result.streaming or result.seconds
    moves = name != TORCH
    return (
        spread(result.seconds),
        spread(result.streaming) if result.streaming else _DASH,
        f"{moving.median / floor.streaming.median:.2f}" if moves and floor and floor.streaming else _DASH,
        f"{result.seconds.median / ours.seconds.median:.2f}" if ours else _DASH,
        spread(result.peak, MB, 0),
        f"{(result.peak.median - torch.peak.median) / MB:+,.0f}" if torch else _DASH,
    )


def bars_text(bars: Iterable[Bar]) -> str:
    """The bars, one a line."""
    return "".join(f"{bar}\n" for bar in bars)


def readme(results: Results, titles: Mapping[str, str], on: str, command: str, rounds: int) -> str:
    """What the README shows: speed by inputs, memory by what is merged, verbs that answer at once, and on what."""
    parts = []
    speed = [case for case in SPEED.values() if case in results]
    if speed:
        header = ("seconds / peak memory in MB", *(titles[case] for case in speed))
        parts.append(table(header, _speed_rows([results[case] for case in speed])))
    memory = [case for case in (*STREAMED, *WHOLE) if OURS in results.get(case, {}) and TORCH in results[case]]
    if memory:
        rows = [(titles[case], *_memory_cells(results[case])) for case in memory]
        parts.append(table(("peak memory, MB", "xttsrecipe run", "import torch", "more"), rows))
    instant = [case for case in INSTANT if OURS in results.get(case, {})]
    if instant:
        rows = [(titles[case], spread(results[case][OURS].seconds)) for case in instant]
        parts.append(table(("whole process", "seconds"), rows))
    parts.append(
        f"Median [least–greatest] of {rounds} rounds in which all take turns, page cache warm. {on}; `{command}`.\n"
    )
    return "\n".join(parts)


def _speed_rows(results: Sequence[Mapping[str, Result]]) -> Iterator[Sequence[str]]:
    for name, shown in _SPEED.items():
        found = [contenders.get(name) for contenders in results]
        if any(found) and name not in (FLOOR, FLOOR_FSYNC):
            yield (shown, *map(_whole_process, found))
        if any(found) and name == OURS:
            shown = "of these streaming"
        if any(found) and name in (FLOOR, FLOOR_FSYNC, OURS):
            yield (shown, *map(_moving, found))


def _whole_process(result: Result | None) -> str:
    return f"{spread(result.seconds)} / {result.peak.median / MB:,.0f}" if result else _DASH


def _moving(result: Result | None) -> str:
    return spread(result.streaming) if result and result.streaming else _DASH


def _memory_cells(contenders: Mapping[str, Result]) -> Sequence[str]:
    ours, torch = contenders[OURS].peak, contenders[TORCH].peak
    return spread(ours, MB, 0), spread(torch, MB, 0), f"{(ours.median - torch.median) / MB:,.0f}"
