from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.builders import save
from tests.merging import folder_bytes, recipe_of, save_all
from tests.voices import two_voices, voice
from xttsrecipe.api import execute_plan, make_plan, run
from xttsrecipe.claims import claim, hidden_name
from xttsrecipe.errors import CheckpointError, OutputError, XttsRecipeError
from xttsrecipe.plan import Plan
from xttsrecipe.preflight import check, output_problems, provenance_at

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
    assert provenance_at(tmp_path / "out.pth")


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_our_own_output_is_replaced(suffix: str, plan: Plan, tmp_path: Path) -> None:
    plan = make_plan(recipe_of(tmp_path, {"a": "a.pth"}, output=f"out{suffix}"))
    run(plan)
    old = (tmp_path / f"out{suffix}").read_bytes()
    run(make_plan(recipe_of(tmp_path, {"b": "b.pth"}, output=f"out{suffix}")))
    assert (tmp_path / f"out{suffix}").read_bytes() != old


@pytest.mark.parametrize("provenance", ["text", 7, None, ["list"]])
def test_an_entry_of_our_name_alone_does_not_make_a_file_ours(provenance: object, tmp_path: Path) -> None:
    assert not provenance_at(save(tmp_path / "other.pth", STATES[0], xttsrecipe=provenance))


def test_what_is_not_there_is_not_ours(tmp_path: Path) -> None:
    assert not provenance_at(tmp_path / "nothing.pth")


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
def enormous(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A file of nothing but a hole, larger than the disk, of which others may free some at any time."""
    total = shutil.disk_usage(tmp_path).total
    header = json.dumps({"x": {"dtype": "U8", "shape": [total], "data_offsets": [0, total]}}).encode()
    source = tmp_path_factory.mktemp("enormous") / "a.safetensors"
    with source.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + total)
    return make_plan(recipe_of(tmp_path, {"a": str(source)}, output="deep/er/out.pth"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("force", [False, True])
def test_a_pipe_is_no_output(force: bool, plan: Plan, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out.pth")
    with pytest.raises(OutputError, match="is a device or a pipe: it is not replaced, not even with --force"):
        run(plan, force)
    assert (tmp_path / "out.pth").is_fifo()


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
        (f"sha256 {sha256(tmp_path / name)}, {(tmp_path / name).stat().st_size:,} bytes", f"sha256 {'0' * 64}")
        for name in ("a.pth", "b.pth")
    ]
    assert all(problem.where and problem.where.line for problem in caught.value.problems)


def test_a_source_that_went_away_is_an_error_that_names_it(tmp_path: Path) -> None:
    save_all(tmp_path, STATES)
    plan = make_plan(recipe_of(tmp_path, {"a": {"path": "a.pth", "sha256": sha256(tmp_path / "a.pth")}}))
    (tmp_path / "a.pth").unlink()
    with pytest.raises(CheckpointError, match=r"a\.pth: cannot be read"):
        run(plan)


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


# --- what may be replaced is what was looked at ------------------------------------------------------------------


@pytest.mark.parametrize("output", ["out.pth", "out/"])
@pytest.mark.parametrize("old", [False, True])
def test_what_came_between_the_check_and_the_run_is_not_replaced(old: bool, output: str, tmp_path: Path) -> None:
    """A run takes a second to import torch: another may be done by then, or somebody have put a file there."""
    two_voices(tmp_path)
    plan = into(tmp_path, output)
    if old:
        run(plan)
    checked = check(plan)
    run(into(tmp_path, output, audiobook="audiobook"))
    before = folder_bytes(tmp_path)
    with pytest.raises(OutputError, match="is not replaced: it was written, changed or removed since the run began"):
        execute_plan(checked, lambda count: None)
    assert folder_bytes(tmp_path) == before


@pytest.mark.parametrize("name", ["out.pth", "out.vocab.json"])
def test_what_went_between_the_check_and_the_run_is_not_made_anew(name: str, tmp_path: Path) -> None:
    two_voices(tmp_path)
    plan = into(tmp_path, "out.pth")
    run(plan)
    checked = check(plan)
    (tmp_path / name).unlink()
    before = folder_bytes(tmp_path)
    with pytest.raises(OutputError, match=f"{name}: is not replaced: "):
        execute_plan(checked, lambda count: None)
    assert folder_bytes(tmp_path) == before


def test_a_link_that_leads_elsewhere_by_then_is_not_followed_there(plan: Plan, tmp_path: Path) -> None:
    run(plan)
    (tmp_path / "out.pth").rename(tmp_path / "ours.pth")
    (tmp_path / "out.pth").symlink_to("ours.pth")
    checked = check(plan)
    (tmp_path / "out.pth").unlink()
    (tmp_path / "out.pth").symlink_to("a.pth")
    before = folder_bytes(tmp_path)
    with pytest.raises(OutputError, match=r"\.pth: is not replaced: "):
        execute_plan(checked, lambda count: None)
    assert folder_bytes(tmp_path) == before


# --- what killed runs left ------------------------------------------------------------------------------------------


def left(target: Path) -> Path:
    return target.with_name(hidden_name(target, f"{'5' * 16}.xttsrecipe.tmp"))


def test_what_a_killed_run_left_is_cleared_before_the_room_is_looked_at(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left(tmp_path / "out.pth").write_bytes(b"x" * 5000)
    usage = shutil.disk_usage(tmp_path)

    def full(folder: Path) -> object:
        return usage._replace(free=0 if left(tmp_path / "out.pth").exists() else usage.free)

    monkeypatch.setattr(shutil, "disk_usage", full)
    before = folder_bytes(tmp_path)
    assert [problem.what for problem in output_problems(plan)] == ["does not fit on the disk"]
    assert folder_bytes(tmp_path) == before  # a plan changes nothing
    notes: list[str] = []
    check(plan, on_note=notes.append)
    (note,) = notes
    assert note.endswith(f"left beside {tmp_path / 'out.pth'}: {left(tmp_path / 'out.pth').name}, 5,000 bytes")
    assert not left(tmp_path / "out.pth").exists()


def test_a_vocabulary_that_a_killed_run_left_is_cleared_though_this_run_writes_none(plan: Plan, tmp_path: Path) -> None:
    left(tmp_path / "out.vocab.json").write_bytes(b"{")
    run(plan)
    assert not left(tmp_path / "out.vocab.json").exists()


@pytest.mark.parametrize("force", [False, True])
def test_a_run_at_work_is_a_reason_among_the_others(force: bool, plan: Plan, tmp_path: Path) -> None:
    plan = into(tmp_path, "a.pth", a="a.pth", b="b.pth")
    with claim(tmp_path / "a.pth"), pytest.raises(OutputError) as caught:
        check(plan, force)
    assert [problem.what for problem in caught.value.problems] == [
        "is being written by another run",
        "is also the source 'a': a run never overwrites its input, not even with --force",
    ]


def test_a_folder_that_a_killed_run_moved_aside_is_looked_at_under_its_name(tmp_path: Path) -> None:
    two_voices(tmp_path)
    plan = into(tmp_path, "out/")
    run(plan)
    later(tmp_path / "out/speakers_xtts.pth", b"new latents")
    old = folder_bytes(tmp_path / "out")
    (tmp_path / "out").rename(left(tmp_path / "out").with_suffix(".old"))
    with pytest.raises(OutputError, match=r"holds speakers_xtts\.pth other than xttsrecipe wrote"):
        check(plan)
    assert folder_bytes(tmp_path / "out") == old


# --- directories -------------------------------------------------------------------------------------------------


@pytest.fixture
def voices(tmp_path: Path) -> Plan:
    """The plan of news/ and audiobook/ into out/."""
    return make_plan(recipe_of(tmp_path, two_voices(tmp_path), output="out/"))


def into(folder: Path, output: str, **checkpoints: str) -> Plan:
    return make_plan(recipe_of(folder, checkpoints or {"news": "news", "audiobook": "audiobook"}, output))


@pytest.mark.parametrize("force", [False, True])
def test_the_folder_that_one_stands_in_is_not_replaced(
    force: bool, voices: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(voices)
    monkeypatch.chdir(tmp_path / "out")
    assert refusal(tmp_path, voices, force) == "is the folder that you stand in"


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_where_a_disk_is_mounted_is_not_replaced(force: bool, voices: Plan, tmp_path: Path) -> None:
    """/proc is one everywhere that there is one."""
    proc = Path("/proc")
    if not proc.is_mount():
        pytest.skip("nothing is mounted at /proc here")
    plan = replace(voices, recipe=replace(voices.recipe, output=replace(voices.recipe.output, path=proc)))
    found = next(output_problems(plan, force))
    assert found.what == "is where a disk is mounted, which cannot be replaced as a whole"


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir], ids=["not there", "empty"])
def test_a_directory_that_is_new_or_empty_is_written(
    make: Callable[[Path], None], voices: Plan, tmp_path: Path
) -> None:
    make(tmp_path / "out")
    run(voices)
    assert provenance_at(tmp_path / "out/model.pth")


def test_our_own_directory_is_replaced(voices: Plan, tmp_path: Path) -> None:
    run(voices)
    first = folder_bytes(tmp_path / "out")
    (tmp_path / "out/dvae.pth").unlink()
    run(voices)
    assert folder_bytes(tmp_path / "out") == first


def test_a_foreign_model_directory_is_replaced_with_force_only(voices: Plan, tmp_path: Path) -> None:
    voice(tmp_path / "out", seed=9)
    assert refusal(tmp_path, voices).startswith("exists and was not made by xttsrecipe")
    run(voices, force=True)
    assert provenance_at(tmp_path / "out/model.pth")


def test_companions_without_a_model_of_ours_are_foreign(voices: Plan, tmp_path: Path) -> None:
    run(voices)
    (tmp_path / "out/model.pth").unlink()
    assert refusal(tmp_path, voices).startswith("exists and was not made by xttsrecipe")
    run(voices, force=True)


def a_file(path: Path) -> None:
    (path / "notes.txt").write_bytes(b"mine")


def a_hidden_file(path: Path) -> None:
    (path / ".git").write_bytes(b"mine")


def a_folder(path: Path) -> None:
    (path / "samples").mkdir()


def a_folder_called_like_a_companion(path: Path) -> None:
    (path / "speakers_xtts.pth").unlink()
    (path / "speakers_xtts.pth").mkdir()


def a_link(path: Path) -> None:
    (path / "latest").symlink_to("model.pth")


def a_link_to_nothing_called_like_a_companion(path: Path) -> None:
    (path / "dvae.pth").unlink()
    (path / "dvae.pth").symlink_to("gone")


def a_link_called_like_a_companion(path: Path) -> None:
    (path / "dvae.pth").rename(path.parent / "shared_dvae.pth")
    (path / "dvae.pth").symlink_to("../shared_dvae.pth")


def another_model(path: Path) -> None:
    (path / "best_model.pth").write_bytes(b"mine")


def in_other_capitals(path: Path) -> None:
    (path / "Config.json").write_bytes(b"{}")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "put",
    [
        a_file,
        a_hidden_file,
        a_folder,
        a_folder_called_like_a_companion,
        a_link,
        a_link_to_nothing_called_like_a_companion,
        a_link_called_like_a_companion,
        another_model,
        in_other_capitals,
    ],
)
def test_a_directory_that_holds_anything_else_is_never_replaced(
    put: Callable[[Path], None], force: bool, voices: Plan, tmp_path: Path
) -> None:
    run(voices)
    put(tmp_path / "out")
    assert refusal(tmp_path, voices, force).startswith("holds what does not belong to a model directory")


def test_what_does_not_belong_is_named_but_not_endlessly(voices: Plan, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for number in range(30):
        (tmp_path / f"out/{number:02}.wav").touch()
    (problem,) = output_problems(voices)
    assert problem.found == "00.wav, 01.wav, 02.wav, 03.wav, 04.wav"


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("output", ["news/", "audiobook/", "./news/", "out/../news/", "news/../audiobook/"])
def test_a_source_is_no_output_directory(output: str, force: bool, tmp_path: Path) -> None:
    two_voices(tmp_path)
    (tmp_path / "out").mkdir()
    assert "is also the source " in refusal(tmp_path, into(tmp_path, output), force)


def linked_folder(folder: Path) -> None:
    (folder / "out").symlink_to("news")


def linked_model(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out/model.pth").symlink_to("../news/model.pth")


def hard_linked_model(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out/model.pth").hardlink_to(folder / "news/model.pth")


def hard_linked_companion(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out/speakers_xtts.pth").hardlink_to(folder / "audiobook/speakers_xtts.pth")


def linked_vocabulary(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out/vocab.json").symlink_to(folder / "audiobook/vocab.json")


def source_that_leads_into_it(folder: Path) -> None:
    voice(folder / "out", seed=4)
    (folder / "news/model.pth").unlink()
    (folder / "news/model.pth").symlink_to("../out/model.pth")


def recipe_in_it(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out/config.json").hardlink_to(folder / "recipe.yaml")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "alias",
    [
        linked_folder,
        linked_model,
        hard_linked_model,
        hard_linked_companion,
        linked_vocabulary,
        source_that_leads_into_it,
        recipe_in_it,
    ],
)
def test_a_directory_in_which_an_input_lies_is_never_replaced(
    alias: Callable[[Path], None], force: bool, tmp_path: Path
) -> None:
    two_voices(tmp_path)
    into(tmp_path, "out/")
    alias(tmp_path)
    what = refusal(tmp_path, into(tmp_path, "out/"), force)
    assert "a run never overwrites its input, not even with --force" in what


def test_a_vocabulary_that_the_recipe_names_is_an_input_too(tmp_path: Path) -> None:
    two_voices(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "news/vocab.json").rename(tmp_path / "out/vocab.json")
    fields = {"vocabulary": {"news": "out/vocab.json"}}
    plan = make_plan(recipe_of(tmp_path, {"news": "news", "audiobook": "audiobook"}, "out/", **fields))
    for force in (False, True):
        assert refusal(tmp_path, plan, force).startswith("is also the vocabulary of 'news'")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(("output", "what"), [("./", "is also the recipe"), ("../", "holds what does not belong")])
def test_a_folder_above_the_sources_is_no_output(output: str, what: str, force: bool, tmp_path: Path) -> None:
    two_voices(tmp_path)
    assert refusal(tmp_path, into(tmp_path, output), force).startswith(what)


def test_an_output_within_a_source_directory_leaves_that_as_it_is(tmp_path: Path) -> None:
    two_voices(tmp_path)
    before = folder_bytes(tmp_path / "news")
    run(into(tmp_path, "news/merged/"))
    after = folder_bytes(tmp_path / "news")
    assert {name: after[name] for name in before} == before
    assert "merged/model.pth" in after


@pytest.mark.parametrize("force", [False, True])
def test_a_file_is_no_directory(force: bool, voices: Plan, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    assert refusal(tmp_path, voices, force) == "is a file"


@pytest.mark.parametrize("force", [False, True])
def test_a_directory_is_no_file(force: bool, tmp_path: Path) -> None:
    two_voices(tmp_path)
    voice(tmp_path / "out.pth", seed=4)
    assert refusal(tmp_path, into(tmp_path, "out.pth"), force) == "is a directory"


def test_a_directory_through_a_file_is_an_output_error(tmp_path: Path) -> None:
    two_voices(tmp_path)
    (tmp_path / "notes.txt").write_bytes(b"mine")
    with pytest.raises(OutputError):
        run(into(tmp_path, "notes.txt/out/"))
    assert (tmp_path / "notes.txt").read_bytes() == b"mine"


def test_a_link_to_an_output_directory_is_followed(voices: Plan, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "out").symlink_to("store")
    run(voices)
    run(voices)
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "store/model.pth").is_file()


@pytest.mark.parametrize("output", ["a" * 300 + "/", "a" * 300 + "/out/", "loop/"])
def test_a_directory_that_cannot_be_is_an_output_error(output: str, tmp_path: Path) -> None:
    two_voices(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError):
        run(into(tmp_path, output))


def test_too_little_disk_counts_the_files_beside_the_model(tmp_path: Path) -> None:
    two_voices(tmp_path)
    with (tmp_path / "news/dvae.pth").open("wb") as file:
        file.truncate(1 << 42)
    plan = into(tmp_path, "out/")
    assert plan.disk > 1 << 42
    assert refusal(tmp_path / "audiobook", plan) == "does not fit on the disk"


def test_the_digest_of_a_directory_is_that_of_its_model(tmp_path: Path) -> None:
    voice(tmp_path / "news")
    good = {"path": "news", "sha256": sha256(tmp_path / "news/model.pth")}
    run(make_plan(recipe_of(tmp_path, {"news": good}, "out/")))
    plan = make_plan(recipe_of(tmp_path, {"news": {**good, "sha256": "0" * 64}}, "again/"))
    with pytest.raises(CheckpointError, match="its sha256 differs"):
        run(plan)
    assert not (tmp_path / "again").exists()


# --- a vocabulary beside a file ----------------------------------------------------------------------------------


def test_a_foreign_vocabulary_beside_the_output_is_replaced_with_force_only(tmp_path: Path) -> None:
    two_voices(tmp_path)
    (tmp_path / "out.vocab.json").write_bytes(b"{}")
    plan = into(tmp_path, "out.pth")
    assert refusal(tmp_path, plan).startswith("exists, and is not what xttsrecipe wrote with the model")
    run(plan, force=True)
    run(plan)


def test_a_vocabulary_that_changed_since_the_model_was_written_is_replaced_with_force_only(tmp_path: Path) -> None:
    two_voices(tmp_path)
    plan = into(tmp_path, "out.pth")
    run(plan)
    later(tmp_path / "out.vocab.json", b"{}")
    assert refusal(tmp_path, plan).startswith("exists, and is not what xttsrecipe wrote with the model")
    run(plan, force=True)
    run(plan)


def later(path: Path, content: bytes) -> None:
    """The file changed some seconds from now."""
    path.write_bytes(content)
    ahead = path.stat().st_mtime_ns + 5 * 10**9
    os.utime(path, ns=(ahead, ahead))


def test_a_copy_of_our_directory_is_ours(tmp_path: Path) -> None:
    two_voices(tmp_path)
    run(into(tmp_path, "out/"))
    shutil.copytree(tmp_path / "out", tmp_path / "copy", copy_function=shutil.copy)  # with times of its own
    os.utime(tmp_path / "copy/model.pth", ns=(10**18, 10**18))
    run(into(tmp_path, "copy/"))


@pytest.mark.parametrize("change", ["new latents", "as many bytes", "one more file", "an older file"])
def test_what_somebody_changed_in_our_directory_is_replaced_with_force_only(change: str, tmp_path: Path) -> None:
    two_voices(tmp_path)
    plan = into(tmp_path, "out/")
    run(plan)
    run(plan)  # as it was written it may be replaced
    speakers = tmp_path / "out/speakers_xtts.pth"
    match change:
        case "new latents":
            later(speakers, b"new")
        case "as many bytes":
            later(speakers, bytes(speakers.stat().st_size))
        case "one more file":
            later(tmp_path / "out/dvae.pth", b"mine")
        case "an older file":
            (tmp_path / "out/dvae.pth").write_bytes(b"mine")
            os.utime(tmp_path / "out/dvae.pth", ns=(10**18, 10**18))
    name = "dvae.pth" if "file" in change else "speakers_xtts.pth"
    assert refusal(tmp_path, plan).startswith(f"holds {name} other than xttsrecipe wrote: it is not replaced")
    run(plan, force=True)
    run(plan)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to], ids=["symbolic", "hard"])
def test_a_vocabulary_beside_the_output_that_is_an_input_is_never_replaced(
    link: Callable[[Path, Path], None], force: bool, tmp_path: Path
) -> None:
    two_voices(tmp_path)
    link(tmp_path / "out.vocab.json", tmp_path / "news/vocab.json")
    assert refusal(tmp_path, into(tmp_path, "out.pth"), force).startswith("is also the vocabulary of 'news'")


def test_a_vocabulary_of_that_very_name_is_never_replaced(tmp_path: Path) -> None:
    two_voices(tmp_path)
    (tmp_path / "news/vocab.json").rename(tmp_path / "out.vocab.json")
    fields = {"vocabulary": {"news": "out.vocab.json"}}
    plan = make_plan(recipe_of(tmp_path, {"news": "news", "audiobook": "audiobook"}, "out.pth", **fields))
    for force in (False, True):
        assert refusal(tmp_path, plan, force).startswith("is also the vocabulary of 'news'")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", ["config.json", "speakers_xtts.pth"])
def test_a_companion_of_a_source_is_no_output(name: str, force: bool, tmp_path: Path) -> None:
    two_voices(tmp_path)
    (tmp_path / "out.pth").hardlink_to(tmp_path / "news" / name)
    assert refusal(tmp_path, into(tmp_path, "out.pth"), force).startswith("is also a file of the source 'news'")
