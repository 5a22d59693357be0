"""Which checkpoints of a training run are chosen: real files, called and filled as the trainer does it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.builders import save
from tests.samples import config, small_state
from xttsrecipe.codes import Code
from xttsrecipe.errors import CheckpointError, Problem
from xttsrecipe.run_folder import Selection, best_checkpoints, eval_loss_of, last_checkpoints

Choose = Callable[[Path, int], Selection]

EVALUATED = {900: 2.9, 1000: 2.5, 2000: 2.6, 10000: 2.4, 9000: 2.7}


def run_folder(folder: Path, losses: Mapping[int, Any] = EVALUATED) -> Path:
    """The folder of a run, with checkpoints of these steps and eval_losses and the trainer's other files."""
    folder.mkdir(parents=True, exist_ok=True)
    for step, loss in losses.items():
        checkpoint(folder / f"checkpoint_{step}.pth", step, {"train_loss": 2.0, "eval_loss": loss})
    if losses:
        best = folder / f"checkpoint_{max(losses)}.pth"
        for name in ("best_model.pth", f"best_model_{max(losses)}.pth"):
            shutil.copy(best, folder / name)
    for name in ("config.json", "trainer_0_log.txt", "events.out.tfevents.1717236000.host.1.0", "train_gpt_xtts.py"):
        (folder / name).write_text("{}", encoding="utf-8")
    return folder


def checkpoint(path: Path, step: int, model_loss: Any) -> Path:
    state = {f"xtts.{key}": tensor for key, tensor in small_state(step).items()}
    return save(path, state, config=config("run"), step=step, epoch=step // 1000, scaler=None, model_loss=model_loss)


def steps(chosen: Selection) -> list[int]:
    return [each.step for each in chosen.checkpoints]


def refusal(choose: Choose, folder: Path, count: int) -> Problem:
    with pytest.raises(CheckpointError) as caught:
        choose(folder, count)
    (problem,) = caught.value.problems
    return problem


# --- the last ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "expected"), [(1, [10000]), (2, [9000, 10000]), (5, [900, 1000, 2000, 9000, 10000])])
def test_the_last_are_those_with_the_largest_numbers_oldest_first(
    tmp_path: Path, count: int, expected: list[int]
) -> None:
    chosen = last_checkpoints(run_folder(tmp_path / "x"), count)
    assert (steps(chosen), chosen.left_out) == (expected, ())
    assert [each.header.path for each in chosen.checkpoints] == [
        tmp_path / "x" / f"checkpoint_{step}.pth" for step in expected
    ]


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint_.pth", "checkpoint_99999.pt", "checkpoint_99999.pth.tmp", "checkpoint_99999", "checkpoint_-1.pth",
        "checkpoint_1e9.pth", "checkpoint_٩٩٩٩٩.pth", "my_checkpoint_99999.pth", "Checkpoint_99999.pth",
        "checkpoint_99999.pth\n", "best_model_99999.pth", ".checkpoint_99999.pth.swp", f"checkpoint_{'9' * 200}.pth",
    ],
)  # fmt: skip
def test_other_files_are_no_checkpoints_of_the_run(tmp_path: Path, name: str) -> None:
    folder = run_folder(tmp_path)
    (folder / name).write_bytes(b"something else")
    assert steps(last_checkpoints(folder, 1)) == steps(best_checkpoints(folder, 1)) == [10000]


def test_numbers_may_be_written_with_zeros_before_them(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, {})
    for name in ("checkpoint_000900.pth", "checkpoint_010000.pth", "checkpoint_002000.pth"):
        checkpoint(folder / name, 1, None)
    assert steps(last_checkpoints(folder, 2)) == [2000, 10000]


def test_only_what_is_chosen_is_opened(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    (folder / "checkpoint_900.pth").write_bytes(b"")
    assert steps(last_checkpoints(folder, 4)) == [1000, 2000, 9000, 10000]


# --- the best ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [10000]), (2, [1000, 10000]), (3, [1000, 2000, 10000]), (4, [1000, 2000, 9000, 10000])]
)
def test_the_best_have_the_smallest_eval_loss_and_come_oldest_first(
    tmp_path: Path, count: int, expected: list[int]
) -> None:
    chosen = best_checkpoints(run_folder(tmp_path), count)
    assert (steps(chosen), chosen.left_out) == (expected, ())


