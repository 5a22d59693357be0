"""Checks recipes as far as what is at hand allows: with the checkpoints' headers, or against XTTS-V2's known keys."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import api, checkpoints
from .codes import Code
from .digests.cache import recalled
from .errors import Location, Problem, RecipeError, XttsRecipeError, listed
from .gradients import gradient_problems
from .lock import Lock
from .locking import contradictions, drift, lock_of, misstatements
from .outcome import Validation
from .plan import Plan, make_plan
from .recipe import Recipe, Source
from .recipe_files import is_lock_name, locked_names, recipe_files
from .rules import deciding_rules, idle_rule_problems
from .sources import is_here, open_sources, vocabulary_of
from .specs import Header, Vocabulary
from .vocabulary import read_vocabulary
from .written_paths import naming_as_written
from .xtts import known_tensors


@dataclass(frozen=True, slots=True)
class _Readers:
    """What reads files, each once: recipes of a team share checkpoints."""

    open_checkpoint: Callable[[Path], Header]
    read_vocabulary: Callable[[Path], Vocabulary]


def validate(paths: Sequence[Path]) -> Iterator[Validation]:
    """The outcome for every recipe in files and folders, in that order; folders by name. A lock is its recipe."""
    readers = _Readers(functools.cache(checkpoints.open_checkpoint), functools.cache(read_vocabulary))
    for path in _recipes_of(paths):
        if not os.path.isdir(path):  # noqa: PTH112 # Path.is_dir raises for what cannot be a name
            yield _validated(path, readers)
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
            yield _validated(found, readers)


def _recipes_of(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths, with the recipes of locks in place of these, as hooks hand over whatever was changed; each once."""
    for path in paths:
        recipes = [path.with_name(name) for name in locked_names(path.name)] if is_lock_name(path.name) else [path]
        recipe = next(filter(os.path.isfile, recipes), (*recipes, path)[0])
        if recipe == path or recipe not in paths:
            yield recipe


def _validated(path: Path, readers: _Readers) -> Validation:
    try:
        recipe = api.load_recipe(path)
        with naming_as_written(recipe):
            return _checked(path, recipe, readers)
    except XttsRecipeError as error:
        return Validation(path, error.problems, "")


def _is_known(source: Source, lock: Lock | None) -> bool:
    return is_here(source) or (lock is not None and source.name in lock.sources)


def _checked(path: Path, recipe: Recipe, readers: _Readers) -> Validation:
    """The outcome for a recipe that is valid. Raises XttsRecipeError for one that is not."""
    lock = lock_of(recipe)
    problems = list(contradictions(recipe, lock)) if lock else []
    if problems:
        raise RecipeError(problems)
    present = [source for source in recipe.sources if _is_known(source, lock)]
    headers = open_sources(present, readers.open_checkpoint, readers.read_vocabulary, lock)
    for source in recipe.sources:
        if source not in present and source.vocabulary and os.path.exists(source.vocabulary):  # noqa: PTH110
            vocabulary_of(source, source.vocabulary, readers.read_vocabulary)
    if len(present) == len(recipe.sources):
        plan = make_plan(recipe, headers)
        locked = [source.name for source, header in zip(recipe.sources, headers, strict=True) if header.from_lock]
        extent = f"with what its lock says of {listed(locked)}, not here" if locked else "its checkpoints' headers too"
        return Validation(path, (), extent, plan.warnings, plan.notes, _drift(recipe, lock, plan, readers))
    keys = dict.fromkeys(known_tensors())
    for header in headers:
        keys.update(dict.fromkeys(header.tensors))
    decided = deciding_rules(recipe, keys)
    problems = [*idle_rule_problems(recipe, decided), *gradient_problems(recipe, decided)]
    if problems:
        raise RecipeError(problems)
    absent = [source.name for source in recipe.sources if source not in present]
    extent = (
        f"without its checkpoints ({', '.join(absent)} not here): patterns were checked against the keys of XTTS-V2"
    )
    return Validation(path, (), extent, drift=_drift(recipe, lock, None, readers))


def _drift(recipe: Recipe, lock: Lock | None, plan: Plan | None, readers: _Readers) -> tuple[Problem, ...]:
    if lock is None:
        return ()
    headers = zip(recipe.source_names, plan.headers, strict=True) if plan else ()
    known = {name: recalled(header.path, header.stamp) for name, header in headers if not header.from_lock}
    digests = {name: digest for name, digest in known.items() if digest}
    found = drift(recipe, lock, plan, digests, readers.read_vocabulary)
    return (*found, *(misstatements(plan, lock) if plan else ()))
