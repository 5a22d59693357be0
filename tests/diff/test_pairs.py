from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.repositories import Scratch, git
from xttsrecipe.diff.pairs import Pairs, find_pairs, split_revision
from xttsrecipe.document import MAX_BYTES
from xttsrecipe.errors import XttsRecipeError
from xttsrecipe.report.problems import problems_text

A = "checkpoints: {a: a.pth}\n"
B = "checkpoints: {b: b.pth}\n"
C = "checkpoints: {c: c.pth}\n"
OTHER = "on: push\n"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    """A repository with two recipes and YAML that is none, which is the current folder."""
    made = Scratch.made(tmp_path / "work")
    made.commit(("recipes/a.yaml", A), ("recipes/sub/b.yml", B), (".github/ci.yaml", OTHER), ("top.yaml", C))
    monkeypatch.chdir(made.root)
    return made


def texts(pairs: Pairs) -> dict[str, tuple[str | None, str | None]]:
    """By name, what was and what is."""
    return {
        pair.name: (
            (pair.old.raw or b"").decode() if pair.old else None,
            (pair.new.raw or b"").decode() if pair.new else None,
        )
        for pair in pairs.pairs
    }


def found(old: str, new: str | None = None) -> dict[str, tuple[str | None, str | None]]:
    return texts(find_pairs(old, new))


def refused(old: str, new: str | None = None) -> str:
    with pytest.raises(XttsRecipeError) as caught:
        find_pairs(old, new)
    return problems_text(caught.value.problems)


