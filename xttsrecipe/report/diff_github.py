"""What differs between recipes, for a step of a GitHub workflow: an annotation on each recipe."""

from __future__ import annotations

from collections.abc import Iterator

from ..changes import RecipeChange, Review, Side, Status
from .diff import Words
from .layout import counted, cut
from .problems import message_text
from .workflow_commands import MOST_ANNOTATIONS, harmless, problem_command, workflow_command, workspace_path

_WORDS = Words()
# An annotation is a few lines; the step summary has the rest.
_MOST_CHARACTERS = 2_000


def diff_github(review: Review) -> str:
    """The total, and a notice on each recipe that changed, an error on each problem, a warning on each of before; of
    many the first.
    """
    said = [line for change in review.recipes for line in _notice(change)]
    warnings = [line for change in review.recipes for line in _annotations("warning", change.old)]
    errors = [line for change in review.recipes for line in _annotations("error", change.new)]
    lines = [f"{harmless(_WORDS.total(review))}\n"]
    for what, found in (("notice", said), ("warning", warnings), ("error", errors)):
        lines += found[:MOST_ANNOTATIONS]
        if len(found) > MOST_ANNOTATIONS:
            lines.append(f"{counted(len(found) - MOST_ANNOTATIONS, what)} more: see the summary of the job\n")
    return "".join(lines)


def _notice(change: RecipeChange) -> Iterator[str]:
    if change.status in (Status.IDENTICAL, Status.INVALID):
        return
    side = change.new or change.old
    assert side is not None
    line = change.line if change.new else None
    message = cut(_WORDS.summary(change), _MOST_CHARACTERS)
    yield workflow_command("notice", message, file=workspace_path(side.path), line=line, title="xttsrecipe diff")


def _annotations(kind: str, side: Side | None) -> Iterator[str]:
    for problem in side.problems if side else ():
        assert side is not None
        # The old recipe has other lines than those that an annotation would point to.
        where = problem.where if kind == "error" and problem.where else None
        message = message_text(problem, side.label if kind == "error" else "")
        yield problem_command(kind, problem, message, side.path, where)
