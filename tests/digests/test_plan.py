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
from xttsrecipe.digests.plan import plan_digest

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
        {"output": "out.safetensors"},
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


def test_a_card_and_the_kind_of_output_do_not_count_and_the_files_of_a_source_do(tmp_path: Path) -> None:
    sources = two_voices(tmp_path)
    first = plan_digest(make_plan(recipe_of(tmp_path, sources, "out/")))
    assert plan_digest(make_plan(recipe_of(tmp_path, sources, "out/"), card=False)) == first
    assert plan_digest(make_plan(recipe_of(tmp_path, sources, "out.pth"))) == first
    (tmp_path / "news/dvae.pth").write_bytes(b"another")
    assert plan_digest(make_plan(recipe_of(tmp_path, sources, "out.pth"))) != first
