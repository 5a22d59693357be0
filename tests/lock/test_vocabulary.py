"""Vocabularies that differ: the rows that are merged by token are known from the lock alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.lock.test_lock import facts, locked, without_sources
from tests.merging import recipe_of
from tests.voices import AUDIOBOOK, NEWS, two_voices, voice
from xttsrecipe.api import load_recipe, make_plan
from xttsrecipe.digests.plan import plan_digest
from xttsrecipe.errors import CheckpointError
from xttsrecipe.lock import lock_path, read_lock
from xttsrecipe.locking import new_lock


@pytest.mark.parametrize("output", ["out/", "out.pth"])
@pytest.mark.parametrize(
    "fields", [{}, {"overrides": {"gpt.text_{embedding,head}.*": "from news"}}], ids=["all", "one"]
)
def test_rows_are_merged_by_token_without_the_vocabularies(fields: dict[str, Any], output: str, tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, two_voices(tmp_path), output, **fields)
    plan = make_plan(recipe)
    locked(plan)
    again = without_sources(recipe)
    assert {step.key: step.segments for step in again.steps} == {step.key: step.segments for step in plan.steps}
    assert plan_digest(again) == plan_digest(plan)
    assert again.warnings == plan.warnings
    for one, other in ((facts(again), facts(plan)),):
        assert isinstance(one, dict)
        assert isinstance(other, dict)
        assert one["vocabulary"]["rows"] == other["vocabulary"]["rows"]
        assert one["vocabulary"]["only"] == other["vocabulary"]["only"]


def test_a_lock_of_vocabularies_is_made_again_without_them(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, two_voices(tmp_path), "out/")
    text = locked(make_plan(recipe))
    plan = without_sources(recipe)
    assert new_lock(plan, read_lock(lock_path(recipe.file))) == text


def test_one_that_changed_cannot_be_compared_with_those_that_are_not_here(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, two_voices(tmp_path), "out/")
    locked(make_plan(recipe))
    without_sources(recipe)
    voice(tmp_path / "news", {**NEWS, "new": 8})
    lock = read_lock(lock_path(recipe.file))
    with pytest.raises(CheckpointError, match="the vocabulary of news is not the one that was locked"):
        make_plan(load_recipe(recipe.file), lock)


@pytest.mark.parametrize("absent", [("news",), ("audiobook",), ("news", "audiobook")], ids=" and ".join)
@pytest.mark.parametrize("equal", [False, True])
def test_the_plan_is_the_same_whichever_are_here(equal: bool, absent: tuple[str, ...], tmp_path: Path) -> None:
    voice(tmp_path / "news", NEWS, 1)
    voice(tmp_path / "audiobook", NEWS if equal else AUDIOBOOK, 2)
    recipe = recipe_of(tmp_path, {"news": "news", "audiobook": "audiobook"}, "out/")
    plan = make_plan(recipe)
    text = locked(plan)
    for name in absent:
        shutil.rmtree(tmp_path / name)
    lock = read_lock(lock_path(recipe.file))
    again = make_plan(load_recipe(recipe.file), lock)
    assert plan_digest(again) == plan_digest(plan)
    assert new_lock(again, lock) == text


def test_equal_vocabularies_take_no_tokens(tmp_path: Path) -> None:
    voice(tmp_path / "a", NEWS)
    voice(tmp_path / "b", NEWS, 2)
    text = locked(make_plan(recipe_of(tmp_path, {"a": "a", "b": "b"}, "out/")))
    assert '"ab"' not in text
    assert "ids: 1-2, 4-7" in text.replace('"', "")
    assert len(AUDIOBOOK) == len(NEWS)
