"""Ctrl-C, SIGTERM and SIGHUP: what they do before the work of a verb, in it and after it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

_EXIT_STATUS = 130

# Those that this process heeds: none in a program that only uses our functions, and not what a shell has it ignore, as
# under nohup, or in the background of a script.
_heeded: list[signal.Signals] = []


def heed() -> None:
    """Have this process heed them, and end at once: see ``leave_at_once``."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has two of them
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            _heeded.append(number)
    leave_at_once()


def leave_at_once() -> None:
    """From now on they end the process with exit status 130: nothing has begun that would have to be tidied up."""
    for number in _heeded:
        signal.signal(number, _leave)


def raise_once() -> None:
    """From now on the first raises KeyboardInterrupt, and the others nothing: what the first has begun to tidy up they
    must not break off.
    """
    for number in _heeded:
        signal.signal(number, _raise)


def ignore() -> None:
    """From now on nothing happens: all that is left to do is to end."""
    for number in _heeded:
        signal.signal(number, signal.SIG_IGN)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    with contextlib.suppress(OSError):  # nobody may be there to read it
        os.write(2, b"interrupted\n")
    os._exit(_EXIT_STATUS)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    # An object that was about to be made when this came may complain while it is cleared away: nobody's mistake.
    sys.unraisablehook = lambda _: None
    ignore()
    raise KeyboardInterrupt
