"""Ctrl-C, SIGTERM and kill -9 at any moment of a run: the old output or the new one, never half of either."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.builders import write_recipe
from tests.commands import COMMAND, environment
from tests.faults import fallbacks
from tests.faults.conftest import KINDS, Made, Merge
from tests.faults.moments import STAGES, Moment, record, send, tell
from tests.faults.processes import Launcher
from tests.merging import folder_bytes
from xttsrecipe.claims import claim, hidden_name

SIGNALS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}
# How many moments of each stage are drawn, for each kind of output and each signal; fewer where all runs a second time.
DRAWN = dict(zip(STAGES, (1, 2, 2) if fallbacks.WANTED in os.environ else (3, 5, 4), strict=True))
POINTS = [(stage, number) for stage in STAGES for number in range(DRAWN[stage])]
TOKEN = "0123456789abcdef"

Calls = Mapping[str, Counter[str]]


@pytest.fixture(scope="session")
def calls(made: Mapping[str, Made], launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Calls:
    """How many calls each stage of a run has, by kind of output."""
    found = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp("calls")
        shutil.copytree(made[kind].folder, folder / "merge")
        done = launcher.run(folder / "merge", "run", "recipe.yaml", prepare=[partial(record, folder / "calls")])
        assert done.code == 0, done.err
        found[kind] = Counter(line.split()[0] for line in (folder / "calls").read_text().splitlines())
    return found


def drawn(calls: Calls, kind: str, stage: str, seed: str) -> Moment:
    return Moment(stage, random.Random(f"{kind} {stage} {seed}").randrange(calls[kind][stage]))


def test_every_stage_has_moments_to_draw_from(calls: Calls) -> None:
    for kind in KINDS:
        assert all(calls[kind][stage] >= 8 for stage in STAGES), calls


@pytest.mark.parametrize(("stage", "number"), POINTS)
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_run_leaves_the_old_output_or_the_new_one_and_nothing_else(
    kind: str, name: str, stage: str, number: int, merge: Merge, calls: Calls, launcher: Launcher
) -> None:
    moment = drawn(calls, kind, stage, f"{name} {number}")
    done = launcher.run(merge.folder, "run", "recipe.yaml", prepare=[partial(send, moment, SIGNALS[name])])
    assert (done.code, done.out) == (130, ""), done.err
    assert "interrupted" in done.err
    assert "Traceback" not in done.err
    assert merge.state() == "old" or stage == "committing"


@pytest.mark.parametrize("stage", STAGES)
def test_further_signals_break_nothing_off(
    kind: str, stage: str, merge: Merge, calls: Calls, launcher: Launcher
) -> None:
    """Ctrl-C again and again, while what the first one began is under way."""
    first = drawn(calls, kind, stage, "again").number
    names = ("SIGINT", "SIGTERM", "SIGINT", "SIGHUP")
    prepare = [partial(send, Moment(stage, first + later), getattr(signal, name)) for later, name in enumerate(names)]
    done = launcher.run(merge.folder, "run", "recipe.yaml", prepare=prepare)
    assert (done.code, done.out) == (130, ""), done.err
    assert done.err.count("interrupted") == 1
    assert "Traceback" not in done.err
    assert merge.state() == "old" or stage == "committing"


def test_an_interrupt_before_any_call_of_the_last_stage_leaves_all_files_old_or_all_new(
    kind: str, made: Mapping[str, Made], calls: Calls, launcher: Launcher, tmp_path: Path
) -> None:
    """The vocabulary beside a file included, which takes its place by a call of its own."""
    states = []
    for number in range(calls[kind]["committing"]):
        folder = tmp_path / str(number)
        shutil.copytree(made[kind].folder, folder)
        merge = Merge(folder, made[kind].before, made[kind].after, folder / KINDS[kind][0])
        interrupt = partial(send, Moment("committing", number), signal.SIGINT)
        assert launcher.run(folder, "run", "recipe.yaml", prepare=[interrupt]).code == 130
        states.append(merge.state())
        shutil.rmtree(folder)
    assert states == sorted(states, reverse=True)
    assert set(states) == {"old", "new"}


@pytest.mark.parametrize(("stage", "number"), POINTS)
def test_after_a_kill_the_output_is_whole_and_the_next_run_clears_what_that_run_left_and_nothing_else(
    kind: str, stage: str, number: int, merge: Merge, calls: Calls, launcher: Launcher
) -> None:
    others = leftovers_of_others(merge.target)
    moment = drawn(calls, kind, stage, f"SIGKILL {number}")
    assert launcher.run(merge.folder, "run", "recipe.yaml", prepare=[partial(send, moment, signal.SIGKILL)]).code == -9
    found = merge.now()
    assert_whole(kind, merge, found)
    left = found.keys() - merge.before.keys() - others.keys()
    assert all(".xttsrecipe." in name for name in left)
    with claim(merge.target.with_name("live.pth")):  # another output's run is at work
        again = launcher.run(merge.folder, "run", "recipe.yaml")
        assert again.code == 0, again.err
        assert again.err.count("note: removed what a run that was killed left beside ") == len(temporaries(left))
        live = {name for name in merge.now() if name.endswith(hidden_name(Path("live.pth"), "xttsrecipe.lock"))}
        assert len(live) == 1
    assert merge.now() == {**merge.after, **others}


def temporaries(names: Set[str]) -> set[str]:
    """Those of the names that a run gives, but for its lock and for what lies in a folder with such a name."""
    return {name.rpartition(".")[0] for name in names if name.endswith((".tmp", ".old"))}


def leftovers_of_others(target: Path) -> dict[str, bytes | None]:
    """Makes files that look like a dead run's beside the output, of another output and of no output; their listing."""
    names = [hidden_name(Path("other.pth"), f"{TOKEN}.xttsrecipe.{suffix}") for suffix in ("tmp", "old")]
    names += [hidden_name(Path("other.pth"), "xttsrecipe.lock"), f".{TOKEN}.xttsrecipe.tmp"]
    for name in names:
        target.with_name(name).write_bytes(b"theirs")
    above = "" if target.parent.name == "merge" else f"{target.parent.name}/"
    return dict.fromkeys((above + name for name in names), b"theirs")


