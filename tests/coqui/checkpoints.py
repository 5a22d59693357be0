"""The checkpoints that the tests merge: a few models, in every layout, each file made when first asked for."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from TTS.tts.models.xtts import Xtts

from . import client, models
from .training import TrainingFiles, train
from .vocabulary import vocabulary, write_vocabulary

# a and b share a vocabulary. The others have extended it: news and audiobook by different numbers of tokens, one of
# which both have; legal by as many as news. The newer of these files have merges as lists.
VOCABULARIES: Mapping[str, dict[str, Any]] = {
    "a": vocabulary(),
    "b": vocabulary(),
    "news": vocabulary([("o", "r"), ("w", "or"), ("wor", "l"), ("worl", "d")], ["[hu]"]),
    "audiobook": vocabulary(
        [("b", "o"), ("o", "k"), ("bo", "ok"), ("o", "r"), ("m", "y")], ["[nl]", "[cs]"], pairs=True
    ),
    "legal": vocabulary([("l", "a"), ("la", "w"), ("a", "s"), ("u", "p")], ["[pl]"]),
}
SEEDS = {name: seed for seed, name in enumerate(VOCABULARIES, start=1)}

# Model a in the first layout is merged with model b in the second.
PAIRINGS = (
    ("release", "release"),
    ("trainer", "trainer"),
    ("release", "trainer"),
    ("shrunk", "shrunk"),
    ("shrunk", "release"),
    ("shrunk", "trainer"),
    ("leftovers", "release"),
    ("fp16", "fp16"),
    ("fp16", "release"),
    ("pickled", "release"),
)
LAYOUTS = ("release", "trainer", "shrunk", "leftovers", "fp16", "pickled")

SPEAKERS = ("Ana", "Björn")


def row(first: str, second: str) -> str:
    """What the README's table calls a pairing."""
    return f"{first} + {second}"


class Checkpoints:
    """Files of the models by layout, and how they sound. All is in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.reference = models.write_speech(folder / "reference.wav", pitch=150)

    @functools.cache  # noqa: B019 (one object a session)
    def directory(self, name: str) -> Path:
        """A model directory as it is published. That of a has speakers, that of b training's files."""
        folder = self._folder / name
        folder.mkdir()
        write_vocabulary(folder / "vocab.json", VOCABULARIES[name])
        config, state = models.new_model(folder / "vocab.json", SEEDS[name])
        models.save_release(folder / "model.pth", config, state)
        config.save_json(str(folder / "config.json"))
        if name == "a":
            recordings = dict(zip(SPEAKERS, self._recordings, strict=False))
            models.save_speakers(folder / "speakers_xtts.pth", client.load_folder(folder), recordings)
        if name == "b":
            files = self.training_files(name)
            for file in (files.dvae, files.mel_stats):
                os.link(file, folder / file.name)
        return folder

    @functools.cache  # noqa: B019
    def path(self, layout: str, name: str) -> Path:
        """The file of model ``name`` in this layout. Trainer files, and shrunk ones, are trained a step further."""
        release = self.directory(name) / "model.pth"
        target = self._folder / f"{layout}_{name}.pth"
        match layout:
            case "release":
                return release
            case "trainer":
                return train(self.training_files(name), self._folder / "run", release, target)
            case "shrunk":
                return models.save_shrunk(target, self.path("trainer", name))
            case "fp16":
                return models.save_half(target, release)
            case "leftovers":
                return models.save_leftovers(target, self.load(release))
            case "pickled":
                return models.save_pickled(target, release, client.read_config(release.with_name("config.json")))
        raise ValueError(layout)

    @functools.cached_property
    def _recordings(self) -> tuple[Path, ...]:
        pitches = (110, 140, 180)
        return tuple(models.write_speech(self._folder / f"{pitch}.wav", pitch) for pitch in pitches)

    @functools.cache  # noqa: B019
    def training_files(self, name: str) -> TrainingFiles:
        """Each model has a DVAE of its own, so that it shows whose a merge carries."""
        folder = self._folder / f"training_{name}"
        folder.mkdir()
        mel_stats = folder / "mel_stats.pth"
        torch.save(models.mel_stats(), mel_stats)
        return TrainingFiles(
            vocabulary=write_vocabulary(folder / "vocab.json", VOCABULARIES[name]),
            dvae=models.save_dvae(folder / "dvae.pth", 10 + SEEDS[name]),
            mel_stats=mel_stats,
            recordings=self._recordings,
        )

    def load(self, checkpoint: Path) -> Xtts:
        """A file of the models a and b, or one merged from them, in the client."""
        folder = self.directory("a")
        return client.load_file(checkpoint, folder / "config.json", folder / "vocab.json")

    @functools.cache  # noqa: B019
    def voice(self, layout: str, name: str) -> torch.Tensor:
        """What the client says with this file."""
        return client.speak(self.load(self._loadable(layout, name)), self.reference)

    def state(self, layout: str, name: str) -> models.State:
        """The tensors of this file under release names."""
        return canonical_state(self._loadable(layout, name))

    def _loadable(self, layout: str, name: str) -> Path:
        # The client loads no file with numpy's numbers and paths in it; the same model without them stands for it.
        return self.path("release" if layout == "pickled" else layout, name)


def canonical_state(path: Path) -> models.State:
    """A checkpoint's tensors under release names, whatever its layout; without what only training has."""
    model = torch.load(path, weights_only=True, mmap=True)["model"]
    training_only = ("dvae.", "torch_mel_spectrogram_")
    return {key.removeprefix("xtts."): tensor for key, tensor in model.items() if not key.startswith(training_only)}


def assert_same_tensors(found: models.State, expected: models.State) -> None:
    """The same keys, and bit for bit the same tensors."""
    differing = [key for key in found if key not in expected or not torch.equal(found[key], expected[key])]
    assert not differing, differing
    assert expected.keys() == found.keys()
