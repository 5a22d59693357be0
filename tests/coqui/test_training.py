"""Merged checkpoints go on in the real trainer: by restore_path in trainer layout, by xtts_checkpoint in any."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from trainer.io import copy_model_files
from TTS.tts.layers.xtts.trainer.gpt_trainer import GPTTrainer

from .checkpoints import Checkpoints, assert_same_tensors, canonical_state, row
from .command import merge
from .training import log_of, start_training, training_config

PAIRINGS = (("release", "release"), ("trainer", "trainer"), ("release", "trainer"))


@dataclass(frozen=True)
class Merged:
    pairing: tuple[str, str]
    path: Path


@pytest.fixture(scope="module", params=PAIRINGS, ids=[row(*pairing) for pairing in PAIRINGS])
def merged(
    request: pytest.FixtureRequest, checkpoints: Checkpoints, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Merged]:
    folder = tmp_path_factory.mktemp("merged")
    first, second = request.param
    sources = {"a": checkpoints.path(first, "a"), "b": checkpoints.path(second, "b")}
    yield Merged(request.param, merge(folder, sources, (0.6, 0.4)))
    shutil.rmtree(folder)


@pytest.mark.claim("trains on: xtts_checkpoint")
def test_training_starts_from_it_by_xtts_checkpoint(merged: Merged, checkpoints: Checkpoints, scratch: Path) -> None:
    model = GPTTrainer(training_config(checkpoints.training_files("a"), scratch, xtts_checkpoint=merged.path))
    # The trainer loads this with strict=False: what it did not find would be random now.
    assert_same_tensors(model.xtts.state_dict(), canonical_state(merged.path))


@pytest.mark.claim("trains on: restore_path")
@pytest.mark.parametrize("merged", PAIRINGS[1:2], ids=[row(*PAIRINGS[1])], indirect=True)
def test_training_goes_on_by_restore_path_with_all_layers(
    merged: Merged, checkpoints: Checkpoints, scratch: Path
) -> None:
    entries = torch.load(merged.path, weights_only=True, mmap=True)
    assert entries.keys() == {"config", "model", "step", "epoch", "model_loss", "xttsrecipe"}
    trainer = start_training(checkpoints.training_files("a"), scratch, restore_path=merged.path)

    assert len(entries["model"]) == 687
    assert_same_tensors(trainer.model.state_dict(), entries["model"])
    log = log_of(trainer)
    assert f"Model restored from step {entries['step']}" in log
    # It says "N / N layers are restored" only where some do not fit.
    assert "Partial model initialization" not in log

    trainer.fit()
    assert (trainer.output_path / "best_model.pth").exists()
    assert trainer.best_loss["train_loss"] < 100


@pytest.mark.parametrize("merged", PAIRINGS[1:2], ids=[row(*PAIRINGS[1])], indirect=True)
def test_training_goes_on_in_a_folder_with_it(merged: Merged, checkpoints: Checkpoints, scratch: Path) -> None:
    files = checkpoints.training_files("a")
    folder = scratch / "run"
    folder.mkdir()
    copy_model_files(training_config(files, scratch), folder, {})
    (folder / "best_model_1.pth").symlink_to(merged.path)
    trainer = start_training(files, scratch, continue_path=folder)
    entries = torch.load(merged.path, weights_only=True, mmap=True)
    assert_same_tensors(trainer.model.state_dict(), entries["model"])
    assert trainer.total_steps_done == entries["step"] + 1
    assert "Optimizer is not compatible" in log_of(trainer), "there is none: it starts anew"


def test_training_files_of_the_first_source_are_in_it_untouched(checkpoints: Checkpoints, scratch: Path) -> None:
    sources = {name: checkpoints.path("trainer", name) for name in "ab"}
    merged = torch.load(merge(scratch, sources, (0.4, 0.6)), weights_only=True, mmap=True)["model"]
    a, b = (torch.load(path, weights_only=True, mmap=True)["model"] for path in sources.values())
    carried = [key for key in a if not key.startswith("xtts.")]
    assert len(carried) == 60
    assert any(not torch.equal(a[key], b[key]) for key in carried)
    assert all(torch.equal(merged[key], a[key]) for key in carried)
