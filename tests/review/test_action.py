"""The composite action: its steps run for real in bash, with a command that only records what it is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from .origins import RECORDER, Origin, recorded
from .steps import Job, Outputs

# --- what it is made of ---------------------------------------------------------------------------------------------


def test_no_expression_stands_in_a_script(action: Mapping[str, Any]) -> None:
    scripts = [step["run"] for step in action["runs"]["steps"] if "run" in step]
    assert len(scripts) == 3
    assert [script for script in scripts if "${{" in script] == []


def test_every_input_has_a_description_and_is_used(action: Mapping[str, Any]) -> None:
    steps = str(action["runs"]["steps"])
    assert all(given["description"] and "default" in given for given in action["inputs"].values())
    assert [name for name in action["inputs"] if f"inputs.{name}" not in steps] == []


def test_the_jobs_own_python_stays_as_it_is(action: Mapping[str, Any]) -> None:
    (python,) = (step for step in action["runs"]["steps"] if "uses" in step)
    assert python["uses"].startswith("actions/setup-python@v")
    assert python["with"]["update-environment"] is False


# --- validate -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ("recipes", "recipes"),
        ("recipes\nvoices/a b\n", "recipes voices/a b"),
        ("\n recipes\r\n\r\nmore\r\n", " recipes more"),
        ("-x", "-x"),
        ("$(touch pwned) `touch pwned`; touch pwned", "$(touch pwned) `touch pwned`; touch pwned"),
        ('"; touch pwned; "', '"; touch pwned; "'),
        ("*", "*"),
    ],
)
def test_paths_are_passed_one_a_line_as_they_are(
    paths: str, expected: str, review: Callable[..., Job], origin: Origin, tmp_path: Path
) -> None:
    clone = origin.clone(tmp_path / "clone", "refs/pull/1/merge", "--depth=1")
    job = review(clone.folder, origin.context(paths=paths, diff="false"))
    assert not job.failed, job.log
    assert recorded(tmp_path) == [f"validate --format github -- {expected}"]
    assert not (clone.folder / "pwned").exists()


@pytest.mark.parametrize("paths", ["", "\n", "\r\n\n"])
def test_no_path_is_an_error(paths: str, review: Callable[..., Job], origin: Origin, tmp_path: Path) -> None:
    clone = origin.clone(tmp_path / "clone", "refs/pull/1/merge", "--depth=1")
    job = review(clone.folder, origin.context(paths=paths, diff="false"))
    assert job.failed
    assert "::error title=xttsrecipe::The input 'paths' names no recipe" in job.log


def test_neither_is_done_where_neither_is_wanted(review: Callable[..., Job], origin: Origin, tmp_path: Path) -> None:
    clone = origin.clone(tmp_path / "clone", "refs/pull/1/merge", "--depth=1")
    job = review(clone.folder, origin.context(validate="false", diff="false"))
    assert not job.failed
    assert not (tmp_path / "record").exists()


# --- outputs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "changed"), [("0", "false"), ("1", "true")])
def test_the_outputs_say_whether_and_what(
    status: str, changed: str, review: Callable[..., Job], origin: Origin, action: Mapping[str, Any], tmp_path: Path
) -> None:
    clone = origin.clone(tmp_path / "clone", "refs/pull/1/merge", "--depth=1")
    job = review(clone.folder, origin.context(), CHANGED=status)
    outputs = job.outputs(action)
    assert (outputs["changed"], outputs["comment"]) == (changed, "compared\n")
    assert Path(outputs["comment-file"]).read_text("utf-8") == job.summary == "compared\n"


def test_a_comparison_that_fails_is_told_all_the_same(
    review: Callable[..., Job], recorder: dict[str, Outputs], origin: Origin, action: Mapping[str, Any], tmp_path: Path
) -> None:
    Path(recorder["install"]["bin"], "xttsrecipe").write_text("#!/bin/sh\necho 'one is not valid'\nexit 1\n")
    clone = origin.clone(tmp_path / "clone", "refs/pull/1/merge", "--depth=1")
    job = review(clone.folder, origin.context(validate="false"))
    assert job.failed
    outputs = job.outputs(action)
    assert (outputs["changed"], outputs["comment"]) == ("true", "one is not valid\n")


def test_a_second_comparison_that_fails_is_no_change(
    review: Callable[..., Job], recorder: dict[str, Outputs], origin: Origin, action: Mapping[str, Any], tmp_path: Path
) -> None:
    failing = "#!/bin/sh\ncase $* in *--exit-code*) echo why >&2; exit 1 ;; esac\n" + RECORDER
    Path(recorder["install"]["bin"], "xttsrecipe").write_text(failing)
    clone = origin.clone(tmp_path / "clone", "refs/pull/1/merge", "--depth=1")
    job = review(clone.folder, origin.context())
    assert job.failed
    assert "why" in job.log
    assert set(job.outputs(action).values()) == {""}


@pytest.mark.parametrize("status", [1, 2, 3])
def test_a_comparison_that_says_nothing_fails_and_gives_nothing(
    status: int,
    review: Callable[..., Job],
    recorder: dict[str, Outputs],
    origin: Origin,
    action: Mapping[str, Any],
    tmp_path: Path,
) -> None:
    Path(recorder["install"]["bin"], "xttsrecipe").write_text(f"#!/bin/sh\necho why >&2\nexit {status}\n")
    clone = origin.clone(tmp_path / "clone", "refs/pull/1/merge", "--depth=1")
    job = review(clone.folder, origin.context(validate="false"))
    assert job.failed
    assert "why" in job.log
    assert set(job.outputs(action).values()) == {""}


def test_the_comparison_is_made_though_a_recipe_does_not_validate(
    review: Callable[..., Job], recorder: dict[str, Outputs], origin: Origin, action: Mapping[str, Any], tmp_path: Path
) -> None:
    failing = "#!/bin/sh\ncase $1 in validate) exit 1 ;; esac\n" + RECORDER
    Path(recorder["install"]["bin"], "xttsrecipe").write_text(failing)
    clone = origin.clone(tmp_path / "clone", "refs/pull/1/merge", "--depth=1")
    job = review(clone.folder, origin.context())
    assert job.failed
    assert job.outputs(action)["comment"] == "compared\n"


def test_hostile_text_cannot_end_the_output(
    review: Callable[..., Job], recorder: dict[str, Outputs], origin: Origin, action: Mapping[str, Any], tmp_path: Path
) -> None:
    hostile = "a\nEOF\nend\nend_0\nchanged=true\ncomment<<EOF\nx\nEOF\n"
    (tmp_path / "hostile").write_text(hostile)
    Path(recorder["install"]["bin"], "xttsrecipe").write_text(f"#!/bin/sh\ncat {tmp_path / 'hostile'}\n")
    clone = origin.clone(tmp_path / "clone", "refs/pull/1/merge", "--depth=1")
    job = review(clone.folder, origin.context(validate="false"))
    outputs = job.outputs(action)
    assert (outputs["comment"], outputs["changed"]) == (hostile, "false")
    assert outputs["comment-file"].endswith("/comment.md")


def test_what_ends_the_output_is_another_every_time(action: Mapping[str, Any]) -> None:
    (step,) = (step for step in action["runs"]["steps"] if step.get("id") == "diff")
    assert "secrets.token_hex(16)" in step["run"]
