"""Processes that this one starts, one at a time. What breaks this one off ends them too, with all that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

PROJECT = Path(__file__).parent.parent

# getrusage(2): bytes on macOS, KiB elsewhere.
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


def run(
    command: Sequence[str | Path], output: IO[bytes] | int | None = None, environ: Mapping[str, str] | None = None
) -> tuple[int, int]:
    """Run a command in the project's folder, until it ends. Returns its exit status, and the most memory that was
    resident, in bytes. ``output``: where both its streams go; this process's own if left out.
    """
    process = None
    try:
        with _signals_waiting():
            # In a session of its own: Ctrl-C is for this process alone, and all that the command starts is one group.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=PROJECT,
                env=environ,
                start_new_session=True,
            )
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        if process:
            with contextlib.suppress(OSError):  # where it has just ended
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * _PEAK_UNIT


@contextlib.contextmanager
def _signals_waiting() -> Iterator[None]:
    """Until a process is known it cannot be killed. It begins with these signals blocked; what kills it is another."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
