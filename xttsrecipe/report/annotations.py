"""What ``validate`` found as GitHub shows it: annotations beside the lines of a pull request, and a step's summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..outcome import Validation
from .fences import block
from .layout import counted
from .problems import message_text, problem_text, relative
from .workflow_commands import MOST_ANNOTATIONS, harmless, problem_command

# For the heading, the fence (as long as what a path has of its characters) and the line on what is left out.
_FRAME_BYTES = 10_000
# For the heading and that line alone.
_LEAST_BYTES = 300


def annotations_text(results: Sequence[Validation]) -> str:
    """For the log of a step: the first ten problems as annotations, the others and the valid recipes as text."""
    return "".join(_lines(results))


def _lines(results: Sequence[Validation]) -> Iterator[str]:
    told = 0
    for result in results:
        file = str(result.file)
        if not result.problems:
            yield harmless(f"{relative(result.file)}: valid, {result.extent}\n")
        for problem in result.problems:
            told += 1
            if told > MOST_ANNOTATIONS:
                yield harmless(problem_text(problem))
                continue
            where = problem.where if problem.where and problem.where.file == file else None
            yield problem_command("error", problem, message_text(problem, file), result.file, where)
    if told > MOST_ANNOTATIONS:
        yield f"{told} problems: GitHub shows {MOST_ANNOTATIONS} of them beside their lines, the others stand above\n"


def summary_markdown(results: Sequence[Validation], room: int) -> str:
    """For the summary of a step: all problems as a terminal shows them, or as many as go into ``room`` bytes.

    Nothing where all recipes are valid, or there is no room for a heading.
    """
    problems = [problem for result in results for problem in result.problems]
    invalid = sum(bool(result.problems) for result in results)
    if not problems or room < _LEAST_BYTES:
        return ""
    recipes = counted(len(results), "recipe")
    parts = [f"### xttsrecipe validate: {counted(len(problems), 'problem')} in {invalid} of {recipes}\n"]
    shown: list[str] = []
    left = room - _FRAME_BYTES
    for text in map(problem_text, problems):
        left -= len(text.encode("utf-8", "backslashreplace"))
        if left < 0:
            break
        shown.append(text)
    if shown:
        parts.append(block("".join(shown)))
    if rest := len(problems) - len(shown):
        parts.append(f"{counted(rest, 'problem')} more: see the log.\n")
    return "\n".join(parts)
