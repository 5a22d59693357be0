"""The checkpoints that the tests merge: two models, a and b, in every layout, each file made when first asked for."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import torch
from TTS.tts.models.xtts import Xtts

from . import client, models
from .training import TrainingFiles, train
from .vocabulary import vocabulary, write_vocabulary

SEEDS = {"a": 1, "b": 2}

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


def row(first: str, second: str) -> str:
    """What the README's table calls a pairing."""
    return f"{first} + {second}"


class Checkpoints:
    """Files of the models a and b by layout, and how they sound. All is in ``folder``.

    ``folder/a`` and ``folder/b`` are model directories as they are published; a has speakers and training's files too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in SEEDS:
            (folder / name).mkdir()
        self.vocabulary = write_vocabulary(folder / "a" / "vocab.json", vocabulary())
        shutil.copy(self.vocabulary, folder / "b")
        self.reference = models.write_speech(folder / "reference.wav", pitch=150)

    @functools.cache  # noqa: B019 (one object a session)
    def path(self, layout: str, name: str) -> Path:
        """The file of model ``name`` in this layout. Trainer files, and shrunk ones, are trained a step further."""
        if layout == "release":
            return self._release(name)
        target = self.folder / f"{layout}_{name}.pth"
        match layout:
            case "trainer":
                return train(self.training_files(name), self.folder / "run", self.path("release", name), target)
            case "shrunk":
                return models.save_shrunk(target, self.path("trainer", name))
            case "fp16":
                return models.save_half(target, self.path("release", name))
            case "leftovers":
                return models.save_leftovers(target, self.load(self.path("release", name)))
            case "pickled":
                return models.save_pickled(target, self.path("release", name), client.read_config(self.config))
        raise ValueError(layout)

    @property
    def config(self) -> Path:
        """The config.json of both models."""
        self._release("a")
        return self.folder / "a" / "config.json"

    @functools.cache  # noqa: B019
    def _release(self, name: str) -> Path:
        folder = self.folder / name
        config, state = models.new_model(self.vocabulary, SEEDS[name])
        path = models.save_release(folder / "model.pth", config, state)
        config.save_json(str(folder / "config.json"))
        return path

    @functools.cache  # noqa: B019
    def training_files(self, name: str = "a") -> TrainingFiles:
        """Each model has a DVAE of its own, so that it shows whose a merge carries."""
        mel_stats = self.folder / name / "mel_stats.pth"
        torch.save(models.mel_stats(), mel_stats)
        recordings = tuple(
            models.write_speech(self.folder / f"recording{pitch}.wav", pitch=pitch) for pitch in (110, 140, 180)
        )
        dvae = models.save_dvae(self.folder / name / "dvae.pth", 10 + SEEDS[name])
        return TrainingFiles(self.vocabulary, dvae, mel_stats, recordings)

    def load(self, checkpoint: Path) -> Xtts:
        """Any of these files, or one merged from them, in the client."""
        return client.load_file(checkpoint, self.config, self.vocabulary)

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
