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

# Bits of a float64 that remain for a weight where its product with a float32, of 24 bits, is to be exact.
_EXACT_BITS = 53 - 24


def linear(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ wᵢxᵢ of tensors of one shape and one type, float32 or float64, in that type.

    At most two of the tensors are needed at once, the first and one other.

    Elements that are equal in all tensors come out as they are where weights sum to 1 (−0.0 as 0.0). float32 is exact
    to within 4 · 2⁻²⁴ · Σ|wᵢxᵢ|. The result does not depend on the processor: no operation's rounding is left to a
    fused instruction. Each element depends on the same element of the tensors only. The tensors stay as they are.
    """
    several_singles = len(tensors) > 2 and tensors[0].element_size() == 4
    result = _accumulated(tensors, weights) if several_singles else _anchored(tensors, weights)
    # One pass tells: nothing that is not finite is lost in a sum. One that overflows only costs a second look.
    if math.isfinite(result.sum().item()):
        return result
    finite = result.isfinite()
    return result if finite.all() else result.where(finite, _literal(tensors, weights))


def _anchored(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """xₕ + Σ wᵢ(xᵢ − xₕ) with h the heaviest (the first of equals); weights that do not sum to 1 scale xₕ by their sum.

    In the tensors' own type: good for two, as xₕ is at most twice its share. Where no result overflows, nothing on the
    way did.
    """
    heaviest = _heaviest(weights)
    anchor = tensors[heaviest] if len(tensors) <= 2 else tensors[heaviest].clone()
    change: Tensor | None = None
    for index, weight in enumerate(weights):
        if index == heaviest:
            continue
        part = (tensors[index] - anchor).mul_(weight)
        change = part if change is None else change.add_(part)
    total = math.fsum(weights)
    scaled = anchor if _is_one(total) else anchor * total
    return scaled.clone() if change is None else change.add_(scaled)


def _accumulated(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ wᵢxᵢ of float32 tensors in float64, rounded once.

    Weights are rounded to 29 bits, so that their products with float32 are exact and it does not matter whether a
    processor fuses multiplication and addition. What is then missing from their sum goes to the heaviest.
    """
    heaviest = _heaviest(weights)
    exact, missing = _exact_weights(tuple(weights))
    result: Tensor | None = None
    for index, (tensor, weight) in enumerate(zip(tensors, exact, strict=True)):
        result = tensor.double().mul_(weight) if result is None else result.add_(tensor, alpha=weight)
        if index == heaviest and missing:
            result.add_(tensor, alpha=missing)
    assert result is not None
    return result.to(tensors[0].dtype)


def _literal(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ wᵢxᵢ term by term in float64, for what is not finite or overflows on the way; elements that are equal in all
    tensors stay.
    """
    first = tensors[0]
    same = first == first  # all but NaN
    result: Tensor | None = None
    for tensor, weight in zip(tensors, weights, strict=True):
        same &= tensor == first
        term = tensor.double() * weight
        result = term if result is None else result.add_(term)
    assert result is not None
    # One NaN for all: which one an operation gives differs between processors.
    result.masked_fill_(result.isnan(), math.nan)
    narrow = result.to(first.dtype)
    return first.where(same, narrow) if _is_one(math.fsum(weights)) else narrow


def _heaviest(weights: Sequence[float]) -> int:
    return max(range(len(weights)), key=weights.__getitem__)


def _is_one(total: float) -> bool:
    return abs(total - 1) <= 1e-9


@functools.lru_cache(maxsize=64)
def _exact_weights(weights: tuple[float, ...]) -> tuple[tuple[float, ...], float]:
    """The weights with 29 bits each, and what their sum then lacks, with as many."""
    rounded = tuple(map(_rounded, weights))
    total = math.fsum(weights)
    return rounded, _rounded(math.fsum([1.0 if _is_one(total) else total, *(-weight for weight in rounded)]))


def _rounded(weight: float) -> float:
    """The nearest number of 29 significant bits."""
    mantissa, exponent = math.frexp(weight)
    return math.ldexp(round(math.ldexp(mantissa, _EXACT_BITS)), exponent - _EXACT_BITS)
