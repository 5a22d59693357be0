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


def methods_table(results: Results, titles: Mapping[str, str]) -> str:
    """Every merge method: how long it takes, how much memory over importing torch, and how long another takes."""
    rows = []
    for case, contenders in results.items():
        ours, torch, other = (contenders.get(name) for name in (OURS, TORCH, MERGEKIT))
        if ours and torch:
            more = f"{(ours.peak.median - torch.peak.median) / MB:,.0f}"
            theirs = f"{spread(other.seconds, digits=1)} / {other.peak.median / MB:,.0f}" if other else _DASH
            rows.append((f"`{titles[case]}`", spread(ours.seconds, digits=1), more, theirs))
    other_name = f"mergekit-pytorch {VERSIONS[MERGEKIT]}, seconds / peak in MB"
    return table(("method", "seconds", "MB over importing torch", other_name), rows)


def everything(results: Results, titles: Mapping[str, str]) -> str:
    """All measurements: a table for each case. Right of what is compared stands its ratio to ours, or to the floor."""
    header = ("", "seconds", "÷ xttsrecipe", "of these moving data", "÷ floor", "peak memory, MB", "over torch")
    parts = []
    for case, contenders in results.items():
        rows = [(name, *_row(result, contenders)) for name, result in contenders.items()]
        parts.append(f"{titles[case]}\n\n{table(header, rows)}")
    return "\n".join(parts)


def _row(result: Result | None, contenders: Mapping[str, Result | None]) -> Sequence[str]:
    if not result:
        return ("left out", *[_DASH] * 5)
    floor, ours, torch = (contenders.get(yardstick) for yardstick in (FLOOR, OURS, TORCH))
    moving, least = result.streaming, floor.streaming if floor else None
    return (
        spread(result.seconds),
        f"{result.seconds.median / ours.seconds.median:.2f}" if ours else _DASH,
        spread(moving) if moving else _DASH,
        f"{moving.median / least.median:.2f}" if moving and least else _DASH,
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
    memory = [*_memory_rows(results, titles)]
    if memory:
        parts.append(table(("peak memory, MB", "xttsrecipe run", "import torch", "more"), memory))
    instant = [(titles[case], spread(ours.seconds)) for case in INSTANT if (ours := results.get(case, {}).get(OURS))]
    if instant:
        parts.append(table(("whole process", "seconds"), instant))
    parts.append(
        f"Median [least–greatest] of {rounds} rounds in which all take turns, page cache warm. {on}; `{command}`.\n"
    )
    return "\n".join(parts)


def _speed_rows(results: Sequence[Mapping[str, Result | None]]) -> Iterator[Sequence[str]]:
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


def _memory_rows(results: Results, titles: Mapping[str, str]) -> Iterator[Sequence[str]]:
    for case in (*STREAMED, *WHOLE):
        ours, torch = (results.get(case, {}).get(name) for name in (OURS, TORCH))
        if ours and torch:
            more = f"{(ours.peak.median - torch.peak.median) / MB:,.0f}"
            yield (titles[case], spread(ours.peak, MB, 0), spread(torch.peak, MB, 0), more)
