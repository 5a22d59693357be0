"""What ``validate`` found as GitHub shows it: annotations beside the lines of a pull request, and a step's summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..errors import Problem
from ..outcome import Validation
from .fences import block
from .layout import counted
from .problems import message_text, problem_text, relative
from .workflow_commands import MOST_ANNOTATIONS, harmless, problem_command

# For the heading, the fence (as long as what a path has of its characters) and the line on what is left out.
_FRAME_BYTES = 10_000
# For the heading and that line alone.
_LEAST_BYTES = 300
_NOUNS = {"error": "problem", "warning": "warning"}


def annotations_text(results: Sequence[Validation]) -> str:
    """For the log of a step: the first ten problems and the first ten warnings as annotations, the others and
    the valid recipes as text."""
    return "".join(_lines(results))


def _lines(results: Sequence[Validation]) -> Iterator[str]:
    told: Counter[str] = Counter()
    for result in results:
        file = str(result.file)
        if not result.problems:
            yield harmless(f"{relative(result.file)}: valid, {result.extent}\n")
        for kind, problem in _findings(result):
            told[kind] += 1
            if told[kind] > MOST_ANNOTATIONS:
                yield harmless(_text(kind, problem))
                continue
            where = problem.where if problem.where and problem.where.file == file else None
            yield problem_command(kind, problem, message_text(problem, file), result.file, where)
    for kind, count in told.items():
        if count > MOST_ANNOTATIONS:
            what = counted(count, _NOUNS[kind])
            yield f"{what}: GitHub shows {MOST_ANNOTATIONS} of them beside their lines, the others stand above\n"


def _findings(result: Validation) -> Iterator[tuple[str, Problem]]:
    """By kind of annotation."""
    yield from (("error", problem) for problem in result.problems)
    yield from (("warning", problem) for problem in result.drift)


def _text(kind: str, problem: Problem) -> str:
    return f"warning: {problem_text(problem)}" if kind == "warning" else problem_text(problem)


def summary_markdown(results: Sequence[Validation], room: int) -> str:
    """For the summary of a step: all problems as a terminal shows them, or as many as go into ``room`` bytes.

    Nothing where there are none, nor warnings, or there is no room for a heading.
    """
    # What makes a recipe invalid goes first: it must not be what is left out.
    found = sorted((finding for result in results for finding in _findings(result)), key=lambda finding: finding[0])
    if not found or room < _LEAST_BYTES:
        return ""
    parts = [f"### xttsrecipe validate: {_heading(results)}\n"]
    shown: list[str] = []
    left = room - _FRAME_BYTES
    for text in (_text(kind, problem) for kind, problem in found):
        left -= len(text.encode("utf-8", "backslashreplace"))
        if left < 0:
            break
        shown.append(text)
    if shown:
        parts.append(block("".join(shown)))
    if rest := len(found) - len(shown):
        parts.append(f"{counted(rest, 'problem')} more: see the log.\n")
    return "\n".join(parts)


def _heading(results: Sequence[Validation]) -> str:
    problems = sum(len(result.problems) for result in results)
    warnings = sum(len(result.drift) for result in results)
    invalid = sum(bool(result.problems) for result in results)
    recipes = counted(len(results), "recipe")
    parts = [f"{counted(problems, 'problem')} in {invalid} of {recipes}"] if problems else [f"{recipes} valid"]
    return ", ".join([*parts, *([counted(warnings, "warning")] if warnings else [])])
