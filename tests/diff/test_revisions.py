from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.repositories import Scratch, git
from xttsrecipe.codes import Code
from xttsrecipe.diff import revisions
from xttsrecipe.diff.revisions import Entry, GitError, Repository, repository_at
from xttsrecipe.report.problems import problems_text


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    made = Scratch.made(tmp_path / "work")
    made.commit(("a.yaml", "one\n"), ("sub/b.yml", "two\n"), ("sub/c.txt", "three\n"))
    return made


@pytest.fixture
def repository(scratch: Scratch) -> Repository:
    return repository_at(scratch.root)


def refused(folder: Path, revision: str = "HEAD") -> str:
    with pytest.raises(GitError) as caught:
        repository_at(folder).tree(revision)
    return problems_text(caught.value.problems)


# --- repositories ---------------------------------------------------------------------------------------------------


def test_a_repository_is_found_from_any_folder_in_it(scratch: Scratch) -> None:
    assert repository_at(scratch.root) == Repository(scratch.root.resolve(), scratch.root, "")
    found = repository_at(scratch.root / "sub")
    assert (found.root, found.prefix) == (scratch.root.resolve(), "sub/")


def test_a_folder_outside_of_repositories_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    said = refused(tmp_path)
    assert "is not in a git repository" in said
    assert "xttsrecipe diff OLD.yaml NEW.yaml" in said


def test_a_bare_repository_is_an_error(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    assert "without a work tree" in refused(tmp_path / "bare.git")


def test_that_git_is_not_installed_is_an_error_that_says_so(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "needs git, which is not installed" in refused(scratch.root)


@pytest.mark.skipif(sys.platform == "win32", reason="a program of another name there")
def test_a_git_that_fails_is_quoted(scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'fatal: out of\n  cheese' >&2\nexit 128\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=":")
    assert "found: fatal: out of cheese" in refused(scratch.root)
    fake.write_text("#!/bin/sh\necho 'fatal: detected dubious ownership in repository at x' >&2\nexit 128\n")
    assert "safe.directory" in refused(scratch.root)
    fake.write_text("not a program")
    assert "git cannot be started" in refused(scratch.root)


# --- revisions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["HEAD", "main", "HEAD~0", "main^{commit}", "@", "v1", "v2"])
def test_revisions_are_those_of_git(revision: str, scratch: Scratch, repository: Repository) -> None:
    git(scratch.root, "tag", "v1")
    git(scratch.root, "tag", "--annotate", "--message", "two", "v2")
    assert repository.tree(revision) == git(scratch.root, "rev-parse", "HEAD^{tree}").strip()


@pytest.mark.parametrize(
    "revision", ["maim", "", "-h", "--help", "--output=x", "a b", "\n", "HEAD\nmain", "nul\0", "é", "HEAD~9"]
)
def test_what_is_no_revision_is_refused(revision: str, scratch: Scratch, repository: Repository) -> None:
    before = sorted(scratch.root.rglob("*"))
    with pytest.raises(GitError, match="there is no revision") as caught:
        repository.tree(revision)
    assert [problem.code for problem in caught.value.problems] == [Code.UNKNOWN_REVISION]
    assert sorted(scratch.root.rglob("*")) == before


def test_a_mistyped_revision_is_told_what_it_might_be(scratch: Scratch, repository: Repository) -> None:
    assert "did you mean 'main'?" in refused(scratch.root, "maim")
    git(scratch.root, "update-ref", "refs/remotes/origin/feature", "HEAD")
    assert "did you mean 'origin/feature'?" in refused(scratch.root, "feature")
    assert "help" not in refused(scratch.root, "0123456789")


def test_a_range_is_told_how_to_be_written(scratch: Scratch) -> None:
    assert "xttsrecipe diff main feature" in refused(scratch.root, "main..feature")
    assert "xttsrecipe diff main HEAD" in refused(scratch.root, "main...")


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "path", "name"),
    [
        ("", "a.yaml", "a.yaml"),
        ("", "sub/b.yml", "sub/b.yml"),
        ("", "sub/", "sub"),
        ("", "", ""),
        ("", ".", ""),
        ("", "./a.yaml", "a.yaml"),
        ("sub/", "a.yaml", "a.yaml"),
        ("sub/", "./b.yml", "sub/b.yml"),
        ("sub/", "../a.yaml", "a.yaml"),
        ("sub/", "..", ""),
        ("sub/", "./", "sub"),
        ("", "../a.yaml", None),
        ("sub/", "../../a.yaml", None),
        ("", "..", None),
        ("", "/a.yaml", None),
        ("", "a/../../b", None),
        ("", "..a.yaml", "..a.yaml"),
        ("", ".a.yaml", ".a.yaml"),
    ],
)
def test_paths_are_from_the_top_or_with_a_dot_from_the_current_folder(prefix: str, path: str, name: str | None) -> None:
    assert Repository(Path("/r"), Path("/r") / prefix, prefix).resolved(path) == name


