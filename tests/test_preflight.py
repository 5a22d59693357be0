from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.builders import save
from tests.merging import folder_bytes, recipe_of, save_all
from xttsrecipe.api import make_plan, run
from xttsrecipe.errors import CheckpointError, OutputError, XttsRecipeError
from xttsrecipe.plan import Plan
from xttsrecipe.preflight import check, is_ours, output_problems

STATES = [{"x": torch.zeros(3)}, {"x": torch.ones(3)}]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_plan(recipe_of(tmp_path, save_all(tmp_path, STATES)))


def refusal(folder: Path, plan: Plan, force: bool = False) -> str:
    """What a run is refused with; nothing in the folder changes by it."""
    before = folder_bytes(folder)
    with pytest.raises(XttsRecipeError) as caught:
        run(plan, force)
    assert folder_bytes(folder) == before
    (problem,) = caught.value.problems
    assert problem.hint
    return problem.what


def test_nothing_stands_against_a_new_output(plan: Plan) -> None:
    check(plan)
    assert list(output_problems(plan)) == []


def foreign_checkpoint(path: Path) -> None:
    save(path, STATES[0])


def foreign_text(path: Path) -> None:
    path.write_text("my notes", encoding="utf-8")


def empty_file(path: Path) -> None:
    path.touch()


def truncated_output_of_ours(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10] if path.exists() else b"PK\x03\x04")


@pytest.mark.parametrize("make", [foreign_checkpoint, foreign_text, empty_file, truncated_output_of_ours])
def test_a_foreign_output_is_replaced_with_force_only(make: Callable[[Path], None], plan: Plan, tmp_path: Path) -> None:
    make(tmp_path / "out.pth")
    assert refusal(tmp_path, plan) == "exists and was not made by xttsrecipe: it is not replaced"
    run(plan, force=True)
    assert is_ours(tmp_path / "out.pth")


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_our_own_output_is_replaced(suffix: str, plan: Plan, tmp_path: Path) -> None:
    plan = make_plan(recipe_of(tmp_path, {"a": "a.pth"}, output=f"out{suffix}"))
    run(plan)
    old = (tmp_path / f"out{suffix}").read_bytes()
    run(make_plan(recipe_of(tmp_path, {"b": "b.pth"}, output=f"out{suffix}")))
    assert (tmp_path / f"out{suffix}").read_bytes() != old


@pytest.mark.parametrize("provenance", ["text", 7, None, ["list"]])
def test_an_entry_of_our_name_alone_does_not_make_a_file_ours(provenance: object, tmp_path: Path) -> None:
    assert not is_ours(save(tmp_path / "other.pth", STATES[0], xttsrecipe=provenance))


def test_what_is_not_there_is_not_ours(tmp_path: Path) -> None:
    assert not is_ours(tmp_path / "nothing.pth")


def by_path(source: Path, output: Path) -> None:
    source.rename(output)
    source.symlink_to(output.name)


def by_symbolic_link(source: Path, output: Path) -> None:
    output.symlink_to(source)


def by_chain_of_links(source: Path, output: Path) -> None:
    (output.parent / "between").symlink_to(source.name)
    output.symlink_to("between")


def by_hard_link(source: Path, output: Path) -> None:
    output.hardlink_to(source)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("alias", [by_path, by_symbolic_link, by_chain_of_links, by_hard_link])
def test_an_output_that_is_an_input_is_always_refused(
    alias: Callable[[Path, Path], None], name: str, force: bool, tmp_path: Path
) -> None:
    checkpoints = save_all(tmp_path, STATES)
    alias(tmp_path / f"{name}.pth", tmp_path / "out.pth")
    plan = make_plan(recipe_of(tmp_path, checkpoints))
    assert refusal(tmp_path, plan, force).startswith(f"is also the source {name!r}")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("spelling", ["a.pth", "./a.pth", "folder/../a.pth"])
