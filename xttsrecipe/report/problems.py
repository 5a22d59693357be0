"""How problems look on a terminal: where, what, the line with a caret, found, expected, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import Location, Problem

_MAX_DETAILS = 12


def problems_text(problems: Iterable[Problem]) -> str:
    """All problems, each ending in a line break."""
    return "".join(problem_text(problem) for problem in problems)


def problem_text(problem: Problem) -> str:
    lines = [f"{_place(problem.where)}: {problem.what}" if problem.where else problem.what]
    if problem.where:
        lines += _excerpt(problem.where)
    lines += [f"    {detail}" for detail in problem.details[:_MAX_DETAILS]]
    if len(problem.details) > _MAX_DETAILS:
        lines.append(f"    … and {len(problem.details) - _MAX_DETAILS} more")
    for label, text in (("found", problem.found), ("expected", problem.expected), ("help", problem.hint)):
        if text:
            lines.append(f"  {label}: {text}")
    return "\n".join(lines) + "\n"


def _place(where: Location) -> str:
    return str(where).replace("\n", "\\n")


def _excerpt(where: Location) -> list[str]:
    if where.text is None or where.line is None or where.column is None:
        return []
    number = f"{where.line:>5} | "
    # A tab is one character to the file and several on the screen: show it as one space.
    text = where.text.replace("\t", " ")
    room = max(len(text) - where.column + 1, 1)
    return [number + text, " " * (len(number) - 2) + "| " + " " * (where.column - 1) + "^" * min(where.length, room)]


def relative(path: Path) -> str:
    """A path as short as the reader's place allows."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
