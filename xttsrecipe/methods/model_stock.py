"""Model Stock, arXiv 2403.19522: how far to go from the base towards the mean, by the angle between task vectors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .directions import directions, inner_product
from .sums import row_sums, weighted_sum
from .vectors import Vectors

if TYPE_CHECKING:
    from torch import Tensor


def model_stock(tensors: Sequence[Tensor], base: Tensor, *, filter_wise: bool = False) -> Tensor:
    """base + t · (mean xᵢ − base), t = N·c/(1 + (N−1)·c) with c the mean cosine over all pairs of task vectors, within
    0 and 1; a zero one has cosine 0 with any, and one source alone t = 1. ``filter_wise``: a c for each index of the
    first axis; of fewer than two axes there is one.
    """
    count = len(tensors)
    if count == 1:
        return tensors[0].clone()
    if filter_wise and base.dim() > 1:
        return _by_filter(Vectors(tensors, base, unit=max(math.prod(base.shape[1:]), 1)), base.shape[0])
    vectors = Vectors(tensors, base)
    cosine = _mean_cosine(vectors)
    share = cosine / (1 + (count - 1) * cosine)
    return vectors.merged(lambda _where, pieces: weighted_sum(pieces, [share] * count))


def _mean_cosine(vectors: Vectors) -> float:
    found = directions(vectors)
    pairs = list(itertools.combinations(range(len(vectors)), 2))
    cosines = [inner_product(vectors, found, one, other) for one, other in pairs]
    return _clamped(math.fsum(cosine for cosine in cosines if math.isfinite(cosine)) / len(pairs))


def _clamped(cosine: float) -> float:
    """Below 0 the formula leaves its derivation: it has a pole at −1/(N−1)."""
    return min(max(cosine, 0.0), 1.0)


def _by_filter(vectors: Vectors, filters: int) -> Tensor:
    length = vectors.count // max(filters, 1)
    count = len(vectors)

    def merge(_where: slice, pieces: list[Tensor]) -> Tensor:
        rows = [piece.view(-1, length) for piece in pieces]
        cosine = _row_cosines(rows)
        share = cosine / (1 + (count - 1) * cosine)
        return weighted_sum(rows, [1.0] * count).mul_(share.unsqueeze(-1)).flatten()

    return vectors.merged(merge)


def _row_cosines(rows: Sequence[Tensor]) -> Tensor:
    """What ``_mean_cosine`` is, of each row."""
    units = [_row_units(each) for each in rows]
    pairs = list(itertools.combinations(units, 2))
    found = rows[0].new_zeros(rows[0].shape[0])
    for one, other in pairs:
        found.add_(row_sums(one * other).nan_to_num_(0, 0, 0))
    return found.div_(len(pairs)).clamp_(0, 1)


def _row_units(rows: Tensor) -> Tensor:
    """Each row divided by its length, by way of its largest magnitude: no square is too large or too small."""
    largest = rows.abs().amax(-1, keepdim=True)
    units = rows / largest.masked_fill_(largest == 0, 1)
    length = row_sums(units.square()).sqrt_().unsqueeze(-1)
    return units.div_(length.masked_fill(length == 0, 1))
