"""The recipes that ship: valid, explained, and doing what their comments say."""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.builders import write_recipe
from tests.commands import PROJECT, demo_checkpoints, invoke

RECIPES = sorted((PROJECT / "recipes").rglob("*.y*ml"))
NAMES = [recipe.stem for recipe in RECIPES]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_checkpoints(tmp_path_factory)


def recipe(name: str) -> Path:
    return PROJECT / "recipes" / f"{name}.yaml"


def data(name: str) -> Any:
    return yaml.safe_load(recipe(name).read_text("utf-8"))


def settings(name: str, checkpoints: Path, output: Path) -> list[str]:
    """The options that make a recipe use these checkpoints, and write there."""
    names = data(name)["checkpoints"]
    return [
        *(part for source in names for part in ("--set", f"checkpoints.{source}={checkpoints / source}.pth")),
        *("-o", str(output)),
    ]


@functools.cache
def keys(name: str, checkpoints: Path) -> dict[str, dict[str, Any]]:
    """The plan's keys."""
    shown = invoke("plan", recipe(name), *settings(name, checkpoints, checkpoints / "absent.pth"), "--json")
    assert shown.code == 0, shown.err
    return {entry["key"]: entry for entry in json.loads(shown.out)["keys"]}


def test_these_are_the_recipes() -> None:
    assert NAMES == ["equal_average", "keep_encoder", "layer_blend", "news_audiobook", "vocoder_from_base"]


def test_all_recipes_validate_together_without_their_checkpoints(tmp_path: Path) -> None:
    folder = shutil.copytree(PROJECT / "recipes", tmp_path / "recipes")
    shown = invoke("validate", folder)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.count(": valid, without its checkpoints (") == len(RECIPES)
    assert shown.out.count("patterns were checked against the keys of XTTS-V2\n") == len(RECIPES)


