"""RAM, arXiv 2601.13572: what only one source changed stays whole, what several changed is averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .vectors import largest, pieces_of

if TYPE_CHECKING:
    from torch import Tensor

# Sums of float64 are made of parts of the terms, so that they do not overflow.
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
    # float32 is summed as it is: parts of float64 may lose what is near its smallest number.
    part = 1.0
    if origin.element_size() == 8 and max(map(largest, pieces)) > 2.0**960:
        part = _PART
    whole, count = wide.new_zeros(wide.shape), wide.new_zeros(wide.shape)
    for piece in pieces:
        # NaN has changed too, and shows.
        changed = ((piece.double() - wide).abs() <= epsilon).logical_or_(piece == origin).logical_not_()
        whole.add_((piece.double() * part).masked_fill_(~changed, 0))
        count.add_(changed)
    mean = whole.div_(count.masked_fill(count == 0, 1)).mul_(1 / part)
    return origin.where(count == 0, mean.to(origin.dtype))
