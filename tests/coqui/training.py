"""Runs the real trainer on the real GPTTrainer: offline, on the CPU, a step or two."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer import Trainer, TrainerArgs
from TTS.tts.layers.xtts.trainer.gpt_trainer import GPTArgs, GPTTrainer, GPTTrainerConfig

from .models import sizes


@dataclass(frozen=True)
class TrainingFiles:
    """What training reads beside the model."""

    vocabulary: Path
    dvae: Path
    mel_stats: Path
    recordings: tuple[Path, ...]


def training_config(files: TrainingFiles, folder: Path, *, xtts_checkpoint: Path | None = None) -> GPTTrainerConfig:
    arguments = GPTArgs(
        **sizes(files.vocabulary),
        tokenizer_file=str(files.vocabulary),
        dvae_checkpoint=str(files.dvae),
        mel_norm_file=str(files.mel_stats),
        xtts_checkpoint=str(xtts_checkpoint or ""),
        min_conditioning_length=11025,
        max_conditioning_length=22050,
    )
    return GPTTrainerConfig(
        model_args=arguments,
        output_path=str(folder),
        run_name="run",
        epochs=1,
        batch_size=2,
        eval_batch_size=1,
        num_loader_workers=0,
        num_eval_loader_workers=0,
        print_step=1,
        save_step=1000,
        optimizer="AdamW",
        optimizer_params={"betas": [0.9, 0.96], "eps": 1e-8, "weight_decay": 1e-2},
        # Far above what one would train with, so that two steps show.
        lr=1e-3,
        lr_scheduler="MultiStepLR",
        lr_scheduler_params={"milestones": [50000, 150000], "gamma": 0.5, "last_epoch": -1},
    )


def start_training(
    files: TrainingFiles, folder: Path, *, restore_path: Path | None = None, continue_path: Path | None = None,
    xtts_checkpoint: Path | None = None,
) -> Trainer:  # fmt: skip
    """A trainer ready to go on from a checkpoint, or in a folder with one; what it writes is in ``folder``."""
    config = training_config(files, folder, xtts_checkpoint=xtts_checkpoint)
    model = GPTTrainer(config)
    samples: list[dict[str, Any]] = [
        {"text": text, "audio_file": str(path), "speaker_name": "ana", "language": "en"}
        for path, text in zip(files.recordings, ("hello the world.", "in there.", "lower them."), strict=True)
    ]
    return Trainer(
        TrainerArgs(restore_path=str(restore_path or ""), continue_path=str(continue_path or "")),
        config,
        output_path=folder,
        model=model,
        train_samples=samples[:2],
        eval_samples=samples[2:],
        parse_command_line_args=False,
    )


def train(files: TrainingFiles, folder: Path, start: Path, target: Path) -> Path:
    """best_model.pth of a short training from the checkpoint ``start``, moved to ``target``."""
    trainer = start_training(files, folder, xtts_checkpoint=start)
    trainer.fit()
    shutil.move(trainer.output_path / "best_model.pth", target)
    shutil.rmtree(folder)
    return target


def log_of(trainer: Trainer) -> str:
    return Path(trainer.output_path, "trainer_0_log.txt").read_text("utf-8")