def test_all_recipes_validate_where_they_are() -> None:
    assert invoke("validate", PROJECT / "recipes").code == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_editor_finds_the_schema(name: str) -> None:
    first = recipe(name).read_text("utf-8").splitlines()[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert match
    schema = (recipe(name).parent / match[1]).resolve()
    assert schema == PROJECT / "schema" / "recipe.schema.json"
    assert schema.is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_explained(name: str) -> None:
    lines = recipe(name).read_text("utf-8").splitlines()
    assert [line for line in lines[1:] if re.search(r"(^|\s)# \w", line)]
    assert data(name)["name"] == name
    assert len(data(name)["description"]) > 40


@pytest.mark.parametrize("name", NAMES)
def test_recipes_differ_in_their_output(name: str) -> None:
    assert data(name)["output"]["path"] == f"../demo/merged/{name}.pth"


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_plans_and_runs(name: str, checkpoints: Path, tmp_path: Path) -> None:
    planned = keys(name, checkpoints)
    assert len(planned) == 963
    output = tmp_path / "merged.pth"
    shown = invoke("run", recipe(name), *settings(name, checkpoints, output))
    assert shown.code == 0, shown.err
    assert "963 tensors" in shown.out
    merged = torch.load(output, weights_only=True)
    states = {source: load(checkpoints / f"{source}.pth") for source in data(name)["checkpoints"]}
    assert list(merged["model"]) == list(planned)
    parts = torch.stack(
        [
            torch.cat([planned[key]["weights"].get(source, 0) * state[key].double().flatten() for key in planned])
            for source, state in states.items()
        ]
    )
    made = torch.cat([tensor.double().flatten() for tensor in merged["model"].values()])
    assert bool(((made - parts.sum(0)).abs() <= 3e-7 * parts.abs().sum(0)).all())
    assert merged["config"]["model"] == "xtts"
    kept = merged["xttsrecipe"]["training"] if data(name)["output"].get("layout") == "release" else merged
    assert (kept["step"], kept["epoch"]) == (5000, 9)


@functools.cache
def load(path: Path) -> dict[str, torch.Tensor]:
    model = torch.load(path, weights_only=True, mmap=True)["model"]
    return {key.removeprefix("xtts."): tensor for key, tensor in model.items()}


def floats(planned: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {key: entry for key, entry in planned.items() if entry["dtype"] != "int64"}


def test_equal_average_takes_a_third_of_each(checkpoints: Path) -> None:
    third = {"base": pytest.approx(1 / 3), "news": pytest.approx(1 / 3), "audiobook": pytest.approx(1 / 3)}
    assert [key for key, entry in floats(keys("equal_average", checkpoints)).items() if entry["weights"] != third] == []


def test_equal_average_has_the_config_of_news(checkpoints: Path, tmp_path: Path) -> None:
    output = tmp_path / "merged.pth"
    assert invoke("run", recipe("equal_average"), *settings("equal_average", checkpoints, output)).code == 0
    assert torch.load(output, weights_only=True)["config"]["run_name"] == "news_ft"


def test_adding_a_checkpoint_to_equal_average_needs_no_other_change(checkpoints: Path, tmp_path: Path) -> None:
    changed, sources = re.subn(
        r"(?m)^(  audiobook:.*)$",
        rf"\1\n  more: {checkpoints / 'news.pth'}",
        recipe("equal_average").read_text("utf-8"),
    )
    assert sources == 1
    more = write_recipe(tmp_path, changed)
    shown = invoke("plan", more, *settings("equal_average", checkpoints, tmp_path / "absent.pth"))
    assert shown.code == 0, shown.err
    assert "base 0.25, news 0.25, audiobook 0.25, more 0.25" in shown.out


def test_keep_encoder_takes_310_tensors_and_the_perceiver_from_news(checkpoints: Path) -> None:
    planned = keys("keep_encoder", checkpoints)
    encoders = {key for key, entry in planned.items() if entry["rule"] == "*encoder*"}
    said = re.search(r"(\d+) tensors", recipe("keep_encoder").read_text("utf-8"))
    assert said
    assert len([key for key in planned if "encoder" in key]) == int(said[1])
    assert {key.split(".")[1] for key in encoders} == {"conditioning_encoder", "speaker_encoder"}
    for key, entry in floats(planned).items():
        whole = "encoder" in key or "conditioning_perceiver" in key
        assert entry["weights"] == ({"news": 1.0} if whole else {"news": 0.5, "audiobook": 0.5}), key


def test_layer_blend_goes_from_news_to_audiobook(checkpoints: Path) -> None:
    for key, entry in floats(keys("layer_blend", checkpoints)).items():
        layer = re.match(r"gpt\.gpt\.h\.(\d+)\.(ln_)?", key)
        if layer is None:
            assert (entry["rule"], entry["weights"]) == (None, {"news": 0.5, "audiobook": 0.5})
        elif layer[2]:
            assert (entry["method"], entry["weights"]) == ("from", {"news": 1.0})
        else:
            news = (0.8, 0.5, 0.2)[int(layer[1]) // 10]
            assert entry["weights"] == pytest.approx({"news": news, "audiobook": 1 - news})


def test_layer_blend_names_every_layer_and_both_norms_of_each(checkpoints: Path) -> None:
    rules = Counter(entry["rule"] for entry in keys("layer_blend", checkpoints).values())
    assert rules["gpt.gpt.h.*.ln_{1,2}.*"] == 30 * 4
    assert [rules[f"gpt.gpt.h.{{{span}}}.*"] for span in ("0..9", "10..19", "20..29")] == [80, 80, 80]


def test_news_audiobook_is_six_to_four(checkpoints: Path) -> None:
    weights = {json.dumps(entry["weights"]) for entry in floats(keys("news_audiobook", checkpoints)).values()}
    assert weights == {'{"news": 0.6, "audiobook": 0.4}'}
    text = " ".join(recipe("news_audiobook").read_text("utf-8").split())
    assert "news voice at 0.6" in text
    assert "audiobook voice at 0.4" in text


def test_vocoder_from_base_takes_the_vocoder_and_nothing_else_from_base(checkpoints: Path) -> None:
    for key, entry in keys("vocoder_from_base", checkpoints).items():
        vocoder = key.startswith("hifigan_decoder.waveform_decoder.")
        assert ("base" in entry["weights"]) == vocoder
        if vocoder:
            assert entry["weights"] == {"base": 1.0}
