"""Small models of the client's own classes, in every layout that a checkpoint comes in.

Random weights, few layers: a model takes 93 MB, nearly all of it the vocoder and the speaker encoder, whose sizes are
fixed. What is random follows from a seed.
"""

from __future__ import annotations

import datetime
import math
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
from TTS.tts.layers.xtts.dvae import DiscreteVAE
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
from TTS.tts.models.xtts import Xtts, _legacy_safe_globals

State = dict[str, torch.Tensor]

SAMPLE_RATE = 22050


def sizes(vocabulary: Path) -> dict[str, Any]:
    """``model_args`` of a small XTTS-V2 with this vocabulary: v2's tokens and modules, few layers, narrow."""
    tokenizer = VoiceBpeTokenizer(vocabulary)
    return {
        "gpt_layers": 2,
        "gpt_n_model_channels": 64,
        "gpt_n_heads": 2,
        "decoder_input_dim": 64,
        "gpt_num_audio_tokens": 1026,
        "gpt_start_audio_token": 1024,
        "gpt_stop_audio_token": 1025,
        "gpt_use_perceiver_resampler": True,
        "gpt_number_text_tokens": tokenizer.get_number_tokens(),
        "gpt_start_text_token": tokenizer.tokenizer.token_to_id("[START]"),
        "gpt_stop_text_token": tokenizer.tokenizer.token_to_id("[STOP]"),
    }


def new_model(vocabulary: Path, seed: int) -> tuple[XttsConfig, State]:
    """Config and state dict of a model made by the client, every tensor of it different from other seeds'."""
    config = XttsConfig(model_args=XttsArgs(**sizes(vocabulary)))
    torch.manual_seed(seed)
    state = Xtts(config).state_dict()
    for key, tensor in state.items():
        # The client starts these alike in all models; training moves them apart.
        if key.endswith("running_mean"):
            tensor.normal_(0, 0.05)
        elif key.endswith("running_var"):
            tensor.uniform_(0.8, 1.2)
        elif key.endswith("num_batches_tracked"):
            tensor.random_(1, 1000)
        elif tensor.is_floating_point() and tensor.numel() and (tensor == tensor.flatten()[0]).all():
            tensor += torch.randn_like(tensor) * 0.01
    # Statistics of the data, the same in all fine-tunes.
    state["mel_stats"] = mel_stats()
    return config, dict(state)


def mel_stats() -> torch.Tensor:
    return torch.linspace(0.5, 1.5, 80)


def save_release(path: Path, config: XttsConfig, state: State, **entries: Any) -> Path:
    torch.save({"config": config.to_dict(), "model": state, **entries}, path)
    return path


def save_speakers(path: Path, model: Xtts, speakers: Mapping[str, Path]) -> Path:
    """speakers_xtts.pth: what the model hears in these recordings."""
    heard = {}
    for name, recording in speakers.items():
        latent, embedding = model.get_conditioning_latents(audio_path=str(recording))
        heard[name] = {"gpt_cond_latent": latent.clone(), "speaker_embedding": embedding.clone()}
    torch.save(heard, path)
    return path


def save_half(path: Path, release: Path) -> Path:
    checkpoint = torch.load(release, weights_only=True)
    model = {k: v.half() if v.is_floating_point() else v for k, v in checkpoint["model"].items()}
    torch.save(checkpoint | {"model": model}, path)
    return path


def save_leftovers(path: Path, model: Xtts) -> Path:
    """A model saved after it was made ready to speak: with copies of tensors that share their storages."""
    state = model.state_dict()
    assert any(key.startswith("gpt.gpt_inference.") for key in state)
    assert any(key.startswith("gpt.gpt.wte.") for key in state)
    torch.save({"config": model.config.to_dict(), "model": state}, path)
    return path


def save_pickled(path: Path, release: Path, config: XttsConfig) -> Path:
    """What older clients and scripts write: configs as objects, losses of numpy, paths, dates."""
    checkpoint = torch.load(release, weights_only=True)
    checkpoint |= {
        "config": config,
        "step": np.int64(1200),
        "epoch": 3,
        "model_loss": {"train_loss": np.float64(2.25), "eval_loss": np.float32(2.5)},
        "date": datetime.date(2024, 6, 1),
        "output_path": Path("run/training"),
    }
    # The classes as published files name them: under the module that they lived in when those were written.
    with _legacy_safe_globals():
        torch.save(checkpoint, path)
    return path


def save_shrunk(path: Path, trained: Path) -> Path:
    """What the fine-tuning web UI's "optimize" makes of a trainer's checkpoint."""
    checkpoint = torch.load(trained, weights_only=True)
    del checkpoint["optimizer"], checkpoint["scheduler"]
    checkpoint["model"] = {key: tensor for key, tensor in checkpoint["model"].items() if "dvae" not in key}
    torch.save(checkpoint, path)
    return path


def save_dvae(path: Path, seed: int) -> Path:
    """The discrete autoencoder that training gets its audio tokens from; its size is fixed too."""
    torch.manual_seed(seed)
    dvae = DiscreteVAE(
        channels=80,
        normalization=None,
        positional_dims=1,
        num_tokens=1024,
        codebook_dim=512,
        hidden_dim=512,
        num_resnet_blocks=3,
        kernel_size=3,
        num_layers=2,
        use_transposed_convs=False,
    )
    torch.save(dvae.state_dict(), path)
    return path


def write_speech(path: Path, pitch: float, seconds: float = 2.0) -> Path:
    """A sound with harmonics and a slow swell: enough of a voice for the client to take latents from."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = sum(np.sin(2 * math.pi * pitch * n * time) / n for n in range(1, 9))
    sound *= 0.1 * (1.2 + np.sin(2 * math.pi * 3 * time))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((sound * 32000).astype("<i2").tobytes())
    return path
