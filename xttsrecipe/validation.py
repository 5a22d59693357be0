"""Checks recipes as far as what is at hand allows: with the checkpoints' headers, or against XTTS-V2's known keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import api
from .errors import Location, Problem, RecipeError, XttsRecipeError
from .recipe import Recipe
from .rules import rule_problems
from .xtts import known_tensors


@dataclass(frozen=True, slots=True)
class Validation:
    """The outcome for one recipe: what is wrong, and if nothing is, what was checked (``extent``, for people)."""

    file: Path
    problems: tuple[Problem, ...]
    extent: str


def validate(paths: Sequence[Path]) -> Iterator[Validation]:
    """The outcome for every recipe in files and folders, in that order; folders by name."""
    for path in paths:
        if not path.is_dir():
            yield _validated(path)
            continue
        recipes = sorted(found for found in path.rglob("*") if _is_recipe(found, path))
        if not recipes:
            yield Validation(
                path,
                (Problem("there is no recipe in this folder", Location(str(path)), expected="*.yaml or *.yml"),),
                "",
            )
        yield from map(_validated, recipes)


def _is_recipe(found: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in found.relative_to(folder).parts)
    return found.suffix in (".yaml", ".yml") and not hidden and found.is_file()


def _validated(path: Path) -> Validation:
    try:
        return Validation(path, (), _check(api.load_recipe(path)))
    except XttsRecipeError as error:
        return Validation(path, error.problems, "")


def _check(recipe: Recipe) -> str:
    """What was checked. Raises XttsRecipeError."""
    absent = [source.name for source in recipe.sources if not source.path.exists()]
    if not absent:
        api.make_plan(recipe)
        return "its checkpoints' headers too"
    keys = dict.fromkeys(known_tensors())
    for source in recipe.sources:
        if source.name not in absent:
            keys.update(dict.fromkeys(api.inspect(source.path).tensors))
    problems = rule_problems(recipe, keys)
    if problems:
        raise RecipeError(problems)
    return f"without its checkpoints ({', '.join(absent)} not here): patterns were checked against the keys of XTTS-V2"
