"""What all formats share, and what text, JSON and workflow commands look like; Markdown has a file of its own."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.golden import check_golden
from tests.reviews import TWO, reviewed
from tests.showcase import AFTER, BEFORE, showcase
from tests.strict_json import strictly
from xttsrecipe.changes import Amount, Amounts, Decided, Kind, LayerRun, MadeFrom, RecipeChange, Review, Side, Status
from xttsrecipe.diff.plans import diff_plans
from xttsrecipe.diff.recipes import compare
from xttsrecipe.report.diff import Words, kinds_text, layers_text
from xttsrecipe.report.diff_github import diff_github
from xttsrecipe.report.diff_json import diff_json
from xttsrecipe.report.diff_text import diff_text
from xttsrecipe.report.layout import cut
from xttsrecipe.report.problems import path_text
from xttsrecipe.specs import DType, TensorSpec

SPEC = TensorSpec((2, 3), DType.FLOAT32)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths look otherwise there")


@pytest.fixture
def review(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Review:
    """Of a repository in which recipes change in every way."""
    monkeypatch.chdir(showcase(tmp_path / "work").root)
    return compare("main")


def without_place(text: str) -> str:
    return text.replace(os.path.realpath(os.curdir), "/work")


# --- formats --------------------------------------------------------------------------------------------------------


def test_text_looks_as_agreed(review: Review) -> None:
    check_golden("diff/text.txt", diff_text(review, keys=False))


def test_text_with_keys_looks_as_agreed(review: Review) -> None:
    few = [its for its in review.recipes if "sources" in its.name]
    text = diff_text(replace(review, recipes=tuple(few)), keys=True)
    lines = text.splitlines()
    start = lines.index("  keys")
    assert len(lines) - start - 1 == 963
    check_golden("diff/text_keys.txt", "\n".join(lines[: start + 8]) + "\n…\n")


def test_text_of_one_recipe_needs_no_total(review: Review) -> None:
    one = diff_text(replace(review, recipes=review.recipes[-1:]), keys=False)
    assert one == "recipes/text.yaml: text changed, plan identical\n  basis: assumed: XTTS-V2\n"


def test_nothing_that_differs_is_said(review: Review) -> None:
    assert diff_text(replace(review, recipes=()), keys=False) == "main → work tree: no recipe differs\n"


def test_of_many_recipes_those_that_are_identical_are_only_counted(review: Review) -> None:
    review = compare("main:recipes", "recipes")
    assert "1 identical" in diff_text(review, keys=False)
    assert "same.yaml" not in diff_text(review, keys=False)


def test_json_looks_as_agreed(review: Review) -> None:
    data = strictly(diff_json(review))
    for recipe in data["recipes"]:
        if recipe["diff"]:  # every tensor
            assert len(recipe["diff"]["keys"]) == recipe["diff"]["tensors"]["changed"]["in_all"]["tensors"]
            del recipe["diff"]["keys"][1:]
    check_golden("diff/diff.json", without_place(json.dumps(data, indent=1, ensure_ascii=False) + "\n"))


def test_workflow_commands_look_as_agreed(review: Review) -> None:
    check_golden("diff/github.txt", diff_github(review))


def test_annotations_name_files_from_the_top_of_the_checkout(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("recipes")
    assert "::notice file=recipes/text.yaml,line=1,title=" in diff_github(compare("main"))


def test_of_many_annotations_github_would_show_the_first_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {f"{number:02}.yaml": BEFORE["recipes/same.yaml"] for number in range(30)}
    broken = dict.fromkeys(list(before)[:15], AFTER["recipes/broken.yaml"])
    after = {name: f"# changed\n{text}" for name, text in before.items()} | broken
    monkeypatch.chdir(showcase(tmp_path / "work", before, after).root)
    text = diff_github(compare("main"))
    assert text.count("::notice ") == 10
    assert text.count("::error ") == 10
    assert "5 notices more" in text
    assert "20 errors more" in text  # two in each


def test_problems_of_the_old_recipe_point_to_no_line_of_the_new_one(review: Review) -> None:
    (broken,) = [its for its in review.recipes if its.status is Status.INVALID]
    turned = replace(broken, old=broken.new, new=broken.old)
    text = diff_github(replace(review, recipes=(turned,)))
    assert "::warning file=recipes/broken.yaml,title=XR101 unknown-source::recipes/broken.yaml:4:22: weights" in text
    assert "::error" not in text


# --- words ----------------------------------------------------------------------------------------------------------


def merged(*shares: tuple[str, float], method: str = "linear", by_token: bool = False) -> MadeFrom:
    return MadeFrom(SPEC, method, by_token, shares)


FROM_NEWS = MadeFrom(SPEC, "from", False, (("news", 1.0),))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (merged(("a", 0.8), ("b", 0.2)), merged(("a", 0.6), ("b", 0.4)), "a 0.8, b 0.2 → a 0.6, b 0.4"),
        (merged(("a", 1 / 3)), merged(("a", 0.5)), "a 0.333333 → a 0.5"),
        (merged(("a", 1 / 3)), merged(("a", 0.333333)), "a 0.3333333333333333 → a 0.333333"),
        (FROM_NEWS, merged(("a", 0.5)), "from news → a 0.5"),
        (FROM_NEWS, FROM_NEWS, "from news"),
        (None, FROM_NEWS, "from news"),
        (FROM_NEWS, None, "from news"),
        (merged(("a", 1)), merged(("a", 1), by_token=True), "linear: a 1 → linear by token: a 1"),
        (merged(("a", 1)), merged(("a", 1), method="ties"), "linear: a 1 → ties: a 1"),
        (merged(("a", 1), method="ties"), merged(("a", 2), method="ties"), "ties: a 1 → ties: a 2"),
        (
            Decided(None, "ties", {"density": 0.3}, (("a", 1.0),)),
            Decided(None, "ties", {"density": 0.5}, (("a", 1.0),)),
            "ties (density 0.3): a 1 → ties (density 0.5): a 1",
        ),
        (MadeFrom(SPEC, "carried", False, (("a", 1.0),)), FROM_NEWS, "carried from a → from news"),
    ],
)
def test_before_and_after_are_told_with_what_shows_the_difference(old: Any, new: Any, text: str) -> None:
    assert Words().change(old, new) == text


def test_of_many_sources_the_first_are_told() -> None:
    many = merged(*((f"s{number}", 0.01) for number in range(100)))
    assert Words().change(None, many).endswith("s7 0.01 and 92 more")


def test_long_names_are_cut_and_odd_ones_escaped() -> None:
    assert cut("a" * 300) == "a" * 199 + "…"
    assert cut("a\nb\x1b[31m\u202e") == "a\\nb\\x1b[31m\\u202e"
    assert len(cut("\n" * 300)) == 200


def test_amounts_are_told_where_they_are_not_of_all() -> None:
    in_all = Amount(3, 2000, 8000)
    amounts = Amounts({Kind.SOURCE: Amount(1, 1000, 4000), Kind.WEIGHTS: in_all}, in_all)
    assert kinds_text(amounts) == "source (1 tensor, 1 K parameters, 4 KB), weights"


def test_layers_are_told_by_their_ends() -> None:
    assert [layers_text(LayerRun(*ends, ())) for ends in ((0, 9), (7, 7))] == ["0–9", "7"]


def test_paths_are_short_where_they_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert path_text(Path.cwd() / "a" / "b") == "a/b"
    assert path_text(Path("/elsewhere/b")) == "/elsewhere/b"
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert path_text(Path("/elsewhere/b")) == "/elsewhere/b"


def test_an_id_of_git_is_shortened() -> None:
    review = Review("0123456789abcdef" * 4, "recipes/a.yaml", ())
    assert Words().total(review) == "0123456789 → recipes/a.yaml: no recipe differs"


def test_what_is_wrong_with_either_side_is_counted(review: Review) -> None:
    (broken,) = [its for its in review.recipes if its.status is Status.INVALID]
    assert broken.new is not None
    both = replace(broken, old=replace(broken.new, problems=broken.new.problems[:1]))
    assert Words().summary(both) == "not valid: 2 problems; not valid before: 1 problem"


def test_a_plan_that_does_the_same_with_other_files_beside_it_says_that_no_tensor_changes(tmp_path: Path) -> None:
    diff = diff_plans(reviewed(tmp_path, TWO), reviewed(tmp_path, TWO.replace("out.pth", "other.pth")))
    side = Side("a.yaml", tmp_path / "a.yaml", "assumed: XTTS-V2")
    change = RecipeChange("a.yaml", Status.CHANGED, side, side, 1, True, False, diff)
    assert Words().summary(change) == "no tensor changes; output: path"


def test_both_bases_are_told_where_they_differ(tmp_path: Path) -> None:
    old, new = (Side("a.yaml", tmp_path, basis) for basis in ("from the lock", "assumed: XTTS-V2"))
    change = RecipeChange("a.yaml", Status.CHANGED, old, new, 1, True, False)
    said = "before from the lock, after assumed: XTTS-V2; keys, shapes and types may differ for that reason alone"
    assert Words().basis(change) == said
