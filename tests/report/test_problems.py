from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import check_golden
from xttsrecipe.codes import Code
from xttsrecipe.errors import Location, Problem
from xttsrecipe.report.problems import problem_text, problems_text, relative

SOME = Code.UNKNOWN_SOURCE
LINE = '  "gpt.text_head.*": from audiobok'

PROBLEMS = {
    "nowhere": Problem(SOME, "nothing can be merged"),
    "file": Problem(SOME, "cannot be read: No such file or directory", Location("news.pth"), hint="name another"),
    "line_without_text": Problem(SOME, "is not UTF-8", Location("recipe.yaml", 3), found="byte 0xe9 in line 3"),
    "caret": Problem(SOME, "no source named 'audiobok'", Location("recipe.yaml", 12, 27, LINE, 8)),
    "caret_of_one": Problem(SOME, "expected a mapping", Location("recipe.yaml", 1, 14, "checkpoints: 3")),
    "caret_never_beyond_the_line": Problem(SOME, "is there twice", Location("recipe.yaml", 4, 3, "  news: 1", 900)),
    "caret_after_the_end": Problem(SOME, "expected more", Location("recipe.yaml", 4, 10, "  news: 1", 3)),
    "tab": Problem(SOME, "a tab where YAML wants spaces", Location("recipe.yaml", 2, 2, "\t\tnews: x", 1)),
    "all_labels": Problem(
        SOME,
        "the weights sum to 1.1, not to 1",
        Location("recipe.yaml", 20_000, 1, "weights:", 7),
        found="1.1",
        expected="1",
        hint="write 'normalize: true'",
    ),
    "details": Problem(SOME, "2 tensors are missing in news", Location("recipe.yaml", 2), details=("gpt.a", "gpt.b")),
    "many_details": Problem(
        SOME, "99 tensors are missing", hint="see above", details=tuple(f"gpt.{n}" for n in range(99))
    ),
    "all_details": Problem(SOME, "13 tensors", details=tuple(f"gpt.{n}" for n in range(13)), all_details=True),
    "as_many_details_as_fit": Problem(SOME, "12 tensors are missing", details=tuple(f"gpt.{n}" for n in range(12))),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_looks_as_agreed(name: str) -> None:
    check_golden(f"report/problem_{name}.txt", problem_text(PROBLEMS[name]))


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_ends_its_line_and_has_no_trailing_spaces(name: str) -> None:
    text = problem_text(PROBLEMS[name])
    assert text.endswith("\n")
    assert all(line == line.rstrip() for line in text.splitlines())


def test_the_caret_is_under_what_is_meant_where_that_is_escaped() -> None:
    text = problem_text(Problem(SOME, "wrong", Location("r.yaml", 1, 3, "\t x\ty z", 3)))
    assert text.splitlines()[1:] == ["    1 | \\t x\\ty z", "      |    ^^^^"]


def test_problems_follow_each_other() -> None:
    one, other = Problem(SOME, "one"), Problem(SOME, "other")
    assert problems_text([one, other]) == "one [XR101]\nother [XR101]\n"


def test_no_problems_are_no_text() -> None:
    assert problems_text([]) == ""


def test_a_line_break_in_a_file_name_does_not_break_the_place() -> None:
    assert (
        problem_text(Problem(SOME, "is a directory", Location("new\nline.pth")))
        == "new\\nline.pth: is a directory [XR101]\n"
    )


def test_control_characters_of_a_file_do_not_reach_the_terminal() -> None:
    """A recipe or a file name from somewhere else must not move the cursor, or hide what an error says."""
    evil = "\x1b[2J"
    text = problem_text(
        Problem(SOME, evil, Location(f"{evil}\x07.yaml", 1, 1, f"{evil}: x"), evil, evil, evil, (evil,))
    )
    assert text.count("\\x1b[2J") == 7
    assert not [character for character in text if character < " " and character != "\n"]


def test_paths_below_the_current_folder_are_shown_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert relative(tmp_path / "voices" / "news.pth") == "voices/news.pth"
    assert relative(tmp_path.parent / "news.pth") == str(tmp_path.parent / "news.pth")
    assert relative(Path("news.pth")) == "news.pth"
    assert relative(tmp_path / "new\ns.pth") == "new\\ns.pth"


def test_a_path_is_whole_where_the_readers_folder_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert relative(tmp_path / "out.pth") == str(tmp_path / "out.pth")
    monkeypatch.chdir(tmp_path)


def test_what_is_quoted_from_a_file_is_cut_where_it_is_long() -> None:
    long = "a" * 600 + "b" * 600_000 + "c" * 600
    problem = Problem(SOME, long, found=long, expected=long, hint=long, details=(long,))
    text = problem_text(problem)
    assert len(text) < 6_000
    assert text.splitlines()[0] == "a" * 500 + " … " + "c" * 500 + " [XR101]"
    assert text.count(" … ") == 5


@pytest.mark.parametrize("column", [1, 61, 30_000, 60_000])
def test_of_a_long_line_the_place_that_is_meant_is_shown(column: int) -> None:
    line = "".join("x" if place != column else "!" for place in range(1, 60_001))
    text = problem_text(Problem(SOME, "wrong", Location("r.yaml", 1, column, line, 90_000)))
    _, excerpt, caret = text.splitlines()
    assert len(excerpt) < 200
    assert excerpt[caret.index("^")] == "!"
    assert len(caret) <= len(excerpt)
