"""Steps 2 and 3 of TIES (arXiv 2306.01708): which sign a position takes, and the merge of those that have it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# What a sum of float64 terms may be off by, as a share of the terms' size: 0.1 + 0.2 − 0.3 cancels out.
_ROUNDING = 2.0**-52


def elected(
    pieces: Sequence[Tensor], weights: Sequence[float], normalize: bool, *, weighted_votes: bool = True
) -> Tensor:
    """Σ wᵢδᵢ over those of a position whose sign is that of Σ wᵢδᵢ over all; with ``normalize`` divided by the sum of
    their weights. 0 where all cancel out. The pieces stay as they are. Without ``weighted_votes`` the sign is that of
    Σ δᵢ.

    Sums that cancel out but for rounding are zero, so that the order of sources does not elect.
    """
    terms = [piece * weight for piece, weight in zip(pieces, weights, strict=True)]
    votes = terms if weighted_votes else pieces
    balance, size = votes[0].clone(), votes[0].abs()
    for vote in votes[1:]:
        balance.add_(vote)
        size.add_(vote.abs())
    undecided = (balance.abs() <= size.mul_(_ROUNDING * (len(votes) - 1))).logical_and_(balance.isfinite())
    result, divisor = balance.new_zeros(balance.shape), balance.new_zeros(balance.shape)
    rising = balance > 0
    for piece, term, weight in zip(pieces, terms, weights, strict=True):
        agreeing = ((piece > 0) & rising).logical_or_((piece < 0) & ~rising).logical_and_(~undecided)
        result.add_(term.masked_fill_(~agreeing, 0))
        divisor.add_(agreeing.double().mul_(weight))
    if normalize:
        result.div_(divisor.masked_fill_(divisor == 0, 1))
    return result if math.isfinite(balance.sum().item()) else result.masked_fill_(balance.isnan(), math.nan)
