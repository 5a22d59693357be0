"""Problems that name files as the recipe does: what variables hold on this machine is not for the readers of a review,
nor for the author of a recipe that somebody else checks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .errors import XttsRecipeError
from .recipe import Recipe
from .settings import unexpanded


def as_written(error: XttsRecipeError, recipe: Recipe) -> XttsRecipeError:
    """The problems with paths as the recipe has them."""
    paths = [(recipe.output.path, recipe.output.text)]
    for source in recipe.sources:
        paths += [(source.path, source.text), (source.vocabulary or Path(), source.vocabulary_text or "")]
    hidden = {str(path): text for path, text in paths if unexpanded(text)}
    hidden |= {path.name: text.rpartition("/")[2] for path, text in paths if unexpanded(text.rpartition("/")[2])}

    hidden.pop("", None)  # of the root folder

    def shown(text: str) -> str:
        for path, written in hidden.items():
            text = text.replace(path, written)
        return text

    return type(error)(problem.with_texts(shown) for problem in error.problems) if hidden else error


@contextlib.contextmanager
def naming_as_written(recipe: Recipe) -> Iterator[None]:
    """What is raised in this block, with paths as the recipe has them."""
    try:
        yield
    except XttsRecipeError as error:
        raise as_written(error, recipe) from error
