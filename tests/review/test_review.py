"""The action with the real command: what a pull request that changes a recipe gets to see, without its checkpoints."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from .repositories import RECIPE, Repository
from .steps import Job

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Review = Callable[..., Job]


@pytest.fixture
def review(action: Mapping[str, Any], bin_folder: Path, tmp_path: Path) -> Review:
    """Reviews a pull request that writes a recipe: as its checkout, the merge, of depth 1."""

    def run(recipe: str, name: str = "recipes/warm.yaml", **inputs: str) -> Job:
        work = Repository.new(tmp_path / "work")
        work.write("recipes/warm.yaml", RECIPE)
        base = work.commit()
        work.git("checkout", "--quiet", "-b", "topic")
        work.write(name, recipe)
        head = work.commit()
        work.git("checkout", "--quiet", "main")
        work.git("merge", "--quiet", "--no-ff", "--message", "Merge", "topic")
        work.git("clone", "--quiet", "--bare", work.folder, tmp_path / "bare.git")
        clone = Repository.new(tmp_path / "clone")
        clone.git("remote", "add", "origin", (tmp_path / "bare.git").as_uri())
        clone.git("fetch", "--quiet", "--depth=1", "origin", "main")
        clone.git("checkout", "--quiet", "FETCH_HEAD")
        (tmp_path / "temp").mkdir()
        event = {"pull_request": {"base": {"sha": base}, "head": {"sha": head}}}
        given = {"paths": "recipes", "base": "", "validate": "true", "diff": "true", **inputs}
        job = Job(clone.folder, {"github": {"event": event}, "inputs": given}, tmp_path / "temp")
        installed = {"python": {"python-path": sys.executable}, "install": {"bin": str(bin_folder)}}
        return job.run(action["runs"]["steps"], installed)

    return run


def test_a_recipe_that_does_not_validate_is_annotated_where_it_stands(review: Review) -> None:
    job = review(RECIPE.replace("weights:", "wieghts:"), diff="false")
    assert job.failed
    (line,) = (line for line in job.log.splitlines() if line.startswith("::error "))
    assert "file=recipes/warm.yaml,line=3,col=1" in line
    assert "no field named 'wieghts'" in line


def test_a_recipe_that_validates_is_not_annotated(review: Review) -> None:
    job = review(RECIPE, "recipes/another one.yaml", diff="false")
    assert not job.failed, job.log
    assert "::error" not in job.log


def test_what_changes_in_the_model_becomes_the_comment(review: Review, action: Mapping[str, Any]) -> None:
    job = review(RECIPE.replace("0.6", "0.7").replace("0.4", "0.3"), validate="false")
    assert not job.failed, job.log
    outputs = job.outputs(action)
    assert outputs["changed"] == "true"
    assert [word for word in ("warm.yaml", "0.6", "0.7") if word not in outputs["comment"]] == []
    assert Path(outputs["comment-file"]).read_text("utf-8") == outputs["comment"]
    assert outputs["comment"] in job.summary


def test_a_recipe_that_is_not_valid_is_in_the_comment_too(review: Review, action: Mapping[str, Any]) -> None:
    job = review(RECIPE.replace("weights:", "wieghts:"))
    assert job.failed
    assert "warm.yaml" in job.outputs(action)["comment"]


def test_a_comment_in_a_recipe_changes_nothing(review: Review, action: Mapping[str, Any]) -> None:
    job = review("# Why these numbers.\n" + RECIPE, validate="false")
    assert not job.failed, job.log
    assert job.outputs(action)["changed"] == "false"


def test_a_new_recipe_is_a_change(review: Review, action: Mapping[str, Any]) -> None:
    job = review(RECIPE.replace("warm", "cold"), "recipes/cold.yaml", validate="false")
    assert not job.failed, job.log
    outputs = job.outputs(action)
    assert outputs["changed"] == "true"
    assert "cold.yaml" in outputs["comment"]


@pytest.mark.parametrize(
    "text", ["$(touch pwned)", "`touch pwned`", "end\\nEOF\\nchanged=false", "::set-output name=x::y"]
)
def test_a_hostile_recipe_is_only_text(text: str, review: Review, action: Mapping[str, Any], tmp_path: Path) -> None:
    recipe = RECIPE.replace("name: warm", f'name: "{text}"').replace("0.6", "0.7").replace("0.4", "0.3")
    job = review(recipe, validate="false")
    assert not (tmp_path / "clone" / "pwned").exists()
    if not job.failed:  # such a name may be refused
        assert job.outputs(action)["changed"] == "true"
