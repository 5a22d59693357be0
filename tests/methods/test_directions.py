from __future__ import annotations

import math

import pytest
import torch

from tests.methods.cases import normals
from xttsrecipe.methods.directions import (
    combination,
    combination_length,
    direction,
    directions,
    distance,
    fitting_scale,
    inner_product,
)
from xttsrecipe.methods.vectors import PIECE, Vectors


@pytest.mark.parametrize("factor", [1.0, 1e300, 1e-300, 5e-324])
def test_lengths_are_right_however_large_or_small(factor: float) -> None:
    vectors = Vectors([torch.tensor([3.0, -4.0], dtype=torch.float64) * factor])
    found = direction(vectors, 0)
    assert found.length / vectors.scale == pytest.approx(5 * factor, rel=1e-12, abs=0)
    assert found.unit(vectors.piece(0, slice(0, 2))).tolist() == pytest.approx([0.6, -0.8])


def test_float32_of_any_size_needs_no_scale() -> None:
    vectors = Vectors([torch.full((4,), 3e38), torch.full((4,), 1e-45)])
    assert fitting_scale(vectors, range(2)) == 1
    assert [found.length for found in directions(vectors)] == pytest.approx([6e38, 2.8e-45], rel=1e-2)


def test_a_zero_vector_has_no_direction() -> None:
    vectors = Vectors([torch.zeros(3)])
    assert direction(vectors, 0).length == 0
    assert direction(vectors, 0).unit(vectors.piece(0, slice(0, 3))).tolist() == [0, 0, 0]
    assert direction(Vectors([torch.zeros(0)]), 0).length == 0


def test_angles_and_sums_over_many_pieces() -> None:
    one, two = normals(2, PIECE + 7, dtype=torch.float64)
    vectors = Vectors([one, two])
    found = directions(vectors)
    units = [one / one.norm(), two / two.norm()]
    assert inner_product(vectors, found, 0, 1) == pytest.approx((units[0] @ units[1]).item(), rel=1e-9)
    assert distance(vectors, found, 0, 1) == pytest.approx((units[0] - units[1]).norm().item())
    assert distance(vectors, found, 0, 1, -1) == pytest.approx((units[0] + units[1]).norm().item())
    assert combination_length(vectors, found, [2, -1]) == pytest.approx((2 * units[0] - units[1]).norm().item())
    torch.testing.assert_close(combination(vectors, found, [2, -1]), 2 * units[0] - units[1])


def test_small_angles_are_not_lost() -> None:
    vectors = Vectors([torch.tensor([1.0, 0.0]).double(), torch.tensor([1.0, 1e-12]).double()])
    assert distance(vectors, directions(vectors), 0, 1) == pytest.approx(1e-12)


def test_what_is_not_finite_has_such_a_length() -> None:
    vectors = Vectors([torch.tensor([math.inf, 1.0]), torch.tensor([math.nan, 1.0])])
    infinite, undefined = directions(vectors)
    assert infinite.length == math.inf
    assert math.isnan(undefined.length)
