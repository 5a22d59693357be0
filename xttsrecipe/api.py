"""The verbs as functions: what the command line does, for Python programs.

Example::

    import xttsrecipe

    recipe = xttsrecipe.load_recipe("recipes/news_audiobook.yaml")
    plan = xttsrecipe.make_plan(recipe)
    for step in plan.steps:
        print(step.key, step.rule, step.method, step.weights)
    summary = xttsrecipe.run(plan)
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path

from . import checkpoints, plan, preflight, recipe
from .codes import Code
from .errors import CheckpointError, Problem, XttsRecipeError
from .guard import Guard
from .lock import Lock
from .options import RunOptions
from .plan import Plan
from .provenance.model_card import has_card, with_card
from .recipe import Recipe
from .settings import output_setting, parse_setting
from .sources import open_sources
from .specs import Header
from .summary import Summary


def load_recipe(
    path: str | PathLike[str], settings: Sequence[str] = (), output: str | PathLike[str] | None = None
) -> Recipe:
    """The recipe in a YAML file, checked against schema and semantics; opens no checkpoint.

    ``settings`` change fields first, each ``FIELD=VALUE`` as after ``--set``, and ``output`` the output's path (a model
    directory if it ends in / or is a folder); file names in them are relative to the current folder. Raises
    RecipeError with every problem found, ValueError for a setting that is not of that form.
    """
    changes = [parse_setting(text) for text in settings]
    if output is not None:
        changes.append(output_setting(os.fspath(output)))
    return recipe.load_recipe(Path(path), changes)


def inspect(path: str | PathLike[str]) -> Header:
    """The header of a checkpoint file: layout, version, tensors, metadata. Raises CheckpointError.

    Executes nothing of the file, whatever is pickled in it.
    """
    return checkpoints.open_checkpoint(Path(path))


def inspect_all(paths: Sequence[str | PathLike[str]]) -> list[Header]:
    """The headers of several files. Raises CheckpointError for all that cannot be read, together."""
    headers: list[Header] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            headers.append(inspect(path))
        except CheckpointError as error:
            problems += error.problems
    if problems:
        raise CheckpointError(problems)
    return headers


def make_plan(recipe: Recipe, lock: Lock | None = None, card: bool | None = None) -> Plan:
    """What a run of the recipe will do, tensor by tensor; reads the checkpoints' headers only, without torch.

    With a ``lock`` checkpoints may be absent: a plan to look at, not to run. ``card``: whether a model card is written
    with the output; None for directories, and anew where one lies beside an old output. Raises CheckpointError for
    sources that cannot be read, RecipeError where recipe and checkpoints do not fit.
    """
    made = plan.make_plan(recipe, open_sources(recipe.sources, lock=lock))
    wanted = recipe.output.is_directory or has_card(made) if card is None else card
    return with_card(made) if wanted else made


def run(
    what: Plan | Recipe,
    force: bool = False,
    on_bytes: Callable[[int], None] = lambda count: None,
    options: RunOptions | None = None,
    locked: bool = False,
    update_lock: bool = False,
) -> Summary:
    """Execute a plan (or plan a recipe and execute that) and write its output, whole or not at all.

    ``force`` allows replacing an output that xttsrecipe did not make. ``on_bytes`` is called, in the calling thread,
    with how many bytes more are written. Where there is a lock beside the recipe, the sources must be those that it
    names, and it is given the output's digest; ``locked`` refuses to run without one, ``update_lock`` makes it anew.
    Raises XttsRecipeError; the old output then stays as it was.
    """
    made = preflight.check(what if isinstance(what, Plan) else make_plan(what), force)
    guard = Guard(made, locked, update_lock)
    with guard:
        summary = execute_plan(guard.plan, on_bytes, guard.options(options), guard.confirm)
    remark = guard.record(summary)
    if isinstance(remark, Problem):
        warnings.warn(str(remark), stacklevel=2)
    return summary


def execute_plan(
    plan: Plan,
    on_bytes: Callable[[int], None],
    options: RunOptions | None = None,
    confirm: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """``run`` for a plan that the preflight check has given; ``confirm`` as in ``execute``."""
    import_torch()
    from .execute import execute

    return execute(plan, on_bytes, options, confirm)


def compare(
    plan: Plan, header: Header, on_bytes: Callable[[int], None], options: RunOptions | None = None
) -> Mapping[str, int]:
    """Make a plan's tensors once more and compare them with those of a checkpoint that has all of them: the first
    element that differs, by name. Writes nothing. Raises CheckpointError.
    """
    import_torch()
    from . import execute

    return execute.compare(plan, header, on_bytes, options)


def import_torch() -> None:
    """Import what a run needs beyond the rest, which takes a second or two. Raises XttsRecipeError where it cannot."""
    if "torch" not in sys.modules:
        gc.collect()  # what reading the headers left behind, before torch takes its memory beside it
    try:
        from . import execute as execute
    except ModuleNotFoundError as error:
        raise XttsRecipeError(
            Problem(
                Code.TORCH_MISSING,
                f"a run needs {error.name}, which is not installed",
                hint="pip install torch (or its CPU build)",
            )
        ) from error
    except (ImportError, OSError, AttributeError, RuntimeError, SyntaxError) as error:  # or only half of it is there
        hint = "see whether python -c 'import torch' works, and whether there is enough memory"
        raise XttsRecipeError(Problem(Code.UNUSABLE_TORCH, f"torch cannot be loaded: {error}", hint=hint)) from error