def test_of_equal_losses_the_newer_are_better(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, {9: 2.5, 10: 2.5, 11: 2.5, 100: 2.5, 8: 2.4})
    assert steps(best_checkpoints(folder, 1)) == [8]
    assert steps(best_checkpoints(folder, 3)) == [8, 11, 100]


def test_those_without_a_loss_are_left_out_by_name(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, {1: None, 2: float("nan"), 3: 2.5, 4: float("-inf"), 5: 2.6, 6: "2.1", 7: True})
    checkpoint(folder / "checkpoint_8.pth", 8, 2.2)
    checkpoint(folder / "checkpoint_9.pth", 9, None)
    checkpoint(folder / "checkpoint_10.pth", 10, {"train_loss": 1.0})
    chosen = best_checkpoints(folder, 2)
    assert steps(chosen) == [3, 5]
    strange = "its eval_loss is not a finite number"
    expected = {
        1: "it has no eval_loss", 2: strange, 4: strange, 6: strange, 7: strange,
        8: "its model_loss does not say what is its eval_loss", 9: "it has no eval_loss", 10: "it has no eval_loss",
    }  # fmt: skip
    assert list(chosen.left_out) == [
        f"{folder / f'checkpoint_{step}.pth'} is left out: {why}" for step, why in expected.items()
    ]


def test_none_with_a_loss_is_an_error_that_names_all(tmp_path: Path) -> None:
    problem = refusal(best_checkpoints, run_folder(tmp_path, {1: None, 2: float("nan")}), 2)
    assert problem.code is Code.NO_EVAL_LOSS
    assert problem.details == (
        "checkpoint_1.pth: it has no eval_loss",
        "checkpoint_2.pth: its eval_loss is not a finite number",
    )
    assert problem.hint == "--last 2 goes by their steps"


def test_too_few_with_a_loss_is_an_error_that_names_the_others(tmp_path: Path) -> None:
    problem = refusal(best_checkpoints, run_folder(tmp_path, {1: None, 2: 2.5, 3: 2.6}), 3)
    assert problem.code is Code.TOO_FEW_CHECKPOINTS
    assert problem.what == "has an eval_loss for 2 of the 3 checkpoints that are asked for"
    assert problem.details == ("checkpoint_1.pth: it has no eval_loss",)
    assert problem.hint == "--best 2 takes these, --last 3 goes by their steps"


@pytest.mark.parametrize("loss", [2, 2.5, -1.0, 0, 0.0, 1e300])
def test_numbers_are_losses(loss: float) -> None:
    assert eval_loss_of({"model_loss": {"eval_loss": loss}}) == loss


@pytest.mark.parametrize("loss", [None, True, "2.5", [2.5], {}, float("inf"), float("nan"), 10**400, 1j])
def test_anything_else_is_no_loss(loss: Any) -> None:
    assert isinstance(eval_loss_of({"model_loss": {"eval_loss": loss}}), str)


@pytest.mark.parametrize("losses", [None, 2.5, "2.5", [], {}, {"train_loss": 2.5}])
def test_a_loss_that_may_be_of_training_is_not_compared(losses: Any) -> None:
    assert isinstance(eval_loss_of({"model_loss": losses}), str)


def test_a_tensor_is_no_loss(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, {1: torch.tensor(2.5), 2: 2.6})
    assert steps(best_checkpoints(folder, 1)) == [2]


def test_a_loss_that_a_release_file_keeps_aside_counts() -> None:
    aside = {"xttsrecipe": {"training": {"model_loss": {"eval_loss": 2.5}}}}
    assert eval_loss_of(aside) == 2.5


# --- both -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[last_checkpoints, best_checkpoints], ids=["last", "best"])
def choose(request: pytest.FixtureRequest) -> Choose:
    chooses: Choose = request.param
    return chooses


def test_fewer_than_asked_for_is_an_error_that_names_what_there_is(tmp_path: Path, choose: Choose) -> None:
    problem = refusal(choose, run_folder(tmp_path), 6)
    assert problem.code is Code.TOO_FEW_CHECKPOINTS
    assert str(problem) == f"{tmp_path}: has 5 of the 6 checkpoints that are asked for"
    assert problem.details == tuple(f"checkpoint_{step}.pth" for step in (900, 1000, 2000, 9000, 10000))
    assert problem.hint in ("--last 5 takes all of them", "--best 5 takes all of them")


