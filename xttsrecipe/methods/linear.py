"""The weighted mean: "model soups", arXiv 2203.05482.

Only tensors' own methods are used, so that reading the method table does not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# The largest float32 and float64.
_LARGEST = {4: 3.4028234663852886e38, 8: 1.7976931348623157e308}


def linear(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ wᵢxᵢ of tensors of one shape and one type (float32, float64, or complex of these), computed in that type.

    Written xₕ + Σ wᵢ(xᵢ − xₕ) with h the heaviest (the first of equals): elements that are equal in all tensors come
    out as they are (−0.0 as 0.0). Weights that do not sum to 1 scale xₕ by their sum. Each operation is a separate,
    correctly rounded one, so the result does not depend on the processor's fused instructions. The tensors are used
    up: they hold rubbish afterwards.
    """
    heaviest = max(range(len(weights)), key=weights.__getitem__)
    anchor = tensors[heaviest]
    total = math.fsum(weights)
    if not all(_leaves_room(tensor, weights) for tensor in tensors):
        return _as_it_stands(tensors, weights, anchor)
    change: Tensor | None = None
    for index, (tensor, weight) in enumerate(zip(tensors, weights, strict=True)):
        if index == heaviest:
            continue
        part = tensor.sub_(anchor).mul_(weight)
        change = part if change is None else change.add_(part)
    if not _is_one(total):
        anchor.mul_(total)
    return anchor if change is None else anchor.add_(change)


def _is_one(total: float) -> bool:
    return abs(total - 1) <= 1e-9


def _leaves_room(tensor: Tensor, weights: Sequence[float]) -> bool:
    """Whether all elements are finite and so small that no difference and no product of the formula overflows."""
    if tensor.numel() == 0:
        return True
    parts = (tensor.real, tensor.imag) if tensor.is_complex() else (tensor,)
    room = _LARGEST[parts[0].element_size()] / 4 / max(1.0, sum(map(abs, weights)))
    return all(abs(float(extreme)) < room for part in parts for extreme in part.aminmax())


def _as_it_stands(tensors: Sequence[Tensor], weights: Sequence[float], anchor: Tensor) -> Tensor:
    """Σ wᵢxᵢ literally, where xᵢ − xₕ would be NaN or overflow; elements that are equal in all tensors stay."""
    same = anchor == anchor  # all but NaN
    for tensor in tensors:
        same &= tensor == anchor
    kept = anchor.clone()
    result, *rest = [tensor.mul_(weight) for tensor, weight in zip(tensors, weights, strict=True)]
    for part in rest:
        result.add_(part)
    # One NaN for all: which one an operation gives differs between processors.
    result.masked_fill_(result.isnan(), math.nan)
    return kept.where(same, result) if _is_one(math.fsum(weights)) else result
