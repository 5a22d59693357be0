"""What tests share because it takes long to make: this project as a repository, and what the action installs of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from .origins import RECORDER, Origin, make_origin
from .repositories import PROJECT, Repository, environment, project_repository
from .steps import Job, Outputs


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return project_repository(tmp_path_factory.mktemp("project") / "xttsrecipe")


@pytest.fixture(scope="session")
def action() -> dict[str, Any]:
    """The composite action."""
    read: dict[str, Any] = yaml.safe_load((PROJECT / "action.yml").read_text("utf-8"))
    return read


@pytest.fixture(scope="session")
def bin_folder(action: dict[str, Any], project: Repository, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the action's own install step has put the command, with all that it needs but torch."""
    temporary = tmp_path_factory.mktemp("runner temp")
    context = {"github": {"action_path": str(project.folder)}, "inputs": {}}
    python = {"python": {"python-path": sys.executable}}
    job = Job(project.folder, context, temporary).run(action["runs"]["steps"][:2], python)
    assert not job.failed, job.log
    return Path(job.context["steps"]["install"]["outputs"]["bin"])


@pytest.fixture(scope="session")
def command(bin_folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command that the action installed."""

    def run(*arguments: str | Path, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [bin_folder / "xttsrecipe", *arguments],
            cwd=cwd,
            env=environment(**more),
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    return make_origin(tmp_path_factory.mktemp("origin"))


@pytest.fixture
def recorder(tmp_path: Path) -> dict[str, Outputs]:
    """A command that only records what it is called with, as the install step would have put it."""
    folder = tmp_path / "recorder"
    folder.mkdir()
    (folder / "xttsrecipe").write_text(RECORDER)
    (folder / "xttsrecipe").chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    return {"python": {}, "install": {"bin": str(folder)}}


@pytest.fixture
def review(action: Mapping[str, Any], tmp_path: Path, recorder: dict[str, Outputs]) -> Callable[..., Job]:
    """Runs the action, after its installation, with the command that records."""

    def run(folder: Path, context: dict[str, Any], **more: str) -> Job:
        (tmp_path / "temp").mkdir(exist_ok=True)
        job = Job(folder, context, tmp_path / "temp", {"RECORD": str(tmp_path / "record"), **more})
        return job.run(action["runs"]["steps"], recorder)

    return run