# --- OLD alone ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [".", "recipes/sub", ".github"])
def test_a_revision_is_compared_with_the_work_tree_where_they_differ(
    folder: str, scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found("main") == {}
    scratch.put("recipes/a.yaml", C)
    scratch.put("new.yaml", B)
    scratch.put(".github/ci.yaml", "on: pull_request\n")
    scratch.put("values.yaml", "x: y\n")
    (scratch.root / "top.yaml").unlink()
    monkeypatch.chdir(folder)
    assert found("main") == {"new.yaml": (None, B), "recipes/a.yaml": (A, C), "top.yaml": (C, None)}


def test_what_only_looks_changed_from_outside_is_left_out(scratch: Scratch) -> None:
    path = scratch.root / "top.yaml"
    os.utime(path, (1, 1))
    assert found("HEAD") == {}


def test_a_renamed_recipe_is_gone_and_new(scratch: Scratch) -> None:
    git(scratch.root, "mv", "recipes/a.yaml", "recipes/z.yaml")
    assert found("main") == {"recipes/a.yaml": (A, None), "recipes/z.yaml": (None, A)}


def test_ignored_files_are_not_new(scratch: Scratch) -> None:
    scratch.put(".gitignore", "scratch.yaml\n")
    scratch.put("scratch.yaml", A)
    assert found("main") == {}


def test_a_recipe_that_is_none_any_more_is_still_compared(scratch: Scratch) -> None:
    scratch.put("recipes/a.yaml", "checkpoint: {}\n")
    scratch.put("top.yaml", "a: [\n")
    scratch.put(".github/ci.yaml", A)
    assert found("main") == {
        ".github/ci.yaml": (OTHER, A),
        "recipes/a.yaml": (A, "checkpoint: {}\n"),
        "top.yaml": (C, "a: [\n"),
    }


def test_a_path_after_the_revision_is_a_file_or_a_folder(scratch: Scratch) -> None:
    scratch.put("recipes/sub/b.yml", C)
    scratch.put("recipes/new.yaml", B)
    scratch.put("top.yaml", A)
    assert found("main:recipes") == {"new.yaml": (None, B), "sub/b.yml": (B, C)}
    assert found("main:recipes/") == {"new.yaml": (None, B), "sub/b.yml": (B, C)}
    assert found("main:recipes/sub") == {"b.yml": (B, C)}
    assert found("main:top.yaml") == {"top.yaml": (C, A)}
    assert set(found("main:")) == {"recipes/sub/b.yml", "recipes/new.yaml", "top.yaml"}


def test_a_folder_whose_name_others_begin_with_is_not_theirs(scratch: Scratch) -> None:
    scratch.put("recipes2/x.yaml", A)
    assert found("main:recipes") == {}


def test_a_file_that_is_gone_is_compared_with_nothing(scratch: Scratch) -> None:
    (scratch.root / "top.yaml").unlink()
    assert found("main:top.yaml") == {"top.yaml": (C, None)}


# --- OLD and NEW ----------------------------------------------------------------------------------------------------


def test_two_files_need_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    Path("a.yaml").write_text(A)
    Path("b.yaml").write_text(OTHER)
    assert found("a.yaml", "b.yaml") == {"a.yaml → b.yaml": (A, OTHER)}
    assert found("a.yaml", "a.yaml") == {"a.yaml": (A, A)}


def test_of_two_folders_recipes_of_one_name_are_paired(scratch: Scratch) -> None:
    scratch.put("old/a.yaml", A)
    scratch.put("old/sub/b.yml", B)
    scratch.put("old/other.yaml", OTHER)
    scratch.put("new/a.yaml", C)
    scratch.put("new/z.yaml", B)
    scratch.put("new/other.yaml", "x: y\n")
    assert found("old", "new") == {"a.yaml": (A, C), "sub/b.yml": (B, None), "z.yaml": (None, B)}
    assert found("old", "old") == {"a.yaml": (A, A), "sub/b.yml": (B, B)}
    assert found("main:recipes", "new/") == {"a.yaml": (A, C), "sub/b.yml": (B, None), "z.yaml": (None, B)}
    assert found("new", "main:recipes/sub") == {"a.yaml": (C, None), "b.yml": (None, B), "z.yaml": (B, None)}


def test_a_file_of_a_revision_is_compared_with_any_other(scratch: Scratch) -> None:
    scratch.commit(("recipes/a.yaml", C))
    assert found("main~1:recipes/a.yaml", "recipes/a.yaml") == {"a.yaml": (A, C)}
    assert found("main~1:recipes/a.yaml", "main:recipes/a.yaml") == {"a.yaml": (A, C)}
    assert found("top.yaml", "main~1:recipes/a.yaml") == {"top.yaml → a.yaml": (C, A)}


def test_paths_in_revisions_may_be_relative_to_the_current_folder(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("recipes/sub")
    assert found("main:./b.yml", "b.yml") == {"b.yml": (B, B)}
    assert found("main:../a.yaml", "../a.yaml") == {"a.yaml": (A, A)}
    assert "main:recipes/sub/b.yml, or main:./b.yml" in refused("main:b.yml", "b.yml")


def test_a_revision_without_a_path_is_what_lies_in_the_place_of_the_other(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch.put("recipes/a.yaml", C)
    scratch.put("recipes/new.yaml", B)
    assert found("main", "recipes/a.yaml") == {"a.yaml": (A, C)}
    assert found("recipes/a.yaml", "main") == {"a.yaml": (C, A)}
    assert found("main", "recipes/new.yaml") == {"new.yaml": (None, B)}
    assert found("main", "recipes") == {"a.yaml": (A, C), "new.yaml": (None, B), "sub/b.yml": (B, B)}
    scratch.commit()
    assert found("main~1", "main:recipes/a.yaml") == {"a.yaml": (A, C)}
    monkeypatch.chdir("recipes")
    assert found("main~1", "a.yaml") == {"a.yaml": (A, C)}


def test_of_two_revisions_what_differs_is_compared(scratch: Scratch) -> None:
    scratch.commit(("recipes/a.yaml", C), ("x.txt", "x"))
    scratch.put("top.yaml", "not committed")
    assert found("main~1", "main") == {"recipes/a.yaml": (A, C)}


def test_a_file_or_folder_wins_over_a_revision_of_its_name(scratch: Scratch) -> None:
    git(scratch.root, "branch", "recipes")
    scratch.put("main", A)
    assert found("main", "top.yaml") == {"main → top.yaml": (A, C)}
    with pytest.raises(ValueError, match=r"recipes is a folder here: .* write recipes: for the revision"):
        find_pairs("recipes", None)
    assert found("recipes:") == {}


def test_a_file_alone_is_wrong_usage(scratch: Scratch) -> None:
    with pytest.raises(ValueError, match=r"top\.yaml is a file here: .* HEAD top\.yaml"):
        find_pairs("top.yaml", None)


# --- locks ----------------------------------------------------------------------------------------------------------


def test_a_recipe_whose_lock_changed_is_compared(scratch: Scratch) -> None:
    scratch.commit(("recipes/a.lock.yaml", "lock: 1\n"), ("recipes/sub/b.lock.yaml", "lock: 1\n"))
    scratch.put("recipes/a.lock.yaml", "lock: 2\n")
    scratch.put("top.lock.yaml", "lock: 3\n")
    (scratch.root / "recipes/sub/b.lock.yaml").unlink()
    pairs = find_pairs("main", None)
    locks = {pair.name: (pair.old and pair.old.lock, pair.new and pair.new.lock) for pair in pairs.pairs}
    assert locks == {
        "recipes/a.yaml": (b"lock: 1\n", b"lock: 2\n"),
        "recipes/sub/b.yml": (b"lock: 1\n", None),
        "top.yaml": (None, b"lock: 3\n"),
    }


def test_a_lock_is_no_recipe_even_where_it_has_checkpoints(scratch: Scratch) -> None:
    scratch.put("alone.lock.yaml", A)
    assert found("main") == {}
    assert "alone.lock.yaml" not in found(".", ".")


# --- what cannot be read --------------------------------------------------------------------------------------------


def test_what_is_neither_here_nor_a_revision_says_so(scratch: Scratch) -> None:
    said = refused("maim", "top.yaml")
    assert "there is no file or folder 'maim' here, and no such revision in the repository" in said
    assert "did you mean 'main'?" in said
    assert "there is no such file or folder" in refused("typo.yaml", "top.yaml")
    assert "there is no such file or folder" in refused("top.yaml", "gone/typo.yml")
    assert "is not in main" in refused("main:typo.yaml")


def test_a_windows_drive_is_no_revision(scratch: Scratch) -> None:
    git(scratch.root, "branch", "C")
    for path in ("C:\\x.yaml", "C:/x.yaml"):
        assert "there is no such file or folder" in refused(path, "top.yaml")
    assert found("C:top.yaml", "top.yaml") == {"top.yaml": (C, C)}


def test_a_path_outside_of_the_repository_is_refused(scratch: Scratch, tmp_path: Path) -> None:
    (tmp_path / "out.yaml").write_text(A)
    assert "lies outside of the repository" in refused("main:../out.yaml")
    assert "lies outside of the repository" in refused("main:/etc/passwd")
    assert "lies outside of the repository" in refused("main", "../out.yaml")


def test_a_file_is_not_compared_with_a_folder(scratch: Scratch) -> None:
    assert "recipes is a folder and top.yaml is a file" in refused("recipes", "top.yaml")
    assert "main:recipes is a folder and top.yaml is a file" in refused("top.yaml", "main:recipes")


@pytest.mark.parametrize("option", ["--output=x", "-p", "--", "-"])
def test_what_git_might_take_for_an_option_never_gets_there(option: str, scratch: Scratch) -> None:
    before = sorted(Path().iterdir())
    assert "no such revision" in refused(option)
    assert "no such revision" in refused(option, "top.yaml") or option == "--"
    assert "is not in main" in refused(f"main:{option}")
    assert sorted(Path().iterdir()) == before


def test_a_file_that_is_too_big_is_a_recipe_if_its_other_side_is(scratch: Scratch) -> None:
    scratch.commit(("top.yaml", C + "#" * MAX_BYTES), ("data.yaml", "a: " + "b" * MAX_BYTES))
    scratch.put("top.yaml", C)
    scratch.put("data.yaml", "a: b")
    (pair,) = find_pairs("main", None).pairs
    assert pair.old is not None
    assert pair.old.raw is not None
    assert len(pair.old.raw) == MAX_BYTES + 1


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_in_a_revision_is_not_followed(scratch: Scratch) -> None:
    (scratch.root / "link.yaml").symlink_to("top.yaml")
    scratch.commit()
    (pair,) = find_pairs("main:link.yaml", "top.yaml").pairs
    assert pair.old is not None
    assert pair.old.raw is None
    assert "main:link.yaml: is a symbolic link in main" in problems_text(pair.old.problems)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_left_out_where_folders_are_compared(scratch: Scratch, tmp_path: Path) -> None:
    (scratch.root / "recipes" / "link.yaml").symlink_to("a.yaml")
    scratch.commit()
    (scratch.root / "recipes" / "new.yaml").symlink_to("a.yaml")
    for old, new in (("main:recipes", "recipes"), ("recipes", "recipes/"), ("main", "recipes"), ("recipes", "main")):
        assert set(found(old, new)) == {"a.yaml", "sub/b.yml"}
    assert found("main") == {}
    assert found("recipes/link.yaml", "top.yaml") == {"link.yaml → top.yaml": (A, C)}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_lock_that_is_a_link_is_not_followed(scratch: Scratch, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("secret\n")
    (scratch.root / "top.lock.yaml").symlink_to(tmp_path / "elsewhere")
    scratch.put("top.yaml", A)
    for old, new in (("main:top.yaml", None), ("main", None), ("recipes/a.yaml", "top.yaml")):
        (pair,) = find_pairs(old, new).pairs
        assert pair.new is not None
        assert (pair.new.lock, pair.new.problems) == (None, ())


def test_a_recipe_in_whose_place_is_a_folder_is_gone(scratch: Scratch) -> None:
    (scratch.root / "top.yaml").unlink()
    (scratch.root / "top.yaml").mkdir()
    assert found("main") == {"top.yaml": (C, None)}
    assert found("main:top.yaml") == {"top.yaml": (C, None)}


@pytest.mark.parametrize("text", [":", ":top.yaml", ":0:top.yaml"])
def test_the_index_is_no_revision(text: str, scratch: Scratch) -> None:
    assert "there is no revision before the :" in refused(text)


def test_a_branch_that_looks_like_an_option_has_a_longer_name(scratch: Scratch) -> None:
    git(scratch.root, "update-ref", "refs/heads/-dash", "HEAD")
    assert "refs/heads/-dash" in refused("-dash")
    assert found("refs/heads/-dash") == {}


def test_of_a_shallow_clone_it_is_told(scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "shallow" not in refused("quite-another")
    git(tmp_path, "clone", "--quiet", "--depth=1", scratch.root.as_uri(), "shallow")
    monkeypatch.chdir(tmp_path / "shallow")
    assert "a shallow clone has few" in refused("quite-another")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes there")
def test_a_pipe_in_the_work_tree_is_not_read(scratch: Scratch) -> None:
    (scratch.root / "top.yaml").unlink()
    os.mkfifo("top.yaml")
    (pair,) = find_pairs("main", None).pairs
    assert pair.new is not None
    assert "is a device, pipe or socket" in problems_text(pair.new.problems)


# --- how operands are split -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("main", ("main", None)),
        ("main:a.yaml", ("main", "a.yaml")),
        ("main:", ("main", "")),
        ("main:a:b.yaml", ("main", "a:b.yaml")),
        ("main@{2026-01-01 12:00}:a.yaml", ("main@{2026-01-01 12:00}", "a.yaml")),
        ("main@{2026-01-01 12:00}", ("main@{2026-01-01 12:00}", None)),
        ("HEAD^{/fix: it}", ("HEAD^{/fix: it}", None)),
        ("HEAD^{/fix: it}:a.yaml", ("HEAD^{/fix: it}", "a.yaml")),
        (":a.yaml", ("", "a.yaml")),
    ],
)
def test_a_revision_ends_at_the_first_colon_outside_of_braces(text: str, parts: tuple[str, str | None]) -> None:
    assert split_revision(text) == parts
