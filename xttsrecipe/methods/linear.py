"""The weighted mean: "model soups", arXiv 2203.05482.

Only tensors' own methods are used, so that reading the method table does not import torch.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .fusing import divisor_of
from .vectors import pieces_of

if TYPE_CHECKING:
    from torch import Tensor

# By number: float64 tensors as large as those to be merged, of any content; their memory is used again.
Scratch = Callable[[int], "Tensor"]

# Bits of a float64 that remain for a weight where its product with a float32, of 24 bits, is to be exact.
_EXACT_BITS = 53 - 24


def linear(
    tensors: Sequence[Tensor], weights: Sequence[float], scratch: Scratch | None = None, *, normalize: bool = False
) -> Tensor:
    """Σ wᵢxᵢ of tensors of one shape and one type, float32 or float64, in that type; with ``normalize``
    divided by Σ wᵢ. ``scratch``: memory to use on the way and for the result; fresh where there is none. Raises
    ValueError where the weights cannot be normalised.

    At most two of the tensors are needed at once, the first and one other.

    Where weights sum to 1, elements that are equal in all tensors come out as they are, −0.0 too (float32 of three and
    more as long as Σ|wᵢ| < 2²⁰), and float32 is exact to within 4 · 2⁻²⁴ · Σ|wᵢxᵢ|. The result does not depend on the
    processor: no operation's rounding is left to a fused instruction. Each element depends on the same element of the
    tensors only. Nor does it depend on the order of two; that of more float32 is worth one unit in the last place, or
    what float64 leaves where terms cancel out. The tensors stay as they are.
    """
    if normalize:
        whole = divisor_of(weights, normalize)
        weights = [weight / whole for weight in weights]
    several_singles = len(tensors) > 2 and tensors[0].element_size() == 4
    result = _accumulated(tensors, weights, scratch) if several_singles else _anchored(tensors, weights)
    # One pass tells: nothing that is not finite is lost in a sum. One that overflows only costs a second look.
    if math.isfinite(result.sum().item()):
        return result
    finite = result.isfinite()
    return result if finite.all() else result.where(finite, _literal(tensors, weights))


def linear_in_pieces(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """What ``linear`` gives, of whole tensors, without more memory of their size than the result's."""
    flat = [tensor.flatten() for tensor in tensors]
    result = tensors[0].new_empty(tensors[0].shape).flatten()
    for where in pieces_of(result.numel()):
        result[where] = linear([tensor[where] for tensor in flat], weights)
    return result.view(tensors[0].shape)


def _anchored(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """xₕ + Σ wᵢ(xᵢ − xₕ) with h the heaviest; weights that do not sum to 1 scale xₕ by their sum. Of two that weigh the
    same, w(x₁ + x₂).

    In the tensors' own type: good for two, as xₕ is at most twice its share. Where no result overflows, nothing on the
    way did.
    """
    total = math.fsum(weights)
    if len(tensors) == 2 and weights[0] == weights[1]:
        return (tensors[0] + tensors[1]).mul_(0.5 if _is_one(total) else weights[0])
    heaviest = weights.index(_heaviest(weights))
    anchor = tensors[heaviest] if len(tensors) <= 2 else tensors[heaviest].clone()
    change: Tensor | None = None
    for index, weight in enumerate(weights):
        if index == heaviest or weight == 0:
            continue
        # A negative factor makes −0.0 of no difference: what 0.0 and −0.0 can both be added to, and stay.
        part = (anchor - tensors[index]).mul_(-weight) if weight > 0 else (tensors[index] - anchor).mul_(weight)
        change = part if change is None else change.add_(part)
    scaled = anchor if _is_one(total) else anchor * total
    return scaled.clone() if change is None else change.add_(scaled)


def _accumulated(tensors: Sequence[Tensor], weights: Sequence[float], scratch: Scratch | None) -> Tensor:
    """Σ wᵢxᵢ of float32 tensors in float64, rounded once.

    Weights are cut to 29 bits, so that their products with float32 are exact and it does not matter whether a processor
    fuses multiplication and addition. The heaviest make up for what is cut off, and are multiplied on their own.
    """
    result, wide = (scratch(index) if scratch else tensors[0].double() for index in range(2))
    exact = _exact_weights(tuple(weights))
    result.copy_(tensors[0]).mul_(exact[0])
    for index, weight in enumerate(exact[1:], 1):
        wide.copy_(tensors[index])
        if _cut(weight) == weight:
            result.add_(wide, alpha=weight)
        else:
            result.add_(wide.mul_(weight))
    if min(weights) < 0:  # which make 0.0 of −0.0
        result.masked_fill_(_all_negative_zero(tensors), -0.0)
    # What is done with makes room for the result: tensors may be held whole.
    return wide.flatten().view(tensors[0].dtype)[: wide.numel()].view(wide.shape).copy_(result)


def _all_negative_zero(tensors: Sequence[Tensor]) -> Tensor:
    """Where all tensors have −0.0."""
    found: Tensor | None = None
    for tensor in tensors:
        zero = (tensor == 0).logical_and_(tensor.signbit())
        found = zero if found is None else found.logical_and_(zero)
    assert found is not None
    return found


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


def _is_one(total: float) -> bool:
    return abs(total - 1) <= 1e-9


def _heaviest(weights: Sequence[float]) -> float:
    """The one that counts most; of two that differ in their sign only, the positive."""
    return max(weights, key=lambda weight: (abs(weight), weight))


@functools.lru_cache(maxsize=64)
def _exact_weights(weights: tuple[float, ...]) -> tuple[float, ...]:
    """The weights with 29 bits each, but for the heaviest, which share what is left of their sum."""
    total = math.fsum(weights)
    most = _heaviest(weights)
    others = [-_cut(weight) for weight in weights if weight != most]
    share = math.fsum([1.0 if _is_one(total) else total, *others]) / weights.count(most)
    return tuple(share if weight == most else _cut(weight) for weight in weights)


def _cut(weight: float) -> float:
    """The first 29 significant bits of a number: never more than it is, so that what is lacking is not negative."""
    mantissa, exponent = math.frexp(weight)
    return math.ldexp(math.trunc(math.ldexp(mantissa, _EXACT_BITS)), exponent - _EXACT_BITS)
