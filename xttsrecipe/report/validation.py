"""What ``validate`` found, in the format that is asked for: as text while it is at work, or at its end for machines."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum

from ..outcome import Validation
from .annotations import annotations_text, summary_markdown
from .problems import problem_text, problems_text, relative
from .sarif import sarif_text
from .step_summary import add_to_step_summary
from .streams import say, show
from .validation_json import validation_json


class ValidationFormat(str, Enum):
    """How results are shown."""

    TEXT = "text"
    GITHUB = "github"
    JSON = "json"
    SARIF = "sarif"


_WHOLE: Mapping[ValidationFormat, Callable[[Sequence[Validation]], str]] = {
    ValidationFormat.GITHUB: annotations_text,
    ValidationFormat.JSON: validation_json,
    ValidationFormat.SARIF: sarif_text,
}


def show_validations(results: Iterable[Validation], form: ValidationFormat) -> bool:
    """Show all results, and say whether all recipes are valid.

    As text, problems go to stderr. Other formats go to stdout as a whole; for GitHub the summary of the step, if this
    is one, gets the problems too. Raises as ``show`` does.
    """
    if form is ValidationFormat.TEXT:
        return min(map(_told, results), default=True)  # of all: none may be left out after the first bad one
    found = list(results)
    show(_WHOLE[form](found))
    if form is ValidationFormat.GITHUB:
        add_to_step_summary(functools.partial(summary_markdown, found))
    return not any(result.problems for result in found)


def _told(result: Validation) -> bool:
    if result.problems:
        say(problems_text(result.problems))
    else:
        show(f"{relative(result.file)}: valid, {result.extent}\n")
    for problem in result.drift:
        say(f"warning: {problem_text(problem)}")
    return not result.problems
