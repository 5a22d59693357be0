"""Merges of one source with the base: how far, or whether, an element leaves the base."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .counts import share_of
from .magnitude import kth_largest
from .sums import row_sums
from .vectors import PIECE, pieces_of

if TYPE_CHECKING:
    from torch import Tensor

# What is added to both distributions of arcee_fusion, so that their ratio is finite.
_FLOOR = 1e-8


def nearswap(tensors: Sequence[Tensor], base: Tensor, *, t: float = 1e-4) -> Tensor:
    """base + clip(x − base, −t, t) of one tensor x: x itself where it is no farther than t."""
    (tensor,) = tensors
    source, origin = tensor.flatten(), base.flatten()
    result = tensor.new_empty(tensor.shape).flatten()
    for where in pieces_of(result.numel()):
        wide = origin[where].double()
        difference = source[where].double() - wide
        near = difference.abs().le(t).logical_or_(source[where] == origin[where])
        stays = difference.clamp_(-t, t) == 0  # the base's own bits, −0.0 too
        moved = difference.add_(wide).to(tensor.dtype)
        result[where] = source[where].where(near, origin[where].where(stays, moved))
    return result.view(tensor.shape)


def arcee_fusion(tensors: Sequence[Tensor], base: Tensor) -> Tensor:
    """x of one tensor where it is important, otherwise the base. Important is what is at least q₅₀ + 1.5(q₇₅ − q₂₅) of
    all elements' |x − base| · KL, KL being the divergence of the softmax of x from that of the base over the last
    axis.
    """
    (tensor,) = tensors
    if not tensor.numel():
        return tensor.clone()
    source, origin = tensor.flatten(), base.flatten()
    length = tensor.shape[-1] if tensor.dim() else 1
    step = max(PIECE // length, 1) * length
    divergences = source[:0].double().new_empty(tensor.numel() // length)
    for where in pieces_of(tensor.numel(), step):
        divergences[_rows(where, length)] = _divergence(source[where].view(-1, length), origin[where].view(-1, length))

    def importances() -> Iterator[Tensor]:
        for where in pieces_of(tensor.numel(), step):
            # A part of the difference serves as well, and does not overflow.
            difference = source[where].double().mul(2**-10).sub_(origin[where].double().mul(2**-10)).abs_()
            yield difference.view(-1, length).mul_(divergences[_rows(where, length)].unsqueeze(-1)).flatten()

    ranks = [tensor.numel() - share_of(share, tensor.numel() - 1) for share in (0.25, 0.5, 0.75)]
    lower, middle, upper = kth_largest(importances, tensor.numel(), ranks)
    threshold = middle + 1.5 * (upper - lower)
    result = tensor.new_empty(tensor.shape).flatten()
    for where, importance in zip(pieces_of(tensor.numel(), step), importances(), strict=True):
        result[where] = origin[where].where(importance < threshold, source[where])
    return result.view(tensor.shape)


def _rows(where: slice, length: int) -> slice:
    return slice(where.start // length, where.stop // length)


def _divergence(rows: Tensor, others: Tensor) -> Tensor:
    """Σ p ln(p/q) of each row's softmaxes p and q."""
    one, other = _distribution(rows), _distribution(others)
    # Never negative but for rounding.
    return row_sums(one.div(other).log_().mul_(one)).clamp_min_(0)


def _distribution(rows: Tensor) -> Tensor:
    wide = rows.double()
    powers = (wide - wide.amax(-1, keepdim=True)).exp_()
    return powers.div_(row_sums(powers.clone()).unsqueeze(-1)).add_(_FLOOR)