def assert_whole(kind: str, merge: Merge, found: Mapping[str, bytes | None]) -> None:
    """A file is the old or the new one, and a directory is so in all its files."""
    states = {found[name] == merge.after[name] for name in merge.before if merge.before[name] != merge.after[name]}
    assert all(found[name] in (merge.before[name], merge.after[name]) for name in merge.before)
    # A file's vocabulary takes its place right before the model: a kill in between leaves that of the new model.
    assert len(states) == 1 or kind == "file with vocabulary"


# --- by the clock ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a recipe over two checkpoints of 42 MB, zeros that take no room, and an old output."""
    folder = tmp_path_factory.mktemp("larger")
    for name in ("news", "audiobook"):
        state = {f"gpt.gpt.h.{layer}.mlp.c_fc.weight": torch.empty(1024, 2048) for layer in range(5)}
        with torch.serialization.skip_data():
            torch.save({"model": state}, folder / f"{name}.pth")
    write_recipe(folder, "checkpoints: {news: news.pth, audiobook: audiobook.pth}\noutput: {path: out/merged.pth}\n")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def undisturbed(larger: Path, launcher: Launcher) -> tuple[float, bytes]:
    """How long a run of it takes, in seconds, and what it makes."""
    started = time.monotonic()
    assert launcher.run(larger, "run", "recipe.yaml").code == 0
    return time.monotonic() - started, (larger / "out/merged.pth").read_bytes()


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_at_any_time(
    name: str, number: int, larger: Path, undisturbed: tuple[float, bytes], launcher: Launcher
) -> None:
    seconds, new = undisturbed
    shutil.rmtree(larger / "out")
    before = folder_bytes(larger)
    begun = launcher.event()
    with launcher.start(larger, "run", "recipe.yaml", prepare=[partial(tell, begun)]) as command:
        assert begun.wait(60)
        time.sleep(random.Random(f"{name} {number}").uniform(0, 0.9 * seconds))
        command.send(SIGNALS[name])
        done = command.wait()
    assert "Traceback" not in done.err
    if done.code == 0 or (larger / "out/merged.pth").exists():  # a moment too late
        assert (larger / "out/merged.pth").read_bytes() == new
    elif name == "SIGKILL":
        assert done.code == -signal.SIGKILL
    else:
        assert (done.code, folder_bytes(larger)) == (130, before)
    again = launcher.run(larger, "run", "recipe.yaml")
    assert again.code == 0, again.err
    assert folder_bytes(larger) == {**before, "out": None, "out/merged.pth": new}


def test_the_command_as_people_start_it_is_killed_and_started_again(
    larger: Path, undisturbed: tuple[float, bytes]
) -> None:
    """In processes that import torch themselves, with a kill as soon as something lies beside the output."""
    command = [*COMMAND, "run", "recipe.yaml", "-o", "killed/merged.pth"]
    with subprocess.Popen(command, cwd=larger, env=environment(), stderr=subprocess.DEVNULL) as process:
        while not (left := list(larger.glob("killed/.*.tmp"))):
            assert process.poll() is None
            time.sleep(0.001)
        process.kill()
    assert left[0].exists()
    done = subprocess.run(command, cwd=larger, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert folder_bytes(larger / "killed") == {"merged.pth": undisturbed[1]}
    shutil.rmtree(larger / "killed")
