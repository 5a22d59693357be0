from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import samples
from tests.builders import save
from tests.commands import PROJECT, Outcome, environment, invoke, xttsrecipe
from tests.repositories import Scratch, git
from tests.showcase import AFTER, BEFORE, TWO, showcase
from tests.strict_json import strictly
from xttsrecipe.report.markdown import MOST, size_of

FORMATS = ("text", "markdown", "json", "github")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    """A repository in which recipes change in every way; the current folder."""
    made = showcase(tmp_path / "work")
    monkeypatch.chdir(made.root)
    return made


def diff(*arguments: str) -> Outcome:
    return invoke("diff", *arguments)


# --- what is printed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_the_real_command_compares_a_revision_with_the_work_tree(form: str, scratch: Scratch) -> None:
    command = xttsrecipe if form == "text" else invoke
    shown = command("diff", "main", "--format", form)
    assert shown.code == 1  # a recipe is not valid
    assert "recipes/broken.yaml:4:22" in shown.err
    assert "Traceback" not in shown.err
    for stem in ("layer_blend", "sources", "renamed", "text", "gone", "new", "broken"):
        assert f"recipes/{stem}.yaml" in shown.out
    assert "same.yaml" not in shown.out
    assert "ci.yaml" not in shown.out


@pytest.mark.parametrize("form", FORMATS)
def test_without_a_problem_nothing_is_said_on_stderr(form: str, scratch: Scratch) -> None:
    scratch.put("recipes/broken.yaml", TWO)
    shown = diff("main", "--format", form)
    assert (shown.code, shown.err) == (0, "")


def test_json_is_one_object(scratch: Scratch) -> None:
    data = strictly(diff("main", "--format", "json").out)
    assert set(data) == {"old", "new", "summary", "count", "recipes"}
    assert data["count"] == {"identical": 0, "same_plan": 2, "changed": 3, "added": 1, "removed": 1, "invalid": 1}


def test_text_lists_keys_where_they_are_asked_for(scratch: Scratch) -> None:
    arguments = ("main:recipes/layer_blend.yaml", "recipes/layer_blend.yaml")
    assert "gpt.gpt.h.3.attn.c_attn.weight" not in diff(*arguments).out
    assert "~  gpt.gpt.h.3.attn.c_attn.weight" in diff(*arguments, "--keys").out


def test_two_files_outside_of_a_repository_are_compared_without_git(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TWO)
    (tmp_path / "b.yaml").write_text(TWO.replace("0.6", "0.7").replace("0.4", "0.3"))
    shown = xttsrecipe("diff", "a.yaml", "b.yaml", cwd=tmp_path, PATH="")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("a.yaml → b.yaml: 926 of 963 tensors change (weights 926)")


def test_comments_on_recipes_of_many_repositories_fit(scratch: Scratch) -> None:
    for number in range(16):
        scratch.put(f"many/{number}.yaml", TWO)
    scratch.commit()
    for number in range(16):
        scratch.put(f"many/{number}.yaml", TWO.replace("0.6", "0.7").replace("0.4", "0.3"))
    shown = diff("HEAD", "--format", "markdown")
    assert shown.code == 0
    assert size_of(shown.out) <= MOST
    assert "### `HEAD` → work tree: 16 recipes changed\n" in shown.out


# --- exit status ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "plain", "exit_code"),
    [
        (["text", "lock"], 0, 0),
        (["layer_blend"], 0, 1),
        (["renamed"], 0, 0),
        (["new"], 0, 1),
        (["gone"], 0, 1),
        (["text", "sources"], 0, 1),
        (["broken"], 1, 1),
        (["same"], 0, 0),
    ],
)
def test_the_exit_status_says_what_differs_where_it_is_asked_to(
    names: list[str], plain: int, exit_code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def some(texts: dict[str, str]) -> dict[str, str]:
        return {name: text for name, text in texts.items() if Path(name).name.partition(".")[0] in names}

    monkeypatch.chdir(showcase(tmp_path / "work", {"x.txt": "", **some(BEFORE)}, {"x.txt": "", **some(AFTER)}).root)
    assert diff("main").code == plain
    for form in FORMATS if names in (["layer_blend"], ["same"]) else ["text"]:
        assert diff("main", "--exit-code", "--format", form).code == exit_code


@pytest.mark.parametrize("form", FORMATS)
def test_a_recipe_that_is_mended_is_no_error(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"recipes/a.yaml": AFTER["recipes/broken.yaml"]}
    monkeypatch.chdir(showcase(tmp_path / "work", broken, {"recipes/a.yaml": TWO}).root)
    shown = diff("main", "--format", form)
    assert shown.code == 0
    assert "main:recipes/a.yaml:4:22" in shown.err
    assert "recipes/a.yaml" in shown.out
    assert diff("main", "--exit-code", "--format", form).code == 1
    assert diff("recipes/a.yaml", "main", "--format", form).code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["main", "main", "main"],
        ["recipes"],
        ["recipes/text.yaml"],
        ["main", "--format", "html"],
        ["main", "--formt", "text"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], scratch: Scratch) -> None:
    shown = diff(*arguments)
    assert (shown.code, shown.out) == (2, "")


