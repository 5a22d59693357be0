"""How problems look on a terminal: where, what, the line with a caret, found, expected, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import Location, Problem
from .layout import printable

_MAX_DETAILS = 12


def problems_text(problems: Iterable[Problem]) -> str:
    """All problems, each ending in a line break."""
    return "".join(problem_text(problem) for problem in problems)


def problem_text(problem: Problem) -> str:
    """One problem, ending in a line break; the excerpt of the file only where it has a line and a column."""
    what = printable(problem.what)
    lines = [f"{printable(str(problem.where))}: {what}" if problem.where else what]
    if problem.where:
        lines += _excerpt(problem.where)
    lines += [f"    {printable(detail)}" for detail in problem.details[:_MAX_DETAILS]]
    if len(problem.details) > _MAX_DETAILS:
        lines.append(f"    … and {len(problem.details) - _MAX_DETAILS} more")
    for label, text in (("found", problem.found), ("expected", problem.expected), ("help", problem.hint)):
        if text:
            lines.append(f"  {label}: {printable(text)}")
    return "\n".join(lines) + "\n"


def _excerpt(where: Location) -> list[str]:
    if where.text is None or where.line is None or where.column is None:
        return []
    number = f"{where.line:>5} | "
    before = printable(where.text[: where.column - 1])
    meant = printable(where.text[where.column - 1 :][: where.length])
    after = printable(where.text[where.column - 1 + where.length :])
    return [
        number + before + meant + after,
        " " * (len(number) - 2) + "| " + " " * len(before) + "^" * max(len(meant), 1),
    ]


def relative(path: Path) -> str:
    """A path as short as the reader's place allows, fit to print."""
    try:
        return printable(str(path.relative_to(Path.cwd())))
    except (ValueError, OSError):  # elsewhere; or the reader's folder is gone
        return printable(str(path))


def place_text(path: Path, is_directory: bool) -> str:
    """``relative``, with the / that a directory's name ends in."""
    return relative(path).rstrip("/") + "/" if is_directory else relative(path)
