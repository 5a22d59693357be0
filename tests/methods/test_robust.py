from __future__ import annotations

import statistics
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.merging import assert_same_bits
from tests.methods.cases import assert_vector, cases, name_of
from xttsrecipe.methods.robust import median, trimmed_mean


@pytest.mark.parametrize("case", cases("median", "trimmed_mean"), ids=name_of)
def test_the_vectors(case: dict[str, Any]) -> None:
    assert_vector(case)


numbers = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=9)


def column(values: list[float], dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    return [torch.tensor([value], dtype=dtype) for value in values]


@given(numbers)
def test_the_median_is_that_of_statistics(values: list[float]) -> None:
    assert median(column(values)).item() == pytest.approx(statistics.median(values), rel=1e-15)


@given(numbers, st.floats(0, 0.49))
def test_a_trimmed_mean_is_that_of_what_is_left(values: list[float], beta: float) -> None:
    cut = int(beta * len(values) + 1e-9)
    kept = sorted(values)[cut : len(values) - cut]
    found = trimmed_mean(column(values), beta=beta).item()
    assert found == pytest.approx(statistics.fmean(kept), rel=1e-12, abs=1e-9)


def test_a_share_that_is_short_for_rounding_still_cuts() -> None:
    """0.3 · 10 is 3, though 0.1 + 0.2 − … may be a little less."""
    values = [float(index**3) for index in range(10)]
    assert trimmed_mean(column(values), beta=0.7 - 0.4).item() == trimmed_mean(column(values), beta=0.3).item()


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("beta", [0.0, 0.01, 0.49])
def test_few_sources_are_never_all_cut(count: int, beta: float) -> None:
    assert trimmed_mean(column([5.0] * count), beta=beta).item() == 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_largest_numbers_have_a_mean(dtype: torch.dtype) -> None:
    huge = torch.finfo(dtype).max
    assert median(column([huge, huge / 2], dtype)).item() == pytest.approx(huge * 0.75)
    assert trimmed_mean(column([huge] * 2 + [huge / 2], dtype), beta=0).item() == pytest.approx(huge / 6 * 5)


def test_nan_shows_though_it_would_be_cut() -> None:
    assert median(column([1.0, 2.0, float("nan")])).isnan().all()
    assert trimmed_mean(column([1.0, 2.0, float("nan")]), beta=0.4).isnan().all()


def test_an_outlier_does_not_move_it() -> None:
    rows = [torch.tensor([1.0, -0.0]), torch.tensor([float("inf"), -0.0]), torch.tensor([1.0, -0.0])]
    assert_same_bits(median(rows), torch.tensor([1.0, -0.0]))
