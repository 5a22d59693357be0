"""Loads models with the client's own classes, unpatched, and has them speak."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from TTS.tts.configs.xtts_config import XttsConfig
from TTS.tts.models.xtts import Xtts

TEXT = "Hello the world, lower them in there."


def read_config(path: Path) -> XttsConfig:
    config = XttsConfig()
    config.load_json(str(path))
    return config


def load_file(checkpoint: Path, config: Path, vocabulary: Path) -> Xtts:
    """``checkpoint`` in a model that has exactly its keys and shapes, or an error."""
    settings = read_config(config)
    model = Xtts(settings)
    model.load_checkpoint(settings, checkpoint_path=checkpoint, vocab_path=vocabulary, strict=True)
    return model


def load_folder(folder: Path) -> Xtts:
    """A model directory with all that it brings along: its own config, vocabulary, speakers."""
    settings = read_config(folder / "config.json")
    model = Xtts(settings)
    model.load_checkpoint(settings, checkpoint_dir=folder, strict=True)
    return model


def speak(model: Xtts, reference: Path, text: str = TEXT, language: str = "en") -> torch.Tensor:
    """The model's voice for the sound in ``reference``: through its encoders, its transformer and its vocoder.

    The client samples; from the same seed the same model says the same.
    """
    latent, speaker = model.get_conditioning_latents(audio_path=str(reference))
    return say(model, latent, speaker, text, language)


def say(
    model: Xtts, latent: torch.Tensor, speaker: torch.Tensor, text: str = TEXT, language: str = "en"
) -> torch.Tensor:
    torch.manual_seed(17)
    spoken: dict[str, Any] = model.inference(text, language, latent, speaker, max_new_tokens=12)
    return torch.from_numpy(spoken["wav"])


def assert_speech(wave: torch.Tensor) -> None:
    assert wave.ndim == 1
    assert wave.numel() > 1000
    assert torch.isfinite(wave).all()
    assert wave.std() > 1e-3, "silence"
