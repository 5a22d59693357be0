from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import samples
from tests.builders import save
from tests.repositories import Scratch
from tests.showcase import TWO, showcase
from xttsrecipe import checkpoints
from xttsrecipe.changes import RecipeChange, Status
from xttsrecipe.diff.recipes import compare
from xttsrecipe.report.problems import problems_text
from xttsrecipe.specs import Header


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    made = showcase(tmp_path / "work")
    monkeypatch.chdir(made.root)
    return made


def only(old: str, new: str | None = None) -> RecipeChange:
    (change,) = compare(old, new).recipes
    return change


def written(old: str, new: str) -> RecipeChange:
    """How two texts compare, as files of one folder."""
    Path("old.yaml").write_text(old)
    Path("new.yaml").write_text(new)
    return only("old.yaml", "new.yaml")


def test_every_recipe_that_differs_is_compared(scratch: Scratch) -> None:
    review = compare("main")
    assert {Path(its.name).stem: its.status for its in review.recipes} == {
        "layer_blend": Status.CHANGED,
        "sources": Status.CHANGED,
        "renamed": Status.CHANGED,
        "text": Status.SAME_PLAN,
        "lock": Status.SAME_PLAN,
        "gone": Status.REMOVED,
        "broken": Status.INVALID,
        "new": Status.ADDED,
    }
    assert (review.old, review.new) == ("main", None)
    assert [its.status.differs for its in review.recipes].count(False) == 2
    assert sum(review.count(status) for status in Status) == len(review.recipes)


def test_what_changed_beside_the_plan_is_told(scratch: Scratch) -> None:
    text, lock = only("main:recipes/text.yaml"), only("main:recipes/lock.yaml")
    assert (text.text_changed, text.lock_changed) == (True, False)
    assert (lock.text_changed, lock.lock_changed) == (False, True)


def test_folders_are_compared_with_what_is_the_same_too(scratch: Scratch) -> None:
    review = compare("main:recipes", "recipes")
    assert review.count(Status.IDENTICAL) == 1
    assert len(review.recipes) == 9


def test_of_a_recipe_that_is_not_valid_all_problems_are_told(scratch: Scratch) -> None:
    said = problems_text(only("main:recipes/broken.yaml").problems)
    assert said.startswith("recipes/broken.yaml:4:22: ")
    assert "did you mean 'audiobook'?" in said
    back = only("recipes/broken.yaml", "main")
    assert back.status is Status.INVALID
    assert back.problems == back.old.problems if back.old else False
    assert back.bases == ()


def test_a_problem_of_a_revision_names_it_with_its_line(scratch: Scratch) -> None:
    scratch.commit()
    said = problems_text(only("main:recipes/broken.yaml", "recipes/text.yaml").problems)
    assert said.startswith("main:recipes/broken.yaml:4:22: ")
    assert "    4 | weights: {news: 0.6, audiobok: 0.4}" in said


def test_a_recipe_that_was_never_valid_and_did_not_change_is_not_looked_at(scratch: Scratch) -> None:
    assert only("recipes/broken.yaml", "recipes/broken.yaml").status is Status.IDENTICAL


def test_a_new_recipe_that_is_not_valid_is_an_error_and_a_gone_one_none(scratch: Scratch) -> None:
    scratch.put("recipes/new.yaml", "checkpoints: {}\n")
    scratch.commit()
    assert only("main~1", "recipes/new.yaml").status is Status.INVALID
    assert only("main:recipes/new.yaml", "main~1").status is Status.REMOVED


def test_file_names_in_a_revision_are_relative_to_where_it_lies_in_the_work_tree(scratch: Scratch) -> None:
    change = only("main:recipes/sources.yaml")
    assert change.diff is not None
    (news, _) = change.diff.sources
    assert news.old is not None
    assert news.old.path == Path(os.path.realpath(scratch.root)) / "voices" / "news.pth"


