from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.methods.counts import kept_count, share_of


@pytest.mark.parametrize(
    ("share", "count", "expected"),
    [(0.29, 100, 29), (0.7 - 0.4, 10, 3), (0.0, 5, 0), (1.0, 5, 5), (0.01, 50, 0), (0.999, 10, 9), (0.5, 0, 0)],
)
def test_a_share_is_rounded_down(share: float, count: int, expected: int) -> None:
    assert share_of(share, count) == expected


@given(st.integers(0, 100), st.integers(0, 10**9))
def test_hundredths_are_exact(hundredths: int, count: int) -> None:
    assert share_of(hundredths / 100, count) == hundredths * count // 100


@pytest.mark.parametrize(
    ("density", "count", "expected"), [(0, 9, 0), (1, 9, 9), (0.001, 9, 1), (0.5, 9, 4), (0.5, 1, 1), (0.5, 0, 0)]
)
def test_a_density_keeps_one_at_least(density: float, count: int, expected: int) -> None:
    assert kept_count(density, count) == expected
