"""The demo's checkpoints: small, but with the keys, layouts and metadata that real ones have."""

from __future__ import annotations

import functools
import runpy
import sys
from pathlib import Path

import pytest
import torch

import xttsrecipe
from tests.commands import PROJECT, demo_checkpoints, invoke
from xttsrecipe.run_folder import best_checkpoints, last_checkpoints
from xttsrecipe.xtts import known_tensors, training_only_tensors

SCRIPT = PROJECT / "demo" / "make_checkpoints.py"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_checkpoints(tmp_path_factory)


@functools.cache
def load(path: Path) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = torch.load(path, weights_only=True, mmap=True)["model"]
    return {key.removeprefix("xtts."): tensor for key, tensor in model.items()}


def test_it_makes_four_checkpoints_and_a_run(checkpoints: Path) -> None:
    made = ["audiobook.pth", "base.pth", "drama.pth", "news.pth", "run"]
    assert sorted(path.name for path in checkpoints.iterdir()) == made


def test_the_run_is_as_the_trainer_leaves_it(checkpoints: Path) -> None:
    run = checkpoints / "run"
    steps = range(1000, 6001, 1000)
    names = ["best_model.pth", *(f"checkpoint_{step}.pth" for step in steps), "config.json"]
    assert sorted(path.name for path in run.iterdir()) == names
    for step in steps:
        header = xttsrecipe.inspect(run / f"checkpoint_{step}.pth")
        assert (header.layout, header.version) == ("trainer", "v2.0.3")
        assert (list(header.tensors), list(header.training_only)) == (
            list(known_tensors()),
            list(training_only_tensors()),
        )
        assert header.entries["step"] == step
        assert {"optimizer", "scheduler", "scaler"} <= {*header.bulk, *header.entries}
        assert set(header.entries["model_loss"]) == {"train_loss", "eval_loss"}


def test_the_run_changes_the_gpt_from_checkpoint_to_checkpoint(checkpoints: Path) -> None:
    one, other = (load(checkpoints / "run" / f"checkpoint_{step}.pth") for step in (5000, 6000))
    for key, tensor in one.items():
        assert torch.equal(tensor, other[key]) != key.startswith("gpt."), key


def test_its_best_are_others_than_its_last(checkpoints: Path) -> None:
    run = checkpoints / "run"
    best, last = best_checkpoints(run, 3), last_checkpoints(run, 3)
    assert [each.step for each in best.checkpoints] == [3000, 5000, 6000]
    assert [each.step for each in last.checkpoints] == [4000, 5000, 6000]
    assert best.left_out == (f"{run / 'checkpoint_1000.pth'} is left out: it has no eval_loss",)
    assert xttsrecipe.inspect(run / "best_model.pth").entries["step"] == best_checkpoints(run, 1).checkpoints[0].step


@pytest.mark.parametrize(
    ("name", "layout"), [("base", "release"), ("news", "release"), ("drama", "release"), ("audiobook", "trainer")]
)
def test_a_checkpoint_has_the_layout_and_all_keys_of_a_real_one(checkpoints: Path, name: str, layout: str) -> None:
    header = xttsrecipe.inspect(checkpoints / f"{name}.pth")
    assert (header.layout, header.version) == (layout, "v2.0.3")
    assert list(header.tensors) == list(known_tensors())
    assert list(header.training_only) == (list(training_only_tensors()) if layout == "trainer" else [])
    assert header.leftovers == ()


@pytest.mark.parametrize("name", ["base", "news", "drama", "audiobook"])
def test_types_and_dimensions_are_the_real_ones_at_reduced_width(checkpoints: Path, name: str) -> None:
    header = xttsrecipe.inspect(checkpoints / f"{name}.pth")
    for key, real in known_tensors().items():
        made = header.tensors[key].spec
        assert made.dtype == real.dtype, key
        assert len(made.shape) == len(real.shape), key
        assert all(0 < small <= full for small, full in zip(made.shape, real.shape, strict=True)), key
    assert (checkpoints / f"{name}.pth").stat().st_size < 50_000_000


def test_step_epoch_and_losses_differ(checkpoints: Path) -> None:
    news, audiobook = (xttsrecipe.inspect(checkpoints / f"{name}.pth").entries for name in ("news", "audiobook"))
    for entry in ("step", "epoch", "model_loss"):
        assert news[entry] != audiobook[entry]
    assert set(news["model_loss"]) == set(audiobook["model_loss"]) == {"train_loss", "eval_loss"}


def test_the_trainers_checkpoint_holds_what_training_leaves(checkpoints: Path) -> None:
    header = xttsrecipe.inspect(checkpoints / "audiobook.pth")
    assert {"optimizer", "scheduler", "scaler"} <= {*header.bulk, *header.entries}
    assert header.bulk["optimizer"] > sum(tensor.spec.nbytes for tensor in header.tensors.values())


def test_fine_tuning_changed_what_training_touches_and_nothing_else(checkpoints: Path) -> None:
    base = load(checkpoints / "base.pth")
    for name, prefixes in (
        ("news", ("gpt.",)),
        ("drama", ("gpt.",)),
        ("audiobook", ("gpt.", "hifigan_decoder.waveform_decoder.")),
    ):
        tuned = load(checkpoints / f"{name}.pth")
        for key, tensor in base.items():
            assert torch.equal(tuned[key], tensor) == (not key.startswith(prefixes)), key


def test_the_config_describes_the_tensors(checkpoints: Path) -> None:
    for name in ("base", "news", "drama", "audiobook", "run/checkpoint_6000"):
        header = xttsrecipe.inspect(checkpoints / f"{name}.pth")
        arguments = header.entries["config"]["model_args"]
        assert arguments["gpt_number_text_tokens"] == header.tensors["gpt.text_embedding.weight"].spec.shape[0]
        assert arguments["gpt_num_audio_tokens"] == header.tensors["gpt.mel_embedding.weight"].spec.shape[0]
        assert arguments["gpt_n_model_channels"] == header.tensors["gpt.text_embedding.weight"].spec.shape[1]
        assert arguments["gpt_max_audio_tokens"] + 3 == header.tensors["gpt.mel_pos_embedding.emb.weight"].spec.shape[0]
        assert arguments["gpt_max_text_tokens"] + 2 == header.tensors["gpt.text_pos_embedding.emb.weight"].spec.shape[0]


def make(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Runs the script in this process."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_making_them_again_gives_the_same_bytes(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(monkeypatch, str(tmp_path / "again"))
    for name in ("base", "news", "drama", "audiobook", "run/checkpoint_1000", "run/best_model"):
        again = (tmp_path / "again" / f"{name}.pth").read_bytes()
        assert again == (checkpoints / f"{name}.pth").read_bytes()


def test_the_demo_of_the_readme_merges_them(checkpoints: Path, tmp_path: Path) -> None:
    recipe = PROJECT / "recipes" / "news_audiobook.yaml"
    options = [
        part for name in ("news", "audiobook") for part in ("--set", f"checkpoints.{name}={checkpoints / name}.pth")
    ]
    assert invoke("run", recipe, *options, "-o", tmp_path / "merged.pth").code == 0
    shown = invoke("inspect", tmp_path / "merged.pth")
    assert "XTTS v2.0.3" in shown.out
    assert "recipe news_audiobook, from news, audiobook" in shown.out


def test_a_wrong_argument_is_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        make(monkeypatch)
    assert "folder" in capsys.readouterr().err
