"""The verb init for training runs; for given checkpoints see tests/test_cli.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from tests.commands import invoke
from tests.test_run_folder import run_folder


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the folder of a run in runs/x: the best is not the last."""
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path / "runs" / "x", {1: None, 9: 2.3, 10: 2.5, 100: 2.4, 200: 2.6})
    return tmp_path


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        (["--last", "3"], {"step_10": 0.3333, "step_100": 0.3333, "step_200": 0.3334}),
        (["--best", "3"], {"step_9": 0.3333, "step_10": 0.3333, "step_100": 0.3334}),
        (["--last", "2", "--ema", "0.25"], {"step_100": 0.2, "step_200": 0.8}),
        (["--best", "2", "--ema", "0.25"], {"step_9": 0.2, "step_100": 0.8}),
        (["--last", "1", "--ema", "1"], {"step_200": 1}),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("folder", ["runs/x", "runs/x/", "runs/x/../x"])
def test_what_init_writes_for_a_run_validates_plans_and_runs(
    runs: Path, options: list[str], weights: dict[str, float], folder: str
) -> None:
    (runs / "recipes").mkdir()
    shown = invoke("init", *options, folder, "-o", "recipes/average.yaml")
    assert (shown.code, shown.out) == (0, ""), shown.err
    text = (runs / "recipes" / "average.yaml").read_text("utf-8")
    data = yaml.safe_load(text)
    assert data["weights"] == weights
    assert list(data["checkpoints"].values()) == [
        f"../runs/x/checkpoint_{step.removeprefix('step_')}.pth" for step in weights
    ]
    for verb in ("validate", "plan", "run"):
        done = invoke(verb, "recipes/average.yaml")
        assert (done.code, "refused" in done.err) == (0, False), done.err
    merged = torch.load(runs / "recipes" / data["output"]["path"], weights_only=True)
    parents = [torch.load(runs / "recipes" / path, weights_only=True) for path in data["checkpoints"].values()]
    key = "xtts.gpt.gpt.h.0.attn.c_attn.weight"
    mean = sum(share * parent["model"][key] for share, parent in zip(weights.values(), parents, strict=True))
    torch.testing.assert_close(merged["model"][key], mean)
    assert merged["step"] == max(parent["step"] for parent in parents)


@pytest.mark.usefixtures("runs")
def test_the_recipe_is_printed_and_what_was_left_out_said() -> None:
    shown = invoke("init", "--best", "2", "runs/x")
    assert shown.err == "note: runs/x/checkpoint_1.pth is left out: it has no eval_loss\n"
    assert list(yaml.safe_load(shown.out)["checkpoints"]) == ["step_9", "step_100"]


def test_the_current_folder_may_be_the_run(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs / "runs" / "x")
    data = yaml.safe_load(invoke("init", "--last", "1", ".").out)
    assert (data["name"], data["checkpoints"]) == ("x_last_1", {"step_200": "checkpoint_200.pth"})


@pytest.mark.parametrize("name", ["my run (1)", "-v", "~x", "{a,b}", "läuft", "a\nb", "true"])
def test_the_folder_may_be_called_anything(runs: Path, name: str) -> None:
    (runs / "runs" / "x").rename(runs / name)
    shown = invoke("init", "--last", "2", "-o", "average.yaml", "--", name)
    assert shown.code == 0, shown.err
    done = invoke("run", "average.yaml", "-o", "merged.pth")
    assert done.code == 0, done.err


def test_a_folder_whose_name_recipes_would_replace_is_refused(runs: Path) -> None:
    (runs / "runs" / "x").rename(runs / "${x}")
    shown = invoke("init", "--last", "2", "${x}")
    assert (shown.code, shown.out) == (1, "")
    assert "which recipes replace [XR112]" in shown.err


def test_a_linked_checkpoint_keeps_its_name(runs: Path) -> None:
    newest = runs / "runs" / "x" / "checkpoint_200.pth"
    newest.rename(runs / "blob")
    newest.symlink_to(runs / "blob")
    assert invoke("init", "--last", "1", "runs/x", "-o", "average.yaml").code == 0
    data = yaml.safe_load((runs / "average.yaml").read_text("utf-8"))
    assert data["checkpoints"] == {"step_200": "runs/x/checkpoint_200.pth"}
    assert invoke("run", "average.yaml").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--last", "2", "--best", "2", "runs/x"], "not both"),
        (["--ema", "0.9", "runs/x"], "goes with --last or --best"),
        (["--ema", "0.9", "runs/x/checkpoint_9.pth", "runs/x/checkpoint_10.pth"], "goes with --last or --best"),
        (["--last", "2", "runs/x", "runs/x"], "takes one folder"),
        (["--best", "2", "runs/x/checkpoint_9.pth", "runs/x/checkpoint_10.pth"], "takes one folder"),
        (["--last", "2"], "Missing argument"),
        (["--last", "0", "runs/x"], "0 is not in the range"),
        (["--best", "-1", "runs/x"], "-1 is not in the range"),
        (["--last", "257", "runs/x"], "257 is not in the range"),
        (["--last", "two", "runs/x"], "not a valid int"),
        (["--last", "2", "--ema", "0", "runs/x"], "0 is not above 0 and at most 1"),
        (["--last", "2", "--ema", "-0.5", "runs/x"], "-0.5 is not above 0 and at most 1"),
        (["--best", "2", "--ema", "1.5", "runs/x"], "1.5 is not above 0 and at most 1"),
        (["--best", "2", "--ema", "nan", "runs/x"], "nan is not above 0 and at most 1"),
        (["--last", "2", "--ema", "x", "runs/x"], "not a valid float"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("runs")
def test_wrong_usage_is_told(arguments: list[str], said: str) -> None:
    shown = invoke("init", *arguments)
    assert (shown.code, shown.out) == (2, "")
    assert said in " ".join(shown.err.replace("│", " ").split())


@pytest.mark.parametrize("option", ["--last", "--best"])
def test_nothing_is_written_where_something_cannot_be_read(runs: Path, option: str) -> None:
    (runs / "runs" / "x" / "checkpoint_200.pth").write_bytes(b"")
    shown = invoke("init", option, "2", "runs/x", "-o", "average.yaml")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.startswith("runs/x/checkpoint_200.pth: is empty (0 bytes) [XR303]\n")
    assert not (runs / "average.yaml").exists()


@pytest.mark.usefixtures("runs")
def test_the_folder_alone_is_still_a_model_directory() -> None:
    assert list(yaml.safe_load(invoke("init", "runs/x").out)["checkpoints"].values()) == ["runs/x"]
