"""The two streams: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Progress, notes and errors. That nobody reads them any more does not end a run."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except BrokenPipeError:
        discard(sys.stderr.fileno())


def show(text: str) -> None:
    """Results. Raises BrokenPipeError where the reader has seen enough."""
    sys.stdout.write(text)


def discard(descriptor: int) -> None:
    """Send what is still written to a broken pipe nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
