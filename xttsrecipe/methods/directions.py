"""Lengths of vectors and the angles between them, as exact as float64 allows.

Angles come from the length of differences and sums of unit vectors: an arc cosine loses them near 0 and π.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .sums import exact_sum, total
from .vectors import Vectors, largest

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Direction:
    """A vector's length, as Vectors give it, and what its elements are to be multiplied with, by one factor and then
    the other, for one of length 1. A zero vector has no direction.
    """

    length: float
    factors: tuple[float, float]

    def unit(self, piece: Tensor) -> Tensor:
        """A piece of the unit vector, in the piece's memory."""
        return piece.mul_(self.factors[0]).mul_(self.factors[1])


def direction(vectors: Vectors, index: int) -> Direction:
    """That of one vector."""
    # Squares of float32 fit into float64, those of float64 need not.
    scale = fitting_scale(vectors, [index])
    scaled = math.sqrt(_squares(vectors, lambda where: vectors.piece(index, where).mul_(scale)))
    return Direction(scaled / scale, (scale, 1 / scaled if scaled else 0.0))


def directions(vectors: Vectors) -> list[Direction]:
    """Those of all vectors."""
    return [direction(vectors, index) for index in range(len(vectors))]


def distance(vectors: Vectors, found: Sequence[Direction], one: int, other: int, sign: float = 1.0) -> float:
    """‖u − sv‖ of two unit vectors."""

    def difference(where: slice) -> Tensor:
        unit = found[one].unit(vectors.piece(one, where))
        return unit.sub_(found[other].unit(vectors.piece(other, where)).mul_(sign))

    return math.sqrt(_squares(vectors, difference))


def inner_product(vectors: Vectors, found: Sequence[Direction], one: int, other: int) -> float:
    """u · v of two unit vectors, the cosine of the angle between them."""
    return exact_sum(
        total(found[one].unit(vectors.piece(one, where)).mul_(found[other].unit(vectors.piece(other, where))))
        for where in vectors.pieces()
    )


def combination_length(vectors: Vectors, found: Sequence[Direction], weights: Sequence[float]) -> float:
    """‖Σ wᵢuᵢ‖ of unit vectors."""

    def combined(where: slice) -> Tensor:
        result = found[0].unit(vectors.piece(0, where)).mul_(weights[0])
        for index in range(1, len(found)):
            result.add_(found[index].unit(vectors.piece(index, where)).mul_(weights[index]))
        return result

    return math.sqrt(_squares(vectors, combined))


def combination(vectors: Vectors, found: Sequence[Direction], shares: Sequence[float]) -> Tensor:
    """Σ sᵢuᵢ of unit vectors, a tensor like the sources'; added to the base where there is one."""

    def combined(_where: slice, pieces: list[Tensor]) -> Tensor:
        result = found[0].unit(pieces[0]).mul_(shares[0])
        for index in range(1, len(found)):
            result.add_(found[index].unit(pieces[index]).mul_(shares[index]))
        return result

    return vectors.merged(combined)


def _squares(vectors: Vectors, values: Callable[[slice], Tensor]) -> float:
    return exact_sum(total(values(where).square_()) for where in vectors.pieces())


def fitting_scale(vectors: Vectors, indices: Iterable[int]) -> float:
    """A power of two that brings some of the vectors near 1, where their squares may be too large or too small for
    float64. Those of float32 fit.
    """
    if not vectors.is_double:
        return 1.0
    pieces = (vectors.piece(index, where) for index in indices for where in vectors.pieces())
    magnitude = max(map(largest, pieces), default=0.0)
    if not 0 < magnitude < math.inf or 2.0**-400 < magnitude < 2.0**400:
        return 1.0
    return 2.0 ** min(-math.frexp(magnitude)[1], 1000)
