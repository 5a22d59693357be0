"""Runs the command as ``tests.commands`` does, each in a process of its own, without importing torch anew for each.

A server process imports everything once; every command is a fork of it, with real signals, limits and exit codes.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

from tests.commands import Outcome, environment
from tests.faults import fallbacks
from tests.faults.moments import Moment, pause
from xttsrecipe.__main__ import main

# Something to do in the process of a command before that begins: a function of a module, or a partial of one.
Prepare = Callable[[], object]


class Command:
    """A command that has been started."""

    def __init__(self, process: BaseProcess, streams: Sequence[Connection]) -> None:
        self._process = process
        self._streams = streams

    def runs(self) -> bool:
        return self._process.is_alive()

    def send(self, number: int) -> None:
        if self.runs():
            assert self._process.pid
            os.kill(self._process.pid, number)

    def wait(self) -> Outcome:
        """Its exit code, negative where a signal ended it, and what it wrote."""
        self._process.join(60)
        assert self._process.exitcode is not None, "it never ended"
        out, err = (b"".join(iter(partial(os.read, stream.fileno(), 1 << 16), b"")) for stream in self._streams)
        return Outcome(self._process.exitcode, *(text.decode("utf-8", "surrogateescape") for text in (out, err)))

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        for stream in self._streams:
            stream.close()


class Launcher:
    """Starts commands. Before the system's library stands ``disk``, a library made of disk.c.

    There is one server in a process: the first launcher decides.
    """

    def __init__(self, disk: Path | None) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.faults.processes", "tests.faults.warm"])
        with _preloaded(disk):
            multiprocessing.forkserver.ensure_running()

    def run(self, folder: Path, *arguments: str | Path, prepare: Sequence[Prepare] = ()) -> Outcome:
        """The command in a folder, to its end."""
        with self.start(folder, *arguments, prepare=prepare) as command:
            return command.wait()

    @contextlib.contextmanager
    def start(self, folder: Path, *arguments: str | Path, prepare: Sequence[Prepare] = ()) -> Iterator[Command]:
        """The command in a folder, which is killed if it still runs when the block ends.

        What it writes is no more than fits into a pipe; a file would be subject to the limits that tests set.
        """
        (out, theirs_out), (err, theirs_err) = (self._context.Pipe(duplex=False) for _ in range(2))
        given = ([*map(str, arguments)], folder, (theirs_out, theirs_err), [*prepare])
        process = self._context.Process(target=_run, args=given)
        process.start()
        theirs_out.close()
        theirs_err.close()
        command = Command(process, (out, err))
        try:
            yield command
        finally:
            command.end()

    @contextlib.contextmanager
    def paused(
        self, moment: Moment, folder: Path, *arguments: str | Path, prepare: Sequence[Prepare] = ()
    ) -> Iterator[tuple[Command, Callable[[], None]]]:
        """A command that stands still at a moment, and a function that lets it go on."""
        reached, go_on = self._context.Event(), self._context.Event()
        waiting = partial(pause, moment, reached, go_on)
        with self.start(folder, *arguments, prepare=[*prepare, waiting]) as command:
            while not reached.wait(0.1):
                assert command.runs(), command.wait().err
            yield command, go_on.set

    def event(self) -> Event:
        """One to prepare a command with."""
        return self._context.Event()


@contextlib.contextmanager
def _preloaded(library: Path | None) -> Iterator[None]:
    if library:
        os.environ["LD_PRELOAD"] = str(library)
    try:
        yield
    finally:
        if library:
            del os.environ["LD_PRELOAD"]


def _run(arguments: list[str], folder: Path, streams: Sequence[Connection], prepare: list[Prepare]) -> None:
    """What a command's process does."""
    for descriptor, stream in enumerate(streams, 1):
        os.dup2(stream.fileno(), descriptor)
        stream.close()
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    given = environment()
    os.environ.clear()
    os.environ.update(given)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["xttsrecipe", *arguments]
    if hasattr(ctypes.PyDLL(None), "disk_spare_syncs"):
        disk("disk_spare_syncs")
    for prepared in (*fallbacks.wanted(), *prepare):
        prepared()
    try:
        main()
    finally:
        # What comes after the command, which multiprocessing has to do yet, is no longer the command.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})


# --- things to prepare ----------------------------------------------------------------------------------------------


def limit_files_to(nbytes: int) -> None:
    """No file of this process may become larger, as on a disk that is full."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, nbytes))


def obey_permissions() -> None:
    """Root gives up the right to write where no permission is, for good."""
    if os.geteuid() == 0:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        assert ctypes.PyDLL(None).capset(header, (ctypes.c_uint32 * 6)()) == 0


def disk(function: str, *arguments: str | int) -> None:
    """Tell the library of ``disk.c``."""
    given = [os.fsencode(each) if isinstance(each, str) else each for each in arguments]
    getattr(ctypes.PyDLL(None), function)(*given)


def journal(path: str) -> None:
    """Have the library of ``disk.c`` write a journal."""
    disk("disk_journal", os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
