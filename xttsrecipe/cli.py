"""The command line: one function per verb."""

from __future__ import annotations

import functools
import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from . import api, interrupts, preflight, validation
from .codes import Code
from .errors import ExitCode, Location, Problem, XttsRecipeError
from .locking import drift, lock_of, misstatements
from .patterns import PatternError
from .report import inspection
from .report import plan as plan_report
from .report.components import components_json, components_text
from .report.methods import method_text, methods_json, methods_text, unknown_method
from .report.plan_json import plan_json
from .report.problems import problem_text
from .report.streams import say, say_note, show
from .report.validation import ValidationFormat, show_validations
from .schema import schema_text
from .verbs import verb
from .verbs.arguments import OutputPath, RecipeFile, Settings, loaded_recipe
from .verbs.diff import diff
from .verbs.init import init
from .verbs.provenance import lock, show_recipe, verify
from .verbs.run import run
from .version import __version__

app = typer.Typer(
    name="xttsrecipe",
    help="Merge Coqui XTTS-V2 checkpoints from a YAML recipe.\n\n"
    "A typical day: [bold]init[/bold] writes a recipe for your checkpoints, [bold]plan[/bold] shows what it would do, "
    "[bold]run[/bold] does it. Only run and verify import torch; nothing ever executes what is in a checkpoint.",
    epilog="Exit status: 0 yes, 1 no (invalid, refused, unreadable), 2 wrong usage, 3 a bug in xttsrecipe, "
    "130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


_verb = functools.partial(verb, app)
_verb(run)

# Whether a file can be read is ours to say, with what to do about it.
_argument = functools.partial(typer.Argument, show_default=False, readable=False)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


@_verb
def plan(
    recipe: RecipeFile,
    set_: Settings = [],  # noqa: B006
    output: OutputPath = None,
    keys: Annotated[bool, typer.Option("--keys", help="List every tensor with its shape, rule and weights.")] = False,
    json: Json = False,
) -> None:
    """Show what run would do: sources, what each rule decides, the output, memory and disk.

    Reads the checkpoints' headers only, and never imports torch. Of checkpoints that are not here, the lock beside the
    recipe says what is needed.
    """
    loaded = loaded_recipe(recipe, set_, output)
    its_lock = lock_of(loaded)
    made = api.make_plan(loaded, its_lock)
    if json:
        show(plan_json(made))
    elif keys:
        for note in made.notes[:1] if any(header.from_lock for header in made.headers) else ():
            say_note(note)
        show(plan_report.plan_keys_text(made))
    else:
        show(plan_report.plan_text(made))
    for problem in preflight.output_problems(made):
        say(f"run would be refused: {problem_text(problem)}")
    for problem in drift(loaded, its_lock, made) if its_lock else ():
        refused = problem.code is Code.SOURCE_NOT_AS_LOCKED
        say(f"{'run would be refused' if refused else 'note'}: {problem_text(problem)}")
    for problem in misstatements(made, its_lock) if its_lock else ():
        say(f"note: {problem_text(problem)}")


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
def methods(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Explain this one, with a recipe.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """List the merge methods, with formula, parameters and paper; or explain one."""
    if name is not None and (why := unknown_method(name)):
        raise typer.BadParameter(why, param_hint="NAME")
    if json:
        show(methods_json(name))
    else:
        show(methods_text() if name is None else method_text(name))


_verb(init)
for function in (lock, verify):
    _verb(function)
_verb(show_recipe, "show")


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
