"""The last steps of the methods of task vectors: elect or sum, normalise, scale by λ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .election import elected
from .sums import weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


def fused(
    pieces: Sequence[Tensor], weights: Sequence[float], *, elect: bool, lambda_: float, normalize: bool
) -> Tensor:
    """λ times the merged task vectors, of pieces that may be changed. Raises ValueError where the weights cannot be
    normalised.
    """
    if elect:
        _check(weights, normalize, elect=True)
        return elected(pieces, weights, normalize).mul_(lambda_)
    return weighted_sum(pieces, weights).mul_(lambda_ / divisor_of(weights, normalize))


def divisor_of(weights: Sequence[float], normalize: bool) -> float:
    """What a weighted sum is divided by. Raises ValueError where that is nothing."""
    _check(weights, normalize, elect=False)
    return math.fsum(weights) if normalize else 1.0


def _check(weights: Sequence[float], normalize: bool, *, elect: bool) -> None:
    if found := normalize_refusal(weights, {"normalize": normalize}, elect=elect):
        raise ValueError(found)


def normalize_refusal(weights: Sequence[float], parameters: Mapping[str, object], *, elect: bool = False) -> str | None:
    """Why the weights cannot be normalised, None where they can or need not be."""
    if not parameters.get("normalize"):
        return None
    if elect and min(weights) < 0:
        return "with normalize: true no weight may be below 0: those that agree are divided by the sum of their weights"
    if not elect and abs(math.fsum(weights)) < 1e-9:
        return "with normalize: true the weights must not sum to 0: the task vectors are divided by their sum"
    return None
