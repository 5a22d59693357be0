"""Runs with a lock beside the recipe: by the command, as users see it."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
import torch

from tests import samples
from tests.builders import save
from tests.commands import invoke
from xttsrecipe import api
from xttsrecipe.api import load_recipe
from xttsrecipe.checkpoints import open_checkpoint
from xttsrecipe.claims import hidden_name
from xttsrecipe.digests.sources import sha256_of
from xttsrecipe.errors import CheckpointError
from xttsrecipe.lock import read_lock
from xttsrecipe.metadata import PROVENANCE
from xttsrecipe.sources import open_sources

from .merging import loaded
from .voices import AUDIOBOOK, NEWS, voice, write_vocabulary


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe over two checkpoints, locked."""
    path = samples.pair(tmp_path)
    assert invoke("lock", path).code == 0
    return path


def lock_file(recipe: Path) -> Path:
    return recipe.with_name("recipe.lock.yaml")


def retrain(path: Path, seed: int = 9) -> None:
    """Another checkpoint of the same size in its place."""
    save(path, samples.small_state(seed), config=samples.config("news"), step=101, epoch=2, model_loss=2.5)


def test_a_lock_is_written_once(recipe: Path) -> None:
    text = lock_file(recipe).read_text()
    digest = hashlib.sha256(recipe.with_name("news.pth").read_bytes()).hexdigest()
    assert f"sha256: {digest}" in text.replace('"', "")
    done = invoke("lock", recipe)
    assert "recipe.lock.yaml: up to date, 2 sources" in done.out
    assert lock_file(recipe).read_text() == text


def test_a_run_puts_the_output_into_the_lock(recipe: Path) -> None:
    done = invoke("run", recipe)
    assert (done.code, "wrote recipe.lock.yaml" in done.err) == (0, True)
    lock = read_lock(lock_file(recipe))
    assert lock
    assert lock.output
    again = invoke("run", "--force", "--locked", recipe)
    assert (again.code, "lock" in again.err) == (0, False)


@pytest.mark.parametrize("flags", [(), ("--locked",)])
def test_a_changed_source_is_refused_and_the_old_output_stays(recipe: Path, flags: tuple[str, ...]) -> None:
    assert invoke("run", recipe).code == 0
    before = recipe.with_name("merged.pth").read_bytes()
    old = hashlib.sha256(recipe.with_name("news.pth").read_bytes()).hexdigest()
    retrain(recipe.with_name("news.pth"))
    new = hashlib.sha256(recipe.with_name("news.pth").read_bytes()).hexdigest()
    done = invoke("run", *flags, recipe)
    assert done.code == 1
    assert "news is not the file that was locked in recipe.lock.yaml" in done.err
    assert f"found: sha256 {new}" in done.err
    assert f"expected: sha256 {old}" in done.err
    assert "step 101" in done.err
    assert "step 100" in done.err
    assert recipe.with_name("merged.pth").read_bytes() == before
    assert not [path for path in recipe.parent.iterdir() if path.name.startswith(".")]


