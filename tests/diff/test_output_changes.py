from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests import samples
from tests.builders import write_recipe
from tests.reviews import TWO, differing, reviewed
from tests.voices import two_voices
from xttsrecipe.api import load_recipe, make_plan
from xttsrecipe.diff.plans import diff_plans
from xttsrecipe.lock import parse_lock
from xttsrecipe.locking import new_lock
from xttsrecipe.review import known_of, plan_for_review

THEIRS = "of news, with the output's text tokens"


def told(folder: Path, old: str, new: str) -> dict[str, tuple[str | None, str | None]]:
    return {its.field: (its.old, its.new) for its in differing(folder, old, new).output}


def test_where_and_how_the_output_is_written_is_compared(tmp_path: Path) -> None:
    new = TWO.replace("out.pth", "sub/out.safetensors, dtype: bfloat16")
    assert told(tmp_path, TWO, new) == {
        "path": (str(tmp_path / "out.pth"), str(tmp_path / "sub" / "out.safetensors")),
        "format": ("torch zip", "safetensors"),
        "dtype": ("keep", "bfloat16"),
    }
    assert told(tmp_path, TWO, TWO.replace("out.pth", "out/")) == {
        "path": (str(tmp_path / "out.pth"), str(tmp_path / "out") + os.sep)
    }


def test_without_checkpoints_the_layout_is_what_the_recipe_says(tmp_path: Path) -> None:
    new = TWO.replace("out.pth", "out.pth, layout: release")
    assert told(tmp_path, TWO, new) == {"layout": ("preserve", "release")}


def test_with_checkpoints_the_layout_is_what_comes_out(tmp_path: Path) -> None:
    samples.pair(tmp_path)
    samples.make("trainer", tmp_path).rename(tmp_path / "trainer.pth")
    old = "checkpoints: {x: trainer.pth}\noutput: {path: out.pth}\n"
    new = "checkpoints: {x: news.pth}\noutput: {path: out.pth}\n"
    assert told(tmp_path, old, new)["layout"] == ("preserve: trainer", "preserve: release")


@pytest.mark.parametrize("here", [True, False])
def test_whose_config_it_has_is_compared(here: bool, tmp_path: Path) -> None:
    if here:
        samples.pair(tmp_path)
    assert told(tmp_path, TWO, TWO + "metadata: {from: audiobook}\n") == {"config": ("from news", "from audiobook")}
    assert told(tmp_path, TWO, TWO + "metadata: {from: news}\n") == {}
    swapped = TWO.replace("news: news.pth, audiobook: audiobook.pth", "audiobook: audiobook.pth, news: news.pth")
    assert told(tmp_path, TWO, swapped) == {"config": ("from news", "from audiobook")}


def test_losses_follow_the_weights_where_they_are_known(tmp_path: Path) -> None:
    samples.pair(tmp_path)
    found = told(tmp_path, TWO, TWO + "weights: {news: 0.25, audiobook: 0.75}\n")
    assert found == {"model_loss": ("2.0", "1.75")}


def test_files_beside_the_model_are_compared(tmp_path: Path) -> None:
    two_voices(tmp_path)
    old = "checkpoints: {news: news/, audiobook: audiobook/}\noutput: {path: out/}\n"
    found = told(tmp_path, old, old + "companions: from audiobook\n")
    assert found["companions"] == ("from news", "from audiobook")
    assert found["speakers_xtts.pth"] == ("of news", "of audiobook")


def test_a_file_whose_content_changed_is_said_to_have(tmp_path: Path) -> None:
    two_voices(tmp_path)
    text = "checkpoints: {news: news/, audiobook: audiobook/}\noutput: {path: out/}\n"
    old = reviewed(tmp_path, text)
    config = tmp_path / "news" / "config.json"
    config.write_text(config.read_text().replace("{", '{"note": 1, ', 1))
    diff = diff_plans(old, reviewed(tmp_path, text))
    assert [(its.field, its.old, its.new) for its in diff.output] == [
        ("config.json", THEIRS, f"{THEIRS}, other content")
    ]


def test_vocabularies_that_a_recipe_names_are_compared(tmp_path: Path) -> None:
    old = TWO + "vocabulary: {news: a.json, order: news}\n"
    new = TWO + "vocabulary: {news: b.json, audiobook: c.json, order: audiobook}\n"
    assert told(tmp_path, old, new) == {
        "vocabulary of news": (str(tmp_path / "a.json"), str(tmp_path / "b.json")),
        "vocabulary of audiobook": (None, str(tmp_path / "c.json")),
        "vocabulary.order": ("news", "audiobook"),
    }


def test_a_config_that_changed_tells_where_it_is_written_with_other_text_tokens(tmp_path: Path) -> None:
    """A lock knows the config's own digest, not its text."""
    checkpoints = two_voices(tmp_path)
    text = f"checkpoints: {json.dumps(checkpoints)}\noutput: {{path: out/}}\n"
    recipe = write_recipe(tmp_path, text)
    locks = []
    for run in ("news", "other"):
        path = tmp_path / "news/config.json"
        path.write_text(path.read_text().replace('"news"', f'"{run}"'))
        locks.append(parse_lock(new_lock(make_plan(load_recipe(recipe)), None), tmp_path / "recipe.lock.yaml"))
    loaded = load_recipe(recipe)
    here = plan_for_review(loaded, known_of(loaded))
    old, new = (plan_for_review(loaded, known_of(loaded, lock)) for lock in locks)
    changes = {its.field: (its.old, its.new) for its in diff_plans(old, new).output}
    assert changes["config.json"] == (THEIRS, f"{THEIRS}, other content")
    assert not diff_plans(new, new).output
    assert "config.json" not in {its.field for its in diff_plans(new, here).output}
