"""Sums whose result depends on neither threads nor vector instructions: every addition is of whole tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def row_sums(values: Tensor) -> Tensor:
    """The sums over the last axis, by halves; the values are lost on the way."""
    length = values.shape[-1]
    if length == 0:
        return values.sum(-1)
    while length > 1:
        half = length // 2
        rest = length - half
        values.narrow(-1, 0, half).add_(values.narrow(-1, rest, half))
        length = rest
    # Not a view, which would keep all of the values' memory.
    return values.select(-1, 0).clone()


def total(values: Tensor) -> float:
    """The sum of a piece's elements; they are lost on the way."""
    return float(row_sums(values.flatten()).item())


def exact_sum(numbers: Iterable[float]) -> float:
    """The sum of numbers rounded once, so that their order does not matter; what float gives for infinities and NaN."""
    found = list(numbers)
    return math.fsum(found) if all(map(math.isfinite, found)) else sum(found)


def weighted_sum(pieces: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ wᵢδᵢ, elementwise; without fused instructions, which not every processor has. Takes the pieces' memory."""
    result = pieces[0].mul_(weights[0])
    for piece, weight in zip(pieces[1:], weights[1:], strict=True):
        result.add_(piece.mul_(weight))
    return result