def test_data_that_no_header_tells_of_is_found_out(tmp_path: Path) -> None:
    """A safetensors file has no checksums: only its sha256 tells, and that is known when the run is about to end."""
    for name in ("news", "audiobook"):
        samples.safetensors(tmp_path / f"{name}.safetensors")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "checkpoints: {news: news.safetensors, audiobook: audiobook.safetensors}\noutput: {path: merged.pth}\n"
    )
    assert invoke("lock", recipe).code == 0
    data = bytearray((tmp_path / "news.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "news.safetensors").write_bytes(data)
    done = invoke("run", recipe)
    assert (done.code, "news is not the file that was locked" in done.err) == (1, True)
    assert not (tmp_path / "merged.pth").exists()
    assert {path.name for path in tmp_path.iterdir()} == {
        "news.safetensors", "audiobook.safetensors", "recipe.yaml", "recipe.lock.yaml",
    }  # fmt: skip


def test_update_lock_takes_what_is_there(recipe: Path) -> None:
    retrain(recipe.with_name("news.pth"))
    done = invoke("run", "--update-lock", recipe)
    assert done.code == 0
    assert invoke("run", "--force", "--locked", recipe).code == 0


def test_other_data_takes_the_output_from_the_lock(tmp_path: Path) -> None:
    """By their headers, and so by the plan's digest, two safetensors files may be the same."""
    recipe = of_safetensors(tmp_path)
    assert invoke("run", "--update-lock", recipe).code == 0
    (tmp_path / "other.safetensors").replace(tmp_path / "news.safetensors")
    before = read_lock(lock_file(recipe))
    assert invoke("lock", recipe).code == 0
    after = read_lock(lock_file(recipe))
    assert before
    assert after
    assert before.output
    assert (after.plan, after.output) == (before.plan, None)
    assert invoke("run", "--locked", "--force", recipe).code == 0


def test_locked_needs_a_lock(tmp_path: Path) -> None:
    recipe = samples.pair(tmp_path)
    done = invoke("run", "--locked", recipe)
    assert (done.code, "has no lock" in done.err) == (1, True)
    assert not (tmp_path / "merged.pth").exists()
    assert invoke("run", "--update-lock", recipe).code == 0
    assert lock_file(recipe).is_file()


def test_a_changed_recipe_is_another_plan(recipe: Path) -> None:
    recipe.write_text(recipe.read_text().replace("news: 0.6", "news: 0.7").replace("audiobook: 0.4", "audiobook: 0.3"))
    before = lock_file(recipe).read_bytes()
    refused = invoke("run", "--locked", recipe)
    assert (refused.code, "is of another plan" in refused.err) == (1, True)
    done = invoke("run", recipe)
    assert (done.code, "recipe.lock.yaml: is of another plan" in done.err) == (0, True)
    assert lock_file(recipe).read_bytes() == before
    assert "is of another plan" in invoke("validate", recipe).err
    assert invoke("lock", recipe).code == 0
    assert invoke("run", "--force", "--locked", recipe).code == 0


def test_a_comment_changes_nothing(recipe: Path) -> None:
    recipe.write_text("# reviewed\n" + recipe.read_text())
    assert invoke("validate", recipe).err == ""
    assert invoke("run", "--locked", recipe).code == 0


def test_a_source_that_is_not_in_the_lock(recipe: Path) -> None:
    save(recipe.with_name("third.pth"), samples.small_state(3))
    text = recipe.read_text().replace("audiobook.pth}", "audiobook.pth, third: third.pth}")
    recipe.write_text(text.replace("audiobook: 0.4", "audiobook: 0.3, third: 0.1"))
    done = invoke("run", recipe)
    assert (done.code, "recipe.lock.yaml: knows nothing of third" in done.err) == (0, True)
    refused = invoke("run", "--force", "--locked", recipe)
    assert (refused.code, "knows nothing of third" in refused.err) == (1, True)


def test_sources_that_are_gone_stay_locked(recipe: Path) -> None:
    recipe.with_name("news.pth").unlink()
    before = lock_file(recipe).read_text()
    done = invoke("lock", recipe)
    assert (done.code, "as locked before, not here: news" in done.out) == (0, True)
    assert lock_file(recipe).read_text() == before
    assert invoke("run", recipe).code == 1


def test_another_output_than_the_lock_has(recipe: Path) -> None:
    assert invoke("run", recipe).code == 0
    text = lock_file(recipe).read_text()
    lock = read_lock(lock_file(recipe))
    assert lock
    assert lock.output
    lock_file(recipe).write_text(text.replace(lock.output, "f" * 64))
    warned = invoke("run", "--force", recipe)
    assert (warned.code, "the tensors are not those that recipe.lock.yaml has" in warned.err) == (0, True)
    refused = invoke("run", "--force", "--locked", recipe)
    assert (refused.code, f"expected: sha256 {'f' * 64}" in refused.err) == (1, True)
    assert invoke("run", "--update-lock", recipe).code == 0
    assert lock_file(recipe).read_text() == text


def test_everything_says_its_making(recipe: Path) -> None:
    assert invoke("run", recipe).code == 0
    made = loaded(recipe.with_name("merged.pth"))[PROVENANCE]
    lock = read_lock(lock_file(recipe))
    assert lock
    assert made["recipe_sha256"] == hashlib.sha256(recipe.read_bytes()).hexdigest()
    assert (made["plan_sha256"], made["lock_sha256"]) == (lock.plan, lock.digest)
    assert made["torch"] == torch.__version__
    assert [source["sha256"] for source in made["sources"]] == [
        lock.sources[name].sha256 for name in ("news", "audiobook")
    ]


# --- up to date -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locked", [False, True])
def test_a_second_run_has_nothing_to_do(locked: bool, tmp_path: Path) -> None:
    recipe = samples.pair(tmp_path)
    if locked:
        assert invoke("lock", recipe).code == 0
    assert "tensors" in invoke("run", recipe).out
    status = (tmp_path / "merged.pth").stat()
    done = invoke("run", recipe)
    assert (done.code, "merged.pth: up to date" in done.out) == (0, True)
    assert (tmp_path / "merged.pth").stat().st_mtime_ns == status.st_mtime_ns
    assert "tensors" in invoke("run", "--force", recipe).out


def test_what_changes_the_output_is_noticed(tmp_path: Path) -> None:
    recipe = samples.pair(tmp_path)
    assert "tensors" in invoke("run", recipe).out
    os.utime(tmp_path / "news.pth")
    assert "tensors" in invoke("run", recipe).out
    retrain(tmp_path / "news.pth")
    os.utime(tmp_path / "news.pth", (1, 1))
    assert "tensors" in invoke("run", recipe).out
    assert "up to date" in invoke("run", recipe).out
    assert "tensors" in invoke("run", "--set", "weights={news: 0.5, audiobook: 0.5}", recipe).out
    assert "tensors" in invoke("run", recipe).out


def test_a_directory_that_lost_a_file_is_not_up_to_date(tmp_path: Path) -> None:
    voice(tmp_path / "news")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("checkpoints: {news: news}\noutput: {path: merged/}\n")
    assert "tensor" in invoke("run", recipe).out
    assert "up to date" in invoke("run", recipe).out
    (tmp_path / "merged" / "README.md").unlink()
    assert "tensor" in invoke("run", recipe).out
    assert (tmp_path / "merged" / "README.md").is_file()


def of_safetensors(folder: Path) -> Path:
    for seed, name in enumerate(("news", "audiobook", "other")):
        samples.write_safetensors(folder / f"{name}.safetensors", samples.small_state(seed), {"step": "1"})
        os.utime(folder / f"{name}.safetensors", (1, 1))
    recipe = folder / "recipe.yaml"
    sources = "{news: news.safetensors, audiobook: audiobook.safetensors}"
    recipe.write_text(f"checkpoints: {sources}\noutput: {{path: merged.pth}}\n")
    return recipe


def test_another_file_of_the_same_header_is_another_source(tmp_path: Path) -> None:
    """Safetensors headers have no checksums, and times say nothing where the file is another."""
    recipe = of_safetensors(tmp_path)
    assert "tensors" in invoke("run", recipe).out
    assert "tensors" in invoke("run", "--set", f"checkpoints.news={tmp_path}/other.safetensors", recipe).out
    assert "tensors" in invoke("run", recipe).out


def test_with_a_lock_safetensors_are_known(tmp_path: Path) -> None:
    recipe = of_safetensors(tmp_path)
    assert "tensors" in invoke("run", "--update-lock", recipe).out
    assert "up to date" in invoke("run", recipe).out
    (tmp_path / "other.safetensors").replace(tmp_path / "news.safetensors")
    done = invoke("run", recipe)
    assert (done.code, "news is not the file that was locked" in done.err) == (1, True)


def test_a_config_that_changed_is_noticed(tmp_path: Path) -> None:
    voice(tmp_path / "news")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("checkpoints: {news: news}\noutput: {path: merged/}\n")
    assert invoke("run", recipe).code == 0
    assert "up to date" in invoke("run", recipe).out
    config = tmp_path / "news/config.json"
    config.write_text(config.read_text().replace('"news"', '"other"'))
    assert "tensor" in invoke("run", recipe).out
    assert invoke("lock", recipe).code == 0
    config.write_text(config.read_text().replace('"other"', '"news"'))
    done = invoke("run", recipe)
    assert (done.code, "news is not the file that was locked" in done.err) == (1, True)
    assert "news is not the file that was locked in recipe.lock.yaml" in invoke("validate", recipe).err


def test_an_output_that_its_header_betrays_is_made_anew(tmp_path: Path) -> None:
    recipe = samples.pair(tmp_path)
    assert invoke("run", recipe).code == 0
    content = loaded(tmp_path / "merged.pth")
    for changed in ({**content, "step": 9999}, {**content, "model": {**content["model"], "more": torch.ones(1)}}):
        torch.save(changed, tmp_path / "merged.pth")
        assert "tensors" in invoke("run", recipe).out
    recipe.write_text(recipe.read_text().replace("merged.pth}", "merged.pth, layout: release}"))
    assert "tensors" in invoke("run", recipe).out
    assert "up to date" in invoke("run", recipe).out


def test_a_lock_is_of_the_recipe_as_it_stands(recipe: Path) -> None:
    before = lock_file(recipe).read_bytes()
    done = invoke("run", "--update-lock", "--set", "weights={news: 0.5, audiobook: 0.5}", recipe)
    assert (done.code, "--set changes it" in done.err) == (1, True)
    assert lock_file(recipe).read_bytes() == before
    assert invoke("run", "--update-lock", "-o", recipe.with_name("out.safetensors"), recipe).code == 0
    assert invoke("run", "--locked", recipe).code == 0
    assert invoke("run", "--locked", "--update-lock", recipe).code == 2


def test_recipe_and_lock_that_name_different_files(recipe: Path) -> None:
    recipe.write_text(recipe.read_text().replace("news: news.pth", f"news: {{path: news.pth, sha256: '{'0' * 64}'}}"))
    for arguments in (("validate", recipe), ("run", recipe), ("lock", recipe)):
        done = invoke(*arguments)
        assert (done.code, f"{'0' * 64}" in done.err) == (1, True)


# --- locks that do not work -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["<<<<<<< ours\nlock: 1\n", "lock: 2\n", "", "a: [\n"])
@pytest.mark.parametrize("command", [("lock",), ("run", "--update-lock")], ids=" ".join)
def test_a_lock_that_cannot_be_read_is_made_anew(command: tuple[str, ...], text: str, recipe: Path) -> None:
    lock_file(recipe).write_text(text)
    assert invoke("run", recipe).code == 1
    assert invoke(*command, recipe).code == 0
    assert invoke("run", "--locked", "--force", recipe).code == 0


def test_a_lock_that_cannot_be_read_is_not_made_anew_without_the_sources(recipe: Path) -> None:
    lock_file(recipe).write_text("lock: 2\n")
    recipe.with_name("news.pth").unlink()
    assert invoke("lock", recipe).code == 1
    assert lock_file(recipe).read_text() == "lock: 2\n"


@pytest.mark.parametrize("left", ["nothing", "a link to nothing", "a Git LFS pointer"])
def test_what_stands_in_for_a_checkpoint_is_none(left: str, recipe: Path) -> None:
    news = recipe.with_name("news.pth")
    news.unlink()
    if left == "a link to nothing":
        news.symlink_to("elsewhere/news.pth")
    elif left == "a Git LFS pointer":
        news.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    assert "with what its lock says of news, not here" in invoke("validate", recipe).out
    planned = invoke("plan", recipe)
    assert (planned.code, "news not here: what is said of it is from the lock" in planned.out) == (0, True)
    assert invoke("run", recipe).code == 1


def test_a_plan_from_a_lock_is_never_run(recipe: Path) -> None:
    recipe.with_name("news.pth").unlink()
    plan = api.make_plan(api.load_recipe(recipe), read_lock(lock_file(recipe)))
    for update in (False, True):
        with pytest.raises(CheckpointError, match="is not here: only its lock is"):
            api.run(plan, update_lock=update)


def test_python_hears_of_another_output(recipe: Path) -> None:
    assert invoke("run", recipe).code == 0
    lock = read_lock(lock_file(recipe))
    assert lock
    assert lock.output
    lock_file(recipe).write_text(lock_file(recipe).read_text().replace(lock.output, "f" * 64))
    with pytest.warns(UserWarning, match="the tensors are not those that"):
        api.run(api.load_recipe(recipe))


# --- sha256 in a recipe -----------------------------------------------------------------------------------------


def with_digest(folder: Path, digest: str) -> Path:
    recipe = samples.pair(folder)
    recipe.write_text(recipe.read_text().replace("news: news.pth", f"news: {{path: news.pth, sha256: '{digest}'}}"))
    return recipe


def test_the_digest_that_the_recipe_names_must_be_that_of_the_file(tmp_path: Path) -> None:
    recipe = with_digest(tmp_path, "0" * 64)
    with pytest.raises(CheckpointError, match="news is not the file that the recipe means"):
        api.run(api.load_recipe(recipe))
    assert not (tmp_path / "merged.pth").exists()
    found = hashlib.sha256((tmp_path / "news.pth").read_bytes()).hexdigest()
    api.run(api.load_recipe(with_digest(tmp_path, found.upper())))


# --- the lock and the recipe, by name -----------------------------------------------------------------------------


def test_a_lock_has_the_paths_that_the_recipe_has_whatever_the_command_line_says(recipe: Path) -> None:
    recipe.with_name("news.pth").rename(recipe.with_name("moved.pth"))
    moved = ("--set", f"checkpoints.news={recipe.with_name('moved.pth')}")
    assert invoke("run", "--update-lock", *moved, recipe).code == 0
    text = lock_file(recipe).read_text()
    assert "path: news.pth" in text
    assert "moved" not in text
    assert invoke("validate", recipe).err == ""


def test_a_source_that_the_recipe_names_otherwise_is_told_of_and_runs(recipe: Path) -> None:
    recipe.with_name("news.pth").rename(recipe.with_name("moved.pth"))
    recipe.write_text(recipe.read_text().replace("news.pth", "moved.pth"))
    before = lock_file(recipe).read_bytes()
    for done in (invoke("validate", recipe), invoke("plan", recipe), invoke("run", "--locked", recipe)):
        assert done.code == 0
        assert "the recipe names another file for news than recipe.lock.yaml [XR704]" in done.err
        assert "found: moved.pth" in done.err
        assert "expected: news.pth" in done.err
    assert lock_file(recipe).read_bytes() != before  # it has the output's digest now, and the path
    assert invoke("validate", recipe).err == ""


def test_a_path_that_nobody_could_look_at_stays_as_it_was_locked(recipe: Path) -> None:
    recipe.with_name("news.pth").unlink()
    recipe.write_text(recipe.read_text().replace("news.pth", "other.pth"))
    assert invoke("lock", recipe).code == 0
    assert "path: news.pth" in lock_file(recipe).read_text()
    assert "names another file for news" in invoke("validate", recipe).err


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    """A locked recipe of two files that names their vocabularies, without the files."""
    for name in ("news", "audiobook"):
        voice(tmp_path / name)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "checkpoints: {news: news/model.pth, audiobook: audiobook/model.pth}\n"
        "vocabulary: {news: news/vocab.json, audiobook: audiobook/vocab.json}\noutput: {path: merged.pth}\n"
    )
    assert invoke("lock", recipe).code == 0
    for name in ("news", "audiobook"):
        (tmp_path / name / "model.pth").unlink()
    return recipe


def test_a_vocabulary_is_compared_with_the_lock_where_it_is_here(spoken: Path) -> None:
    assert invoke("validate", spoken).err == ""
    write_vocabulary(spoken.with_name("news") / "vocab.json", {**NEWS, "brandnew": len(NEWS)})
    for done in (invoke("validate", spoken), invoke("plan", spoken)):
        assert done.code == 0
        assert "the vocabulary of news is not the one that was locked in recipe.lock.yaml [XR705]" in done.err
    spoken.with_name("news").joinpath("vocab.json").write_text("{")
    assert invoke("validate", spoken).code == 1
    spoken.with_name("news").joinpath("vocab.json").unlink()
    assert invoke("validate", spoken).err == ""


def test_a_vocabulary_that_changed_under_its_model_is_named(tmp_path: Path) -> None:
    for name in ("news", "audiobook"):
        voice(tmp_path / name)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("checkpoints: {news: news, audiobook: audiobook}\noutput: {path: merged.pth}\n")
    assert invoke("lock", recipe).code == 0
    vocabulary = tmp_path / "news/vocab.json"
    digests = [hashlib.sha256(vocabulary.read_bytes()).hexdigest()]
    vocabulary.write_text(vocabulary.read_text() + "\n")
    digests.append(hashlib.sha256(vocabulary.read_bytes()).hexdigest())
    for verb in ("run", "validate"):
        done = invoke(verb, recipe)
        assert "the vocabulary of news is not the one that was locked in recipe.lock.yaml" in done.err
        assert f"found: sha256 {digests[1]}; beside the model differ: vocab.json" in done.err
        assert f"expected: sha256 {digests[0]}" in done.err
    vocabulary.unlink()
    assert "found: none; beside the model differ: vocab.json" in invoke("run", recipe).err


def edited(recipe: Path, old: str, new: str) -> None:
    text = lock_file(recipe).read_text()
    assert old in text
    lock_file(recipe).write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("step: 300", "step: 301", "training"),
        ("gpt_layers: 30", "gpt_layers: 31", "config"),
        ('ln_1.weight: "3 float32"', 'ln_1.weight: "4 float32"', "tensors"),
        ("version: v2.0.3", "version: v2.0.0-2.0.2", "version"),
    ],
)
def test_what_a_lock_says_beside_its_digests_is_not_believed(old: str, new: str, field: str, recipe: Path) -> None:
    assert "says of" not in invoke("run", recipe).err + invoke("validate", recipe).err
    edited(recipe, old, new)
    what = f"recipe.lock.yaml says of audiobook what its file does not: {field} [XR705]"
    done = invoke("validate", recipe)
    assert (done.code, what in done.err) == (0, True)
    assert f"note: {recipe}:1:" in invoke("plan", recipe).err
    done = invoke("run", "--force", recipe)
    assert (done.code, what in done.err) == (0, True)


