"""What several verbs are given: the recipe, and what a command line changes in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import api
from ..recipe import Recipe
from ..settings import Setting, parse_setting

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")]
Settings = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Change a field of the recipe for this call, as in [bold]checkpoints.news=/data/news.pth[/bold] or "
        "[bold]weights.news=0.7[/bold]. File names are relative to the current folder. May be given several times.",
        show_default=False,
    ),
]
# Text, not a Path, which would lose the / that a directory's name ends in.
OutputPath = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="Write here instead of the recipe's output.path; a name that ends in / is a model directory.",
        show_default=False,
    ),
]


def settings_of(texts: list[str]) -> list[Setting]:
    """What ``--set`` says. Raises typer.BadParameter for what is not of its form, RecipeError for a value that is no
    YAML.
    """
    try:
        return [parse_setting(text) for text in texts]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from error


def loaded_recipe(recipe: Path, settings: list[str], output: str | None) -> Recipe:
    """The recipe as a command line changes it. Raises RecipeError, and typer.BadParameter as ``settings_of``."""
    settings_of(settings)
    return api.load_recipe(recipe, settings, output)
