"""The hook, run by the real pre-commit on commits in a scratch repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .repositories import PROJECT, RECIPE, Repository, environment

BROKEN = RECIPE.replace("weights:", "wieghts:")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pre-commit's own folder, with the environments of hooks."""
    return tmp_path_factory.mktemp("pre-commit-home")


@pytest.fixture
def team(tmp_path: Path, project: Repository, home: Path) -> Repository:
    """A team's repository, in which pre-commit is installed."""
    made = Repository.new(tmp_path / "team")
    configure(made, project)
    pre_commit(made, home, "install")
    made.commit("Begin")
    return made


def configure(team: Repository, project: Repository, **settings: object) -> None:
    hook = {"id": "xttsrecipe-validate", **settings}
    repo = {"repo": str(project.folder), "rev": project.git("rev-parse", "HEAD"), "hooks": [hook]}
    team.write(".pre-commit-config.yaml", yaml.safe_dump({"repos": [repo]}))


def pre_commit(team: Repository, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", *arguments],
        cwd=team.folder,
        env=environment(PRE_COMMIT_HOME=str(home), PRE_COMMIT_COLOR="never"),
        capture_output=True,
        text=True,
        timeout=300,
    )


def commit(team: Repository, home: Path) -> subprocess.CompletedProcess[str]:
    """git commit, with the hook."""
    team.git("add", "--all")
    return subprocess.run(
        ["git", "commit", "--message", "Change a recipe"],
        cwd=team.folder,
        env=environment(PRE_COMMIT_HOME=str(home), PRE_COMMIT_COLOR="never"),
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_pre_commit_knows_the_manifest() -> None:
    manifest = PROJECT / ".pre-commit-hooks.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-manifest", manifest], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout


def test_a_commit_with_a_broken_recipe_is_refused_with_our_message(team: Repository, home: Path) -> None:
    team.write("recipes/warm.yaml", BROKEN)
    before = team.git("rev-parse", "HEAD")
    done = commit(team, home)
    assert done.returncode == 1
    assert "recipes/warm.yaml:3:1: no field named 'wieghts'; did you mean 'weights'?" in done.stderr
    assert "^^^^^^^" in done.stderr
    assert "Traceback" not in done.stderr
    assert team.git("rev-parse", "HEAD") == before
    block = (PROJECT / "docs" / "reviewing.md").read_text("utf-8").partition("$ git commit -m 'Warmer'\n")[2]
    shown = block.partition("```")[0].splitlines()
    said = done.stderr.splitlines()
    assert len(shown) > 5
    assert [line for line in shown if not any(one.startswith(line) for one in said)] == []


def test_a_commit_with_a_good_recipe_passes(team: Repository, home: Path) -> None:
    team.write("recipes/warm.yaml", RECIPE)
    team.write("recipes/more/warm it.yml", RECIPE)
    before = team.git("rev-parse", "HEAD")
    done = commit(team, home)
    assert done.returncode == 0, done.stderr
    assert "Passed" in done.stderr
    assert team.git("rev-parse", "HEAD^") == before


@pytest.mark.parametrize("name", ["other/warm.yaml", "other/warm.lock.yaml", "recipes/a.txt"])
def test_what_is_no_recipe_is_not_looked_at(name: str, team: Repository, home: Path) -> None:
    team.write(name, "neither: a\nrecipe: here\n")
    done = commit(team, home)
    assert done.returncode == 0, done.stderr
    assert "no files to check" in done.stderr


def test_a_lock_is_looked_at_with_its_recipe(team: Repository, home: Path) -> None:
    team.write("recipes/warm.yaml", RECIPE)
    team.write("recipes/warm.lock.yaml", "neither: a\nlock: here\n")
    done = commit(team, home)
    assert done.returncode == 1
    assert "recipes/warm.lock.yaml:2:7: lock: is not what xttsrecipe lock writes" in done.stderr


def test_a_team_may_keep_recipes_elsewhere(team: Repository, project: Repository, home: Path) -> None:
    configure(team, project, files=r"^voices/.*\.ya?ml$")
    team.write("voices/warm.yaml", BROKEN)
    done = commit(team, home)
    assert done.returncode == 1
    assert "voices/warm.yaml:3:1: no field named 'wieghts'" in done.stderr


def test_the_hooks_environment_has_no_torch(team: Repository, home: Path) -> None:
    assert pre_commit(team, home, "install-hooks").returncode == 0
    installed = {path.name.partition("-")[0].lower() for path in home.rglob("site-packages/*.dist-info")}
    assert {"xttsrecipe", "jsonschema", "typer"} <= installed
    assert {name for name in installed if name.startswith(("torch", "nvidia", "triton"))} == set()
