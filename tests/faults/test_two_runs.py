"""Several runs to one output at once: one has it, the others are told so, and nothing is ever half of each."""

from __future__ import annotations

import random
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.conftest import Listing, Merge
from tests.faults.moments import Moment
from tests.faults.processes import Launcher
from tests.merging import folder_bytes

BUSY = ": is being written by another run"
NOT_REPLACED = ": is not replaced: it was written, changed or removed since the run began"
MOMENTS = [Moment("writing", number) for number in (2, 9, 23, 40)] + [Moment("committing", n) for n in (0, 4)]


def weighted(number: int) -> list[str]:
    """What makes a run's output one of its own."""
    share = round(0.2 + 0.1 * number, 1)
    return ["--set", f"weights.news={share}", "--set", f"weights.audiobook={round(1 - share, 1)}"]


def named(moment: object) -> str:
    return f"{moment.stage} {moment.number}" if isinstance(moment, Moment) else str(moment)


@pytest.mark.parametrize("moment", MOMENTS, ids=named)
def test_while_a_run_is_at_work_another_is_refused_and_disturbs_nothing(
    moment: Moment, merge: Merge, launcher: Launcher
) -> None:
    with launcher.paused(moment, merge.folder, "run", "recipe.yaml") as (first, go_on):
        before = around(merge)
        for more in (weighted(3), ["--force"]):
            second = launcher.run(merge.folder, "run", "recipe.yaml", *more)
            assert (second.code, second.out) == (1, ""), second.err
            assert BUSY in second.err
            assert "help: wait until that one is done" in second.err
            assert "merging" not in second.err  # it is known before anything is read
            assert around(merge) == before
        go_on()
        done = first.wait()
    assert done.code == 0, done.err
    assert merge.state() == "new"


def around(merge: Merge) -> Listing:
    """The listing, but for what a thread of the first run may be writing yet."""
    return {name: None if ".xttsrecipe.tmp" in name else data for name, data in merge.now().items()}


def test_a_plan_disturbs_no_run_and_is_not_disturbed(merge: Merge, launcher: Launcher) -> None:
    with launcher.paused(MOMENTS[1], merge.folder, "run", "recipe.yaml") as (first, go_on):
        before = around(merge)
        planned = launcher.run(merge.folder, "plan", "recipe.yaml")
        assert planned.code == 0
        assert around(merge) == before
        go_on()
        assert first.wait().code == 0
    assert merge.state() == "new"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_when_the_first_is_ended_the_next_has_its_turn(number: int, merge: Merge, launcher: Launcher) -> None:
    with launcher.paused(MOMENTS[2], merge.folder, "run", "recipe.yaml") as (first, go_on):
        assert launcher.run(merge.folder, "run", "recipe.yaml").code == 1
        first.send(number)
        if number != signal.SIGKILL:
            go_on()
        assert first.wait().code == (130 if number == signal.SIGINT else -number)
    second = launcher.run(merge.folder, "run", "recipe.yaml")
    assert second.code == 0, second.err
    assert merge.state() == "new"


@pytest.mark.parametrize("seed", range(3))
def test_of_runs_that_go_together_the_output_is_that_of_one_that_says_so(
    seed: int, merge: Merge, launcher: Launcher
) -> None:
    """All have found that they may before the first begins; each has weights of its own, which the output shows."""
    outputs = []
    for number in range(3):
        assert launcher.run(merge.folder, "run", "--force", "recipe.yaml", *weighted(number)).code == 0
        outputs.append(merge.now())
    assert len({str(sorted(output.items())) for output in outputs}) == 3
    draw = random.Random(seed)
    with ExitStack() as all_of_them:
        runs = []
        for number in range(3):
            arguments = ("run", "--force", "recipe.yaml", *weighted(number))
            at_once = launcher.paused(Moment("writing", 0), merge.folder, *arguments)
            runs.append(all_of_them.enter_context(at_once))
        for _, go_on in draw.sample(runs, 3):
            go_on()
            time.sleep(draw.uniform(0, 0.005))
        done = [command.wait() for command, _ in runs]
    for one in done:
        assert one.code == 0 or (one.code == 1 and not one.out and (BUSY in one.err or NOT_REPLACED in one.err)), one
    assert [merge.now()] == [output for output, one in zip(outputs, done, strict=True) if one.code == 0]


@pytest.mark.parametrize("new", [False, True], ids=["over an old output", "into a new folder"])
def test_a_run_that_is_overtaken_before_it_begins_to_write_says_so(
    new: bool, merge: Merge, launcher: Launcher, tmp_path: Path
) -> None:
    """As when both import torch, and one is done before the other has."""
    output = f"{tmp_path}/new/{merge.target.name}{'/' if merge.target.is_dir() else ''}"
    arguments = ["run", "recipe.yaml", *(["-o", output] if new else [])]
    with launcher.paused(Moment("writing", 0), merge.folder, *arguments) as (slower, go_on):
        assert launcher.run(merge.folder, *arguments, *weighted(1)).code == 0
        after = merge.now(), folder_bytes(tmp_path)
        go_on()
        done = slower.wait()
    assert (done.code, done.out) == (1, ""), done.err
    assert NOT_REPLACED in done.err
    assert (merge.now(), folder_bytes(tmp_path)) == after


# --- without locks --------------------------------------------------------------------------------------------------


def without_locks() -> None:
    """As on a file system that has none."""
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    fcntl.flock = refuse


@pytest.mark.parametrize("moment", MOMENTS[:5], ids=named)
def test_where_there_are_no_locks_the_run_that_is_done_first_has_it(
    moment: Moment, merge: Merge, launcher: Launcher
) -> None:
    with launcher.paused(moment, merge.folder, "run", "recipe.yaml", prepare=[without_locks]) as (first, go_on):
        second = launcher.run(
            merge.folder, "run", "recipe.yaml", "--set", "weights.news=0.3", "--set", "weights.audiobook=0.7",
            prepare=[without_locks],
        )  # fmt: skip
        assert second.code == 0, second.err
        go_on()
        done = first.wait()
    assert (done.code, done.out) == (1, ""), done.err
    assert NOT_REPLACED in done.err
    assert merge.now().keys() == merge.before.keys()
    assert merge.now() not in (merge.before, merge.after)


def test_without_locks_what_a_killed_run_left_stays_for_it_might_be_alive(merge: Merge, launcher: Launcher) -> None:
    with launcher.paused(MOMENTS[2], merge.folder, "run", "recipe.yaml", prepare=[without_locks]) as (first, _):
        first.send(signal.SIGKILL)
        first.wait()
    left = merge.now().keys() - merge.before.keys()
    assert left
    assert launcher.run(merge.folder, "run", "recipe.yaml", prepare=[without_locks]).code == 0
    assert {name: data for name, data in merge.now().items() if name not in left} == merge.after
    assert launcher.run(merge.folder, "run", "recipe.yaml").code == 0
    assert left <= merge.now().keys()