def test_none_is_an_error_that_names_what_else_there_is(tmp_path: Path, choose: Choose) -> None:
    folder = run_folder(tmp_path, {})
    checkpoint(folder / "best_model_7.pth", 7, None)
    problem = refusal(choose, folder, 1)
    assert problem.what == "has no checkpoint of the trainer"
    assert problem.found == "best_model_7.pth"
    assert problem.hint == "name the folder that the trainer wrote its checkpoints to"


def test_the_folder_above_is_an_error_that_names_the_run(tmp_path: Path, choose: Choose) -> None:
    run_folder(tmp_path / "training" / "GPT_XTTS_FT-June")
    run_folder(tmp_path / "training" / "empty", {})
    problem = refusal(choose, tmp_path / "training", 1)
    assert problem.hint == f"they lie further down: {tmp_path / 'training' / 'GPT_XTTS_FT-June'}{os.sep}"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path, choose: Choose) -> None:
    assert refusal(choose, tmp_path / "absent", 1).code is Code.MISSING_FILE


def test_a_file_is_an_error_that_names_its_folder(tmp_path: Path, choose: Choose) -> None:
    problem = refusal(choose, run_folder(tmp_path) / "best_model.pth", 1)
    assert problem.code is Code.UNREADABLE_FILE
    assert problem.what == "is a file, not the folder of a training run"
    assert problem.hint == f"name its folder: {tmp_path}"


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_below_1_is_no_count(tmp_path: Path, choose: Choose, count: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        choose(tmp_path, count)


@pytest.mark.parametrize("kept", [0, 10, 4000, -30])
def test_every_file_that_is_cut_short_is_named(tmp_path: Path, choose: Choose, kept: int) -> None:
    folder = run_folder(tmp_path)
    for step in (9000, 10000):
        path = folder / f"checkpoint_{step}.pth"
        path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError) as caught:
        choose(folder, 3)
    named = sorted(str(problem.where) for problem in caught.value.problems)
    assert named == [str(folder / "checkpoint_10000.pth"), str(folder / "checkpoint_9000.pth")]


def test_a_link_to_nothing_is_named(tmp_path: Path, choose: Choose) -> None:
    folder = run_folder(tmp_path)
    (folder / "checkpoint_20000.pth").symlink_to("gone.pth")
    assert str(refusal(choose, folder, 2).where) == str(folder / "checkpoint_20000.pth")


def test_links_to_files_elsewhere_are_checkpoints_like_any(tmp_path: Path, choose: Choose) -> None:
    stored = run_folder(tmp_path / "store")
    folder = tmp_path / "x"
    folder.mkdir()
    for path in stored.glob("checkpoint_*.pth"):
        (folder / path.name).symlink_to(path.rename(path.with_name(f"{path.stem}.blob")))
    chosen = choose(folder, 2)
    assert steps(chosen)[-1] == 10000
    assert {each.header.path.parent for each in chosen.checkpoints} == {folder}


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_a_file_that_is_there_twice_counts_once(tmp_path: Path, choose: Choose, link: Callable[..., None]) -> None:
    folder = run_folder(tmp_path, {1000: 2.5, 2000: 2.6})
    link(folder / "checkpoint_2000.pth", folder / "checkpoint_3000.pth")
    chosen = choose(folder, 2)
    assert steps(chosen) == [1000, 2000]
    why = "it is checkpoint_2000.pth under another name"
    assert chosen.left_out == (f"{folder / 'checkpoint_3000.pth'} is left out: {why}",)
    assert f"checkpoint_3000.pth: {why}" in refusal(choose, folder, 3).details


def test_a_folder_of_such_a_name_is_left_out(tmp_path: Path, choose: Choose) -> None:
    folder = run_folder(tmp_path)
    (folder / "checkpoint_20000.pth").mkdir()
    chosen = choose(folder, 1)
    assert steps(chosen) == [10000]
    assert chosen.left_out == (f"{folder / 'checkpoint_20000.pth'} is left out: it is a folder",)


@pytest.mark.parametrize("name", ["my run (1)", "-5", "${HOME}", "{a,b}", "läuft", "a\nb", "~x", "%s"])
def test_a_run_may_be_called_anything(tmp_path: Path, choose: Choose, name: str) -> None:
    assert steps(choose(run_folder(tmp_path / name), 1)) == [10000]


def test_a_link_to_the_folder_is_the_folder(tmp_path: Path, choose: Choose) -> None:
    run_folder(tmp_path / "x")
    (tmp_path / "latest").symlink_to("x")
    assert steps(choose(tmp_path / "latest", 1)) == [10000]
