"""Merges of two or more tensors along the sphere on which they lie: Shoemake's slerp (Animating rotation with
quaternion curves, 1985), mergekit's variant of it, and two means of directions. A tensor is one vector, whatever its
shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .directions import Direction, combination, combination_length, directions, distance
from .karcher_mean import karcher_mean
from .linear import linear_in_pieces
from .vectors import Vectors

if TYPE_CHECKING:
    from torch import Tensor

# Beyond this cosine, of either sign, slerp goes straight.
_STRAIGHT = 0.9995


def slerp(tensors: Sequence[Tensor], *, t: float) -> Tensor:
    """sin((1−t)θ)/sin θ · a + sin(tθ)/sin θ · b of two tensors, θ the angle between them. (1−t)a + tb where
    |cos θ| > 0.9995, so where they are opposed too, or one is zero.
    """
    if t in (0, 1):
        return tensors[int(t)].clone()
    vectors = Vectors(tensors)
    found = directions(vectors)
    angle = _angle(vectors, found)
    if angle is None or abs(math.cos(angle)) > _STRAIGHT:
        return linear_in_pieces(tensors, [1 - t, t])
    return _on_arc(vectors, found, angle, t)


def nuslerp(tensors: Sequence[Tensor], weights: Sequence[float], base: Tensor | None = None) -> Tensor:
    """slerp of two tensors, of their task vectors where there is a base, by the second's share of the weights (half
    where they cancel out). Straight only where sin θ is zero to within 10⁻⁸, or float32's own rounding, or one is zero.
    """
    both = math.fsum(weights)
    t = 0.5 if abs(both) < 1e-6 else weights[1] / both
    if t in (0, 1):
        return tensors[int(t)].clone()
    vectors = Vectors(tensors, base)
    found = directions(vectors)
    angle = _angle(vectors, found)
    if angle is None or math.sin(angle) < _nothing(vectors):
        return linear_in_pieces(tensors, [1 - t, t])
    return _on_arc(vectors, found, angle, t)


def multislerp(tensors: Sequence[Tensor], weights: Sequence[float], base: Tensor | None = None) -> Tensor:
    """m/‖m‖ · Σ wᵢ‖xᵢ‖ with m = Σ wᵢxᵢ/‖xᵢ‖, of task vectors where there is a base; weights are divided by their sum.
    Σ wᵢxᵢ where the directions cancel out. Raises ValueError where the weights do.
    """
    chosen, shares = _shares(tensors, weights, sum_refusal(weights))
    if _are_equal(chosen):
        return chosen[0].clone()
    vectors = Vectors(chosen, base)
    found = directions(vectors)
    length = combination_length(vectors, found, shares)
    mean_length = math.fsum(share * each.length for share, each in zip(shares, found, strict=True))
    if not (_nothing(vectors) <= length < math.inf and math.isfinite(mean_length)):
        return linear_in_pieces(chosen, shares)
    return combination(vectors, found, [share / length * mean_length for share in shares])


def karcher(tensors: Sequence[Tensor], weights: Sequence[float], *, max_iter: int = 1000, tol: float = 1e-12) -> Tensor:
    """The directions' mean on the sphere, the point from which the weighted sum of arcs to them is zero, times the mean
    length Σ wᵢ‖xᵢ‖; weights are divided by their sum. Σ wᵢxᵢ where there is no such point. Raises ValueError where a
    weight is below 0 or all are 0.

    The defaults go on until float64 is exhausted: the iteration is one of as many numbers as there are sources.
    """
    chosen, shares = _shares(tensors, weights, positive_refusal(weights))
    if _are_equal(chosen):
        return chosen[0].clone()
    vectors = Vectors(chosen)
    found = directions(vectors)
    mean_length = math.fsum(share * each.length for share, each in zip(shares, found, strict=True))
    mean = (
        karcher_mean(vectors, found, shares, max_iter, tol, _opposite(vectors)) if math.isfinite(mean_length) else None
    )
    if mean is None:
        return linear_in_pieces(chosen, shares)
    return combination(vectors, found, [each * mean_length for each in mean])


def sum_refusal(weights: Sequence[float]) -> str | None:
    """Why weights cannot be divided by their sum; None where they can."""
    return None if abs(math.fsum(weights)) >= 1e-9 else "the weights must not sum to 0: they are divided by their sum"


def positive_refusal(weights: Sequence[float]) -> str | None:
    """Why there is no mean of these weights; None where there is one."""
    return "no weight may be below 0: there is no such mean" if min(weights) < 0 else sum_refusal(weights)


def _shares(
    tensors: Sequence[Tensor], weights: Sequence[float], refusal: str | None
) -> tuple[list[Tensor], list[float]]:
    """The tensors that count, and their shares of the weights."""
    if refusal:
        raise ValueError(refusal)
    whole = math.fsum(weights)
    chosen = [(tensor, weight / whole) for tensor, weight in zip(tensors, weights, strict=True) if weight != 0]
    return [tensor for tensor, _ in chosen], [share for _, share in chosen]


def _are_equal(tensors: Sequence[Tensor]) -> bool:
    return all(tensors[0].equal(tensor) for tensor in tensors[1:])


def _angle(vectors: Vectors, found: Sequence[Direction]) -> float | None:
    """That between two vectors; None where there is none."""
    if not all(0 < each.length < math.inf for each in found):
        return None
    return 2 * math.atan2(distance(vectors, found, 0, 1), distance(vectors, found, 0, 1, -1))


def _on_arc(vectors: Vectors, found: Sequence[Direction], angle: float, t: float) -> Tensor:
    sine = math.sin(angle)
    shares = (math.sin((1 - t) * angle) / sine, math.sin(t * angle) / sine)
    return combination(vectors, found, [share * each.length for share, each in zip(shares, found, strict=True)])


def _nothing(vectors: Vectors) -> float:
    """Below this the length of a sum of unit vectors is rounding: that of opposed float32 vectors is some 2⁻²⁵."""
    return 1e-8 if vectors.is_double else 2.0**-20


def _opposite(vectors: Vectors) -> float:
    """The same where only what is exactly opposed is to count as nothing."""
    return 1e-13 if vectors.is_double else _nothing(vectors)
