"""The verbs of a review, for the command line: ``diff``."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Annotated

import typer

from ..errors import ExitCode, Problem, XttsRecipeError
from ..report.problems import problems_text
from ..report.streams import say, show
from ..report.workflow_commands import harmless


class Format(str, Enum):
    """How differences are shown."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"
    GITHUB = "github"


def diff(
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD",
            help="What was: a recipe, a folder of recipes, either in a git revision as in "
            "[bold]main:recipes/a.yaml[/bold], or a revision such as [bold]main[/bold].",
            show_default=False,
        ),
    ],
    new: Annotated[
        str | None,
        typer.Argument(
            metavar="NEW",
            help="What is, of the same kinds. Left out: the work tree, as it differs from the revision OLD.",
            show_default=False,
        ),
    ] = None,
    format_: Annotated[
        Format,
        typer.Option("--format", help="For people, for a comment on a pull request, for machines, for a workflow."),
    ] = Format.TEXT,
    keys: Annotated[bool, typer.Option("--keys", help="With text, list every tensor that changes.")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 where an output changes, though that is no error.")
    ] = False,
) -> None:
    """Compare what recipes do, not their text: sources, weights, output, and every tensor by rule and component.

    The checkpoints need not be there. Text and format may differ where the plan is identical. A recipe that is not
    valid is an error, but for one that only was not valid before.
    """
    from ..diff.recipes import compare
    from ..report.diff_formats import shown

    try:
        review = compare(old, new)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="OLD") from error
    except XttsRecipeError as error:
        _say(error.problems)
        raise typer.Exit(ExitCode.NO) from None
    show(shown(review, format_.value, keys))
    _say(review.problems)
    if any(change.faults for change in review.recipes):
        raise typer.Exit(ExitCode.NO)
    if exit_code and any(change.changes_model for change in review.recipes):
        raise typer.Exit(ExitCode.NO)


def _say(problems: Iterable[Problem]) -> None:
    """On stderr, which a runner of workflows reads for commands too; a stranger may have named the files."""
    if text := problems_text(problems):
        say(harmless(text))
