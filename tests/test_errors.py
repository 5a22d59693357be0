from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.codes import Code
from xttsrecipe.errors import (
    CheckpointError,
    ExitCode,
    Location,
    OutputError,
    Problem,
    RecipeError,
    XttsRecipeError,
    did_you_mean,
    listed,
    nearest,
)

NAMES = st.text("abcdefgh", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (Location("a.yaml"), "a.yaml"),
        (Location("a.yaml", 3), "a.yaml:3"),
        (Location("a.yaml", 3, 14), "a.yaml:3:14"),
        (Location("a.yaml", 3, 14, "weights: *w", 2), "a.yaml:3:14"),
    ],
)
def test_a_location_reads_as_editors_and_terminals_link_it(where: Location, text: str) -> None:
    assert str(where) == text


def test_a_problem_as_text_is_where_and_what() -> None:
    assert (
        str(Problem(Code.EMPTY_RECIPE, "is empty", Location("a.yaml", 1), found="x", hint="y")) == "a.yaml:1: is empty"
    )
    assert str(Problem(Code.EMPTY_RECIPE, "is empty")) == "is empty"


@pytest.mark.parametrize("thing", [Location("a"), Problem(Code.EMPTY_RECIPE, "a")])
def test_locations_and_problems_cannot_be_changed(thing: Location | Problem) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(thing, dataclasses.fields(thing)[0].name, "b")


def test_an_error_carries_one_problem_or_all_of_them_in_order() -> None:
    first, second = Problem(Code.EMPTY_RECIPE, "one", Location("a.yaml", 1)), Problem(Code.EMPTY_RECIPE, "two")
    assert XttsRecipeError(first).problems == (first,)
    both = XttsRecipeError(problem for problem in (first, second))
    assert both.problems == (first, second)
    assert str(both) == "a.yaml:1: one\ntwo"


@pytest.mark.parametrize("kind", [RecipeError, CheckpointError, OutputError])
def test_whoever_catches_the_general_error_catches_every_kind(kind: type[XttsRecipeError]) -> None:
    with pytest.raises(XttsRecipeError, match=r"^one$"):
        raise kind(Problem(Code.EMPTY_RECIPE, "one"))


def test_exit_codes_are_the_documented_ones() -> None:
    assert {code.name: int(code) for code in ExitCode} == {"OK": 0, "NO": 1, "USAGE": 2, "BUG": 3, "INTERRUPTED": 130}


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("audiobok", ["news", "audiobook"], "; did you mean 'audiobook'?"),
        ("NEWS", ["news", "audiobook"], "; did you mean 'news'?"),
        ("overides", ["name", "overrides", "output"], "; did you mean 'overrides'?"),
        ("zzz", ["news", "audiobook"], ""),
        ("news", [], ""),
    ],
)
def test_did_you_mean_names_the_nearest_or_says_nothing(name: str, known: list[str], text: str) -> None:
    assert did_you_mean(name, known) == text


def test_nearest_gives_the_best_first_and_no_more_than_asked_for() -> None:
    known = ["weight", "weights", "eight", "output"]
    assert nearest("weights", known) == ["weights", "weight", "eight"]
    assert nearest("weights", known, count=1) == ["weights"]


@given(name=NAMES, known=st.lists(NAMES, unique=True), count=st.integers(1, 4))
def test_nearest_only_gives_what_is_known_and_a_known_name_first(name: str, known: list[str], count: int) -> None:
    near = nearest(name, known, count)
    assert len(near) <= count
    assert len(set(near)) == len(near)
    assert set(near) <= set(known)
    assert (name in known) == (near[:1] == [name])


def test_nearest_keeps_names_apart_that_differ_in_capitals_only() -> None:
    assert set(nearest("new", ["news", "News"])) == {"news", "News"}


@pytest.mark.parametrize(
    ("names", "text"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c"), (("x", "y"), "x and y")]
)
def test_names_are_listed_as_in_a_sentence(names: list[str], text: str) -> None:
    assert listed(names) == text
