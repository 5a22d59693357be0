"""How problems look on a terminal: where, what, the code, the line with a caret, found, expected, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import Location, Problem
from .layout import printable

_MAX_DETAILS = 12
# Of what a message quotes from a file; a name or a line may be as long as the file.
_MAX_LENGTH = 1_000
# Of a long line, so much before the place that is meant.
_MAX_BEFORE = 60


def problems_text(problems: Iterable[Problem]) -> str:
    """All problems, each ending in a line break."""
    return "".join(problem_text(problem) for problem in problems)


def problem_text(problem: Problem) -> str:
    """One problem, ending in a line break; the excerpt of the file only where it has a line and a column."""
    place = f"{printable(str(problem.where))}: " if problem.where else ""
    lines = [f"{place}{_shown(problem.what)} [{problem.code}]"]
    if problem.where:
        lines += _excerpt(problem.where)
    return "\n".join([*lines, *_particulars(problem)]) + "\n"


def message_text(problem: Problem, file: str) -> str:
    """One problem without code, excerpt, and place in ``file``: for what has fields of its own for these."""
    elsewhere = problem.where is not None and problem.where.file != file
    place = f"{printable(str(problem.where))}: " if elsewhere else ""
    return "\n".join([place + _shown(problem.what), *_particulars(problem)])


def _particulars(problem: Problem) -> Iterator[str]:
    count = len(problem.details) if problem.all_details else _MAX_DETAILS
    yield from (f"    {_shown(detail)}" for detail in problem.details[:count])
    if len(problem.details) > count:
        yield f"    … and {len(problem.details) - count} more"
    for label, text in (("found", problem.found), ("expected", problem.expected), ("help", problem.hint)):
        if text:
            yield f"  {label}: {_shown(text)}"


def _shown(text: str) -> str:
    if len(text) <= _MAX_LENGTH:
        return printable(text)
    half = _MAX_LENGTH // 2
    return f"{printable(text[:half])} … {printable(text[-half:])}"


def _excerpt(where: Location) -> list[str]:
    if where.text is None or where.line is None or where.column is None:
        return []
    number = f"{where.line:>5} | "
    text, start, length = where.text, where.column - 1, where.length
    if len(text) > _MAX_LENGTH:
        begin = max(start - _MAX_BEFORE, 0)
        text, start = text[begin : begin + 2 * _MAX_BEFORE], start - begin
        length = min(length, len(text) - start)
    before = printable(text[:start])
    meant = printable(text[start:][:length])
    after = printable(text[start + length :])
    return [
        number + before + meant + after,
        " " * (len(number) - 2) + "| " + " " * len(before) + "^" * max(len(meant), 1),
    ]


def path_text(path: Path) -> str:
    """A path as short as the reader's place allows."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # elsewhere; or the reader's folder is gone
        return str(path)


def relative(path: Path) -> str:
    """The same, fit to print."""
    return printable(path_text(path))


def place_text(path: Path, is_directory: bool) -> str:
    """``relative``, with the / that a directory's name ends in."""
    return relative(path).rstrip("/") + "/" if is_directory else relative(path)
