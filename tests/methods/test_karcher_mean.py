from __future__ import annotations

import math

import pytest
import torch

from tests.methods.cases import normals
from xttsrecipe.methods.directions import directions
from xttsrecipe.methods.karcher_mean import karcher_mean
from xttsrecipe.methods.spherical import karcher
from xttsrecipe.methods.vectors import Vectors


def mean_of(tensors: list[torch.Tensor], shares: list[float], max_iter: int = 1000) -> list[float] | None:
    vectors = Vectors(tensors)
    return karcher_mean(vectors, directions(vectors), shares, max_iter, 1e-12, 1e-8)


def unit(angle: float) -> torch.Tensor:
    return torch.tensor([math.cos(angle), math.sin(angle), 0.0], dtype=torch.float64)


def test_the_mean_of_two_is_on_their_arc() -> None:
    mean = mean_of([unit(0), unit(1)], [0.75, 0.25])
    assert mean is not None
    torch.testing.assert_close(mean[0] * unit(0) + mean[1] * unit(1), unit(0.25))


def test_zero_vectors_have_no_coefficient() -> None:
    assert mean_of([unit(0), unit(0) * 0, unit(0)], [0.25, 0.5, 0.25]) == pytest.approx([0.5, 0, 0.5])


def test_directions_that_cancel_out_have_no_mean() -> None:
    assert mean_of([unit(0), unit(math.pi)], [0.5, 0.5]) is None
    assert mean_of([unit(0) * 0], [1.0]) is None


def test_directions_that_are_nearly_equal_have_one() -> None:
    """Whose distance is less than cosines can tell."""
    mean = mean_of([unit(0), unit(1e-9), unit(3e-9)], [1 / 3] * 3)
    assert mean is not None
    assert mean == pytest.approx([1 / 3] * 3)


def test_one_step_is_taken_at_least() -> None:
    tensors = normals(3, 20)
    assert mean_of(tensors, [0.5, 0.3, 0.2], max_iter=1) != mean_of(tensors, [0.5, 0.3, 0.2])


def test_one_that_is_opposed_to_the_mean_of_many_is_found_out() -> None:
    for shares in ([0.86, 0.41, 0.47, 0.16], [0.3, 0.25, 0.2, 0.15]):
        whole = sum(shares)
        tensors = [unit(0.4), -2 * unit(0.4), -3 * unit(0.4), -4 * unit(0.4)]
        assert mean_of(tensors, [share / whole for share in shares]) is None


@pytest.mark.parametrize("apart", [1e-3, 1e-5, 1e-7])
def test_of_two_nearly_opposed_the_mean_is_still_on_their_arc(apart: float) -> None:
    mean = karcher([unit(0), unit(math.pi - apart)], [0.7, 0.3])
    torch.testing.assert_close(mean, unit(0.3 * (math.pi - apart)), rtol=1e-6, atol=1e-6)
