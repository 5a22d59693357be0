from __future__ import annotations

import itertools

import pytest
import torch

from xttsrecipe.methods.election import elected


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_those_that_agree_are_averaged_by_weight() -> None:
    pieces = [column(1, -1, 0), column(3, 1, 0), column(-1, -3, 5)]
    torch.testing.assert_close(elected(pieces, [0.5, 0.3, 0.2], True), column(1.4 / 0.8, -1.1 / 0.7, 5))
    torch.testing.assert_close(elected(pieces, [0.5, 0.3, 0.2], False), column(1.4, -1.1, 1))
    assert [piece.tolist() for piece in pieces] == [[1, -1, 0], [3, 1, 0], [-1, -3, 5]]


def test_what_cancels_out_is_zero_though_rounding_leaves_some_of_it() -> None:
    """0.1 + 0.2 − 0.3 is not 0 in float64, or is, by the order."""
    terms = [(column(1), 0.1), (column(1), 0.2), (column(-1), 0.3)]
    for order in itertools.permutations(terms):
        assert elected([piece for piece, _ in order], [weight for _, weight in order], True).item() == 0


def test_the_smallest_majority_counts() -> None:
    assert elected([column(1), column(-1)], [0.5, 0.5 + 1e-14], True).item() == -1


def test_one_alone_is_elected() -> None:
    assert elected([column(5e-324, -2, 0)], [0.5], True).tolist() == [0, -2, 0]
    assert elected([column(1e-300, -2, 0)], [0.5], True).tolist() == pytest.approx([1e-300, -2, 0])


def test_votes_may_be_unweighted() -> None:
    assert elected([column(1), column(-2)], [0.9, 0.1], True, weighted_votes=False).item() == -2


def test_nan_and_infinities_show() -> None:
    inf, nan = float("inf"), float("nan")
    found = elected([column(inf, inf, nan, 1), column(1, -inf, 1, 1)], [0.5, 0.5], True).tolist()
    assert (found[0], found[3]) == (inf, 1)
    assert all(value != value for value in found[1:3])
