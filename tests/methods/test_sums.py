from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.methods.sums import exact_sum, row_sums, total, weighted_sum


@given(st.lists(st.integers(-1000, 1000), max_size=70))
def test_a_total_is_that_of_all(values: list[int]) -> None:
    assert total(torch.tensor(values, dtype=torch.float64)) == sum(values)


def test_rows_are_summed_one_by_one() -> None:
    rows = torch.arange(35, dtype=torch.float64).view(5, 7)
    assert row_sums(rows.clone()).tolist() == rows.sum(-1).tolist()
    assert row_sums(torch.zeros(3, 0)).tolist() == [0, 0, 0]


def test_sums_of_many_are_close() -> None:
    values = torch.full((1 << 16,), 0.1, dtype=torch.float64)
    assert total(values) == pytest.approx(6553.6, rel=1e-15)


def test_numbers_are_summed_in_any_order() -> None:
    numbers = [1e16, 1.0, -1e16, 1e-3]
    assert exact_sum(numbers) == exact_sum(reversed(numbers)) == 1.001
    assert exact_sum([math.inf, 1.0]) == math.inf
    assert math.isnan(exact_sum([math.inf, -math.inf]))
    assert exact_sum([]) == 0


def test_pieces_are_weighed() -> None:
    pieces = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])]
    assert weighted_sum(pieces, [2.0, -1.0]).tolist() == [-1, -1]
