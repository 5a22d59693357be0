"""Checkpoints of a few tensors in every layout that people have: enough to be recognised, few enough to be read."""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from tests.builders import save, trainer_state, write_recipe, xtts_state

# What torch calls float32 and int64, as safetensors does.
_CODES = {torch.float32: "F32", torch.int64: "I64"}


def small_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Nine tensors of XTTS-V2 under release names: one of several components each, with the rows of v2.0.3."""
    generator = torch.Generator().manual_seed(seed)

    def floats(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    return {
        "gpt.conditioning_encoder.init.bias": floats(4),
        "gpt.text_embedding.weight": floats(6681, 1),
        "gpt.mel_embedding.weight": floats(1026, 1),
        "gpt.gpt.h.0.ln_1.weight": floats(3),
        "gpt.gpt.h.0.attn.c_attn.weight": floats(2, 3),
        "gpt.text_head.bias": floats(6681),
        "hifigan_decoder.waveform_decoder.conv_pre.bias": floats(4),
        "hifigan_decoder.speaker_encoder.bn1.num_batches_tracked": torch.tensor(7 + seed),
        "mel_stats": floats(3),
    }


def pair(folder: Path) -> Path:
    """news.pth, audiobook.pth and recipe.yaml, which merges them into merged.pth, in a folder. Returns the recipe."""
    save(folder / "news.pth", small_state(1), config=config("news"), step=100, epoch=2, model_loss=2.5)
    save(folder / "audiobook.pth", small_state(2), config=config("audiobook"), step=300, epoch=1, model_loss=1.5)
    return write_recipe(
        folder,
        """\
checkpoints: {news: news.pth, audiobook: audiobook.pth}
weights: {news: 0.6, audiobook: 0.4}
overrides:
  "*encoder*": from news
output: {path: merged.pth}
""",
    )


def config(run: str) -> dict[str, Any]:
    return {"model": "xtts", "run_name": run, "model_args": {"gpt_layers": 30, "d_vector_dim": 512}, "languages": []}


def release(path: Path) -> Path:
    losses = {"train_loss": 2.12, "eval_loss": 2.55}
    return save(path, xtts_state(), config=config("news"), step=3200, epoch=4, model_loss=losses)


def trainer(path: Path) -> Path:
    moments = {0: {"step": torch.tensor(5.0), "exp_avg": torch.zeros(100), "exp_avg_sq": torch.zeros(100)}}
    return save(
        path,
        trainer_state(),
        config=config("audiobook"),
        optimizer={"state": moments, "param_groups": [{"lr": 5e-06, "betas": (0.9, 0.96), "params": [0]}]},
        scheduler={"milestones": collections.Counter({50000: 1}), "gamma": 0.5},
        scaler=None,
        step=5000,
        epoch=9,
        date="June 01, 2024 12:00",
        model_loss={"train_loss": 2.41, "eval_loss": 2.73},
    )


def shrunk(path: Path) -> Path:
    state = {key: tensor for key, tensor in trainer_state().items() if "dvae" not in key}
    return save(path, state, config=config("shrunk"), scaler=None, step=5000, epoch=9, date="June 01, 2024 12:00")


def leftovers(path: Path) -> Path:
    state = small_state()
    tied = {
        "gpt.gpt.wte.weight": state["gpt.mel_embedding.weight"],
        "gpt.gpt_inference.transformer.h.0.ln_1.weight": state["gpt.gpt.h.0.ln_1.weight"],
    }
    return save(path, state | tied, config=config("leftovers"), model_loss=float("nan"))


def bare(path: Path) -> Path:
    torch.save(small_state(), path)
    return path


def plain(path: Path) -> Path:
    return save(
        path, {"encoder.weight": torch.ones(2, 3), "encoder.bias": torch.ones(3), "head.steps": torch.tensor(1)}
    )


def safetensors(path: Path) -> Path:
    return write_safetensors(path, small_state(), {"format": "pt", "step": "12", "note": "by a converter"})


def write_safetensors(path: Path, state: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> Path:
    """As the safetensors library writes it, but for the order; it needs numpy, which is not there."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    data = b""
    for name, tensor in state.items():
        raw = bytes(tensor.contiguous().flatten().view(torch.uint8).tolist())
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": _CODES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


# Layout, as the tests call it: what makes such a file, and its suffix.
LAYOUTS: Mapping[str, tuple[Callable[[Path], Path], str]] = {
    "release": (release, ".pth"),
    "trainer": (trainer, ".pth"),
    "shrunk": (shrunk, ".pth"),
    "leftovers": (leftovers, ".pth"),
    "bare": (bare, ".pth"),
    "plain": (plain, ".pt"),
    "safetensors": (safetensors, ".safetensors"),
}


def make(layout: str, folder: Path) -> Path:
    """A checkpoint of that layout in a folder, called after it."""
    maker, suffix = LAYOUTS[layout]
    return maker(folder / f"{layout}{suffix}")
