"""Model directories in and out: the client loads what xttsrecipe writes as it loads what was published."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from trainer.io import copy_model_files
from TTS.api import TTS
from TTS.tts.models.xtts import Xtts

from . import client
from .checkpoints import SPEAKERS, Checkpoints, canonical_state
from .command import merge
from .training import training_config

WEIGHTS = (0.6, 0.4)
# What Hugging Face shows; the client does not mind it.
CARD = "README.md"
ROW = "directory + directory"


@pytest.fixture(scope="module")
def merged(checkpoints: Checkpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("directories")
    sources = {name: checkpoints.directory(name) for name in "ab"}
    yield merge(folder, sources, WEIGHTS, "merged/")
    shutil.rmtree(folder)


def _speech_of(model: Xtts, speaker: str) -> torch.Tensor:
    torch.manual_seed(17)
    return torch.from_numpy(model.synthesize(client.TEXT, speaker=speaker, language="en", max_new_tokens=12)["wav"])


@pytest.mark.claim("loads strictly, speaks", row=ROW)
def test_directory_loads_strictly_and_speaks(merged: Path, checkpoints: Checkpoints) -> None:
    wave = client.speak(client.load_folder(merged), checkpoints.reference)
    client.assert_speech(wave)
    for name in "ab":
        assert not torch.equal(wave, checkpoints.voice("release", name))


@pytest.mark.claim("is 0.6 a + 0.4 b", row=ROW)
def test_directory_is_the_same_model_as_a_file(merged: Path, checkpoints: Checkpoints, scratch: Path) -> None:
    sources = {name: checkpoints.path("release", name) for name in "ab"}
    as_file = canonical_state(merge(scratch, sources, WEIGHTS))
    as_directory = canonical_state(merged / "model.pth")
    assert as_file.keys() == as_directory.keys()
    assert all(torch.equal(as_file[key], as_directory[key]) for key in as_file)


def test_companions_are_the_heaviest_ones(merged: Path, checkpoints: Checkpoints) -> None:
    source = checkpoints.directory("a")
    expected = {path.name: path.read_bytes() for path in source.iterdir() if path.name != "model.pth"}
    assert expected.keys() == {"config.json", "vocab.json", "speakers_xtts.pth"}
    assert {
        path.name: path.read_bytes() for path in merged.iterdir() if path.name not in ("model.pth", CARD)
    } == expected
    assert [path.name for path in merged.parent.iterdir() if path.name.startswith(".")] == []


def test_companions_may_be_chosen(checkpoints: Checkpoints, scratch: Path) -> None:
    sources = {name: checkpoints.directory(name) for name in "ab"}
    merged = merge(scratch, sources, WEIGHTS, "merged/", companions="from b")
    names = {path.name for path in merged.iterdir()} - {CARD}
    assert names == {"model.pth", "config.json", "vocab.json", "mel_stats.pth", "dvae.pth"}
    for name in names - {"model.pth"}:
        assert (merged / name).read_bytes() == (sources["b"] / name).read_bytes(), name


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_its_speakers_speak(merged: Path, speaker: str) -> None:
    model = client.load_folder(merged)
    assert model.speaker_manager.speaker_names == list(SPEAKERS)
    client.assert_speech(_speech_of(model, speaker))


@pytest.mark.parametrize("speaker", SPEAKERS[:1])
def test_the_clients_simplest_way_to_speak_works(merged: Path, speaker: str) -> None:
    api = TTS(model_path=merged, config_path=merged / "config.json", progress_bar=False)
    assert speaker in api.speakers
    torch.manual_seed(17)
    wave = api.tts("Hello the world.", speaker=speaker, language="en", split_sentences=False, max_new_tokens=12)
    client.assert_speech(torch.tensor(np.array(wave)))


@pytest.mark.claim("weight 1: the parent's voice", row=ROW)
def test_weight_one_is_that_parents_voice(checkpoints: Checkpoints, scratch: Path) -> None:
    sources = {name: checkpoints.directory(name) for name in "ab"}
    with ThreadPoolExecutor() as pool:  # two commands at a time
        all_a = pool.submit(merge, scratch, sources, (1, 0), "all_a/")
        all_b = pool.submit(merge, scratch, sources, (0, 1), "all_b/")
    for name, merged in (("a", all_a), ("b", all_b)):
        wave = client.speak(client.load_folder(merged.result()), checkpoints.reference)
        assert torch.equal(wave, checkpoints.voice("release", name))


@pytest.mark.claim("with itself: its own voice", row=ROW)
def test_with_itself_is_its_own_voice(checkpoints: Checkpoints, scratch: Path) -> None:
    source = checkpoints.directory("a")
    merged = merge(scratch, {"one": source, "same": source}, WEIGHTS, "merged/")
    assert {path.name for path in merged.iterdir()} == {CARD, *(path.name for path in source.iterdir())}
    model, parent = client.load_folder(merged), client.load_folder(source)
    assert torch.equal(client.speak(model, checkpoints.reference), checkpoints.voice("release", "a"))
    for speaker in SPEAKERS:
        assert torch.equal(_speech_of(model, speaker), _speech_of(parent, speaker))


def test_a_directory_and_a_trainers_file(checkpoints: Checkpoints, scratch: Path) -> None:
    sources = {"a": checkpoints.directory("a"), "b": checkpoints.path("trainer", "b")}
    merged = merge(scratch, sources, WEIGHTS, "merged/")
    client.assert_speech(client.speak(client.load_folder(merged), checkpoints.reference))


def test_the_folder_of_a_training_is_a_model_directory(checkpoints: Checkpoints, scratch: Path) -> None:
    """It has best_model.pth, the trainer's config.json, and no vocab.json: the other's has to do."""
    run = scratch / "run"
    run.mkdir()
    copy_model_files(training_config(checkpoints.training_files("a"), scratch), run, {})
    (run / "best_model.pth").symlink_to(checkpoints.path("trainer", "a"))
    merged = merge(scratch, {"run": run, "b": checkpoints.directory("b")}, WEIGHTS, "merged/")
    assert {path.name for path in merged.iterdir()} == {"model.pth", "config.json", "vocab.json", CARD}
    client.assert_speech(client.speak(client.load_folder(merged), checkpoints.reference))