def test_the_tokens_of_a_lock_are_not_believed(tmp_path: Path) -> None:
    voice(tmp_path / "news")
    voice(tmp_path / "audiobook", tokens=AUDIOBOOK)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("checkpoints: {news: news, audiobook: audiobook}\noutput: {path: merged/}\n")
    assert invoke("lock", recipe).code == 0
    assert "says of" not in invoke("validate", recipe).err
    edited(recipe, " a: 3", " c: 3")
    assert "what its file does not: vocabulary" in invoke("validate", recipe).err


def test_a_vocabulary_that_the_recipe_names_no_more_is_not_used(spoken: Path) -> None:
    spoken.write_text(
        spoken.read_text().replace("vocabulary: {news: news/vocab.json, audiobook:", "vocabulary: {audiobook:")
    )
    done = invoke("validate", spoken)
    assert (done.code, "names another vocabulary for news than recipe.lock.yaml" in done.err) == (0, True)
    assert "found: none" in done.err
    headers = open_sources(load_recipe(spoken).sources, lock=read_lock(lock_file(spoken)))
    assert [header.vocabulary is None for header in headers] == [True, False]


# --- up to date, once more ----------------------------------------------------------------------------------------


def test_locked_looks_at_the_output_before_it_is_called_up_to_date(recipe: Path) -> None:
    assert invoke("run", recipe).code == 0
    assert "up to date" in invoke("run", "--locked", recipe).out
    text = lock_file(recipe).read_text()
    lock = read_lock(lock_file(recipe))
    assert lock
    assert lock.output
    lock_file(recipe).write_text(text.replace(lock.output, "f" * 64))
    before = recipe.with_name("merged.pth").read_bytes()
    done = invoke("run", "--locked", recipe)
    assert (done.code, f"expected: sha256 {'f' * 64}" in done.err) == (1, True)
    assert recipe.with_name("merged.pth").read_bytes() == before


