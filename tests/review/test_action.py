"""The composite action: its steps run for real in bash, in clones of a bare origin as a runner has them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .repositories import RECIPE, Repository
from .steps import Job, Outputs

Command = Callable[..., "subprocess.CompletedProcess[str]"]

# In place of the command where only what it is called with counts.
RECORDER = """\
#!/bin/sh
echo "$*" >>"$RECORD"
case $* in
  *--exit-code*) exit "${CHANGED:-1}" ;;
esac
echo "compared"
"""


@dataclass(frozen=True)
class Origin:
    """A bare repository with main, and a pull request's branch that left it one commit ago."""

    bare: Path
    left: str  # main, where the branch left it
    base: str  # main, now
    head: str  # the branch
    merge: str  # what refs/pull/1/merge is

    def clone(self, folder: Path, ref: str, *options: str) -> Repository:
        """A clone as actions/checkout makes it."""
        made = Repository.new(folder)
        made.git("remote", "add", "origin", self.bare.as_uri())
        made.git("fetch", "--quiet", "--no-tags", *options, "origin", ref)
        made.git("checkout", "--quiet", "FETCH_HEAD")
        return made

    def context(self, **inputs: str) -> dict[str, Any]:
        """What expressions see in a run for the pull request."""
        # The event's base is as old as the last push to the branch.
        event = {"pull_request": {"base": {"sha": self.left}, "head": {"sha": self.head}}}
        return {"github": {"event": event}, "inputs": defaults() | inputs}


def defaults() -> dict[str, str]:
    return {"paths": "recipes", "base": "", "validate": "true", "diff": "true", "python-version": "3.12"}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    folder = tmp_path_factory.mktemp("origin")
    work = Repository.new(folder / "work")
    work.write("recipes/warm.yaml", RECIPE)
    work.commit()
    left = work.commit("The branch leaves main here")
    work.git("checkout", "--quiet", "-b", "topic")
    work.write("recipes/warm.yaml", RECIPE.replace("0.6", "0.7").replace("0.4", "0.3"))
    head = work.commit("Change a weight")
    work.git("checkout", "--quiet", "main")
    work.write("notes.txt", "main goes on")
    base = work.commit("Go on")
    work.git("tag", "--annotate", "--message", "the first", "v1", left)
    work.git("checkout", "--quiet", "--detach")
    work.git("merge", "--quiet", "--no-ff", "--message", "Merge", "topic")
    merge = work.git("rev-parse", "HEAD")
    work.git("update-ref", "refs/pull/1/merge", merge)
    bare = folder / "bare.git"
    work.git("clone", "--quiet", "--mirror", work.folder, bare)
    return Origin(bare, left, base, head, merge)


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


def recorded(tmp_path: Path) -> list[str]:
    return (tmp_path / "record").read_text("utf-8").splitlines()


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


# --- what is compared with what -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ref", "options", "base", "expected"),
    [
        # What actions/checkout does by default: the merge alone. main has gone on since the event.
        ("refs/pull/1/merge", ["--depth=1"], "", "base"),
        ("refs/pull/1/merge", ["--depth=2"], "", "base"),
        ("refs/pull/1/merge", [], "", "base"),
        # The branch itself: what it changed since it left main, or at least since the event's base.
        ("topic", [], "", "left"),
        ("topic", ["--depth=1"], "", "left"),
        # A base by name: origin's branches and tags, else what the clone knows.
        ("refs/pull/1/merge", ["--depth=1"], "main", "base"),
        ("refs/pull/1/merge", [], "main", "base"),
        ("refs/pull/1/merge", ["--depth=1"], "v1", "tag"),
        ("topic", [], "HEAD~1", "left"),
    ],
)
def test_the_base_is_found_and_fetched(
    ref: str,
    options: list[str],
    base: str,
    expected: str,
    review: Callable[..., Job],
    origin: Origin,
    tmp_path: Path,
) -> None:
    clone = origin.clone(tmp_path / "clone", ref, *options)
    known = len(clone.git("rev-list", "HEAD").split())
    job = review(clone.folder, origin.context(base=base, validate="false"))
    assert not job.failed, job.log
    compared = {line.split()[1] for line in recorded(tmp_path)}
    assert {clone.git("rev-parse", f"{commit}^{{commit}}") for commit in compared} == {
        origin.left if expected == "tag" else getattr(origin, expected)
    }
    assert len(clone.git("rev-list", "HEAD").split()) >= known  # a fetch of depth 1 would cut history that is here


@pytest.mark.parametrize("commit", ["left", "base", "head"])
def test_the_base_may_be_any_commit_of_origin(
    commit: str, review: Callable[..., Job], origin: Origin, tmp_path: Path
) -> None:
    clone = origin.clone(tmp_path / "clone", "refs/pull/1/merge", "--depth=1")
    name = getattr(origin, commit)
    job = review(clone.folder, origin.context(base=name, validate="false"))
    assert not job.failed, job.log
    assert recorded(tmp_path)[0] == f"diff {name} --format markdown"
    assert clone.git("cat-file", "-t", name) == "commit"


@pytest.mark.parametrize(
    "base", ["gone", "0123456789" * 4, "--upload-pack=touch pwned", "$(touch pwned)", "main; touch pwned", "a b", "*"]
)
def test_a_base_that_is_nowhere_is_an_error(
    base: str, review: Callable[..., Job], origin: Origin, tmp_path: Path
) -> None:
    clone = origin.clone(tmp_path / "clone", "refs/pull/1/merge", "--depth=1")
    job = review(clone.folder, origin.context(base=base, validate="false"))
    assert job.failed
    assert "::error title=xttsrecipe::The commit to compare with is neither here nor at origin." in job.log
    assert not (tmp_path / "record").exists()
    assert not (clone.folder / "pwned").exists()


@pytest.mark.parametrize("event", [{}, {"before": "0" * 40}])
def test_without_a_base_there_is_a_notice_and_no_comparison(
    event: dict[str, str], review: Callable[..., Job], origin: Origin, action: Mapping[str, Any], tmp_path: Path
) -> None:
    clone = origin.clone(tmp_path / "clone", "main")
    job = review(clone.folder, origin.context(validate="false") | {"github": {"event": event}})
    assert not job.failed
    assert "::notice title=xttsrecipe::There is nothing to compare with" in job.log
    assert set(job.outputs(action).values()) == {""}


def test_a_push_is_compared_with_what_was_there_before(
    review: Callable[..., Job], origin: Origin, tmp_path: Path
) -> None:
    clone = origin.clone(tmp_path / "clone", "main", "--depth=1")
    job = review(clone.folder, origin.context(validate="false") | {"github": {"event": {"before": origin.left}}})
    assert not job.failed, job.log
    assert recorded(tmp_path)[0] == f"diff {origin.left} --format markdown"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_checkout_of_another_user_can_be_compared(review: Callable[..., Job], origin: Origin, tmp_path: Path) -> None:
    """As in a container: the runner checks out, and root works on it."""
    clone = origin.clone(tmp_path / "clone", "refs/pull/1/merge", "--depth=1")
    for path in (clone.folder, *clone.folder.rglob("*")):
        os.chown(path, 65534, 65534)
    with pytest.raises(subprocess.CalledProcessError, match="128"):
        clone.git("status")
    job = review(clone.folder, origin.context(validate="false"))
    assert not job.failed, job.log
    assert recorded(tmp_path)[0] == f"diff {origin.base} --format markdown"


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
