from __future__ import annotations

import os
from pathlib import Path

import pytest

from xttsrecipe.report.repository import path_in, repository_root


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_the_root_is_the_nearest_folder_with_a_repository(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    for place in (tmp_path, tmp_path / "a/b"):
        if kind == "folder":
            (place / ".git").mkdir()
        else:  # of a worktree or a submodule
            (place / ".git").write_text("gitdir: elsewhere\n")
    monkeypatch.chdir(tmp_path / "a/b/c")
    assert repository_root() == tmp_path / "a/b"
    monkeypatch.chdir(tmp_path / "a")
    assert repository_root() == tmp_path


def test_without_a_repository_the_root_is_that_of_the_workflow_or_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repository_root() == tmp_path
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path.parent))
    assert repository_root() == tmp_path.parent
    (tmp_path / ".git").mkdir()
    assert repository_root() == tmp_path


def test_a_file_is_named_from_the_root_however_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes/more").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "recipes")
    for given in ("more/a.yaml", "./more/a.yaml", "../recipes/more/a.yaml", str(tmp_path / "recipes/more/a.yaml")):
        assert path_in(tmp_path, given) == "recipes/more/a.yaml"
    assert path_in(tmp_path, "..") == "."
    assert path_in(tmp_path, "../../a.yaml") is None
    assert path_in(None, "a.yaml") is None


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="there are no links here")
def test_a_link_in_the_repository_is_a_file_of_it_and_one_to_it_leads_there(tmp_path: Path) -> None:
    (tmp_path / "real/recipes").mkdir(parents=True)
    (tmp_path / "outside.yaml").touch()
    (tmp_path / "real/recipes/link.yaml").symlink_to(tmp_path / "outside.yaml")
    (tmp_path / "other").symlink_to(tmp_path / "real")
    for root in (tmp_path / "real", tmp_path / "other"):
        for place in (tmp_path / "real", tmp_path / "other"):
            assert path_in(root, str(place / "recipes/link.yaml")) == "recipes/link.yaml"


def test_where_the_current_folder_is_gone_there_is_no_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    root = repository_root()
    monkeypatch.chdir(tmp_path)
    assert root is None
