"""A recipe: YAML data in, frozen dataclasses out (``parts``), or every problem at once.

Owns what names and numbers in a recipe mean (``parsing``; ``decisions`` for methods, weights and rules). Never opens a
checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .. import schema
from ..document import Document, read_document
from ..errors import RecipeError
from ..settings import Setting, apply_setting
from .decisions import refusal, sum_problem
from .parsing import FORMATS, Parser
from .parts import Merge, Method, Output, Recipe, Rule, Source, Take, Weight

__all__ = [
    "FORMATS",
    "Merge",
    "Method",
    "Output",
    "Recipe",
    "Rule",
    "Source",
    "Take",
    "Weight",
    "load_recipe",
    "parse_recipe",
    "refusal",
    "sum_problem",
]


def load_recipe(path: Path, settings: Sequence[Setting] = ()) -> Recipe:
    """The recipe in a file, with ``settings`` applied. Raises RecipeError with every problem found."""
    return parse_recipe(read_document(path), path, settings)


def parse_recipe(document: Document, path: Path, settings: Sequence[Setting] = ()) -> Recipe:
    """The recipe in a document, as though it lay at ``path``. Raises RecipeError with every problem found."""
    written = document.data
    for setting in settings:
        document = apply_setting(document, setting)
    problems = schema.check(document)
    if problems:
        raise RecipeError(problems)
    return Parser(document, path, settings, written).parse()
