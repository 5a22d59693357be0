"""The weighted mean: "model soups", arXiv 2203.05482.

Only tensors' own methods are used, so that reading the method table does not import torch.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def linear(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ wᵢxᵢ of tensors of one shape and one floating or complex type, computed in that type.

    Written xₕ + Σ wᵢ(xᵢ − xₕ) with h the heaviest (the first of equals): tensors that are equal give that tensor
    bit for bit. Weights that do not sum to 1 scale xₕ by their sum. Each operation is a separate, correctly rounded
    one, so the result does not depend on the processor's fused instructions. The tensors are used up: they hold
    rubbish afterwards.
    """
    heaviest = max(range(len(weights)), key=weights.__getitem__)
    anchor = tensors[heaviest]
    if not bool(anchor.sum().isfinite()):
        return _around_infinities(tensors, weights, anchor)
    total = math.fsum(weights)
    change: Tensor | None = None
    for index, (tensor, weight) in enumerate(zip(tensors, weights, strict=True)):
        if index == heaviest:
            continue
        part = tensor.sub_(anchor).mul_(weight)
        change = part if change is None else change.add_(part)
    if abs(total - 1) > 1e-9:
        anchor.mul_(total)
    return anchor if change is None else anchor.add_(change)


def _around_infinities(tensors: Sequence[Tensor], weights: Sequence[float], anchor: Tensor) -> Tensor:
    """The plain sum, for tensors with infinities or NaN, where xᵢ − xₕ means nothing; equal elements stay."""
    parts = [tensor * weight for tensor, weight in zip(tensors, weights, strict=True)]
    total = functools.reduce(lambda left, right: left + right, parts)
    if abs(math.fsum(weights) - 1) > 1e-9:
        return total
    same = functools.reduce(lambda left, right: left & right, [tensor == anchor for tensor in tensors])
    return anchor.where(same, total)
