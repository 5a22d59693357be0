"""Recipes as text, loaded from files, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import write_recipe
from xttsrecipe.api import load_recipe
from xttsrecipe.errors import Problem, RecipeError
from xttsrecipe.recipe import Recipe

BASE = "checkpoints:\n  news: news.pth\n  audiobook: audiobook.pth\noutput: {path: out.pth}\n"


def load(folder: Path, text: str, *settings: str) -> Recipe:
    return load_recipe(write_recipe(folder, text), settings)


def problems(folder: Path, text: str, *settings: str) -> tuple[Problem, ...]:
    with pytest.raises(RecipeError) as caught:
        load(folder, text, *settings)
    return caught.value.problems


def only_problem(folder: Path, text: str, *settings: str) -> Problem:
    (problem,) = problems(folder, text, *settings)
    return problem
