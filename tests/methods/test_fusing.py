from __future__ import annotations

import pytest
import torch

from xttsrecipe.methods.fusing import fused, normalize_refusal


def pieces() -> list[torch.Tensor]:
    return [torch.tensor([value, -value], dtype=torch.float64) for value in (1.0, 4.0)]


def test_a_sum_may_be_divided_by_that_of_all_weights() -> None:
    assert fused(pieces(), [1, 2], elect=False, lambda_=0.5, normalize=False).tolist() == [4.5, -4.5]
    assert fused(pieces(), [1, 2], elect=False, lambda_=0.5, normalize=True).tolist() == [1.5, -1.5]
    assert fused(pieces(), [1, 2], elect=True, lambda_=2, normalize=True).tolist() == [6, -6]


@pytest.mark.parametrize(
    ("weights", "elect", "word"),
    [([0.5, -0.5], False, "sum to 0"), ([0.0], False, "sum to 0"), ([1.0, -0.1], True, "below 0")],
)
def test_weights_that_cannot_be_normalised_are_refused(weights: list[float], elect: bool, word: str) -> None:
    assert word in str(normalize_refusal(weights, {"normalize": True}, elect=elect))
    assert normalize_refusal(weights, {"normalize": False}, elect=elect) is None
    with pytest.raises(ValueError, match=word):
        fused(pieces()[: len(weights)], weights, elect=elect, lambda_=1, normalize=True)


@pytest.mark.parametrize(("weights", "elect"), [([0.5, -0.1], False), ([0.0, 1.0], True), ([0.0], True)])
def test_others_are_not(weights: list[float], elect: bool) -> None:
    assert normalize_refusal(weights, {"normalize": True}, elect=elect) is None
