"""Merges for tests: recipes over checkpoints that torch has just written, planned, run and loaded again."""

from __future__ import annotations

import json
import math
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.builders import save, write_recipe
from xttsrecipe.api import load_recipe, make_plan, run
from xttsrecipe.errors import RecipeError
from xttsrecipe.plan import Plan
from xttsrecipe.recipe import Recipe

State = Mapping[str, torch.Tensor]
NAMES = string.ascii_lowercase


def save_all(folder: Path, states: Sequence[State], **entries: Any) -> dict[str, str]:
    """Every state in a file of its own, a.pth, b.pth, …: what a recipe's ``checkpoints`` says of them."""
    for name, state in zip(NAMES, states, strict=False):
        save(folder / f"{name}.pth", state, **entries)
    return {name: f"{name}.pth" for name in NAMES[: len(states)]}


def recipe_of(folder: Path, checkpoints: Mapping[str, object], output: str = "out.pth", **fields: Any) -> Recipe:
    """A recipe in ``folder`` (JSON is YAML). Weights may be a list, in the checkpoints' order; ``dtype`` is
    output.dtype.
    """
    written: dict[str, Any] = {"checkpoints": dict(checkpoints), "output": {"path": output}, **fields}
    if "dtype" in fields:
        written["output"]["dtype"] = written.pop("dtype")
    if isinstance(fields.get("weights"), (list, tuple)):
        written["weights"] = dict(zip(checkpoints, fields["weights"], strict=True))
    return load_recipe(write_recipe(folder, json.dumps(written, indent=1)))


def plan_of(folder: Path, states: Sequence[State], output: str = "out.pth", **fields: Any) -> Plan:
    """The plan over ``states``, saved to ``folder`` first."""
    return make_plan(recipe_of(folder, save_all(folder, states), output, **fields))


def problems_of(folder: Path, states: Sequence[State], **fields: Any) -> RecipeError:
    """What the recipe is refused for."""
    with pytest.raises(RecipeError) as caught:
        plan_of(folder, states, **fields)
    return caught.value


def merge(folder: Path, states: Sequence[State], **fields: Any) -> dict[str, torch.Tensor]:
    """The merged state dict as torch loads it."""
    summary = run(plan_of(folder, states, **fields))
    return loaded_model(summary.output)


def merge_one(folder: Path, *tensors: torch.Tensor, **fields: Any) -> torch.Tensor:
    """The merge of one tensor per source."""
    return merge(folder, [{"x": tensor} for tensor in tensors], **fields)["x"]


def loaded(path: Path) -> dict[str, Any]:
    """The whole checkpoint, as clients load it."""
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def loaded_model(path: Path) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = loaded(path)["model"]
    return model


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a tensor's elements in row-major order."""
    return tensor.detach().clone(memory_format=torch.contiguous_format).flatten().view(torch.uint8)


def assert_same_bits(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert torch.equal(bits(found), bits(expected))


def exact_sum(tensors: Sequence[torch.Tensor], weights: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ wᵢxᵢ and Σ |wᵢxᵢ| in float64, each element correctly rounded."""
    columns = [tensor.double().flatten().tolist() for tensor in tensors]
    terms = [[x * w for x, w in zip(row, weights, strict=True)] for row in zip(*columns, strict=True)]
    shape = tensors[0].shape
    total = torch.tensor([math.fsum(row) for row in terms], dtype=torch.float64).reshape(shape)
    size = torch.tensor([math.fsum(map(abs, row)) for row in terms], dtype=torch.float64).reshape(shape)
    return total, size


def assert_weighted_sum(
    found: torch.Tensor, tensors: Sequence[torch.Tensor], weights: Sequence[float], tolerance: float = 3e-7
) -> None:
    """|found − Σ wᵢxᵢ| ≤ tolerance · Σ |wᵢxᵢ|, elementwise; a few of the smallest float32 numbers are let pass."""
    total, size = exact_sum(tensors, weights)
    worst = ((found.double() - total).abs() - tolerance * size).max().item() if found.numel() else 0.0
    assert worst <= 1e-44, f"{worst} beyond the tolerance"


def folder_bytes(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder below ``folder``, with the files' bytes: to compare before and after."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
