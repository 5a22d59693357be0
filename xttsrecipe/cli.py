"""The command line: one function per verb."""

from __future__ import annotations

import functools
import gc
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from . import api, interrupts, preflight, validation
from .codes import Code
from .errors import ExitCode, Location, OutputError, Problem, XttsRecipeError
from .options import RunOptions, default_threads
from .patterns import PatternError
from .plan import Plan
from .report import inspection
from .report import plan as plan_report
from .report.components import components_json, components_text
from .report.layout import printable
from .report.plan_json import plan_json
from .report.problems import problem_text, relative
from .report.progress import progress
from .report.streams import say, show
from .report.summary import nonfinite_text, summary_text
from .report.validation import ValidationFormat, show_validations
from .review_verbs import diff
from .schema import schema_text
from .settings import parse_setting
from .starter import starter_recipe
from .verb import verb
from .version import __version__

app = typer.Typer(
    name="xttsrecipe",
    help="Merge Coqui XTTS-V2 checkpoints from a YAML recipe.\n\n"
    "A typical day: [bold]init[/bold] writes a recipe for your checkpoints, [bold]plan[/bold] shows what it would do, "
    "[bold]run[/bold] does it. Only run imports torch; nothing ever executes what is in a checkpoint.",
    epilog="Exit status: 0 yes, 1 no (invalid, refused, unreadable), 2 wrong usage, 3 a bug in xttsrecipe, "
    "130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


_verb = functools.partial(verb, app)

# Whether a file can be read is ours to say, with what to do about it.
_argument = functools.partial(typer.Argument, show_default=False, readable=False)
_file_option = functools.partial(typer.Option, show_default=False, readable=False)

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")]
Settings = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Change a field of the recipe for this call, as in [bold]checkpoints.news=/data/news.pth[/bold] or "
        "[bold]weights.news=0.7[/bold]. File names are relative to the current folder. May be given several times.",
        show_default=False,
    ),
]
# Text, not a Path, which would lose the / that a directory's name ends in.
OutputPath = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="Write here instead of the recipe's output.path; a name that ends in / is a model directory.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def _planned(recipe: Path, settings: list[str], output: str | None) -> Plan:
    try:
        for setting in settings:
            parse_setting(setting)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from error
    return api.make_plan(api.load_recipe(recipe, settings, output))


@_verb
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
) -> None:
    """Merge: execute the recipe's plan and write the output, whole or not at all.

    Tensors are streamed, so memory stays within what [bold]plan[/bold] says whatever the checkpoints' size. The
    output appears only when it is complete; until then, and if anything goes wrong, the old one stays as it was.
    """
    plan = _planned(recipe, set_, output)
    for note in plan.notes:
        _say_note(note)
    for warning in plan.warnings:
        say(f"warning: {printable(warning)}\n")
    plan = preflight.check(plan, force, _say_note)
    interrupts.leave_at_once()  # an exception in the middle of it, torch may take for a reason to abort
    api.import_torch()
    interrupts.raise_once()
    with progress(plan.nbytes) as on_bytes:
        options = RunOptions(threads or default_threads(), device, check, allow_overflow)
        summary = api.execute_plan(plan, on_bytes, options)
    say(nonfinite_text(summary))
    show(summary_text(plan, summary))


def _say_note(note: str) -> None:
    say(f"note: {printable(note)}\n")


@_verb
def plan(
    recipe: RecipeFile,
    set_: Settings = [],  # noqa: B006
    output: OutputPath = None,
    keys: Annotated[bool, typer.Option("--keys", help="List every tensor with its shape, rule and weights.")] = False,
    json: Json = False,
) -> None:
    """Show what run would do: sources, what each rule decides, the output, memory and disk.

    Reads the checkpoints' headers only, and never imports torch.
    """
    made = _planned(recipe, set_, output)
    if json:
        show(plan_json(made))
    elif keys:
        show(plan_report.plan_keys_text(made))
    else:
        show(plan_report.plan_text(made))
    for problem in preflight.output_problems(made):
        say(f"run would be refused: {problem_text(problem)}")


@_verb
def validate(
    paths: Annotated[
        list[Path],
        _argument(
            metavar="PATH...",
            help="Recipes, or folders that are searched for .yaml and .yml files.",
            show_default=False,
            readable=False,
        ),
    ],
    form: Annotated[
        ValidationFormat,
        typer.Option(
            "--format",
            help="github: annotations for pull requests; json: for machines; sarif: for code scanning.",
        ),
    ] = ValidationFormat.TEXT,
) -> None:
    """Check recipes against schema and semantics; the checkpoints need not be there.

    Where they are, their headers are checked too. Where they are not, patterns are checked against the keys of XTTS-V2.
    """
    if not show_validations(validation.validate(paths), form):
        raise typer.Exit(ExitCode.NO)


_verb(diff)


@_verb
def inspect(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="A .pth, .pt or .safetensors file, or a model directory."),
    ],
    keys: Annotated[
        str | None,
        typer.Option(
            "--keys",
            metavar="PATTERN",
            help="List the tensors whose key matches, as in [bold]'*encoder*'[/bold] or [bold]'@attention'[/bold].",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show what a checkpoint is: layout, XTTS version, components, config, step, epoch and losses.

    Reads its header only and executes nothing of it, whatever is pickled in the file.
    """
    header = api.inspect(checkpoint)
    try:
        if json:
            show(inspection.inspection_json(header, keys))
        elif keys is None:
            show(inspection.inspection_text(header))
        else:
            text = inspection.inspection_keys_text(header, keys)
            if not text:
                raise XttsRecipeError(
                    Problem(Code.NO_MATCHING_KEY, f"no key matches {keys!r}", Location(str(checkpoint)))
                )
            show(text)
    except PatternError as error:
        raise typer.BadParameter(str(error), param_hint="--keys") from error


@_verb
def components(
    checkpoint: Annotated[Path | None, _argument(metavar="CHECKPOINT", help="Count the tensors of this file.")] = None,
    json: Json = False,
) -> None:
    """List the parts of XTTS that a pattern may name, as in [bold]'@attention'[/bold].

    With a checkpoint, reads its header only and shows what the file has of each, and what belongs to none.
    """
    header = None if checkpoint is None else api.inspect(checkpoint)
    if header and header.layout == "plain":
        what, hint = "is not XTTS: it has no named components", "xttsrecipe inspect shows what it has"
        raise XttsRecipeError(Problem(Code.NO_COMPONENTS, what, Location(str(checkpoint)), hint=hint))
    show(components_json(header) if json else components_text(header))


@_verb
def init(
    checkpoints: Annotated[
        list[Path],
        _argument(metavar="CHECKPOINT...", help="The checkpoints to merge: files or model directories."),
    ],
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
    """Write a commented recipe that merges the given checkpoints in equal parts."""
    headers = api.inspect_all(checkpoints)
    text = starter_recipe(headers, output.parent if output else Path())
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


@_verb
def schema() -> None:
    """Print the JSON schema of recipes, for editors and other tools."""
    show(schema_text())


def _version(wanted: bool) -> None:
    if wanted:
        show(f"xttsrecipe {__version__}\n")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The command line, on the streams of this process."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 # for as long as the process lasts
        stream = getattr(sys, name)
        # What goes to a file we must be able to read again; a name that a terminal cannot show must not end a run.
        encoding = None if stream.isatty() or "PYTHONIOENCODING" in os.environ else "utf-8"
        stream.reconfigure(encoding=encoding, errors="backslashreplace")
    try:
        app()
    finally:
        interrupts.ignore()
        gc.freeze()  # Python looks for garbage once more at its end: 0.3 s for what torch has made, in vain
