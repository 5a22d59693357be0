"""Runs the command: in a process of its own, as users do, or in this one, where that shows the same faster."""

from __future__ import annotations

import functools
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from xttsrecipe.cli import app

PROJECT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-m", "xttsrecipe")

# What would change how the help looks, make a pipe look like a terminal, or have us write to a workflow's summary.
_TELLING = (
    "FORCE_COLOR", "PY_COLORS", "CLICOLOR_FORCE", "GITHUB_ACTIONS", "TTY_COMPATIBLE", "TERMINAL_WIDTH",
    "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit code, and what it wrote on either stream."""

    code: int
    out: str
    err: str


def environment(**more: str) -> dict[str, str]:
    """The environment of this process with a terminal that is the same everywhere."""
    kept = {name: value for name, value in os.environ.items() if name not in _TELLING}
    return kept | {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "PYTHONUTF8": "1"} | more


def xttsrecipe(*arguments: str | Path, cwd: Path | None = None, **more: str) -> Outcome:
    """The real command, in a process of its own; ``more`` is added to its environment."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, cwd=cwd, env=environment(**more), timeout=120)
    return Outcome(done.returncode, _text(done.stdout), _text(done.stderr))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def invoke(*arguments: str | Path, charset: str = "utf-8", **more: str) -> Outcome:
    """The same command in this process, with streams as it gives itself; ``more`` is added to the environment."""
    environ = {**dict.fromkeys(_TELLING), "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", **more}
    with CliRunner(env=environ, charset=charset).isolation() as (out, err, *_):
        for stream in (sys.stdout, sys.stderr):
            assert isinstance(stream, io.TextIOWrapper)
            stream.reconfigure(errors="backslashreplace")
        with pytest.raises(SystemExit) as ended:
            command()(list(map(str, arguments)), prog_name="python -m xttsrecipe")
        sys.stdout.flush()
        sys.stderr.flush()
        code = ended.value.code
        return Outcome(
            code if isinstance(code, int) else int(code is not None), _text(out.getvalue()), _text(err.getvalue())
        )


@functools.cache
def command() -> Callable[..., object]:
    """What typer makes of the annotations, once: that takes it longer than most verbs take."""
    return typer.main.get_command(app)


def demo_checkpoints(factory: pytest.TempPathFactory) -> Path:
    """The folder with the checkpoints of the demo, made once for all tests that ask, whichever worker runs them."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "demo-checkpoints"
    if not folder.exists():
        made = own / "demo-checkpoints.new"
        script = PROJECT / "demo" / "make_checkpoints.py"
        subprocess.run([sys.executable, script, made], check=True, capture_output=True, timeout=120)
        try:
            made.rename(folder)
        except OSError:  # another worker's are there
            shutil.rmtree(made)
    return folder
