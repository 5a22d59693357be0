from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.merging import assert_same_bits, assert_weighted_sum
from tests.methods.cases import assert_vector, cases, name_of, normals
from xttsrecipe.methods.task_vectors import add_difference, task_arithmetic


@pytest.mark.parametrize("case", cases("task_arithmetic", "add_difference"), ids=name_of)
def test_the_vectors(case: dict[str, Any]) -> None:
    assert_vector(case)


@given(st.lists(st.floats(-2, 2).map(lambda value: round(value, 6)), min_size=1, max_size=4), st.floats(-2, 2))
def test_it_is_exact_as_linear_is(weights: list[float], lambda_: float) -> None:
    base, *tensors = normals(1 + len(weights), 20)
    scaled = [lambda_ * weight for weight in weights]
    found = task_arithmetic(tensors, weights, base, lambda_=lambda_)
    assert_weighted_sum(found, [base, *tensors], [math.fsum([1, *(-each for each in scaled)]), *scaled])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_elements_that_no_source_changed_stay_bit_for_bit(dtype: torch.dtype) -> None:
    row = torch.tensor([-0.0, math.inf, -math.inf, 1e-45, 3e38], dtype=dtype)
    for weights in ([0.3], [0.5, 0.7], [0.5, -0.2, 0.9]):
        tensors = [row.clone() for _ in weights]
        assert_same_bits(task_arithmetic(tensors, weights, row.clone(), lambda_=0.7), row)
    assert_same_bits(add_difference([row.clone(), row.clone()], row.clone(), lambda_=0.3), row)


def test_a_source_that_weighs_nothing_does_not_count() -> None:
    base, one, two = normals(3, 4)
    two[0] = math.nan
    base[1], one[1] = 5.0, -0.0
    assert_same_bits(task_arithmetic([one, two], [1.0, 0.0], base), one)


def test_difference_is_added_to_the_first() -> None:
    base, one, two = (torch.tensor([value]) for value in (1.0, 10.0, 4.0))
    assert add_difference([one, two], base, lambda_=0.5).item() == 11.5
    assert add_difference([one, two], base, lambda_=0.0).item() == 10.0


def test_weights_that_cancel_out_cannot_be_normalised() -> None:
    base, one, two = normals(3, 4)
    with pytest.raises(ValueError, match="the weights must not sum to 0"):
        task_arithmetic([one, two], [0.5, -0.5], base, normalize=True)


class OneByOne(Sequence[torch.Tensor]):
    """Tensors as a run hands them over: in one memory, each gone when the next is taken."""

    def __init__(self, *tensors: torch.Tensor) -> None:
        self._tensors = tensors
        self._memory = torch.empty_like(tensors[0])

    def __len__(self) -> int:
        return len(self._tensors)

    def __getitem__(self, index: int) -> torch.Tensor:  # type: ignore[override]
        return self._memory.copy_(self._tensors[index])


@pytest.mark.parametrize(
    "weights",
    [(0.5, 0.5, 0.0), (0.3, 0.7, 0.0), (0.0, 0.5, 0.5), (0.2, 0.3, 0.5), (1.0, 1.0, 1.0), (2.0, -1.0, 0.0), (0, 0, 1)],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_need_not_be_there_at_once(weights: tuple[float, ...], dtype: torch.dtype) -> None:
    *tensors, base = torch.randn(4, 50, generator=torch.Generator().manual_seed(1)).to(dtype)
    found = task_arithmetic(OneByOne(*tensors), weights, base)
    assert_same_bits(found, task_arithmetic(tensors, weights, base))
    expected = base + sum(weight * (tensor - base) for weight, tensor in zip(weights, tensors, strict=True))
    torch.testing.assert_close(found, expected)