def other_data(path: Path) -> None:
    """The same header over other bytes, as old as before anybody looked: only the sha256 tells."""
    data = bytearray(path.read_bytes())
    at = data.find(bytes(loaded(path)["model"]["mel_stats"].view(torch.uint8).tolist()))
    data[at] ^= 1
    path.write_bytes(data)
    os.utime(path, (1, 1))


@pytest.mark.parametrize("locked", [True, False])
def test_an_output_is_not_up_to_date_where_the_sha256_of_a_source_is_another(locked: bool, recipe: Path) -> None:
    assert invoke("run", recipe).code == 0
    other_data(recipe.with_name("news.pth"))
    flags = ("--locked",) if locked else ()
    if not locked:
        assert "up to date" in invoke("run", recipe).out  # nobody has read the file
        sha256_of({"news": open_checkpoint(recipe.with_name("news.pth"))})
    done = invoke("run", *flags, recipe)
    assert (done.code, "news is not the file that was locked" in done.err) == (1, True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_in_place_of_a_checkpoint_is_refused_and_not_waited_for(recipe: Path) -> None:
    recipe.with_name("news.pth").unlink()
    os.mkfifo(recipe.with_name("news.pth"))
    for verb in ("validate", "plan", "run", "lock"):
        done = invoke(verb, recipe)
        assert (done.code, "XR302" in done.err) == (1, True), verb
    lock_file(recipe).unlink()
    os.mkfifo(lock_file(recipe))
    shutil.copy(recipe.with_name("audiobook.pth"), recipe.with_name("other.pth"))
    recipe.write_text(recipe.read_text().replace("news.pth", "other.pth"))
    done = invoke("run", recipe)
    assert (done.code, "recipe.lock.yaml: is a device, pipe or socket" in done.err) == (1, True)


def test_a_lock_that_leads_elsewhere_is_not_quoted(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_text("password: hunter2: [\n")
    lock_file(recipe).rename(recipe.with_name("real.lock.yaml"))
    lock_file(recipe).symlink_to("real.lock.yaml")
    assert invoke("validate", recipe).err == ""
    lock_file(recipe).unlink()
    lock_file(recipe).symlink_to(secret)
    for verb in ("validate", "plan", "run"):
        done = invoke(verb, recipe)
        assert (done.code, "is a link to somewhere else" in done.err, "hunter2" in done.err) == (1, True, False)


def test_an_empty_lock_is_no_recipe(recipe: Path) -> None:
    lock_file(recipe).write_text("# nothing\n")
    done = invoke("validate", recipe)
    assert "recipe.lock.yaml: is empty: there is no lock in it [XR702]" in done.err
    assert "xttsrecipe init" not in done.err


@pytest.mark.parametrize("command", [("lock",), ("run", "--update-lock")], ids=" ".join)
def test_a_lock_is_of_one_recipe(command: tuple[str, ...], recipe: Path) -> None:
    before = lock_file(recipe).read_bytes()
    recipe.with_name("recipe.yml").write_text(recipe.read_text() + "# other\n")
    for path in (recipe, recipe.with_name("recipe.yml")):
        done = invoke(*command, path)
        assert (done.code, "would have the same lock as recipe.y" in done.err) == (1, True)
    assert lock_file(recipe).read_bytes() == before


def test_no_room_is_needed_where_all_is_up_to_date(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("run", recipe).code == 0
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 0))
    done = invoke("run", recipe)
    assert (done.code, "up to date" in done.out) == (0, True)
    assert invoke("run", "--force", recipe).code == 1


def test_what_a_killed_run_left_goes_though_the_output_is_up_to_date(recipe: Path) -> None:
    assert invoke("run", recipe).code == 0
    left = recipe.with_name(hidden_name(recipe.with_name("merged.pth"), f"{'0' * 16}.xttsrecipe.tmp"))
    left.write_bytes(b"half")
    done = invoke("run", recipe)
    assert (done.code, "up to date" in done.out) == (0, True)
    assert "note: removed what a run that was killed left beside" in done.err
    assert not left.exists()
