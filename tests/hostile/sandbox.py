"""Runs the command on hostile files in processes that are watched: what they execute, import and write, and how much
memory and time they take.

A server process imports the command and runs it once on good files; from then on every call is a fork of it, so that
whatever a hostile file brings about is seen, and ends with that process. Memory is measured as the peak of what is
resident, over that of the fork itself: an address-space limit would turn into a MemoryError that somebody catches.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import typer.main

from tests.hostile.watch import watched
from xttsrecipe import cli

# What a call may take on top of the program itself: far above any real file, far below what a hostile one asks for.
MEMORY_BYTES = 256 << 20
# A call that takes longer is killed. Nothing here measures speed: a second or two is usual, for ever is not.
SECONDS = 60
# The machine's own safety: beyond this, a call gets no memory at all.
_ADDRESS_BYTES = 4 << 30
_OUTPUT_BYTES = 64 << 20

_Command = Callable[[Sequence[str]], object]


@dataclass(frozen=True)
class Verdict:
    """What one call of the command did.

    ``code``: its exit status, negative where a signal ended it. ``events``: what was executed, imported or written, see
    ``watch``. ``memory``: peak bytes on top of the program.
    """

    code: int
    out: str
    err: str
    events: list[str]
    memory: int


class Sandbox:
    """The server process; ``warm_up``: calls of the command, on good files, after which nothing need be imported."""

    def __init__(self, *warm_up: Sequence[str | Path]) -> None:
        environ = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "PYTHONUTF8": "1"}
        calls = json.dumps([list(map(str, arguments)) for arguments in warm_up])
        command = [sys.executable, "-m", "tests.hostile.sandbox", calls]
        root = Path(__file__).parent.parent.parent
        self._server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, env=environ
        )

    def call(self, *arguments: str | Path) -> Verdict:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(list(map(str, arguments))) + "\n")
        self._server.stdin.flush()
        return Verdict(**json.loads(self._server.stdout.readline()))

    def close(self) -> None:
        self._server.communicate()


# -- the server


def _serve(warm_up: Sequence[Sequence[str]]) -> None:
    command = typer.main.get_command(cli.app)  # once: typer evaluates annotations
    replies = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryFile() as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        for arguments in warm_up:
            assert _main(command, arguments) == 0, arguments
    gc.freeze()
    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as seen:
            child = os.fork()
            if child == 0:
                try:
                    _child(command, json.loads(line), out.fileno(), err.fileno(), seen.fileno())
                finally:
                    os._exit(70)
            _, status, usage = os.wait4(child, 0)
            verdict: dict[str, Any] = {"code": os.waitstatus_to_exitcode(status), "events": [], "before": 0}
            verdict |= json.loads(_content(seen) or "{}")
            verdict["memory"] = (usage.ru_maxrss - verdict.pop("before")) << 10
            replies.write(json.dumps(verdict | {"out": _content(out), "err": _content(err)}) + "\n")
            replies.flush()


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _child(command: _Command, arguments: Sequence[str], out: int, err: int, seen: int) -> NoReturn:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    os.dup2(out, 1)
    os.dup2(err, 2)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_BYTES, _ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_OUTPUT_BYTES, _OUTPUT_BYTES))
    signal.alarm(SECONDS)
    with watched() as events:
        code = _main(command, arguments)
    signal.alarm(0)
    os.write(seen, json.dumps({"code": code, "events": events, "before": before}).encode())
    os._exit(0)


def _main(command: _Command, arguments: Sequence[str]) -> int:
    """What ``cli.main`` does, with a command that is there already."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        setattr(sys, name, os.fdopen(number, "w", errors="backslashreplace", closefd=False))
    try:
        command(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
