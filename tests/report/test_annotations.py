from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.golden import check_golden
from xttsrecipe.codes import Code
from xttsrecipe.errors import Location, Problem
from xttsrecipe.outcome import Validation
from xttsrecipe.report.annotations import annotations_text, summary_markdown
from xttsrecipe.report.problems import problem_text
from xttsrecipe.validation import validate

from .validations import EVIL, OUTPUT, SOURCES, commands, mixed, recipe, rule, twelve_problems

ROOM = 1 << 20


def test_annotations_look_as_agreed() -> None:
    check_golden("report/validation_github.txt", annotations_text(mixed()))


def test_the_summary_looks_as_agreed() -> None:
    check_golden("report/validation_summary.md", summary_markdown(mixed(), ROOM))


def test_an_annotation_is_where_the_problem_is() -> None:
    recipe("recipes/warm.yaml", f"{SOURCES}overrides:\n  'x*': from audiobok\n{OUTPUT}")
    (found,) = commands(annotations_text(list(validate([Path("recipes")]))))
    assert found.name == "error"
    assert found.properties == {
        "file": "recipes/warm.yaml", "line": "3", "col": "14", "endColumn": "22", "title": "XR101 unknown-source",
    }  # fmt: skip
    assert found.message == (
        "overrides.\"x*\": no source named 'audiobok'; did you mean 'audiobook'?\n  expected: one of news, audiobook"
    )


def test_what_is_wrong_elsewhere_stands_at_the_recipe_and_names_the_file() -> None:
    recipe("voices/news.pth", "")
    recipe("recipes/warm.yaml", "checkpoints: {news: ../voices/news.pth}\noutput: {path: merged.pth}\n")
    (found,) = commands(annotations_text(list(validate([Path("recipes/warm.yaml")]))))
    assert found.properties == {"file": "recipes/warm.yaml", "title": "XR303 damaged-checkpoint"}
    assert found.message.startswith("voices/news.pth: source 'news' is empty (0 bytes)\n")


@pytest.mark.parametrize("folder", [".", "recipes", "recipes/more"])
def test_files_are_named_from_the_root_of_the_repository(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".git").mkdir()
    path = recipe("recipes/more/warm.yaml", "name: x\n").absolute()
    monkeypatch.chdir(folder)
    for name in (path, Path(path.name) if folder.endswith("more") else path):
        log = annotations_text(list(validate([name])))
        assert {found.properties["file"] for found in commands(log)} == {"recipes/more/warm.yaml"}


def drifted(count: int) -> list[Validation]:
    """Valid recipes whose locks are of another plan."""
    problem = Problem(Code.LOCK_OF_ANOTHER_PLAN, "is of another plan", Location("recipes/a.lock.yaml"), hint="lock it")
    return [Validation(Path(f"recipes/{number}.yaml"), (), "all", drift=(problem,)) for number in range(count)]


def test_what_drifted_is_a_warning_on_the_recipe() -> None:
    (found,) = commands(annotations_text(drifted(1)))
    assert (found.name, found.properties["file"], found.properties["title"]) == (
        "warning", "recipes/0.yaml", "XR704 lock-of-another-plan",
    )  # fmt: skip
    assert found.message == "recipes/a.lock.yaml: is of another plan\n  help: lock it"


def test_of_each_kind_ten_are_annotated() -> None:
    log = annotations_text([*drifted(12), *twelve_problems()])
    assert [found.name for found in commands(log)].count("warning") == 10
    assert [found.name for found in commands(log)].count("error") == 10
    assert log.count("\nwarning: recipes/a.lock.yaml: is of another plan [XR704]\n") == 2
    assert "12 warnings: GitHub shows 10 of them" in log
    assert "12 problems: GitHub shows 10 of them" in log


def test_the_summary_has_problems_first_and_warnings_too() -> None:
    text = summary_markdown([*drifted(2), *twelve_problems()], ROOM)
    assert text.startswith("### xttsrecipe validate: 12 problems in 1 of 3 recipes, 2 warnings\n")
    assert text.index("[XR101]") < text.index("warning: recipes/a.lock.yaml")
    assert summary_markdown(drifted(1), ROOM).startswith("### xttsrecipe validate: 1 recipe valid, 1 warning\n")


