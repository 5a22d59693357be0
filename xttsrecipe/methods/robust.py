"""Averages that a few outlying sources do not move: arXiv 1803.01498. Each element by itself, unweighted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .counts import share_of
from .vectors import pieces_of

if TYPE_CHECKING:
    from torch import Tensor


def median(tensors: Sequence[Tensor]) -> Tensor:
    """The middle of each element's values; of an even number the mean of the middle two. NaN where one is NaN."""
    return _middle(tensors, (len(tensors) - 1) // 2)


def trimmed_mean(tensors: Sequence[Tensor], *, beta: float) -> Tensor:
    """The mean of each element's values without the ⌊β·N⌋ smallest and as many of the largest, 0 ≤ β < ½. NaN where one
    is NaN.
    """
    return _middle(tensors, min(share_of(beta, len(tensors)), (len(tensors) - 1) // 2))


def _middle(tensors: Sequence[Tensor], cut: int) -> Tensor:
    """The mean of each element's values without so many at either end."""
    flat = [tensor.flatten() for tensor in tensors]
    result = tensors[0].new_empty(tensors[0].shape).flatten()
    for where in pieces_of(result.numel()):
        result[where] = _mean(_sorted([tensor[where] for tensor in flat]), cut)
    return result.view(tensors[0].shape)


def _sorted(pieces: Sequence[Tensor]) -> Tensor:
    """Each element's values from small to large, as rows; NaN last."""
    rows = pieces[0].new_empty((len(pieces), pieces[0].numel()))
    for index, piece in enumerate(pieces):
        rows[index] = piece
    return rows.sort(0).values


def _mean(rows: Tensor, cut: int) -> Tensor:
    kept = rows[cut : rows.shape[0] - cut]
    if kept.shape[0] == 1:
        mean = kept[0].clone()
    else:
        mean = _sum(kept, 1.0).div_(kept.shape[0])
        if not math.isfinite(mean.sum().item()):
            # Sums of float64 may overflow where their mean does not.
            mean = mean.where(mean.isfinite(), _sum(kept, 1 / kept.shape[0]))
        mean = kept[0].where(kept[0] == kept[-1], mean.to(kept.dtype))
    return mean.masked_fill_(rows[-1].isnan(), math.nan)


def _sum(rows: Tensor, factor: float) -> Tensor:
    result = rows[0].double() * factor
    for row in rows[1:]:
        result.add_(row.double() * factor)
    return result