def test_the_same_text_in_another_place_names_other_files(scratch: Scratch) -> None:
    scratch.put("other/deep/same.yaml", TWO)
    change = only("recipes/same.yaml", "other/deep/same.yaml")
    assert change.status is Status.CHANGED
    assert not change.text_changed
    scratch.put("other/same.yaml", TWO)
    assert only("recipes/same.yaml", "other/same.yaml").status is Status.IDENTICAL


def test_line_ends_are_no_difference(scratch: Scratch) -> None:
    scratch.put("recipes/same.yaml", TWO.replace("\n", "\r\n"))
    assert only("main:recipes/same.yaml").status is Status.IDENTICAL


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (TWO, "# new\n" + TWO, 1),
        (TWO, TWO.replace("0.6", "0.60"), 4),
        (TWO, TWO + "# end\n", 6),
        (TWO + "# end\n", TWO, 5),
        (TWO.replace("\n", "\r\n"), TWO + "# end\n", 6),
    ],
)
def test_the_first_line_that_differs_is_told(old: str, new: str, line: int, scratch: Scratch) -> None:
    assert written(old, new).line == line


def test_what_plans_rest_on_is_told(scratch: Scratch, tmp_path: Path) -> None:
    assert only("main:recipes/sources.yaml").bases == ("assumed: XTTS-V2",)
    (scratch.root / "voices").mkdir()
    save(scratch.root / "voices" / "news.pth", samples.small_state())
    partly = "from the checkpoints: news; assumed: like the others: audiobook"
    assert only("main:recipes/sources.yaml").bases == (partly, "assumed: like what it is compared with")
    assert only("main:recipes/text.yaml").bases == (partly,)
    save(scratch.root / "voices" / "audiobook.pth", samples.small_state(1))
    assert only("main:recipes/text.yaml").bases == ("from the checkpoints",)


def test_a_checkpoint_that_cannot_be_read_is_a_problem_of_either_side(scratch: Scratch) -> None:
    (scratch.root / "voices").mkdir()
    (scratch.root / "voices" / "news.pth").write_bytes(b"")
    change = only("main:recipes/text.yaml")
    assert change.status is Status.INVALID
    assert "source 'news' is empty" in problems_text(change.problems)


def test_each_checkpoint_is_read_once(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    (scratch.root / "voices").mkdir()
    for seed, name in enumerate(("news", "audiobook", "base", "news_v2")):
        save(scratch.root / "voices" / f"{name}.pth", samples.small_state(seed))
    read: list[Path] = []
    original = checkpoints.open_checkpoint

    def counting(path: Path) -> Header:
        read.append(path)
        return original(path)

    monkeypatch.setattr(checkpoints, "open_checkpoint", counting)
    assert len(compare("main").recipes) == 8
    assert len(read) == len(set(map(os.path.realpath, read))) == 4


def test_a_file_that_is_too_big_is_a_problem(scratch: Scratch) -> None:
    scratch.put("recipes/text.yaml", TWO + "#" * (1 << 16))
    assert "is too big for a recipe" in problems_text(only("main:recipes/text.yaml").problems)
    scratch.commit()
    scratch.put("recipes/text.yaml", TWO)
    said = problems_text(only("main:recipes/text.yaml").problems)
    assert said.startswith("main:recipes/text.yaml: is too big for a recipe")


@pytest.mark.parametrize(
    "raw", [b"\xff\xfec\0h\0", b"checkpoints: \xff\n", b"checkpoints: {a: &x [*x]}\n", b"checkpoints:\n- *a\n"]
)
def test_what_is_no_recipe_in_a_revision_is_explained_like_a_file(raw: bytes, scratch: Scratch) -> None:
    scratch.put("recipes/text.yaml", raw)
    new = [(its.code, its.what) for its in only("main:recipes/text.yaml").problems]
    scratch.commit()
    scratch.put("recipes/text.yaml", TWO)
    change = only("main:recipes/text.yaml")
    assert [(its.code, its.what) for its in change.problems] == new
    assert all(str(its.where).startswith("main:recipes/text.yaml") for its in change.problems)
