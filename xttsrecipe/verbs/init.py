"""The verb init: a recipe to start from, for given checkpoints or for those of a training run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from .. import api
from ..codes import Code
from ..errors import Location, OutputError, Problem
from ..report.problems import relative
from ..report.streams import say, say_note, show
from ..run_folder import best_checkpoints, last_checkpoints
from ..starter import run_recipe, starter_recipe

# As many as a recipe may have.
_MOST = 256


def init(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            metavar="CHECKPOINT...",
            help="The checkpoints to merge: files or model directories. With --last or --best, the folder of one "
            "training run.",
            show_default=False,
            readable=False,
        ),
    ],
    last: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST,
            metavar="N",
            help="Take the trainer's newest N checkpoint_*.pth, by the steps in their names.",
            show_default=False,
        ),
    ] = None,
    best: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST,
            metavar="N",
            help="Take the N with the smallest eval_loss, as the checkpoints say; of equal ones the newer.",
            show_default=False,
        ),
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Weigh each checkpoint of the run X times as much as the next newer one (above 0, up to 1), instead "
            "of all alike.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the recipe here instead of to stdout.",
            show_default=False,
            readable=False,
        ),
    ] = None,
) -> None:
    """Write a commented recipe that merges the given checkpoints in equal parts.

    Or one that averages a training run: [bold]init --last 5 runs/x/[/bold] takes its newest checkpoints,
    [bold]--best 5[/bold] those with the smallest eval_loss, [bold]--ema 0.9[/bold] gives older ones less weight.
    """
    _check_options(checkpoints, last, best, ema)
    text = _recipe(checkpoints, last, best, ema, output.parent if output else Path())
    if output is None:
        show(text)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise OutputError(
            Problem(
                Code.RECIPE_EXISTS, "exists: it is not overwritten", Location(str(output)), hint="choose another name"
            )
        ) from None
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise OutputError(Problem(Code.UNWRITABLE, what, Location(str(output)))) from error
    say(f"wrote {relative(output)}; see what it does with: xttsrecipe plan {shlex.quote(str(output))}\n")


def _check_options(checkpoints: list[Path], last: int | None, best: int | None, ema: float | None) -> None:
    if last is not None and best is not None:
        raise typer.BadParameter("either --last or --best chooses the checkpoints, not both", param_hint="--best")
    if last is None and best is None:
        if ema is not None:
            raise typer.BadParameter("goes with --last or --best, whose checkpoints have an order", param_hint="--ema")
        return
    if len(checkpoints) != 1:
        hint = "--best" if last is None else "--last"
        raise typer.BadParameter("takes one folder, that of a training run", param_hint=hint)
    if ema is not None and not 0 < ema <= 1:
        raise typer.BadParameter(f"{ema:g} is not above 0 and at most 1", param_hint="--ema")


def _recipe(checkpoints: list[Path], last: int | None, best: int | None, ema: float | None, folder: Path) -> str:
    """The recipe's text; what could not be chosen is said."""
    if last is not None:
        chosen = last_checkpoints(checkpoints[0], last)
    elif best is not None:
        chosen = best_checkpoints(checkpoints[0], best)
    else:
        return starter_recipe(api.inspect_all(checkpoints), folder)
    for remark in chosen.left_out:
        say_note(remark)
    return run_recipe(chosen, folder, ema)
