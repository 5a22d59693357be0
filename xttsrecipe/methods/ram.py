"""RAM, arXiv 2601.13572: what only one source changed stays whole, what several changed is averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .vectors import pieces_of

if TYPE_CHECKING:
    from torch import Tensor

# Of this part of the terms float64 sums do not overflow.
_PART = 2.0**-20


def ram(tensors: Sequence[Tensor], base: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """Each element's mean over the sources that differ from the base by more than ε there; the base's own where none
    does.
    """
    origin, flat = base.flatten(), [tensor.flatten() for tensor in tensors]
    result = base.new_empty(base.shape).flatten()
    for where in pieces_of(result.numel()):
        result[where] = _mean_of_changed([tensor[where] for tensor in flat], origin[where], epsilon)
    return result.view(base.shape)


def _mean_of_changed(pieces: Sequence[Tensor], origin: Tensor, epsilon: float) -> Tensor:
    wide = origin.double()
    # NaN has changed too, and shows.
    changed = [
        ((piece.double() - wide).abs_() <= epsilon).logical_or_(piece == origin).logical_not_() for piece in pieces
    ]
    count = wide.new_zeros(wide.shape)
    for each in changed:
        count.add_(each)
    divisor = count.masked_fill(count == 0, 1)
    mean = _sum(pieces, changed, 1.0).div_(divisor)
    if not math.isfinite(mean.sum().item()):
        # Sums of float64 may overflow where their mean does not.
        mean = mean.where(mean.isfinite(), _sum(pieces, changed, _PART).div_(divisor).div_(_PART))
    return origin.where(count == 0, mean.to(origin.dtype))


def _sum(pieces: Sequence[Tensor], changed: Sequence[Tensor], part: float) -> Tensor:
    result = (pieces[0].double() * part).masked_fill_(~changed[0], 0)
    for piece, chosen in zip(pieces[1:], changed[1:], strict=True):
        result.add_((piece.double() * part).masked_fill_(~chosen, 0))
    return result
