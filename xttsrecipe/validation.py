"""Checks recipes as far as what is at hand allows: with the checkpoints' headers, or against XTTS-V2's known keys."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import api, checkpoints
from .codes import Code
from .digests.plan import plan_digest
from .errors import Location, Problem, RecipeError, XttsRecipeError, listed
from .lock import Lock
from .locking import changed_sources, contradictions, lock_of
from .outcome import Validation
from .plan import make_plan
from .recipe import Recipe, Source
from .recipe_files import is_lock_name, locked_names, recipe_files
from .rules import rule_problems
from .sources import is_here, open_sources, vocabulary_of
from .specs import Header
from .vocabulary import read_vocabulary
from .xtts import known_tensors

_Opener = Callable[[Sequence[Source], "Lock | None"], list[Header]]


def validate(paths: Sequence[Path]) -> Iterator[Validation]:
    """The outcome for every recipe in files and folders, in that order; folders by name. A lock is its recipe."""
    # Recipes of a team share checkpoints: each header and each vocabulary is read once.
    open_checkpoint, read_once = functools.cache(checkpoints.open_checkpoint), functools.cache(read_vocabulary)

    def open_once(sources: Sequence[Source], lock: Lock | None) -> list[Header]:
        return open_sources(sources, open_checkpoint, read_once, lock)

    for path in _recipes_of(paths):
        if not os.path.isdir(path):  # noqa: PTH112 # Path.is_dir raises for what cannot be a name
            yield _validated(path, open_once)
            continue
        recipes = recipe_files(path)
        if not recipes:
            problem = Problem(
                Code.NO_RECIPE_IN_FOLDER,
                "there is no recipe in this folder",
                Location(str(path)),
                expected="*.yaml or *.yml",
            )
            yield Validation(path, (problem,), "")
        for found in recipes:
            yield _validated(found, open_once)


def _recipes_of(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths, with the recipes of locks in place of these, as hooks hand over whatever was changed; each once."""
    for path in paths:
        recipes = [path.with_name(name) for name in locked_names(path.name)] if is_lock_name(path.name) else [path]
        recipe = next(filter(os.path.isfile, recipes), (*recipes, path)[0])
        if recipe == path or recipe not in paths:
            yield recipe


def _validated(path: Path, open_once: _Opener) -> Validation:
    try:
        return _checked(path, api.load_recipe(path), open_once)
    except XttsRecipeError as error:
        return Validation(path, error.problems, "")


def _is_known(source: Source, lock: Lock | None) -> bool:
    return is_here(source) or (lock is not None and source.name in lock.sources)


def _checked(path: Path, recipe: Recipe, open_once: _Opener) -> Validation:
    """The outcome for a recipe that is valid. Raises XttsRecipeError for one that is not."""
    lock = lock_of(recipe)
    problems = list(contradictions(recipe, lock)) if lock else []
    if problems:
        raise RecipeError(problems)
    present = [source for source in recipe.sources if _is_known(source, lock)]
    headers = open_once(present, lock)
    for source in recipe.sources:
        if source not in present and source.vocabulary and os.path.exists(source.vocabulary):  # noqa: PTH110
            vocabulary_of(source, source.vocabulary)
    if len(present) == len(recipe.sources):
        plan = make_plan(recipe, headers)
        locked = [source.name for source, header in zip(recipe.sources, headers, strict=True) if header.from_lock]
        extent = f"with what its lock says of {listed(locked)}, not here" if locked else "its checkpoints' headers too"
        changed = changed_sources(plan, lock) if lock else []
        if lock and changed:
            extent += f"; not the file that was locked in {lock.file.name}: {listed(changed)}"
        elif lock and lock.plan != plan_digest(plan):
            extent += f"; {lock.file.name} is of another plan: xttsrecipe lock brings it up to date"
        return Validation(path, (), extent, plan.warnings, plan.notes)
    keys = dict.fromkeys(known_tensors())
    for header in headers:
        keys.update(dict.fromkeys(header.tensors))
    problems = rule_problems(recipe, keys)
    if problems:
        raise RecipeError(problems)
    absent = [source.name for source in recipe.sources if source not in present]
    extent = (
        f"without its checkpoints ({', '.join(absent)} not here): patterns were checked against the keys of XTTS-V2"
    )
    if lock:
        extent += f"; {lock.file.name} knows nothing of {listed(absent)}: xttsrecipe lock brings it up to date"
    return Validation(path, (), extent)
