"""Markdown in which foreign text stays text, and that is never longer than it may be.

It is read on code hosts, and on its way there may pass through the log of a workflow, where some lines are commands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .layout import counted, cut
from .workflow_commands import harmless

# A comment on GitHub has up to 65,536 characters. Counted here are bytes, and line breaks twice, as forms send them;
# what is left is for whoever posts it to add something.
MOST = 64_000
# With less there is no use in beginning.
LEAST = 5_000

# Within code spans and code blocks nothing is markup, a mention or a link, but for what ends them, or a table's cell.
_ESCAPES = {"`": "\\x60", "|": "\\x7c"}
_FENCE = "```"


def size_of(text: str) -> int:
    """How much of ``MOST`` a text takes."""
    return len(text.encode("utf-8", "surrogatepass")) + text.count("\n")


def code(text: str) -> str:
    """Foreign text as a code span that may stand anywhere in a line, or in a cell of a table."""
    shown = "".join(_ESCAPES.get(character, character) for character in cut(text))
    return f"`{inert_line(shown)}`" if shown.strip() else '`""`'


def inert_line(line: str) -> str:
    """A line of a block of code that neither ends it nor is a command where it passes through the log of a workflow."""
    return harmless(line).replace(_FENCE, _ESCAPES["`"] * len(_FENCE))


def fenced(lines: Iterable[str]) -> str:
    """Lines of foreign text as a block of code; they must hold no line breaks."""
    return "\n".join([f"{_FENCE}text", *map(inert_line, lines), f"{_FENCE}\n"])


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int], room: int) -> str:
    """A table of cells that are Markdown, as many rows of it as there is room for; those in ``right`` are numbers."""
    rows = list(rows)
    rule = ["--:" if index in right else "---" for index in range(len(head))]
    lines = [_row(head), _row(rule)]
    room -= sum(map(size_of, lines)) + 100
    for number, row in enumerate(rows):
        line = _row(row)
        room -= size_of(line)
        if room < 0:
            lines.append(_row([f"… and {counted(len(rows) - number, 'row')} more", *[""] * (len(head) - 1)]))
            break
        lines.append(line)
    return "".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
