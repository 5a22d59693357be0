"""The verbs about what models are made from: lock, verify, show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from . import api, remaking
from .arguments import settings_of
from .codes import Code
from .errors import CheckpointError, Location, Problem, XttsRecipeError
from .lock import Lock, lock_path, read_lock, write_lock
from .locking import lock_of, new_lock
from .options import RunOptions, default_threads
from .plan import Plan
from .report.layout import counted, printable
from .report.problems import relative
from .report.progress import progress
from .report.streams import say, show

_MOST_NAMED = 10


def lock(
    recipes: Annotated[list[Path], typer.Argument(metavar="RECIPE...", help="The recipes, YAML files.")],
) -> None:
    """Write down what the recipe's checkpoints are: RECIPE.lock.yaml, to be checked in beside it.

    With it validate, plan and diff work without the checkpoints, and run refuses others. Reads every checkpoint whole,
    for its sha256; those that are not here stay as they were locked.
    """
    for recipe in recipes:
        loaded = api.load_recipe(recipe)
        old = lock_of(loaded)
        plan = api.make_plan(loaded, old)
        path = lock_path(recipe)
        changed = write_lock(path, new_lock(plan, old))
        kept = [name for name, header in zip(loaded.source_names, plan.headers, strict=True) if header.from_lock]
        rest = f"; as locked before, not here: {', '.join(kept)}" if kept else ""
        outcome = "written" if changed else "up to date"
        show(f"{relative(path)}: {outcome}, {counted(len(plan.headers), 'source')}{rest}\n")


def show_recipe(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="An output of xttsrecipe.")],
) -> None:
    """Print the recipe that an output was made from, ready to run again."""
    show(remaking.recipe_text(remaking.making_of(checkpoint)))


def verify(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="An output of xttsrecipe.")],
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            metavar="FILE",
            help="Where its recipe lies: relative paths start there, and its lock lies beside it.",
            show_default="looked for here, in recipes/, and near the checkpoint",
        ),
    ] = None,
    set_: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Where a source lies, as in [bold]checkpoints.news=/data/news.pth[/bold].",
            show_default=False,
        ),
    ] = [],  # noqa: B006
    threads: Annotated[
        int | None, typer.Option(min=1, max=64, metavar="N", help="Tensors to work on at once.", show_default="as run")
    ] = None,
) -> None:
    """Prove what an output was made from: make the merge once more, and compare, tensor by tensor.

    Writes nothing. Where the sources are not at hand, the lock's digest of the output is compared instead.
    """
    making = remaking.making_of(checkpoint)
    found = remaking.planned_again(making, recipe, settings_of(set_))
    made = (
        f"xttsrecipe {printable(str(making.data.get('version')))} from {printable(str(making.data.get('recipe_name')))}"
    )
    show(f"{relative(checkpoint)}: says that it was made by {made}\n")
    if isinstance(found, Plan):
        _verify_by_sources(making, found, RunOptions(threads or default_threads()))
    else:
        _verify_by_lock(making, recipe, found)


def _verify_by_sources(making: remaking.Making, plan: Plan, options: RunOptions) -> None:
    problems = list(remaking.source_problems(making, plan))
    if problems:
        raise CheckpointError(problems)
    place = Location(str(making.header.path))
    other = list(remaking.differences(making, plan))
    if other:
        what = "is not what its recipe makes"
        raise XttsRecipeError(Problem(Code.NOT_AS_MADE, what, place, details=tuple(other)))
    with progress(plan.nbytes, "comparing") as on_bytes:
        differing = api.compare(plan, making.header, on_bytes, options)
    if differing:
        what = f"is not what its recipe makes: {counted(len(differing), 'tensor')} of {len(plan.steps)} differ"
        details = tuple(f"{name}: from element {first:,} on" for name, first in differing.items())
        raise XttsRecipeError(Problem(Code.NOT_AS_MADE, what, place, details=details))
    show(f"verified: {counted(len(plan.steps), 'tensor')} are, byte for byte, what the recipe makes of its sources\n")


def _verify_by_lock(making: remaking.Making, recipe: Path | None, absent: Sequence[Path]) -> None:
    found = _lock_of(making, recipe)
    place = Location(str(making.header.path))
    missing = tuple(str(path) for path in absent)
    if found is None or found.output is None:
        why = "no lock was found" if found is None else f"{found.file.name} has no digest of an output"
        hint = "--set checkpoints.NAME=PATH says where a source lies; --recipe where the recipe and its lock lie"
        raise XttsRecipeError(
            Problem(
                Code.CANNOT_BE_VERIFIED,
                f"cannot be verified: its sources are not here, and {why}",
                place,
                hint=hint,
                details=missing,
            )
        )
    if making.data.get("lock_sha256") not in (None, found.digest):
        say(f"note: {printable(found.file.name)} was changed since the output was made\n")
    digest = remaking.digest_of(making.header)
    if digest != found.output:
        problem = Problem(
            Code.OUTPUT_NOT_AS_LOCKED,
            f"is not the output that {found.file.name} has of this recipe",
            place,
            found=f"tensors of sha256 {digest}",
            expected=f"sha256 {found.output}",
        )
        raise XttsRecipeError(problem)
    show(f"verified by {relative(found.file)}, without the sources: the tensors are those that it has of the output\n")


def _lock_of(making: remaking.Making, recipe: Path | None) -> Lock | None:
    if recipe and recipe.is_file():
        return read_lock(lock_path(recipe))
    name = making.data.get("recipe_name")
    for folder in remaking.folders(making.header, recipe):
        path = lock_path(folder / f"{name}.yaml")
        if isinstance(name, str) and Path(name).name == name and path.is_file():
            return read_lock(path)
    return None
