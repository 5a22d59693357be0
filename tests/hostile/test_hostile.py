"""Every attack is refused with a message, or read without harm, whatever verb reads it.

Nothing is executed, imported or written; memory and time stay within what ``sandbox`` says.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import save
from tests.checkpoints.crafted import dictionary, program, tensor, zip_checkpoint
from tests.hostile.archives import ARCHIVES
from tests.hostile.attack import HARMLESS, Attack, Corpus
from tests.hostile.documents import CONFIGS, JSON, VOCABULARIES
from tests.hostile.pickles import PICKLES
from tests.hostile.places import PLACES
from tests.hostile.recipes import RECIPES
from tests.hostile.sandbox import MEMORY_BYTES, Sandbox, Verdict
from tests.hostile.tensors import SAFETENSORS
from tests.voices import NEWS, rows_of, text_state, write_vocabulary
from xttsrecipe.xtts import known_tensors

# What a hostile file is given as, and the attacks that are made on that.
CORPORA: dict[str, tuple[Corpus, ...]] = {
    "recipe": (RECIPES, PLACES),
    "checkpoint": (PICKLES, ARCHIVES, SAFETENSORS, PLACES),
    "vocabulary": (VOCABULARIES, JSON, PLACES),
    "config": (CONFIGS, JSON, PLACES),
}
ATTACKS = [(kind, name) for kind, corpora in CORPORA.items() for corpus in corpora for name in corpus]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good files: a model that has every key of XTTS-V2, one with text rows, recipes for them."""
    folder = tmp_path_factory.mktemp("good")
    every = dict.fromkeys(known_tensors(), b"h\x07")
    pickled = program(tensor() + b"q\x070" + dictionary({"model": dictionary(every)}))
    zip_checkpoint(folder / "model.pth", pickled)
    save(folder / "voice.pth", text_state(rows_of(NEWS)), config={"model": "xtts"})
    write_vocabulary(folder / "vocab.json", NEWS)
    _recipe(folder / "model.yaml", "checkpoints: {a: model.pth}")
    _recipe(folder / "voice.yaml", "checkpoints: {a: voice.pth}\nvocabulary: {a: vocab.json}")
    return folder


def _recipe(path: Path, text: str) -> Path:
    path.write_text(f"{text}\noutput: {{path: out/merged.pth}}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def reading(good: Path) -> Iterator[Sandbox]:
    """The command, to read; torch is not in that process."""
    inspecting: list[list[str | Path]] = [
        ["inspect", *options, good / "model.pth"] for options in ([], ["--json"], ["--keys", "*"])
    ]
    recipes = good / "model.yaml", good / "voice.yaml"
    planning: list[list[str | Path]] = [
        [*verb, each] for each in recipes for verb in (["validate"], ["plan"], ["plan", "--json"])
    ]
    sandbox = Sandbox(*inspecting, *planning)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def running(good: Path) -> Iterator[Sandbox]:
    """The command, to run recipes; torch is imported."""
    sandbox = Sandbox(["run", good / "model.yaml"], ["run", good / "voice.yaml"])
    yield sandbox
    sandbox.close()


def _prepared(kind: str, attack: Attack, folder: Path, good: Path) -> tuple[Path, Path]:
    """The recipe that names the hostile file, or is it; and the checkpoint that it names."""
    recipe = folder / "recipe.yaml"
    if kind == "recipe":
        for name in ("a.pth", "b.pth"):
            os.link(good / "model.pth", folder / name)
        attack[0](recipe)
        return recipe, folder / "a.pth"
    if kind == "checkpoint":
        attack[0](folder / "model.pth")
        return _recipe(recipe, "checkpoints: {a: model.pth}"), folder / "model.pth"
    voice = folder / "voice"
    voice.mkdir()
    os.link(good / "voice.pth", voice / "model.pth")
    attack[0](voice / ("vocab.json" if kind == "vocabulary" else "config.json"))
    return _recipe(recipe, "checkpoints: {a: voice}"), voice


@pytest.mark.parametrize(("kind", "name"), ATTACKS, ids=[f"{kind}: {name}" for kind, name in ATTACKS])
def test_an_attack_comes_to_nothing(
    kind: str, name: str, tmp_path: Path, good: Path, reading: Sandbox, running: Sandbox
) -> None:
    attack = next(corpus[name] for corpus in CORPORA[kind] if name in corpus)
    recipe, checkpoint = _prepared(kind, attack, tmp_path, good)
    planned = reading.call("plan", recipe)
    _came_to_nothing(planned)
    if kind != "recipe":
        _came_to_nothing(reading.call("inspect", checkpoint))
    if attack[1] == HARMLESS:
        assert planned.code == 0, planned.err
        for options in (["--json"], ["--keys", "*"]):
            _came_to_nothing(reading.call("inspect", *options, checkpoint))
        _came_to_nothing(reading.call("components", checkpoint))
        _came_to_nothing(reading.call("init", checkpoint))
        _came_to_nothing(reading.call("plan", "--json", recipe))
        _came_to_nothing(reading.call("validate", recipe))
        _came_to_nothing(running.call("run", recipe), may_write=tmp_path / "out")
    else:
        assert planned.code == 1, planned.out
        assert re.match(r"/[^:]", planned.err), "names no file"
        assert re.search(attack[1], planned.err), planned.err
    assert not list(tmp_path.rglob("executed"))


def _came_to_nothing(verdict: Verdict, may_write: Path | None = None) -> None:
    assert verdict.code in (0, 1), verdict.err[-3000:]
    assert "Traceback" not in verdict.err
    assert not [event for event in verdict.events if may_write is None or str(may_write) not in event]
    assert verdict.memory < MEMORY_BYTES, f"{verdict.memory >> 20} MiB"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", verdict.out + verdict.err)


def test_there_are_many_attacks_and_each_has_a_name_of_its_own() -> None:
    corpora = {id(corpus): corpus for corpora in CORPORA.values() for corpus in corpora}
    names = [name for corpus in corpora.values() for name in corpus]
    assert len(names) >= 40
    assert len(names) == len(set(names))


def test_the_sandbox_sees_what_is_imported_executed_and_written(tmp_path: Path, good: Path, reading: Sandbox) -> None:
    """Or the tests above show nothing. A run is the first to import torch, where that is not there yet."""
    (tmp_path / "model.pth").hardlink_to(good / "model.pth")
    verdict = reading.call("run", _recipe(tmp_path / "recipe.yaml", "checkpoints: {a: model.pth}"))
    assert verdict.code == 0
    assert "imported: torch" in verdict.events
    assert verdict.memory > 32 << 20
    kinds = {event.partition(":")[0] for event in verdict.events}
    assert {"import", "exec", "open for writing", "os.rename"} <= kinds