def test_entries_are_those_that_are_there(scratch: Scratch, repository: Repository) -> None:
    (scratch.root / "link.yaml").symlink_to("a.yaml")
    scratch.commit()
    found = repository.entries(repository.tree("HEAD"), ["a.yaml", "sub/b.yml", "none.yaml", "link.yaml"])
    found |= repository.entries(repository.tree("HEAD"), ["sub"])
    assert {name: entry.what for name, entry in found.items()} == {
        "a.yaml": "a file",
        "sub/b.yml": "a file",
        "sub": "a folder",
        "link.yaml": "a symbolic link",
    }
    assert [name for name, entry in found.items() if entry.is_file] == ["a.yaml", "sub/b.yml"]
    assert [name for name, entry in found.items() if entry.is_folder] == ["sub"]


def test_entries_may_be_many(scratch: Scratch, repository: Repository) -> None:
    names = [f"many/{number}.yaml" for number in range(1200)]
    scratch.commit(*((name, name) for name in names))
    tree = repository.tree("HEAD")
    found = repository.entries(tree, names)
    assert list(found) == names
    texts = repository.contents([entry.id for entry in found.values()], 100)
    assert [texts[entry.id] for entry in found.values()] == [name.encode() for name in names]


def test_files_of_a_tree_are_yaml_files_only(scratch: Scratch, repository: Repository) -> None:
    (scratch.root / "link.yaml").symlink_to("a.yaml")
    scratch.commit()
    assert sorted(repository.files(repository.tree("HEAD"))) == ["a.yaml", "sub/b.yml"]


ODD = [
    "with space.yaml",
    "-dash.yaml",
    ":(top)magic.yaml",
    ":colon.yaml",
    "*.yaml",
    "[a].yaml",
    "é.yaml",
    '"quoted".yaml',
    "b\\s.yaml",
]
ODD_BYTES = ["line\nbreak.yaml", "tab\t.yaml", os.fsdecode(b"\xff.yaml")]


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows has no place for")
@pytest.mark.parametrize("name", [*ODD, *ODD_BYTES], ids=ascii)
def test_odd_names_are_read_like_any(name: str, scratch: Scratch, repository: Repository) -> None:
    try:
        scratch.commit((name, "text"))
    except OSError:
        pytest.skip("the file system has no place for this name")
    tree = repository.tree("HEAD")
    entry = repository.entries(tree, [name])[name]
    assert repository.contents([entry.id], 100) == {entry.id: b"text"}
    assert name in repository.files(tree)
    scratch.put(name, "other text")
    assert repository.differing(tree, None) == {name}


# --- contents -------------------------------------------------------------------------------------------------------


def test_contents_are_bytes_whatever_they_are(scratch: Scratch, repository: Repository) -> None:
    texts = [b"", b"\n", b"a\r\nb", bytes(range(256)), b"\n" * 100, b"0123 blob 5\nabcde\n"]
    scratch.commit(*((f"{number}.yaml", text) for number, text in enumerate(texts)))
    entries = repository.entries(repository.tree("HEAD"), [f"{number}.yaml" for number in range(len(texts))])
    found = repository.contents([entry.id for entry in entries.values()], 1000)
    assert [found[entry.id] for entry in entries.values()] == texts


