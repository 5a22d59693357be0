"""The mean of directions on the sphere, Karcher 1977, for merging arXiv 2603.04972.

The mean is a combination of the directions, and all that the iteration needs is how far these are from each other. So
it works on coefficients, one for each direction, and never on tensors.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from .directions import Direction, combination_length, distance
from .vectors import Vectors

# Where rounding has the last word over the length of a step.
_ROUNDING = 1e-7


def karcher_mean(
    vectors: Vectors, found: Sequence[Direction], shares: Sequence[float], max_iter: int, tol: float, nothing: float
) -> list[float] | None:
    """Coefficients of the unit vectors that give the mean direction; None where there is none: they cancel out, one is
    opposite to the mean, or all are zero. ``nothing``: the length below which a sum of unit vectors is rounding.

    At most ``max_iter`` steps, until one is shorter than ``tol`` or they no longer shrink for rounding.
    """
    length = combination_length(vectors, found, shares)
    directed = [index for index, each in enumerate(found) if each.length > 0]
    whole = math.fsum(shares[index] for index in directed)
    if not directed or length < nothing * whole:
        return None
    sphere = _sphere(vectors, found, directed)
    mean = sphere.mean([shares[index] / whole for index in directed], max_iter, tol, nothing)
    if mean is None:
        return None
    by_index = dict(zip(directed, mean, strict=True))
    return [by_index.get(index, 0.0) for index in range(len(found))]


def _sphere(vectors: Vectors, found: Sequence[Direction], directed: Sequence[int]) -> _Sphere:
    first = directed[0]
    signs = [
        -1.0 if index != first and distance(vectors, found, first, index, -1.0) < distance(vectors, found, first, index)
        else 1.0
        for index in directed
    ]  # fmt: skip
    squares = [[0.0] * len(directed) for _ in directed]
    for row, column in itertools.combinations(range(len(directed)), 2):
        apart = distance(vectors, found, directed[row], directed[column], signs[row] * signs[column])
        squares[row][column] = squares[column][row] = apart**2
    return _Sphere(squares, signs)


@dataclass(frozen=True, slots=True)
class _Sphere:
    """Unit vectors, known by the squares of their distances. Points are coefficients of them.

    A length is had from distances, not from cosines, which would lose short ones: ‖Σ cᵢuᵢ‖² = (Σ cᵢ)² − ½ Σ cᵢcⱼdᵢⱼ².
    So that opposed vectors, too, are near each other, those that point away from the first are turned round:
    ``squares`` are of uᵢ times its sign, and points within are coefficients of these.
    """

    squares: Sequence[Sequence[float]]
    signs: Sequence[float]

    def mean(self, weights: Sequence[float], max_iter: int, tol: float, nothing: float) -> list[float] | None:
        """From the normalised mean on, until a step is short enough; coefficients of the vectors as they are."""
        point = self._normalised([weight * sign for weight, sign in zip(weights, self.signs, strict=True)])
        before = math.inf
        for _ in range(max_iter):
            if point is None:
                return None
            cosines, angles = self._seen_from(point)
            if any(math.pi - angle < nothing for angle in angles):
                return None
            pulls = [
                weight * (angle / math.sin(angle) if angle else 1.0)
                for weight, angle in zip(weights, angles, strict=True)
            ]
            along = math.fsum(pull * cosine for pull, cosine in zip(pulls, cosines, strict=True))
            turned = [pull * sign for pull, sign in zip(pulls, self.signs, strict=True)]
            step = [pull - along * share for pull, share in zip(turned, point, strict=True)]
            length = self._length(step)
            if length < tol or (length < _ROUNDING and length >= before):
                break
            before = length
            turn = math.sin(length) / length
            point = self._normalised([math.cos(length) * a + turn * b for a, b in zip(point, step, strict=True)])
        return point and [share * sign for share, sign in zip(point, self.signs, strict=True)]

    def _seen_from(self, point: Sequence[float]) -> tuple[list[float], list[float]]:
        """The cosine of the angle to each unit vector, and the angle."""
        whole, reach = math.fsum(point), self._reach(point)
        spread = self._spread(point, reach)
        cosines = [sign * (whole - far / 2) for sign, far in zip(self.signs, reach, strict=True)]
        angles = []
        for sign, far in zip(self.signs, reach, strict=True):
            apart = math.sqrt(max((1 - whole) ** 2 + far - spread, 0.0))
            together = math.sqrt(max((1 + whole) ** 2 - far - spread, 0.0))
            angles.append(2 * (math.atan2(apart, together) if sign > 0 else math.atan2(together, apart)))
        return cosines, angles

    def _normalised(self, point: Sequence[float]) -> list[float] | None:
        length = self._length(point)
        return [share / length for share in point] if length > 0 else None

    def _length(self, point: Sequence[float]) -> float:
        return math.sqrt(max(math.fsum(point) ** 2 - self._spread(point, self._reach(point)), 0.0))

    def _reach(self, point: Sequence[float]) -> list[float]:
        return [math.fsum(a * b for a, b in zip(row, point, strict=True)) for row in self.squares]

    @staticmethod
    def _spread(point: Sequence[float], reach: Sequence[float]) -> float:
        return math.fsum(share * far for share, far in zip(point, reach, strict=True)) / 2
