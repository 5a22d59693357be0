"""Makes synthetic XTTS-V2 checkpoints: real keys, layers and layouts, random numbers, reduced width unless --full.

    python demo/make_checkpoints.py FOLDER            news.pth, drama.pth, base.pth (release), audiobook.pth (trainer),
                                                      and run/, as the trainer leaves it, at a quarter of their width
    python demo/make_checkpoints.py FOLDER --full     the four at full width: 1.87, 1.87, 1.87 and 5.6 GB; no run/

news, drama and audiobook are fine-tunes of base. Nothing speaks with these; they are for seeing and measuring what a
merge does.
"""

from __future__ import annotations

import argparse
import collections
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore", message="Failed to initialize NumPy", category=UserWarning)

import torch  # noqa: E402

from xttsrecipe.specs import TensorSpec  # noqa: E402
from xttsrecipe.xtts import known_tensors, training_only_tensors  # noqa: E402

# Vocabulary and position tables keep their rows, by which XTTS versions are told.
_ROWS = {6681, 1026, 608, 404, 605}
_LOSSES = {"train_loss": 2.41, "eval_loss": 2.73}


def reduced(shape: tuple[int, ...], divisor: int) -> tuple[int, ...]:
    """A shape with its widths divided; 0-dim and small dimensions stay."""
    return tuple(size if size in _ROWS or size < 2 * divisor else size // divisor for size in shape)


def state_dict(tensors: Mapping[str, TensorSpec], divisor: int, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, spec in tensors.items():
        shape = reduced(spec.shape, divisor)
        if spec.dtype.averages:
            state[key] = torch.randn(shape, generator=generator).mul_(0.02)
        else:
            state[key] = torch.randint(1, 10_000, shape, generator=generator)
    return state


def fine_tuned(parent: Mapping[str, torch.Tensor], seed: int, prefixes: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """The parent with small changes in the tensors that training touches."""
    generator = torch.Generator().manual_seed(seed)
    return {
        key: tensor + 0.002 * torch.randn(tensor.shape, generator=generator)
        if key.startswith(prefixes) and tensor.is_floating_point()
        else tensor.clone()
        for key, tensor in parent.items()
    }


def config(run: str, model: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    return {
        "model": "xtts",
        "run_name": run,
        "audio": {"sample_rate": 22050, "output_sample_rate": 24000},
        "model_args": {
            "gpt_layers": 30,
            "gpt_n_model_channels": model["gpt.final_norm.weight"].shape[0],
            "gpt_n_heads": 16,
            "gpt_max_audio_tokens": 605,
            "gpt_max_text_tokens": 402,
            "gpt_number_text_tokens": model["gpt.text_head.bias"].shape[0],
            "gpt_num_audio_tokens": 1026,
            "gpt_start_audio_token": 1024,
            "gpt_stop_audio_token": 1025,
            "gpt_use_perceiver_resampler": True,
            "d_vector_dim": 512,
            "output_sample_rate": 24000,
        },
        "languages": ["en", "es", "fr", "de", "it", "pt"],
        "temperature": 0.75,
    }


def trainer_checkpoint(
    model: Mapping[str, torch.Tensor],
    divisor: int,
    seed: int,
    run: str = "audiobook_ft",
    step: int = 5000,
    epoch: int = 9,
    losses: Mapping[str, float | None] = _LOSSES,
) -> dict[str, Any]:
    """What the Coqui trainer saves: prefixed keys, the training wrapper's tensors, AdamW's two moments, counters."""
    wrapped = {f"xtts.{key}": tensor for key, tensor in model.items()}
    wrapped |= state_dict(training_only_tensors(), divisor, seed)
    trained = [tensor for key, tensor in model.items() if key.startswith("gpt.")]
    moments = {
        index: {
            "step": torch.tensor(float(step)),
            "exp_avg": torch.zeros_like(tensor),
            "exp_avg_sq": torch.zeros_like(tensor),
        }
        for index, tensor in enumerate(trained)
    }
    groups = [{"lr": 5e-06, "betas": (0.9, 0.96), "params": list(moments)}]
    return {
        "config": config(run, model),
        "model": wrapped,
        "optimizer": {"state": moments, "param_groups": groups},
        "scheduler": {"milestones": collections.Counter({50000: 1, 150000: 1}), "gamma": 0.5, "last_epoch": step},
        "scaler": None,
        "step": step,
        "epoch": epoch,
        "date": "June 01, 2024 12:00",
        "model_loss": dict(losses),
    }


def training_run(folder: Path, divisor: int) -> None:
    """The folder of a run: six checkpoints, the first saved before any evaluation; the best again; its config."""
    folder.mkdir(exist_ok=True)
    model = state_dict(known_tensors(), divisor, seed=10)
    for number, loss in enumerate((None, 2.71, 2.58, 2.61, 2.55, 2.57), 1):
        step = 1000 * number
        model = fine_tuned(model, 10 + number, ("gpt.",))
        losses = {"train_loss": round(2.6 - 0.08 * number, 2), "eval_loss": loss}
        saved = trainer_checkpoint(model, divisor, 20, "run", step, 2 * number, losses)
        torch.save(saved, folder / f"checkpoint_{step}.pth")
        if loss == 2.55:
            torch.save(saved, folder / "best_model.pth")
    (folder / "config.json").write_text(json.dumps(config("run", model), indent=4), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make synthetic XTTS-V2 checkpoints.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--full", action="store_true", help="at full width, 11.2 GB in all")
    arguments = parser.parse_args()
    divisor = 1 if arguments.full else 16
    arguments.folder.mkdir(parents=True, exist_ok=True)

    base = state_dict(known_tensors(), divisor, seed=0)
    torch.save({"config": config("base", base), "model": base}, arguments.folder / "base.pth")
    news = fine_tuned(base, 1, ("gpt.",))
    extra = {"step": 3200, "epoch": 4, "model_loss": {"train_loss": 2.12, "eval_loss": 2.55}}
    torch.save({"config": config("news_ft", news), "model": news, **extra}, arguments.folder / "news.pth")
    del news
    drama = fine_tuned(base, 4, ("gpt.",))
    extra = {"step": 4100, "epoch": 6, "model_loss": {"train_loss": 2.3, "eval_loss": 2.61}}
    torch.save({"config": config("drama_ft", drama), "model": drama, **extra}, arguments.folder / "drama.pth")
    del drama
    if not arguments.full:
        training_run(arguments.folder / "run", 4 * divisor)
    # The last, as make takes it for a sign that all are there.
    audiobook = fine_tuned(base, 2, ("gpt.", "hifigan_decoder.waveform_decoder."))
    torch.save(trainer_checkpoint(audiobook, divisor, seed=3), arguments.folder / "audiobook.pth")


if __name__ == "__main__":
    main()
