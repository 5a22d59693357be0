"""Small real checkpoints for tests: torch writes them, so that what is read is what users have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from xttsrecipe.specs import TensorSpec
from xttsrecipe.xtts import known_tensors, training_only_tensors


def tiny(spec: TensorSpec, generator: torch.Generator) -> torch.Tensor:
    """A tensor with the dimensions and type of ``spec``, each size cut to 3 but for vocabulary rows."""
    shape = tuple(size if size in (6681, 1026) else min(size, 3) for size in spec.shape)
    if spec.dtype.averages:
        return torch.randn(shape, generator=generator)
    return torch.randint(1, 1000, shape, generator=generator)


def xtts_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """All 963 tensors of XTTS-V2 (2.0.3) under release names, tiny."""
    generator = torch.Generator().manual_seed(seed)
    return {key: tiny(spec, generator) for key, spec in known_tensors().items()}


def v1_state(seed: int = 0, *, copies: bool = True) -> dict[str, torch.Tensor]:
    """XTTS v1, tiny: 8194 audio codes, a prompt embedding, no perceiver; v1.1 where inference left no ``copies``."""
    state = {key: tensor for key, tensor in xtts_state(seed).items() if "conditioning_perceiver" not in key}
    state |= {name: torch.ones(8194, 3) for name in ("gpt.mel_embedding.weight", "gpt.mel_head.weight")}
    state |= {"gpt.mel_head.bias": torch.ones(8194), "gpt.prompt_embedding.weight": torch.ones(8194, 3)}
    state |= {"gpt.prompt_pos_embedding.emb.weight": torch.ones(216, 3)}
    tied = {
        "gpt.gpt.wte.weight": state["gpt.mel_embedding.weight"],
        "gpt.gpt_inference.lm_head.1.bias": state["gpt.mel_head.bias"],
    }
    return state | tied if copies else state


def trainer_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """The same tensors as ``xtts_state(seed)`` under trainer names, with the 60 training-only ones."""
    generator = torch.Generator().manual_seed(1000 + seed)
    wrapped = {f"xtts.{key}": tensor for key, tensor in xtts_state(seed).items()}
    return wrapped | {key: tiny(spec, generator) for key, spec in training_only_tensors().items()}


def save(path: Path, model: Mapping[str, Any], **entries: Any) -> Path:
    """``{"model": model, **entries}`` as torch.save writes it."""
    torch.save({"model": dict(model), **entries}, path)
    return path


def write_recipe(folder: Path, text: str, name: str = "recipe.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
