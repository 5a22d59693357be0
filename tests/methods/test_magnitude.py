from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.cases import normals
from xttsrecipe.methods import magnitude
from xttsrecipe.methods.magnitude import kth_largest
from xttsrecipe.methods.vectors import PIECE, pieces_of


def found_of(values: torch.Tensor, ranks: list[int]) -> list[float]:
    def pieces() -> Iterator[torch.Tensor]:
        return (values[where].clone() for where in pieces_of(values.numel(), 20_000))

    return kth_largest(pieces, values.numel(), ranks)


@given(st.lists(st.floats(0, allow_nan=False), min_size=1, max_size=30))
def test_every_rank_of_a_few(values: list[float]) -> None:
    ranks = list(range(1, len(values) + 1))
    assert found_of(torch.tensor(values, dtype=torch.float64), ranks) == sorted(values, reverse=True)


@pytest.mark.parametrize("kind", ["spread", "equal", "close", "two", "zeros"])
def test_ranks_of_many(kind: str) -> None:
    count = PIECE + 5000
    normal = normals(1, count, dtype=torch.float64)[0].abs()
    values = {
        "spread": normal,
        "equal": torch.full((count,), 0.1, dtype=torch.float64),
        "close": 1 + normal * 1e-14,
        "two": (normal > 1).double(),
        "zeros": torch.zeros(count, dtype=torch.float64),
    }[kind]
    ordered = values.sort(descending=True).values
    ranks = [1, PIECE, count // 2, count]
    assert found_of(values, ranks) == [ordered[rank - 1].item() for rank in ranks]


def test_the_same_whatever_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way for many, with few."""
    values = normals(1, 1000, dtype=torch.float64)[0].abs()
    ranks = [1, 10, 500, 1000]
    expected = found_of(values, ranks)
    monkeypatch.setattr(magnitude, "PIECE", 3)
    assert found_of(values, ranks) == expected


def test_nan_is_the_largest() -> None:
    values = torch.tensor([1.0, math.nan, math.inf, 2.0], dtype=torch.float64)
    first, *rest = found_of(values, [1, 2, 3, 4])
    assert math.isnan(first)
    assert rest == [math.inf, 2, 1]
