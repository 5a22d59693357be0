"""How a run's progress looks: a bar on a terminal, a line now and then elsewhere. Always on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from .layout import size_text
from .streams import say

_SECONDS_BETWEEN_LINES = 5.0


@contextlib.contextmanager
def progress(total: int, what: str = "merging") -> Iterator[Callable[[int], None]]:
    """A function to call with the bytes of each piece done, while the block lasts; ``total`` bytes are to come."""
    with _bar(total, what) if sys.stderr.isatty() else _lines(total, what) as advance:
        yield advance


@contextlib.contextmanager
def _bar(total: int, what: str) -> Iterator[Callable[[int], None]]:
    # Only here: importing rich takes as long as reading a recipe.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)


@contextlib.contextmanager
def _lines(total: int, what: str) -> Iterator[Callable[[int], None]]:
    started = last = time.monotonic()
    done = 0
    say(f"{what}: {size_text(total)}{' to write' if what == 'merging' else ''}\n")

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            rate = done / (now - started)
            left = (total - done) / rate
            amount = f"{done / total:.0%}, {size_text(done)} of {size_text(total)}"
            say(f"{what}: {amount}, {size_text(int(rate))}/s, {left:.0f} s left\n")

    yield advance
