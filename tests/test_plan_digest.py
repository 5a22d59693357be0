from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.builders import save
from tests.merging import recipe_of, save_all
from tests.voices import two_voices
from xttsrecipe.api import make_plan
from xttsrecipe.plan_digest import plan_digest

STATES = [{"x": torch.ones(3), "y": torch.zeros(2)}, {"x": torch.zeros(3), "y": torch.ones(2)}]


def digest(folder: Path, output: str = "out.pth", **fields: Any) -> str:
    return plan_digest(make_plan(recipe_of(folder, {"a": "a.pth", "b": "b.pth"}, output, **fields)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_all(tmp_path, STATES, step=3)
    return tmp_path


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "other", "description": "in other words"},
        {"weights": [0.5, 0.5]},
        {"weights": [2, 2], "normalize": True},
        {"output": "elsewhere/other.pth"},
        {"overrides": {"x": {"weights": {"a": 0.5, "b": 0.5}}}},
    ],
    ids=repr,
)
def test_what_makes_no_other_model_does_not_count(fields: dict[str, Any], folder: Path) -> None:
    assert digest(folder, **fields) == digest(folder)


@pytest.mark.parametrize(
    "fields",
    [
        {"weights": [0.6, 0.4]},
        {"overrides": {"x": "from a"}},
        {"dtype": "float16"},
        {"output": "out.safetensors"},
    ],
    ids=repr,
)
def test_what_makes_another_does(fields: dict[str, Any], folder: Path) -> None:
    assert digest(folder, **fields) != digest(folder)


def test_it_is_the_same_elsewhere_and_another_for_another_source(folder: Path) -> None:
    first = digest(folder)
    moved = folder / "moved"
    moved.mkdir()
    for name in ("a.pth", "b.pth"):
        shutil.copy(folder / name, moved)
    assert digest(moved) == first
    save(moved / "a.pth", {**STATES[0], "x": torch.full((3,), 2.0)}, step=3)
    assert digest(moved) != first


def test_a_card_does_not_count_and_a_directory_does(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, two_voices(tmp_path), "out/")
    assert plan_digest(make_plan(recipe)) == plan_digest(make_plan(recipe, card=False))
    other = recipe_of(tmp_path, {"news": "news", "audiobook": "audiobook"}, "out.pth")
    assert plan_digest(make_plan(other)) != plan_digest(make_plan(recipe))
    assert plan_digest(
        make_plan(recipe_of(tmp_path, {"news": "news", "audiobook": "audiobook"}, "b.pth"))
    ) == plan_digest(make_plan(other))
