"""Recipes compared by what their locks say, the checkpoints gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import samples
from tests.builders import save, trainer_state, xtts_state
from tests.commands import invoke
from tests.repositories import Scratch
from tests.reviews import counts
from tests.voices import two_voices
from xttsrecipe.changes import RecipeChange, Status
from xttsrecipe.diff.recipes import compare
from xttsrecipe.report.problems import problems_text

TWO = """\
checkpoints: {news: news.pth, audiobook: audiobook.pth}
weights: {news: 0.6, audiobook: 0.4}
output: {path: out.pth}
"""
EQUAL = TWO.replace("0.6", "0.5").replace("0.4", "0.5")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    """A repository with a locked recipe, without its checkpoints; the current folder."""
    made = Scratch.made(tmp_path / "work")
    monkeypatch.chdir(made.root)
    made.put(".gitignore", "*.pth\n")
    made.put("recipe.yaml", TWO)
    news, audiobook = samples.small_state(1), samples.small_state(2)
    save(Path("news.pth"), news, config=samples.config("news"), step=100, epoch=2)
    save(Path("audiobook.pth"), audiobook, config=samples.config("audiobook"), step=300, epoch=1)
    locked(made)
    return made


def locked(scratch: Scratch, *gone: str) -> None:
    """Lock the recipe, take the checkpoints away and commit."""
    assert invoke("lock", "recipe.yaml").code == 0
    for path in scratch.root.glob("*.pth"):
        path.unlink()
    scratch.commit()


def only(old: str = "main") -> RecipeChange:
    (change,) = compare(old).recipes
    return change


def test_a_recipe_is_compared_by_its_lock(scratch: Scratch) -> None:
    scratch.put("recipe.yaml", EQUAL)
    change = only()
    assert change.bases == ("from the lock",)
    assert change.diff is not None
    assert change.diff.tensors_after == len(samples.small_state())
    # Of the integers news gave its own, and does, as the first of equals.
    assert counts(change.diff.amounts) == {"weights": 8, "in all": 8}
    assert {its.field for its in change.diff.output} == set()


def test_another_checkpoint_in_the_lock_is_another_source(scratch: Scratch) -> None:
    save(Path("news.pth"), samples.small_state(9), config=samples.config("news"), step=200, epoch=4)
    save(Path("audiobook.pth"), samples.small_state(2), config=samples.config("audiobook"), step=300, epoch=1)
    assert invoke("lock", "recipe.yaml").code == 0
    change = only()
    assert (change.status, change.text_changed, change.lock_changed) == (Status.CHANGED, False, True)
    assert change.diff is not None
    (news,) = change.diff.sources
    assert news.old is not None
    assert news.new is not None
    assert (news.new_name, news.same_file) == ("news", False)
    assert news.old.sha256 != news.new.sha256
    assert ((news.old.step, news.old.epoch), (news.new.step, news.new.epoch)) == ((100, 2), (200, 4))
    assert counts(change.diff.amounts) == {"source": 9, "in all": 9}
    assert {its.field: (its.old, its.new) for its in change.diff.output} == {"epoch": ("2", "4")}


def test_what_lies_here_today_does_not_change_what_was(scratch: Scratch) -> None:
    save(Path("news.pth"), xtts_state())
    save(Path("audiobook.pth"), trainer_state())
    scratch.put("recipe.yaml", EQUAL)
    change = only()
    assert change.bases == ("from the lock",)
    assert change.diff is not None
    assert change.diff.tensors_after == len(samples.small_state())


def test_another_path_with_the_same_lock_is_not_taken_for_the_same_file(scratch: Scratch) -> None:
    """The lock has no paths: whoever changed the recipe may have forgotten to make it anew."""
    scratch.put("recipe.yaml", TWO.replace("news.pth", "news_v2.pth"))
    change = only()
    assert change.diff is not None
    assert counts(change.diff.amounts) == {"source": 9, "in all": 9}


def test_a_name_that_both_recipes_state_the_digest_of_is_the_same_file(scratch: Scratch) -> None:
    lines = [line.split() for line in Path("recipe.lock.yaml").read_text().splitlines()]
    digest = next(line[1] for line in lines if line[:1] == ["sha256:"])  # of the first by name
    moved = TWO.replace("audiobook.pth", f"{{path: moved.pth, sha256: {digest.strip(chr(34))}}}")
    scratch.put("recipe.yaml", moved)
    change = only()
    assert change.diff is not None
    assert [(its.what, its.same_file) for its in change.diff.sources] == [("changed", True)]
    assert not change.diff.tensors


def test_a_source_with_another_name_is_still_the_file_that_was_locked(scratch: Scratch) -> None:
    """Even where the sources are not alike: one is a trainer's checkpoint, with tensors that only training needs."""
    save(Path("news.pth"), xtts_state(), step=1)
    save(Path("audiobook.pth"), trainer_state(), step=2)
    locked(scratch)
    for name in ("news", "audiobook"):
        scratch.put("recipe.yaml", TWO.replace(f"{name}:", "voice:"))
        change = only()
        assert change.diff is not None
        assert [(its.what, its.same_file) for its in change.diff.sources] == [("renamed", True)]
        assert (change.diff.tensors, change.diff.output, change.diff.weights) == ((), (), None)


def test_a_first_lock_is_no_change_of_keys(scratch: Scratch) -> None:
    """What it says is taken for the recipe before, too."""
    text = Path("recipe.lock.yaml").read_text()
    Path("recipe.lock.yaml").unlink()
    scratch.commit()
    scratch.put("recipe.lock.yaml", text)
    change = only()
    assert (change.status, change.lock_changed) == (Status.SAME_PLAN, True)
    assert change.bases == ("from what it is compared with", "from the lock")


def test_a_source_that_the_lock_does_not_know_is_assumed(scratch: Scratch) -> None:
    more = TWO.replace("audiobook.pth}", "audiobook.pth, base: base.pth}").replace("0.4}", "0.3, base: 0.1}")
    scratch.put("recipe.yaml", more)
    change = only()
    assert change.bases == ("from the lock", "from the lock: news and audiobook; assumed: like the others: base")
    assert change.diff is not None
    assert change.diff.tensors_after == len(samples.small_state())


def test_a_lock_that_is_none_is_a_problem_of_the_side_that_has_it(scratch: Scratch) -> None:
    scratch.put("recipe.lock.yaml", "lock: [\n")
    assert problems_text(only().problems).startswith("recipe.lock.yaml:2:1: ")
    scratch.commit()
    scratch.put("recipe.yaml", EQUAL)
    scratch.put("recipe.lock.yaml", "lock: 99\n")
    said = problems_text(only().problems)
    assert "main:recipe.lock.yaml:2:1: " in said
    assert "\nrecipe.lock.yaml" in said


def test_model_directories_are_compared_by_their_lock(scratch: Scratch) -> None:
    two_voices(Path())
    text = "checkpoints: {news: news/, audiobook: audiobook/}\noutput: {path: out/}\n"
    scratch.put(".gitignore", "*.pth\nnews/\naudiobook/\n")
    scratch.put("recipe.yaml", text)
    locked(scratch)
    for name in ("news", "audiobook"):
        shutil.rmtree(name)
    scratch.put("recipe.yaml", text + "companions: from audiobook\n")
    change = only()
    assert change.bases == ("from the lock",)
    assert change.diff is not None
    assert {its.field for its in change.diff.output} >= {"companions", "speakers_xtts.pth"}
    assert not change.diff.tensors
