"""The two streams: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from ..codes import Code
from ..errors import OutputError, Problem
from .layout import printable


def say(text: str) -> None:
    """Progress, notes and errors. That nobody can read them any more does not end a run."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        discard(sys.stderr.fileno())


def show(text: str) -> None:
    """Results. Raises BrokenPipeError where the reader has seen enough, OutputError where they cannot be written."""
    with _showing():
        sys.stdout.write(text)


def finish() -> None:
    """See that all results are out; raises as ``show`` does."""
    with _showing():
        sys.stdout.flush()


@contextlib.contextmanager
def _showing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(sys.stdout.fileno())
        raise OutputError(
            Problem(Code.UNWRITABLE_RESULTS, f"the results cannot be written to stdout: {error.strerror or error}")
        ) from error


def discard(descriptor: int) -> None:
    """Send what is still written to a broken stream nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def say_note(note: str) -> None:
    """Say what is no error and no warning."""
    say(f"note: {printable(note)}\n")
