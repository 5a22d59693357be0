"""The example workflow: what official schemas and an auditor say of it and its like, and its one comment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from .expressions import holds
from .repositories import PROJECT, environment
from .steps import Job

WORKFLOW = PROJECT / "docs" / "workflows" / "pull-request.yml"
GITLAB = PROJECT / "docs" / "workflows" / "gitlab-ci.yml"
MARK = "<!-- xttsrecipe: recipes -->"


# --- the official schemas -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-actions", PROJECT / "action.yml"),
        ("vendor.github-workflows", WORKFLOW),
        ("vendor.gitlab-ci", GITLAB),
    ],
)
def test_a_file_is_what_its_official_schema_allows(schema: str, file: Path) -> None:
    transform = ["--data-transform", "gitlab-ci"] if "gitlab" in schema else []
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *transform, file],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", [PROJECT / "action.yml", WORKFLOW], ids=lambda file: file.name)
def test_nothing_is_found_by_an_auditor_of_workflows(file: Path) -> None:
    """zizmor: injections, permissions that are too wide, credentials that stay, triggers that are dangerous."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("zizmor"),
            "--offline",
            "--no-progress",
            "--config",
            Path(__file__).parent / "zizmor.yml",
            file,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def read() -> dict[Any, Any]:
    """The workflow; its ``on`` is true to YAML 1.1."""
    found: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    return found


def test_the_workflow_asks_for_no_more_than_it_needs(action: Mapping[str, Any]) -> None:
    workflow = read()
    assert set(workflow[True]) == {"pull_request"}
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    assert job["permissions"] == {"contents": "read", "pull-requests": "write"}
    used = [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]
    assert used == ["actions/checkout", "OWNER/xttsrecipe"]
    (ours,) = (step for step in job["steps"] if step.get("id") == "xttsrecipe")
    assert set(ours["with"]) <= set(action["inputs"])
    assert "secrets." not in WORKFLOW.read_text("utf-8")


# --- GitHub: one comment --------------------------------------------------------------------------------------------

# What the real gh does with the calls that the workflow makes, against comments in a file.
GH = """\
#!{python}
import json, os, pathlib, sys
import jq
arguments = sys.argv[1:]
calls = pathlib.Path(os.environ["CALLS"])
with calls.open("a") as file:
    file.write(json.dumps(arguments) + "\\n")
if "--jq" in arguments:
    comments = json.loads(os.environ["COMMENTS"])
    for found in jq.compile(arguments[arguments.index("--jq") + 1]).input_value(comments):
        print(found)
"""


@pytest.fixture
def comment(tmp_path: Path) -> Callable[..., list[list[str]]]:
    """Runs the workflow's last step and returns what gh was called with."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "gh").write_text(GH.replace("{python}", sys.executable))
    (tools / "gh").chmod(0o755)
    (tmp_path / "comment.md").write_text("What changes.\n")
    (job,) = read()["jobs"].values()

    def run(comments: list[dict[str, Any]], changed: str = "true", head: str = "team/recipes") -> list[list[str]]:
        event = {"pull_request": {"number": 7, "head": {"repo": {"full_name": head}}}}
        outputs = {"changed": changed, "comment-file": str(tmp_path / "comment.md")}
        context = {
            "github": {"event": event, "repository": "team/recipes", "token": "t"},
            "steps": {"xttsrecipe": {"outputs": outputs}},
        }
        more = {
            "PATH": f"{tools}:{environment()['PATH']}",
            "CALLS": str(tmp_path / "calls"),
            "COMMENTS": json.dumps(comments),
            "GITHUB_REPOSITORY": "team/recipes",
        }
        (tmp_path / "temp").mkdir()
        done = Job(tmp_path, context, tmp_path / "temp", more).run(job["steps"][-1:])
        assert not done.failed, done.log
        calls = tmp_path / "calls"
        return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []

    return run


def of(login: str, body: str, number: int = 1) -> dict[str, Any]:
    return {"id": number, "user": {"login": login}, "body": body}


def test_the_first_time_a_comment_is_made(comment: Callable[..., list[list[str]]], tmp_path: Path) -> None:
    looked, made = comment([])
    assert looked[:3] == ["api", "--paginate", "repos/team/recipes/issues/7/comments?per_page=100"]
    body = tmp_path / "temp" / "recipes-comment.md"
    assert made == ["api", "--silent", "repos/team/recipes/issues/7/comments", "--field", f"body=@{body}"]
    assert body.read_text() == f"{MARK}\nWhat changes.\n"


@pytest.mark.parametrize("changed", ["true", "false"])
def test_later_the_same_comment_is_changed(changed: str, comment: Callable[..., list[list[str]]]) -> None:
    others = [of("somebody", f"{MARK}\nNot ours.", 1), of("github-actions[bot]", "Another bot's", 2)]
    _, made = comment([*others, of("github-actions[bot]", f"{MARK}\nOld.", 3)], changed)
    assert made[:5] == ["api", "--silent", "--method", "PATCH", "repos/team/recipes/issues/comments/3"]


def test_there_is_no_comment_where_nothing_changes(comment: Callable[..., list[list[str]]]) -> None:
    assert len(comment([of("somebody", f"{MARK}\nNot ours.")], "false")) == 1


def test_a_pull_request_from_a_fork_gets_no_comment(comment: Callable[..., list[list[str]]]) -> None:
    assert comment([], head="stranger/recipes") == []


def test_a_step_that_compared_nothing_makes_no_comment() -> None:
    (job,) = read()["jobs"].values()
    event = {"pull_request": {"head": {"repo": {"full_name": "team/recipes"}}}}
    context = {"github": {"event": event, "repository": "team/recipes"}, "steps": {"xttsrecipe": {"outputs": {}}}}
    assert not holds(job["steps"][-1]["if"], context)