def test_a_file_alone_is_told_what_to_do(scratch: Scratch) -> None:
    said = " ".join(diff("recipes/text.yaml").err.replace("│", "").split())
    assert "recipes/text.yaml is a file here: name what to compare it with, as in HEAD recipes/text.yaml" in said


@pytest.mark.parametrize(
    "arguments", [["maim"], ["maim", "recipes/text.yaml"], ["main:typo.yaml"], ["recipes", "recipes/text.yaml"]]
)
def test_what_is_not_there_exits_with_1(arguments: list[str], scratch: Scratch) -> None:
    shown = diff(*arguments)
    assert (shown.code, shown.out) == (1, "")
    assert re.search(r"\[XR72\d\]$", shown.err, re.MULTILINE)


@pytest.mark.skipif(sys.platform == "win32", reason="the current folder cannot be deleted there")
@pytest.mark.parametrize("arguments", [["main"], ["main:a.yaml"], ["a.yaml", "b.yaml"], ["main", "other"]])
def test_a_current_folder_that_is_gone_is_told(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    command = ['cd gone && rmdir ../gone && exec "$@"', "sh", sys.executable, "-m", "xttsrecipe", "diff", *arguments]
    done = subprocess.run(
        ["sh", "-c", *command], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "XR72" in done.stderr
    assert "Traceback" not in done.stderr


# --- in a workflow --------------------------------------------------------------------------------------------------


def test_a_workflow_has_notices_and_the_markdown_in_its_summary(scratch: Scratch, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    shown = invoke("diff", "main", "--format", "github", GITHUB_STEP_SUMMARY=str(summary))
    markdown = diff("main", "--format", "markdown").out
    assert summary.read_text() == f"before\n\n{markdown}"
    commands = [line for line in shown.out.splitlines() if line.startswith("::")]
    assert [line.partition(" ")[0] for line in commands] == ["::notice"] * 7 + ["::error"] * 2
    assert "::notice file=recipes/layer_blend.yaml,line=18,title=xttsrecipe diff::321 of 963 tensors" in shown.out


def test_other_formats_leave_the_summary_alone(scratch: Scratch, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    for form in ("text", "markdown", "json"):
        shown = invoke("diff", "main:recipes/text.yaml", "--format", form, GITHUB_STEP_SUMMARY=str(summary))
        assert shown.code == 0
    assert not summary.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows has no place for")
@pytest.mark.parametrize("form", FORMATS)
def test_hostile_names_do_nothing(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of files, sources and patterns: no command of a workflow, no markup, no line of their own."""
    name = "::error::x\n::stop-commands::y|`</details>@octocat ##[error]z"
    text = (
        f"checkpoints: {{{json.dumps(name)}: {json.dumps(name)}, b: b.pth}}\n"
        f"overrides: {{{json.dumps('{mel_stats,' + name.replace('|', '') + '}')}: from b}}\noutput: {{path: out.pth}}\n"
    )
    scratch = showcase(
        tmp_path / "work", {f"{name}.yaml".replace("/", "_"): TWO}, {f"{name}.yaml".replace("/", "_"): text}
    )
    monkeypatch.chdir(scratch.root)
    shown = diff("main", "--format", form)
    # Names of sources are checked, so this is not valid; what is quoted of it does nothing either.
    assert shown.code == 1
    lines = shown.out.splitlines()
    commands = [line for line in lines if line.lstrip().startswith("::")]
    assert all(line.startswith("::error file=") for line in commands)
    assert bool(commands) == (form == "github")
    assert "\n::stop-commands::" not in shown.out
    assert not [line for line in shown.err.splitlines() if line.lstrip().startswith("::") or "##[" in line]
    if form == "markdown":
        assert "##[" not in shown.out
        assert "@octocat" not in re.sub(r"`[^`\n]+`|(?ms:^```text\n.*?^```$)", "", shown.out)


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_said_of_a_hostile_file_is_no_command(form: str, scratch: Scratch) -> None:
    scratch.put(
        "::stop-commands::tok.yaml", 'checkpoints: {a: a.pth}\nx##[add-mask]y: 1\noutput: {path: "##[group]"}\n'
    )
    for arguments in (["main"], ["::stop-commands::x"], ["##[x]"]):
        shown = diff(*arguments, "--format", form)
        assert shown.code == 1
        assert not [line for line in shown.err.splitlines() if line.lstrip().startswith("::") or "##[" in line]


@pytest.mark.parametrize("form", FORMATS)
def test_what_variables_hold_is_not_published(
    form: str, scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hush-hush")
    text = "checkpoints: {news: '${SECRET_TOKEN}.pth', b: b.pth}\noutput: {path: '${SECRET_TOKEN}/'}\n"
    for name, more in (("b", "vocabulary: {b: '${SECRET_TOKEN}.json'}\n"), ("c", ""), ("hush-hush", "")):
        scratch.put("recipes/secret.yaml", text + more)
        summary = tmp_path / "summary.md"
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
        save(scratch.root / "recipes" / f"{name}.pth", samples.small_state(1))
        if name == "hush-hush":
            (scratch.root / "recipes" / "hush-hush.pth").write_bytes(b"broken")
        shown = diff("main:recipes/text.yaml", "recipes/secret.yaml", "--keys", "--format", form)
        said = shown.out + shown.err + (summary.read_text() if summary.exists() else "")
        assert "secret.yaml" in said
        assert "hush-hush" not in said
        # The vocabulary is not there, and one is no checkpoint.
        assert shown.code == (name != "c"), said


# --- as it is used --------------------------------------------------------------------------------------------------


def test_no_torch_is_imported(scratch: Scratch) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "xttsrecipe", "diff", "main:recipes/sources.yaml"]
    done = subprocess.run(
        command, cwd=scratch.root, env=environment(), capture_output=True, text=True, timeout=60, check=True
    )
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "subprocess" in modules
    assert not modules & {"torch", "rich", "numpy"}


def test_a_pull_request_is_compared_in_a_clone_of_a_bare_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two branches, the base ahead of where the pull request began, and a shallow clone as CI makes it."""
    work = Scratch.made(tmp_path / "work")
    work.commit(("recipes/two.yaml", TWO), ("recipes/other.yaml", TWO))
    git(work.root, "checkout", "--quiet", "-b", "warmer")
    work.commit(("recipes/two.yaml", TWO.replace("0.6", "0.5").replace("0.4", "0.5")))
    git(work.root, "checkout", "--quiet", "main")
    work.commit(("recipes/other.yaml", "# moved on\n" + TWO))
    git(work.root, "clone", "--quiet", "--bare", ".", tmp_path / "origin.git")
    git(tmp_path, "clone", "--quiet", "--branch", "warmer", (tmp_path / "origin.git").as_uri(), "ci")
    clone = tmp_path / "ci"
    monkeypatch.chdir(clone)
    assert "did you mean 'origin/main'?" in diff("main").err
    base = git(clone, "merge-base", "origin/main", "HEAD").strip()
    shown = diff(base, "--format", "markdown")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith(f"### `{base[:10]}` → work tree: 1 recipe changed\n\n**`recipes/two.yaml`** 926 of 963")
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch", "warmer", (tmp_path / "origin.git").as_uri(), "shallow")
    monkeypatch.chdir(tmp_path / "shallow")
    assert "XR725" in diff(base).err
    git(tmp_path / "shallow", "fetch", "--quiet", "--depth=1", "origin", base)
    assert diff(base, "--format", "markdown").out == shown.out


def test_in_a_hook_git_points_to_the_repository(scratch: Scratch) -> None:
    hook = {"GIT_DIR": ".git", "GIT_INDEX_FILE": ".git/index", "GIT_PREFIX": ""}
    shown = xttsrecipe("diff", "HEAD:recipes/text.yaml", cwd=scratch.root, **hook)
    assert shown.out.startswith("recipes/text.yaml: text changed")


def test_a_linked_work_tree_is_a_repository_like_any(scratch: Scratch, tmp_path: Path) -> None:
    git(scratch.root, "worktree", "add", "--quiet", "--detach", tmp_path / "linked")
    (tmp_path / "linked" / "recipes" / "text.yaml").write_text("# other\n" + TWO)
    shown = xttsrecipe("diff", "main", cwd=tmp_path / "linked")
    assert shown.out.startswith("recipes/text.yaml: text changed, plan identical\n")


def test_checkpoints_that_are_here_are_read(scratch: Scratch) -> None:
    (scratch.root / "voices").mkdir()
    for seed, name in enumerate(("news", "audiobook")):
        save(scratch.root / "voices" / f"{name}.pth", samples.small_state(seed), step=seed)
    assert "basis: from the checkpoints\n" in diff("main:recipes/text.yaml").out


def test_nothing_is_written(scratch: Scratch) -> None:
    before = {path: path.stat().st_mtime_ns for path in scratch.root.rglob("*")}
    diff("main")
    for form in FORMATS:
        diff("main:recipes/layer_blend.yaml", "--format", form)
    assert {path: path.stat().st_mtime_ns for path in scratch.root.rglob("*")} == before


def test_the_shipped_recipes_do_not_differ_from_themselves() -> None:
    shown = xttsrecipe("diff", "recipes", os.path.join("recipes", ""), cwd=PROJECT)  # noqa: PTH118
    assert (shown.code, shown.err) == (0, "")
    count = len(list((PROJECT / "recipes").glob("*.yaml")))
    assert shown.out == f"recipes → recipes/: {count} recipes identical\n"
