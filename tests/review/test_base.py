"""What the composite action compares with: found and fetched in clones of a bare origin, of depth 1 and others."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from .origins import Origin, recorded
from .steps import Job


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
        ("topic", [], "main", "base"),
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
    compared = {line.split()[1].removesuffix(":") for line in recorded(tmp_path)}
    assert {clone.git("rev-parse", f"{commit}^{{commit}}") for commit in compared} == {
        origin.left if expected == "tag" else getattr(origin, expected)
    }
    # A fetch of depth 1 would cut history that is here.
    assert len(clone.git("rev-list", "HEAD").split()) >= known
    assert clone.git("rev-parse", "--is-shallow-repository") == str(bool(options)).lower()


@pytest.mark.parametrize(("options", "expected"), [([], "left"), (["--depth=1"], "base")])
def test_a_branch_is_compared_with_where_it_left_the_base_as_far_as_the_clone_knows(
    options: list[str], expected: str, review: Callable[..., Job], origin: Origin, tmp_path: Path
) -> None:
    clone = origin.clone(tmp_path / "clone", "topic", *options)
    context = origin.context(validate="false")
    context["github"]["event"]["pull_request"]["base"]["sha"] = origin.base
    job = review(clone.folder, context)
    assert not job.failed, job.log
    assert recorded(tmp_path)[0] == f"diff {getattr(origin, expected)}: --format markdown"


@pytest.mark.parametrize("commit", ["left", "base", "head"])
def test_the_base_may_be_any_commit_of_origin(
    commit: str, review: Callable[..., Job], origin: Origin, tmp_path: Path
) -> None:
    clone = origin.clone(tmp_path / "clone", "refs/pull/1/merge", "--depth=1")
    name = getattr(origin, commit)
    job = review(clone.folder, origin.context(base=name, validate="false"))
    assert not job.failed, job.log
    assert recorded(tmp_path)[0] == f"diff {name}: --format markdown"
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
    assert recorded(tmp_path)[0] == f"diff {origin.left}: --format markdown"


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
    assert recorded(tmp_path)[0] == f"diff {origin.base}: --format markdown"
