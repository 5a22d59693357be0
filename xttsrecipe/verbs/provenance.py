"""The verbs about what models are made from: lock, verify, show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import api
from ..errors import RecipeError
from ..lock import Lock, lock_path, write_lock
from ..locking import lock_of, new_lock
from ..options import RunOptions, default_threads
from ..recipe import Recipe
from ..recipe_files import is_lock_name
from ..report.layout import counted, printable
from ..report.problems import relative
from ..report.progress import progress
from ..report.streams import say_note, show
from ..sources import is_here
from .arguments import settings_of


def lock(
    recipes: Annotated[list[Path], typer.Argument(metavar="RECIPE...", help="The recipes, YAML files.")],
) -> None:
    """Write down what the recipe's checkpoints are: RECIPE.lock.yaml, to be checked in beside it.

    With it validate, plan and diff work without the checkpoints, and run refuses others. Reads every checkpoint whole,
    for its sha256; those that are not here stay as they were locked.
    """
    for recipe in recipes:
        if is_lock_name(recipe.name):  # as of *.yaml
            continue
        loaded = api.load_recipe(recipe)
        old = _old_lock(loaded)
        plan = api.make_plan(loaded, old)
        path = lock_path(recipe)
        changed = write_lock(path, new_lock(plan, old))
        kept = [name for name, header in zip(loaded.source_names, plan.headers, strict=True) if header.from_lock]
        rest = f"; as locked before, not here: {', '.join(kept)}" if kept else ""
        outcome = "written" if changed else "up to date"
        show(f"{relative(path)}: {outcome}, {counted(len(plan.headers), 'source')}{rest}\n")


def _old_lock(recipe: Recipe) -> Lock | None:
    """The lock as it is; one that cannot be read is made anew where all sources are here."""
    try:
        return lock_of(recipe)
    except RecipeError:
        if not all(map(is_here, recipe.sources)):
            raise
        return None


def show_recipe(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="An output of xttsrecipe.")],
) -> None:
    """Print the recipe that an output was made from, ready to run again."""
    from ..provenance import remaking

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
    from .. import verification
    from ..provenance import remaking

    making = remaking.making_of(checkpoint)
    version, name = (printable(str(making.data.get(field))) for field in ("version", "recipe_name"))
    show(f"{relative(checkpoint)}: says that it was made by xttsrecipe {version} from {name}\n")
    options = RunOptions(threads or default_threads())
    proof = verification.verify(making, recipe, settings_of(set_), progress, options)
    tensors = counted(proof.tensors, "tensor")
    if proof.lock is None:
        show(f"verified: {tensors} are, byte for byte, what the recipe makes of its sources\n")
        return
    if not proof.is_current:
        say_note(f"{proof.lock.name} was changed since the output was made")
    show(
        f"verified by {relative(proof.lock)}, without the sources: the {tensors} are those that it has of the output\n"
    )
