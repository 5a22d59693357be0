"""GitLab's job: its script run for real in a clone of depth 1, against as much of GitLab's API as it uses."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from .repositories import PROJECT, Repository, environment

MARK = "<!-- xttsrecipe: recipes -->"
USER = "/api/v4/user"
OURS, THEIRS = {"id": 42, "username": "project_5_bot"}, {"id": 7, "username": "eve"}
NOTES = "/api/v4/projects/5/merge_requests/7/notes"
COMPARED = "# What changes\n& = + % 'quoted' \"twice\" $(touch pwned) ü\n"


class GitLab(ThreadingHTTPServer):
    """A server that hands out notes, page by page, and keeps what is sent to it: method, path, body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.notes: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str, str]] = []


class _Request(BaseHTTPRequestHandler):
    server: GitLab

    def _answer(self) -> None:
        address = urlsplit(self.path)
        sent = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        self.server.calls.append((self.command, address.path, sent.get("body", [""])[0]))
        page = int(parse_qs(address.query).get("page", ["1"])[0])
        found: Any = self.server.notes[(page - 1) * 100 : page * 100] if self.command == "GET" else {}
        if address.path == USER:
            found = OURS
        self.send_response(200 if self.headers.get("PRIVATE-TOKEN") == "secret" else 401)
        self.end_headers()
        self.wfile.write(json.dumps(found, separators=(",", ":")).encode())

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 # http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    with GitLab() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def pipeline(tmp_path: Path, gitlab: GitLab) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the snippet's script in a clone of depth 1, with a command that records."""
    if not shutil.which("curl"):
        pytest.skip("the snippet calls curl, which is not here")
    work = Repository.new(tmp_path / "work")
    base = work.commit()
    head = work.commit()
    clone = Repository.new(tmp_path / "clone")
    clone.git("remote", "add", "origin", work.folder.as_uri())
    clone.git("fetch", "--quiet", "--depth=1", "origin", head)
    clone.git("checkout", "--quiet", "FETCH_HEAD")
    (tmp_path / "compared").write_text(COMPARED, "utf-8")
    tool = tmp_path / "tools" / "xttsrecipe"
    tool.parent.mkdir()
    tool.write_text(
        f'#!/bin/sh\necho "$*${{XTTSRECIPE_TOKEN+ with the token}}" >>{tmp_path}/record\n'
        'case $1 in\n  validate) exit "$STATUS" ;;\n'
        f'  diff) git cat-file -e "$2" && cat {tmp_path}/compared && exit "$STATUS" ;;\nesac\n'
    )
    tool.chmod(0o755)
    text = (PROJECT / "docs" / "workflows" / "gitlab-ci.yml").read_text("utf-8")
    # As the runner puts them together; /tmp is the container's, here it is the test's.
    script = "\n".join(["set -eo pipefail", *yaml.safe_load(text)["recipes"]["script"]]).replace(
        "/tmp/", f"{tmp_path}/"
    )

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": f"{tool.parent}:{environment()['PATH']}",
            "STATUS": "0",
            "RECIPES": "recipes",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
            "CI_MERGE_REQUEST_PROJECT_ID": "5",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_API_V4_URL": f"http://127.0.0.1:{gitlab.server_port}/api/v4",
            "XTTSRECIPE_TOKEN": "secret",
        }
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=clone.folder,
            env=environment(**variables | more),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (clone.folder / "recipes.md").read_text("utf-8") == COMPARED, done.stderr
        assert (tmp_path / "record").read_text().splitlines() == [
            "validate recipes",
            f"diff {base}: --format markdown",
        ]
        assert not (clone.folder / "pwned").exists()
        return done

    return run


def test_the_first_time_a_note_is_made(pipeline: Callable[..., Any], gitlab: GitLab) -> None:
    done = pipeline()
    assert done.returncode == 0, done.stderr
    assert done.stdout == COMPARED
    assert gitlab.calls == [("GET", USER, ""), ("GET", NOTES, ""), ("POST", NOTES, f"{MARK}\n{COMPARED}")]


@pytest.mark.parametrize("before", [0, 1, 99, 100, 250])
def test_later_the_same_note_is_changed(before: int, pipeline: Callable[..., Any], gitlab: GitLab) -> None:
    others = [{"id": number, "body": "about " + MARK, "author": OURS} for number in range(before)]
    gitlab.notes[:] = [*others, {"id": 1000, "body": f"{MARK}\nOld.", "author": OURS}]
    assert pipeline().returncode == 0
    assert gitlab.calls[-1] == ("PUT", f"{NOTES}/1000", f"{MARK}\n{COMPARED}")
    assert len(gitlab.calls) == before // 100 + 3


def test_a_note_of_somebody_else_is_left_alone(pipeline: Callable[..., Any], gitlab: GitLab) -> None:
    """Anybody may write what begins as ours does; to change it would fail, or hide what changes under their name."""
    gitlab.notes[:] = [{"id": 1, "body": f"{MARK}\nTrust me.", "author": THEIRS}]
    assert pipeline().returncode == 0
    assert gitlab.calls[-1] == ("POST", NOTES, f"{MARK}\n{COMPARED}")


def test_of_both_ours_is_changed(pipeline: Callable[..., Any], gitlab: GitLab) -> None:
    gitlab.notes[:] = [
        {"id": number, "body": f"{MARK}\nOld.", "author": author} for number, author in enumerate((THEIRS, OURS))
    ]
    assert pipeline().returncode == 0
    assert gitlab.calls[-1] == ("PUT", f"{NOTES}/1", f"{MARK}\n{COMPARED}")


def test_without_a_token_nothing_is_sent(pipeline: Callable[..., Any], gitlab: GitLab) -> None:
    assert pipeline(XTTSRECIPE_TOKEN="").returncode == 0
    assert gitlab.calls == []


def test_a_token_that_is_refused_fails_the_job(pipeline: Callable[..., Any], gitlab: GitLab) -> None:
    done = pipeline(XTTSRECIPE_TOKEN="wrong")
    assert done.returncode != 0
    assert "401" in done.stderr
    assert "wrong" not in done.stdout + done.stderr


def test_a_recipe_that_is_not_valid_fails_the_job_after_the_note(pipeline: Callable[..., Any], gitlab: GitLab) -> None:
    assert pipeline(STATUS="1").returncode == 1
    assert gitlab.calls[-1][0] == "POST"
