"""lock, verify and show, as users see them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import torch

from tests import samples
from tests.builders import save
from tests.commands import invoke
from xttsrecipe.licence import digest_at
from xttsrecipe.lock import read_lock
from xttsrecipe.metadata import PROVENANCE

from ..merging import loaded
from ..voices import two_voices, voice


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """merged.pth, with its recipe, its lock and its sources beside it."""
    recipe = samples.pair(tmp_path)
    assert invoke("lock", recipe).code == 0
    assert invoke("run", recipe).code == 0
    return tmp_path / "merged.pth"


def without_sources(made: Path) -> None:
    for name in ("news.pth", "audiobook.pth"):
        made.with_name(name).unlink()


def changed(made: Path, key: str, **entries: object) -> None:
    """The output saved again by someone else, with one element of a tensor changed."""
    content = loaded(made)
    content["model"][key].view(-1)[-1] += 1
    torch.save({**content, **entries}, made)


def test_an_output_is_verified_by_its_sources(made: Path) -> None:
    before = {path: path.read_bytes() for path in made.parent.iterdir()}
    done = invoke("verify", made)
    assert (done.code, "verified: 9 tensors are, byte for byte, what the recipe makes" in done.out) == (0, True)
    assert {path: path.read_bytes() for path in made.parent.iterdir()} == before


def test_it_is_verified_from_elsewhere(
    made: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "moved.pth"
    shutil.move(made, elsewhere)
    monkeypatch.chdir(elsewhere.parent)
    done = invoke("verify", elsewhere, "--recipe", made.with_name("recipe.yaml"))
    assert (done.code, done.err) == (0, "comparing: 57.6 KB\n")
    nothing = invoke("verify", elsewhere)
    assert (
        nothing.code,
        "cannot be verified: its sources are not here, and no lock of its recipe was found" in nothing.err,
    ) == (
        1,
        True,
    )
    moved = [
        argument
        for name in ("news", "audiobook")
        for argument in ("--set", f"checkpoints.{name}={made.with_name(name)}.pth")
    ]
    assert invoke("verify", elsewhere, *moved).code == 0


def test_a_changed_tensor_is_named(made: Path) -> None:
    changed(made, "gpt.text_head.bias")
    done = invoke("verify", made)
    assert done.code == 1
    assert "is not what its recipe makes: 1 tensor of 9 differ" in done.err
    assert "gpt.text_head.bias: from element 6,680 on" in done.err


def test_changed_metadata_is_named(made: Path) -> None:
    content = loaded(made)
    torch.save({**content, "step": 999}, made)
    done = invoke("verify", made)
    assert (done.code, "step: is 999, the recipe makes 300" in done.err) == (1, True)


def test_a_missing_tensor_and_one_too_many_are_named(made: Path) -> None:
    content = loaded(made)
    del content["model"]["mel_stats"]
    content["model"]["gpt.extra"] = torch.ones(1)
    torch.save(content, made)
    done = invoke("verify", made)
    assert done.code == 1
    assert "mel_stats: is missing" in done.err
    assert "gpt.extra: is not made by the recipe" in done.err


def test_leftovers_of_inference_are_named(made: Path) -> None:
    content = loaded(made)
    content["model"]["gpt.gpt_inference.transformer.h.0.ln_1.weight"] = torch.ones(3)
    torch.save(content, made)
    done = invoke("verify", made)
    assert (done.code, "ln_1.weight: is not made by the recipe" in done.err) == (1, True)


@pytest.mark.parametrize("field", ["recipe", "recipe_sha256", "plan_sha256"])
@pytest.mark.parametrize("here", [True, False])
def test_a_making_that_was_changed_is_named(here: bool, field: str, made: Path) -> None:
    content = loaded(made)
    said = content[PROVENANCE]
    other = said["recipe"].replace("0.6", "0.7").replace("0.4", "0.3") if field == "recipe" else "0" * 64
    torch.save({**content, PROVENANCE: {**said, field: other}}, made)
    if not here:
        without_sources(made)
    # Whose lock it would be, only the recipe tells.
    done = invoke("verify", made, *(("--recipe", made.with_name("recipe.yaml")) if field == "recipe" else ()))
    assert (done.code, "is not what its recipe makes" in done.err) == (1, True)


def forged(made: Path, **said: object) -> None:
    """The output with other things in its record; what is None is gone."""
    content = loaded(made)
    record = {name: value for name, value in {**content[PROVENANCE], **said}.items() if value is not None}
    torch.save({**content, PROVENANCE: record}, made)


@pytest.mark.parametrize("here", [True, False])
@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"recipe_name": "another"}, "recipe_name: is 'another', and the recipe's is 'voices'"),
        ({"approved_by": "the team"}, "xttsrecipe.approved_by: is not what a run writes"),
        ({"set": [5]}, "xttsrecipe.set: is not what a run writes"),
        ({"training": {"step": 1}}, "xttsrecipe.training: is not what a run writes"),
        ({"files": {"dvae.pth": "sha256:00"}}, "xttsrecipe.files.dvae.pth: is not what a run writes"),
        ({"files": {"a": "x", 5: 6}}, "xttsrecipe.files: is not what a run writes"),
        ({"sources": [{"name": "ghost"}]}, "sources: are ghost, the recipe's news, audiobook"),
        ({"sources": []}, "sources: are none, the recipe's news, audiobook"),
    ],
    ids=str,
)
def test_a_forged_record_is_named(said: dict[str, object], named: str, here: bool, tmp_path: Path) -> None:
    recipe = samples.pair(tmp_path)
    recipe.write_text("name: voices\n" + recipe.read_text())
    assert invoke("lock", recipe).code == 0
    assert invoke("run", recipe).code == 0
    made = tmp_path / "merged.pth"
    forged(made, **said)
    if not here:
        without_sources(made)
    done = invoke("verify", made)
    assert done.code == 1
    if "sources" not in said or not here:  # else their headers tell first
        assert named in done.err


@pytest.mark.parametrize("here", [True, False])
def test_sources_that_are_none_and_their_fields_are_named(here: bool, made: Path) -> None:
    sources = loaded(made)[PROVENANCE]["sources"]
    if not here:
        without_sources(made)
    for other, named in (
        ([*sources, {"name": "ghost"}], "sources: are news, audiobook, ghost, the recipe's news, audiobook"),
        ([sources[1], sources[0]], "sources: are audiobook, news, the recipe's"),
        ([{**sources[0], "by": "us"}, sources[1]], "sources.news.by: is not what a run writes"),
        ([{**sources[0], "vocabulary_sha256": "0" * 64}, sources[1]], "sources.news.vocabulary_sha256: is not what"),
    ):
        forged(made, sources=other)
        done = invoke("verify", made)
        assert (done.code, named in done.err) == (1, True), done.err


def test_an_entry_that_no_merge_writes_is_named(made: Path) -> None:
    torch.save({**loaded(made), "note": "approved"}, made)
    assert "note: is not what a run writes" in invoke("verify", made).err
    torch.save({**loaded(made), "optimizer": {"x": torch.ones(2)}}, made)
    without_sources(made)
    assert "optimizer: is not what a run writes" in invoke("verify", made).err


def test_a_forged_sha256_of_a_source_is_named(made: Path) -> None:
    sources = loaded(made)[PROVENANCE]["sources"]
    real = sources[0]["sha256"]
    forged(made, sources=[{**sources[0], "sha256": "0" * 64}, sources[1]])
    done = invoke("verify", made)
    assert (done.code, "news is not the file that the output says that it was made from [XR710]" in done.err) == (
        1,
        True,
    )
    assert f"found: sha256 {real}" in done.err
    assert f"expected: sha256 {'0' * 64}" in done.err
    without_sources(made)
    done = invoke("verify", made)
    assert (done.code, "no lock of its recipe was found [XR709]" in done.err) == (1, True)
    done = invoke("verify", made, "--recipe", made.with_name("recipe.yaml"))
    assert (done.code, "sources.news.sha256: is not the one that recipe.lock.yaml has" in done.err) == (1, True)


def test_a_sha256_that_the_recipe_names_must_be_in_the_record(tmp_path: Path) -> None:
    recipe = samples.pair(tmp_path)
    digest = hashlib.sha256((tmp_path / "news.pth").read_bytes()).hexdigest()
    recipe.write_text(recipe.read_text().replace("news: news.pth", f"news: {{path: news.pth, sha256: {digest!r}}}"))
    assert invoke("run", recipe).code == 0
    made = tmp_path / "merged.pth"
    assert invoke("verify", made).code == 0
    sources = loaded(made)[PROVENANCE]["sources"]
    forged(made, sources=[{**sources[0], "sha256": "0" * 64}, sources[1]])
    assert "sources.news.sha256: is not what a run writes" in invoke("verify", made).err


def test_a_lock_of_another_recipe_with_the_same_sources_accuses_nobody(made: Path) -> None:
    recipe = made.with_name("recipe.yaml")
    recipe.write_text(recipe.read_text().replace("0.6", "0.7").replace("0.4", "0.3"))
    assert invoke("run", "--update-lock", "-o", made.with_name("other.pth"), recipe).code == 0
    made.with_name("broken.lock.yaml").write_text("lock: 2\n")
    without_sources(made)
    done = invoke("verify", made)
    assert (done.code, "no lock of its recipe was found [XR709]" in done.err) == (1, True)
    done = invoke("verify", made, "--recipe", recipe)
    assert (done.code, "recipe: is not the one that recipe.lock.yaml is of" in done.err) == (1, True)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_any_config_is_itself(suffix: str, tmp_path: Path) -> None:
    config = {"rate": float("nan"), "flags": {"1": None, "x": True}}
    save(tmp_path / "a.pth", samples.small_state(), config=config)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"checkpoints: {{a: a.pth}}\noutput: {{path: out{suffix}}}\n")
    assert invoke("run", recipe).code == 0
    assert invoke("verify", tmp_path / f"out{suffix}").code == 0


def test_a_recipe_of_another_name_has_its_lock(tmp_path: Path) -> None:
    recipe = samples.pair(tmp_path)
    recipe.write_text(f"name: {'n' * 300}\n" + recipe.read_text())
    (tmp_path / "stranger.lock.yaml").write_text("lock: 2\n")
    assert invoke("run", "--update-lock", recipe).code == 0
    (tmp_path / "stranger.lock.yaml").unlink()
    without_sources(tmp_path / "merged.pth")
    assert invoke("verify", tmp_path / "merged.pth").code == 0


def test_files_beside_the_model_are_looked_at(tmp_path: Path) -> None:
    voice(tmp_path / "news")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("checkpoints: {news: news}\noutput: {path: merged/}\n")
    assert invoke("run", recipe).code == 0
    assert invoke("verify", tmp_path / "merged").code == 0
    (tmp_path / "merged/vocab.json").write_text("{}")
    (tmp_path / "merged/dvae.pth").unlink()
    done = invoke("verify", tmp_path / "merged")
    assert done.code == 1
    assert "vocab.json: is not as it was written with the model" in done.err
    assert "dvae.pth: is missing" in done.err


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """merged/, an output directory, with recipe, lock and sources beside it."""
    voice(tmp_path / "news")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("checkpoints: {news: news}\noutput: {path: merged/}\n")
    assert invoke("run", "--update-lock", recipe).code == 0
    return tmp_path / "merged"


@pytest.mark.parametrize("name", ["config.json", "vocab.json", "speakers_xtts.pth", "README.md"])
@pytest.mark.parametrize("here", [True, False])
def test_a_file_that_was_forged_with_its_record_is_named(here: bool, name: str, directory: Path) -> None:
    for path in (directory, directory / "model.pth"):
        assert invoke("verify", path).code == 0
    other = directory / name
    other.write_bytes(other.read_bytes() + (b"\n\n" if name == "config.json" else b"\nMore.\n"))
    if name.endswith(".pth"):
        torch.save({"eve": 1}, other)
    files = loaded(directory / "model.pth")[PROVENANCE]["files"]
    forged(directory / "model.pth", files={**files, name: digest_at(other)})
    if not here:
        shutil.rmtree(directory.with_name("news"))
    if name == "README.md" and not here:
        return  # a lock does not know it
    for path in (directory, directory / "model.pth"):
        done = invoke("verify", path)
        assert (done.code, f"{name}: is not as it was written with the model" in done.err) == (1, True)
        assert f"xttsrecipe.files.{name}: is not what a run writes" in done.err


@pytest.mark.parametrize("name", ["dvae.pth", "README.md"])
def test_a_file_that_went_with_its_record_is_missing(name: str, directory: Path) -> None:
    files = loaded(directory / "model.pth")[PROVENANCE]["files"]
    forged(directory / "model.pth", files={its: digest for its, digest in files.items() if its != name})
    (directory / "README.md").write_text((directory / "README.md").read_text() + "Approved.\n")
    if name == "dvae.pth":
        (directory / name).unlink()
    done = invoke("verify", directory)
    assert (done.code, f"xttsrecipe.files.{name}: is not what a run writes" in done.err) == (1, True)
    assert f"{name}: is missing" in done.err or name == "README.md"


def test_a_directory_without_a_card_may_get_any(directory: Path) -> None:
    assert invoke("run", "--no-card", "--force", directory.with_name("recipe.yaml")).code == 0
    (directory / "README.md").write_text("Our best voice.\n")
    assert invoke("verify", directory).code == 0


def test_a_model_that_was_taken_out_of_its_directory_is_verified(directory: Path) -> None:
    taken = directory.with_name("taken.pth")
    shutil.copy(directory / "model.pth", taken)
    assert invoke("verify", taken).code == 0


def test_a_card_knows_its_sources_by_any_name(directory: Path) -> None:
    moved = directory.with_name("elsewhere")
    directory.with_name("news").rename(moved)
    assert invoke("verify", directory, "--set", f"checkpoints.news={moved}").code == 0


def test_files_beside_a_file_are_looked_at(tmp_path: Path) -> None:
    two_voices(tmp_path)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("checkpoints: {news: news, audiobook: audiobook}\noutput: {path: merged.pth}\n")
    assert invoke("run", "--card", "--update-lock", recipe).code == 0
    made = tmp_path / "merged.pth"
    assert invoke("verify", made).code == 0
    moved = tmp_path / "moved.pth"
    shutil.copy(made, moved)
    assert invoke("verify", moved).code == 0
    other = tmp_path / "merged.vocab.json"
    other.write_bytes(other.read_bytes() + b"\n")
    forged(made, files={**loaded(made)[PROVENANCE]["files"], "merged.vocab.json": digest_at(other)})
    done = invoke("verify", made)
    assert (done.code, "merged.vocab.json: is not as it was written with the model" in done.err) == (1, True)


def test_it_is_found_from_within_its_folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made.parent / "merged"
    folder.mkdir()
    shutil.move(made, folder / "merged.pth")
    monkeypatch.chdir(folder)
    done = invoke("verify", "merged.pth")
    assert (done.code, "verified" in done.out) == (0, True)


def test_another_source_is_named(made: Path) -> None:
    save(made.with_name("news.pth"), samples.small_state(5), config=samples.config("news"), step=100, epoch=2)
    done = invoke("verify", made)
    assert (done.code, "news is not the file that the output was made from" in done.err) == (1, True)


def test_without_the_sources_the_lock_proves_it(made: Path) -> None:
    without_sources(made)
    done = invoke("verify", made)
    assert (done.code, "verified by" in done.out, "recipe.lock.yaml, without the sources" in done.out) == (
        0,
        True,
        True,
    )
    changed(made, "mel_stats")
    done = invoke("verify", made)
    assert (done.code, "is not the output that recipe.lock.yaml has" in done.err) == (1, True)


def test_a_lock_without_an_output_proves_nothing(tmp_path: Path) -> None:
    recipe = samples.pair(tmp_path)
    assert invoke("run", recipe).code == 0
    assert invoke("lock", recipe).code == 0
    without_sources(tmp_path / "merged.pth")
    done = invoke("verify", tmp_path / "merged.pth")
    assert (done.code, "recipe.lock.yaml has no digest of an output" in done.err) == (1, True)


@pytest.mark.parametrize("verb", ["verify", "show"])
def test_what_xttsrecipe_did_not_make_is_refused(verb: str, tmp_path: Path) -> None:
    done = invoke(verb, samples.release(tmp_path / "news.pth"))
    assert (done.code, "does not say that xttsrecipe made it" in done.err) == (1, True)


@pytest.mark.parametrize(
    "made",
    [{}, {"recipe": 5}, {"recipe": "a: ["}, {"recipe": "x: 1", "set": ["nonsense"]}, {"recipe": "x: 1", "sources": 7}],
)
def test_a_forged_making_is_an_error_for_people(made: object, tmp_path: Path) -> None:
    path = save(tmp_path / "a.pth", samples.small_state(), **{PROVENANCE: made})
    done = invoke("verify", path)
    assert (done.code, "Traceback" in done.err) == (1, False)


@pytest.mark.parametrize("recipe", ["x", "[a]", "output: 5", "5"])
def test_a_recipe_that_is_none_is_the_checkpoints(recipe: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.pth", samples.small_state(), **{PROVENANCE: {"recipe": recipe}})
    done = invoke("verify", path)
    assert (done.code, "a.pth: holds a recipe that is none" in done.err, " -o " in done.err) == (1, True, False)


@pytest.mark.parametrize("verb", ["verify", "show"])
@pytest.mark.parametrize("text", ["nonsense", "a=[", "weights.news.deep=1", "checkpoints.ghost=x", "name.x=1"])
def test_a_setting_that_is_none_is_the_checkpoints(text: str, verb: str, made: Path) -> None:
    forged(made, recipe="name: x\n" + made.with_name("recipe.yaml").read_text(), set=[text])
    done = invoke(verb, made)
    assert (done.code, f"{made}: " in done.err.splitlines()[0]) == (1, True)


@pytest.mark.parametrize("verb", ["verify", "show"])
def test_settings_without_end_are_refused(verb: str, made: Path) -> None:
    forged(made, set=["name=x"] * 1_001)
    done = invoke(verb, made)
    assert (done.code, "says that 1,001 settings changed its recipe, and at most 1,000 are read" in done.err) == (
        1,
        True,
    )


def test_the_recipe_comes_back_as_it_was(made: Path) -> None:
    assert invoke("show", made).out == made.with_name("recipe.yaml").read_text()


def test_the_recipe_comes_back_with_what_was_set(made: Path) -> None:
    weights = ("--set", "weights.news=0.7", "--set", "weights.audiobook=0.3")
    assert invoke("run", *weights, made.with_name("recipe.yaml")).code == 0
    shown = invoke("show", made).out
    assert shown.startswith("# changed by --set weights.news=0.7\n# changed by --set weights.audiobook=0.3\n")
    again = made.with_name("again.yaml")
    again.write_text(shown)
    assert "up to date" in invoke("run", again).out
    assert invoke("verify", made).code == 0


def test_what_is_shown_means_the_same_again(made: Path) -> None:
    assert invoke("run", "--set", "description='1e3'", "--set", "name='null'", made.with_name("recipe.yaml")).code == 0
    again = made.with_name("again.yaml")
    again.write_text(invoke("show", made).out)
    assert invoke("validate", again).code == 0


def test_a_lock_of_several_recipes(tmp_path: Path) -> None:
    first = samples.pair(tmp_path)
    second = tmp_path / "second.yaml"
    second.write_text(first.read_text())
    done = invoke("lock", first, second)
    assert done.code == 0
    one, other = (read_lock(tmp_path / f"{name}.lock.yaml") for name in ("recipe", "second"))
    assert one
    assert other
    assert one.plan == other.plan
