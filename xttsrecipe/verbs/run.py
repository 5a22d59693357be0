"""The verb run: everything that happens before, while and after a plan is carried out."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import api, interrupts, preflight
from ..errors import Problem
from ..guard import Guard
from ..options import RunOptions, default_threads
from ..report.layout import printable
from ..report.problems import place_text, problem_text
from ..report.progress import progress
from ..report.streams import say, say_note, show
from ..report.summary import nonfinite_text, summary_text
from .arguments import OutputPath, RecipeFile, Settings, loaded_recipe


def run(
    recipe: RecipeFile,
    set_: Settings = [],  # noqa: B006
    output: OutputPath = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing output that xttsrecipe did not make. Never an input.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            metavar="N",
            help="Tensors to work on at once; the output is the same.",
            show_default="the processors, up to 4",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="Where methods that need whole tensors compute: cpu, cuda, cuda:1.")
    ] = "cpu",
    check: Annotated[
        bool,
        typer.Option("--check/--no-check", help="Look for NaN and infinity in what is written; say whose they are."),
    ] = True,
    allow_overflow: Annotated[
        bool, typer.Option("--allow-overflow", help="Write infinity for values too large for the output's type.")
    ] = False,
    locked: Annotated[
        bool, typer.Option("--locked", help="Refuse to run without a lock that covers recipe and sources.")
    ] = False,
    card: Annotated[
        bool | None,
        typer.Option(
            "--card/--no-card",
            help="Write a model card with the output.",
            show_default="directories, or where one lies already",
        ),
    ] = None,
    update_lock: Annotated[
        bool, typer.Option("--update-lock", help="Make the lock beside the recipe anew, from the sources as they are.")
    ] = False,
) -> None:
    """Merge: execute the recipe's plan and write the output, whole or not at all.

    Tensors are streamed, so memory stays within what [bold]plan[/bold] says whatever the checkpoints' size. The
    output appears only when it is complete; until then, and if anything goes wrong, the old one stays as it was.
    """
    if locked and update_lock:
        raise typer.BadParameter("one refuses what the lock does not cover, the other covers it", param_hint="--locked")
    plan = api.make_plan(loaded_recipe(recipe, set_, output), card=card)
    for note in plan.notes:
        say_note(note)
    for warning in plan.warnings:
        say(f"warning: {printable(warning)}\n")
    if update_lock:
        plan = preflight.check(plan, force, say_note)  # before sources are read whole
    guard = Guard(plan, locked, update_lock)
    for problem in guard.drift:
        say(f"note: {problem_text(problem)}")
    if not force and guard.is_up_to_date:
        preflight.clear(plan, say_note)
        target = plan.recipe.output
        show(f"{place_text(target.path, target.is_directory)}: up to date\n")
        return
    guard.plan = preflight.check(guard.plan, force, say_note)
    options = guard.options(RunOptions(threads or default_threads(), device, check, allow_overflow))
    with guard:
        interrupts.leave_at_once()  # an exception in the middle of it, torch may take for a reason to abort
        api.import_torch()
        interrupts.raise_once()
        with progress(plan.nbytes) as on_bytes:
            summary = api.execute_plan(guard.plan, on_bytes, options, guard.confirm)
    say(nonfinite_text(summary))
    show(summary_text(plan, summary))
    remark = guard.record(summary)
    if isinstance(remark, Problem):
        say(f"warning: {problem_text(remark)}")
    elif remark:
        say_note(remark)