def test_what_is_too_long_is_not_read(scratch: Scratch, repository: Repository) -> None:
    scratch.commit(("big.yaml", b"x" * 101), ("fits.yaml", b"x" * 100))
    entries = repository.entries(repository.tree("HEAD"), ["big.yaml", "fits.yaml"])
    found = repository.contents([entry.id for entry in entries.values()], 100)
    assert [found[entry.id] for entry in entries.values()] == [None, b"x" * 100]


def test_nothing_is_asked_of_git_for_no_contents(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "_git", None)
    assert repository.contents([], 100) == {}


def test_an_object_that_is_lost_is_an_error(repository: Repository) -> None:
    with pytest.raises(GitError, match=f"cannot read an object: {'0' * 40} missing"):
        repository.contents(["0" * 40], 100)


def test_an_entry_of_a_submodule_is_called_so() -> None:
    assert Entry("160000", "0" * 40).what == "a submodule"


# --- what differs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["", "sub"])
def test_what_differs_from_the_work_tree_is_found_from_every_folder(folder: str, scratch: Scratch) -> None:
    scratch.commit((".gitignore", "ignored.yaml\n"), ("gone.yaml", ""), ("staged.yaml", ""), ("same.yaml", ""))
    git(scratch.root, "rm", "--quiet", "gone.yaml")
    scratch.put("staged.yaml", "staged")
    git(scratch.root, "add", "staged.yaml")
    scratch.put("a.yaml", "changed")
    scratch.put("sub/new.yaml", "untracked")
    scratch.put("new.txt", "no YAML")
    scratch.put("ignored.yaml", "ignored")
    scratch.put("same.yaml", "")
    repository = repository_at(scratch.root / folder)
    found = repository.differing(repository.tree("HEAD"), None)
    assert found - {"same.yaml"} == {"a.yaml", "gone.yaml", "staged.yaml", "sub/new.yaml"}


def test_what_differs_between_two_revisions_is_found(scratch: Scratch, repository: Repository) -> None:
    scratch.commit(("a.yaml", "changed"), ("new.yaml", ""), ("x.txt", ""))
    scratch.put("sub/b.yml", "not committed")
    trees = repository.tree("HEAD~1"), repository.tree("HEAD")
    assert repository.differing(*trees) == {"a.yaml", "new.yaml"}
    assert repository.differing(trees[0], trees[0]) == set()


def test_a_renamed_file_is_gone_and_new(scratch: Scratch, repository: Repository) -> None:
    git(scratch.root, "mv", "a.yaml", "z.yaml")
    git(scratch.root, "config", "diff.renames", "copies")
    assert repository.differing(repository.tree("HEAD"), None) == {"a.yaml", "z.yaml"}


# --- manners --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="scripts are POSIX's")
def test_nothing_of_the_repository_is_run_and_nothing_is_changed(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    hooks = scratch.root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "post-checkout", "fsmonitor-watchman", "query-watchman"):
        (hooks / name).symlink_to(trap)
    for setting in ("core.fsmonitor", "diff.external", "core.pager", "diff.x.command", "diff.x.textconv"):
        git(scratch.root, "config", setting, str(trap))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(trap))
    monkeypatch.setenv("GIT_PAGER", str(trap))
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    scratch.commit((".gitattributes", "*.yaml diff=x\n"))
    (tmp_path / "sprung").unlink(missing_ok=True)
    scratch.put("a.yaml", "changed")
    before = {path: path.stat().st_mtime_ns for path in scratch.root.rglob("*")}
    repository = repository_at(scratch.root)
    tree = repository.tree("HEAD")
    assert repository.differing(tree, None) == {"a.yaml"}
    entries = repository.entries(tree, ["a.yaml"])
    repository.contents([entry.id for entry in entries.values()], 100)
    assert not (tmp_path / "sprung").exists()
    assert {path: path.stat().st_mtime_ns for path in scratch.root.rglob("*")} == before
