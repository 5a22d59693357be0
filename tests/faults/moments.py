"""Moments of a run, told by what it asks of the system: to do something there, the same at every run.

Works in the process that runs the command. Calls are those that open, rename, link, lock, list or remove (Python's
audit events) and those that move or flush data (functions of ``os``, which are wrapped). A run has three stages:
*planning*, *writing* from the first name beside the output on, *committing* from the first flush after tensor data.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

STAGES = ("planning", "writing", "committing")
_AUDITED = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.listdir", "os.scandir"}
_AUDITED |= {"fcntl.flock", "ctypes.dlsym"}
_WRITES = ("write", "pwrite", "pwritev", "copy_file_range")
_WRAPPED = ("read", "pread", "preadv", "fsync", "ftruncate", "lseek", *_WRITES)


@dataclass(frozen=True)
class Moment:
    """Before the ``number``-th call of a stage, from 0; or before the first of a later one, if it has not so many."""

    stage: str
    number: int


def _at_every_call(action: Callable[[str, int, str], None]) -> None:
    """From now on ``action(stage, number, call)`` is called before each call."""
    stage, number, wrote, lock = 0, -1, False, threading.RLock()

    def called(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal stage, number, wrote
        with lock:
            wrote = wrote or name in _WRITES
            if stage < 2 and wrote and name == "fsync":
                stage, number = 2, -1
            elif stage < 1 and ".xttsrecipe." in str(arguments):
                stage, number = 1, -1
            number += 1
            now = STAGES[stage], number
        action(*now, name)

    def audited(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _AUDITED:
            called(event, arguments)

    def wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*arguments: Any) -> Any:
            called(function.__name__, arguments)
            return function(*arguments)

        return wrapped

    for name in _WRAPPED:
        if hasattr(os, name):
            setattr(os, name, wrapping(getattr(os, name)))
    sys.addaudithook(audited)


def _once_at(moment: Moment, action: Callable[[], None]) -> None:
    done = False
    wanted = STAGES.index(moment.stage), moment.number
    one_at_a_time = threading.RLock()  # while one thread of a run waits, the others do

    def check(stage: str, number: int, call: str) -> None:
        nonlocal done
        with one_at_a_time:
            if not done and (STAGES.index(stage), number) >= wanted:
                done = True
                action()

    _at_every_call(check)


def record(path: Path) -> None:
    """Write every call into a file: a line each, of stage and call."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    write = os.write

    def note(stage: str, number: int, call: str) -> None:
        write(file, f"{stage} {call}\n".encode())

    _at_every_call(note)


def send(moment: Moment, number: int) -> None:
    """Send the own process a signal."""
    _once_at(moment, lambda: os.kill(os.getpid(), number))


def pause(moment: Moment, reached: Event, go_on: Event) -> None:
    """Say that the moment is reached and wait until told to go on."""

    def wait() -> None:
        reached.set()
        go_on.wait(60)

    _once_at(moment, wait)


def tell(reached: Event) -> None:
    """Say that the run has begun: its own handlers of signals are in place."""
    _once_at(Moment("planning", 0), reached.set)
