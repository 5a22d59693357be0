"""output.layout with the real trainer: what resumes, what is refused, and what only looks as if it resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from TTS.tts.layers.xtts.trainer.gpt_trainer import GPTTrainer

from . import client
from .checkpoints import Checkpoints, assert_same_tensors, canonical_state
from .command import merge, write_recipe, xttsrecipe
from .models import State
from .training import log_of, start_training, training_config

WEIGHTS = (0.6, 0.4)

TO_TRAINER = "release + trainer, to trainer"
TO_RELEASE = "trainer + trainer, to release"


def _sources(checkpoints: Checkpoints, first: str, second: str) -> dict[str, Path]:
    return {"a": checkpoints.path(first, "a"), "b": checkpoints.path(second, "b")}


def _model_of(path: Path) -> State:
    model: State = torch.load(path, weights_only=True, mmap=True)["model"]
    return model


def _training_only(model: State) -> State:
    return {key: tensor for key, tensor in model.items() if not key.startswith("xtts.")}


@pytest.fixture(scope="module")
def to_trainer(checkpoints: Checkpoints, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = _sources(checkpoints, "release", "trainer")
    return merge(tmp_path_factory.mktemp("to_trainer"), sources, WEIGHTS, output={"layout": "trainer"})


@pytest.fixture(scope="module")
def to_release(checkpoints: Checkpoints, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = _sources(checkpoints, "trainer", "trainer")
    return merge(tmp_path_factory.mktemp("to_release"), sources, WEIGHTS, output={"layout": "release"})


@pytest.mark.claim("loads strictly, speaks", row=TO_TRAINER)
def test_trainer_layout_speaks(to_trainer: Path, checkpoints: Checkpoints) -> None:
    client.assert_speech(client.speak(checkpoints.load(to_trainer), checkpoints.reference))


@pytest.mark.claim("trains on: restore_path", row=TO_TRAINER)
def test_trainer_layout_is_restored_whole(to_trainer: Path, checkpoints: Checkpoints, scratch: Path) -> None:
    trainer = start_training(checkpoints.training_files("a"), scratch, restore_path=to_trainer)
    assert_same_tensors(trainer.model.state_dict(), _model_of(to_trainer))
    assert "Partial model initialization" not in log_of(trainer)


def test_trainer_layout_carries_the_first_training_files_there_are(to_trainer: Path, checkpoints: Checkpoints) -> None:
    carried = _training_only(_model_of(to_trainer))
    assert len(carried) == 60
    assert_same_tensors(carried, _training_only(_model_of(checkpoints.path("trainer", "b"))))


def test_trainer_layout_of_releases_resumes_with_the_trainers_own_dvae(checkpoints: Checkpoints, scratch: Path) -> None:
    merged = merge(scratch, _sources(checkpoints, "release", "release"), WEIGHTS, output={"layout": "trainer"})
    trainer = start_training(checkpoints.training_files("a"), scratch, restore_path=merged)
    # All that the file has is restored; the 60 tensors that no release has are those that the trainer was started with.
    assert "627 / 687 layers are restored" in log_of(trainer)
    state = trainer.model.state_dict()
    model = _model_of(merged)
    assert len(model) == 627
    assert_same_tensors({key: state[key] for key in model}, model)
    dvae = torch.load(checkpoints.training_files("a").dvae, weights_only=True)
    assert_same_tensors({key: state[f"dvae.{key}"] for key in dvae}, dvae)


def test_metadata_from_says_whose_training_files_are_carried(checkpoints: Checkpoints, scratch: Path) -> None:
    sources = _sources(checkpoints, "trainer", "trainer")
    merged = merge(scratch, sources, WEIGHTS, metadata={"from": "b"}, output={"layout": "trainer"})
    assert_same_tensors(_training_only(_model_of(merged)), _training_only(_model_of(sources["b"])))


@pytest.mark.claim("loads strictly, speaks", row=TO_RELEASE)
def test_release_layout_speaks(to_release: Path, checkpoints: Checkpoints) -> None:
    client.assert_speech(client.speak(checkpoints.load(to_release), checkpoints.reference))


@pytest.mark.claim("trains on: xtts_checkpoint", row=TO_RELEASE)
def test_release_layout_trains_on_by_xtts_checkpoint(to_release: Path, checkpoints: Checkpoints, scratch: Path) -> None:
    model = GPTTrainer(training_config(checkpoints.training_files("a"), scratch, xtts_checkpoint=to_release))
    assert_same_tensors(model.xtts.state_dict(), canonical_state(to_release))


def test_release_layout_keeps_the_training_where_no_trainer_looks(
    to_release: Path, checkpoints: Checkpoints, scratch: Path
) -> None:
    entries = torch.load(to_release, weights_only=True, mmap=True)
    assert entries.keys() == {"config", "model", "xttsrecipe"}
    assert set(entries["model"]) == set(canonical_state(checkpoints.path("release", "a")))
    assert entries["xttsrecipe"]["training"].keys() == {"step", "epoch", "model_loss"}
    with pytest.raises(KeyError, match="step"):
        start_training(checkpoints.training_files("a"), scratch, restore_path=to_release)


def test_a_step_at_top_level_of_a_release_file_is_warned_of(checkpoints: Checkpoints, scratch: Path) -> None:
    recipe = write_recipe(scratch, _sources(checkpoints, "release", "trainer"), WEIGHTS, "merged.pth")
    done = xttsrecipe("run", recipe)
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert any("step" in line and "restore_path" in line for line in warnings), done.stderr

    # What it warns of: the trainer takes the file, restores nothing, and goes on.
    trainer = start_training(checkpoints.training_files("a"), scratch, restore_path=scratch / "merged.pth")
    assert "0 / 687 layers are restored" in log_of(trainer)