def test_an_input_named_as_output_is_refused_however_it_is_spelled(spelling: str, force: bool, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    plan = make_plan(recipe_of(tmp_path, save_all(tmp_path, STATES), output=spelling))
    assert "is also the source 'a'" in refusal(tmp_path, plan, force)


def test_an_input_that_we_made_is_refused_as_output_too(plan: Plan, tmp_path: Path) -> None:
    run(plan)
    again = make_plan(recipe_of(tmp_path, {"old": "out.pth", "b": "b.pth"}))
    assert "is also the source 'old'" in refusal(tmp_path, again)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("content", [[], ["model.pth"]])
def test_a_directory_is_no_output(content: list[str], force: bool, plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "out.pth").mkdir()
    for name in content:
        (tmp_path / "out.pth" / name).touch()
    assert refusal(tmp_path, plan, force) == "is a directory"


@pytest.fixture
def enormous(tmp_path: Path) -> Plan:
    """One stored element that expands to more than the free disk."""
    free = shutil.disk_usage(tmp_path).free
    save(tmp_path / "a.pth", {"x": torch.zeros(1).expand(1024, free // 4096 + 1)})
    return make_plan(recipe_of(tmp_path, {"a": "a.pth"}, output="deep/er/out.pth"))


@pytest.mark.parametrize("force", [False, True])
def test_too_little_disk_is_refused_before_anything_is_written(force: bool, enormous: Plan, tmp_path: Path) -> None:
    assert refusal(tmp_path, enormous, force) == "does not fit on the disk"
    (problem,) = output_problems(enormous)
    assert f"{enormous.disk:,}" in (problem.expected or "")
    assert "bytes free" in (problem.found or "")


def test_every_reason_is_given_at_once(enormous: Plan, tmp_path: Path) -> None:
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/out.pth").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError) as caught:
        check(enormous)
    assert [problem.what for problem in caught.value.problems] == [
        "exists and was not made by xttsrecipe: it is not replaced",
        "does not fit on the disk",
    ]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_a_source_with_the_digest_of_the_recipe_is_read(spelled: Callable[[str], str], tmp_path: Path) -> None:
    save_all(tmp_path, STATES)
    entry = {"path": "a.pth", "sha256": spelled(sha256(tmp_path / "a.pth"))}
    run(make_plan(recipe_of(tmp_path, {"a": entry, "b": "b.pth"})))


def test_sources_with_other_digests_are_refused_all_at_once(tmp_path: Path) -> None:
    save_all(tmp_path, STATES)
    entries = {name: {"path": f"{name}.pth", "sha256": "0" * 64} for name in "ab"}
    plan = make_plan(recipe_of(tmp_path, entries))
    before = folder_bytes(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        run(plan, force=True)
    assert folder_bytes(tmp_path) == before
    assert [(problem.found, problem.expected) for problem in caught.value.problems] == [
        (sha256(tmp_path / "a.pth"), "0" * 64),
        (sha256(tmp_path / "b.pth"), "0" * 64),
    ]
    assert all(problem.where and problem.where.line for problem in caught.value.problems)


def test_a_source_that_went_away_is_an_error_that_names_it(tmp_path: Path) -> None:
    save_all(tmp_path, STATES)
    plan = make_plan(recipe_of(tmp_path, {"a": {"path": "a.pth", "sha256": sha256(tmp_path / "a.pth")}}))
    (tmp_path / "a.pth").unlink()
    with pytest.raises(CheckpointError, match=r"a\.pth: cannot be read"):
        check(plan)


@pytest.mark.parametrize("output", ["a" * 300 + ".pth", "a" * 300 + "/out.pth"])
def test_a_name_that_is_too_long_is_an_output_error(output: str, tmp_path: Path) -> None:
    plan = make_plan(recipe_of(tmp_path, save_all(tmp_path, STATES), output))
    with pytest.raises(OutputError, match="too long"):
        run(plan)


@pytest.mark.parametrize("force", [False, True])
def test_links_in_a_circle_are_no_output(force: bool, tmp_path: Path) -> None:
    (tmp_path / "out.pth").symlink_to("other.pth")
    (tmp_path / "other.pth").symlink_to("out.pth")
    plan = make_plan(recipe_of(tmp_path, save_all(tmp_path, STATES)))
    with pytest.raises(OutputError):
        run(plan, force)
