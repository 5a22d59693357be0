"""Fuzzes the readers for as long as it is told: ``python -m tests.fuzz --seconds 300``.

Each target in turn, half of the time with what hypothesis makes up, the other half guided by coverage where atheris is
installed. What a target fails on is kept in ``.fuzz/found``; ``python -m tests.fuzz --replay FILE`` gives it to the
target again.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from tests.fuzz.inputs import INPUTS
from tests.fuzz.seeds import write_seeds
from tests.fuzz.targets import TARGETS, attempt, peak_bytes, reset_peak
from tests.hostile.sandbox import MEMORY_BYTES

PROJECT = Path(__file__).parent.parent.parent
FOUND = Path(".fuzz/found")
CORPUS = Path(".fuzz/corpus")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the readers.")
    parser.add_argument("--seconds", type=int, default=300, help="for all targets together")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="give an input that was found to its target again")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all if none is named")
    given_ = parser.parse_args(arguments)
    unknown = [name for name in given_.targets if name not in TARGETS]
    if unknown:
        parser.error(f"no target is named {unknown[0]}")
    if given_.replay:
        attempt(given_.replay.name.partition("-")[0], given_.replay.read_bytes())
        say(f"{given_.replay} does no harm any more")
        return 0
    guided = importlib.util.find_spec("atheris") is not None
    if not guided:
        say("atheris is not installed here (make fuzz tries to): all the time goes to hypothesis")
    names = given_.targets or list(TARGETS)
    share = given_.seconds / len(names) / (2 if guided else 1)
    before = {path.name for path in FOUND.glob("*")}
    for name in names:
        explore(name, share)
        if guided:
            follow(name, share)
    found = sorted(path for path in FOUND.glob("*") if path.name not in before)
    for path in found:
        say(f"found {path}: python -m tests.fuzz --replay {path}")
    say(f"{len(found)} inputs found that a target fails on" if found else "nothing found")
    return int(bool(found))


def explore(name: str, seconds: float) -> None:
    """Give a target what hypothesis makes up, and keep the smallest input that it fails on."""
    count, failing = 0, b""
    end = time.monotonic() + seconds
    start = reset_peak()

    @settings(
        max_examples=100, database=None, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck)
    )
    @given(INPUTS[name])
    def any_input(data: bytes) -> None:
        nonlocal count, failing
        count += 1
        failing = data
        attempt(name, data)

    try:
        while time.monotonic() < end:
            any_input()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        traceback.print_exc()
        FOUND.mkdir(parents=True, exist_ok=True)
        (FOUND / f"{name}-{hashlib.sha256(failing).hexdigest()[:16]}").write_bytes(failing)
    grown = peak_bytes() - start
    say(f"{name}: {count:,} inputs by hypothesis, at most {grown >> 20} MiB on top")
    if grown > MEMORY_BYTES:
        say(f"{name}: that is more than {MEMORY_BYTES >> 20} MiB")


def follow(name: str, seconds: float) -> None:
    """Let atheris find inputs for a target, from good and hostile files on."""
    folder = CORPUS / name
    write_seeds(name, folder)
    FOUND.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.guided", name, str(max(int(seconds), 1)), str(folder)]
    done = subprocess.run([*command, f"-artifact_prefix={FOUND}/{name}-"], capture_output=True, text=True, check=False)
    runs = re.search(r"Done (\d+) runs", done.stderr) or re.search(r"(?s:.*)#(\d+)", done.stderr)
    say(f"{name}: {int(runs[1]) if runs else 0:,} inputs by atheris, {len(list(folder.iterdir())):,} kept")
    if done.returncode:
        say(done.stderr[-5_000:])


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