def test_ten_problems_are_annotated_and_the_others_told_as_text() -> None:
    results = twelve_problems()
    assert len(results[0].problems) == 12
    log = annotations_text(results)
    assert len(commands(log)) == 10
    last = "12 problems: GitHub shows 10 of them beside their lines, the others stand above\n"
    assert log.endswith("".join(map(problem_text, results[0].problems[10:])) + last)


def test_ten_problems_and_no_more_need_no_word_on_it() -> None:
    recipe("recipes/many.yaml", "".join(f"a{number}: 1\n" for number in range(8)))
    log = annotations_text(list(validate([Path("recipes")])))
    assert len(commands(log)) == len(log.splitlines()) == 10


def test_a_summary_has_every_problem() -> None:
    results = twelve_problems()
    text = summary_markdown(results, ROOM)
    assert text.startswith("### xttsrecipe validate: 12 problems in 1 of 1 recipe\n\n```text\n")
    assert all(problem_text(problem) in text for problem in results[0].problems)


def test_a_summary_is_cut_to_its_room_and_says_what_is_left_out() -> None:
    recipe("recipes/many.yaml", "".join(f"field_{number}: 1\n" for number in range(2_000)))
    results = list(validate([Path("recipes")]))
    for room in (-1, 0, 100, 299, 300, 9_000, 11_000, 50_000, ROOM):
        assert len(summary_markdown(results, room).encode()) <= max(room, 0)
    assert summary_markdown(results, 500) == (
        "### xttsrecipe validate: 2002 problems in 1 of 1 recipe\n\n2002 problems more: see the log.\n"
    )
    text = summary_markdown(results, 50_000)
    shown = text.count("[XR20")
    assert 10 < shown < 2_000
    assert text.endswith(f"```\n\n{2002 - shown} problems more: see the log.\n")
    assert summary_markdown(results, ROOM).count("[XR20") == 2_002


def test_where_all_is_well_there_is_no_summary() -> None:
    recipe("recipes/good.yaml", SOURCES + OUTPUT)
    results = list(validate([Path("recipes")]))
    assert summary_markdown(results, ROOM) == ""
    assert annotations_text(results).startswith("recipes/good.yaml: valid, without its checkpoints")
    assert annotations_text([]) == summary_markdown([], ROOM) == ""


@given(st.text(st.sampled_from("a`~ \n#<")))
def test_whatever_stands_in_a_summary_does_not_end_its_block(what: str) -> None:
    problem = Problem(Code.NOT_UTF_8, what, Location(what, 3, 1, what), what, what, what, (what,))
    check_that_nothing_escapes([Validation(Path("a.yaml"), (problem,), "")], 1)


# --- hostile recipes --------------------------------------------------------------------------------------------

NAMES = [
    "::add-mask::x.yaml", "##[stop-commands]x.yaml", "a,line=7,title=x.yaml", "a%0A::debug::x.yaml",
    "a\n::debug::x.yaml", "a\r::debug::x.yaml", "```.yaml", "<img src=x>.yaml", "[x](y).yaml", "\x1b[2J.yaml",
]  # fmt: skip


@pytest.mark.parametrize("bad", [True, False])
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_files_name_becomes_no_command_and_no_markdown(name: str, bad: bool) -> None:
    for number in range(13):  # beyond what is annotated too
        recipe(f"recipes/{number:02}{name}", "x: 1\n" if bad else SOURCES + OUTPUT)
        recipe(name, "x: 1\n" if bad else SOURCES + OUTPUT)
    check_that_nothing_escapes(list(validate([Path("recipes"), Path(name)])), 10 if bad else 0)


def test_what_stands_in_a_recipe_becomes_no_command_and_no_markdown() -> None:
    for number in range(13):
        recipe(f"recipes/{number:02}.yaml", rule(f"{number}{EVIL}"))
    check_that_nothing_escapes(list(validate([Path("recipes")])), 10)


def check_that_nothing_escapes(results: list[Validation], errors: int) -> None:
    log = annotations_text(results)
    assert [found.name for found in commands(log)] == ["error"] * errors
    assert not [character for character in log if not character.isprintable() and character != "\n"]
    summary = summary_markdown(results, ROOM)
    if errors:
        heading, _, fence, *inner, last = summary.splitlines()
        assert heading.startswith("### xttsrecipe validate: ")
        assert fence == f"{last}text"
        assert not [line for line in inner if line.strip().startswith(last)]
