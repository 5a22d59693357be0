"""What surrounds every verb of the command line: exit codes, and the catch-all for bugs."""

from __future__ import annotations

import functools
import inspect
import platform
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn, ParamSpec

import typer

from .. import interrupts
from ..codes import Code
from ..errors import ExitCode, Problem, XttsRecipeError
from ..report.problems import problem_text, problems_text
from ..report.streams import discard, finish, say
from ..version import __version__

P = ParamSpec("P")


def _paragraphs(docstring: str) -> str:
    """A docstring with each paragraph on one line, for typer to wrap as the terminal wants."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(docstring).split("\n\n"))


def verb(app: typer.Typer, function: Callable[P, None], name: str | None = None) -> Callable[P, None]:
    """Make a function a verb of ``app``, called ``name`` or as it is: its docstring is the help, and its errors end the
    process with a message for people and the fitting exit code.
    """

    @app.command(name, help=_paragraphs(function.__doc__ or ""))
    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            interrupts.raise_once()
            try:
                function(*args, **kwargs)
                finish()
            finally:
                interrupts.ignore()
        except XttsRecipeError as error:
            say(problems_text(error.problems))
            raise typer.Exit(ExitCode.NO) from None
        except KeyboardInterrupt:
            output = "; an output is as it was or, where the run was about to end, the new one"
            say(f"interrupted{output if function.__name__ == 'run' else ''}\n")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except MemoryError:
            hint = "xttsrecipe plan says how much a run needs"
            say(problem_text(Problem(Code.NOT_ENOUGH_MEMORY, "there is not enough memory", hint=hint)))
            raise typer.Exit(ExitCode.NO) from None
        except BrokenPipeError:  # the reader of our results has seen enough
            discard(sys.stdout.fileno())
            raise typer.Exit(ExitCode.OK) from None
        except (typer.Exit, typer.BadParameter):
            raise
        except Exception:
            _report_bug()

    return guarded


def _report_bug() -> NoReturn:
    say(traceback.format_exc())
    say(
        "\nThis is a bug in xttsrecipe, not a mistake of yours. Please report it, with the lines above, the command, "
        "the recipe and what 'xttsrecipe inspect' says of the checkpoints.\n"
        f"xttsrecipe {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    )
    raise typer.Exit(ExitCode.BUG)
