from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.merging import assert_same_bits
from tests.methods.cases import assert_vector, cases, name_of, normals
from xttsrecipe.methods.sce import sce


@pytest.mark.parametrize("case", cases("sce"), ids=name_of)
def test_the_vectors(case: dict[str, Any]) -> None:
    assert_vector(case)


@pytest.mark.parametrize("scale", [1e-4, 1e-30, 1e-170, 1e150])
def test_small_changes_are_scaled_large_ones(scale: float) -> None:
    """mergekit weighs all sources alike where Σ mean δ² < 10⁻⁶."""
    base = torch.zeros(6, 5, dtype=torch.float64)
    tensors = normals(3, 6, 5, dtype=torch.float64)
    expected = sce(tensors, base, select_topk=0.4)
    found = sce([tensor * scale for tensor in tensors], base, select_topk=0.4)
    torch.testing.assert_close(found / scale, expected, rtol=1e-12, atol=0)


def test_positions_are_counted_from_all() -> None:
    """mergekit counts those of variance above 0 only."""
    base = torch.zeros(10, dtype=torch.float64)
    one = torch.tensor([4.0, 3.0, 2.0, 1.0, *[0.0] * 6], dtype=torch.float64)
    found = sce([one, one * 0.5], base, select_topk=0.3)
    assert found.nonzero().flatten().tolist() == [0, 1, 2]


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
def test_a_tensor_no_source_changed_stays_as_it_is(share: float) -> None:
    """mergekit returns (N, …) instead of (…)."""
    base = normals(1, 3, 4)[0]
    base[0, 0] = -0.0
    assert_same_bits(sce([base.clone() for _ in range(3)], base, select_topk=share), base)


def test_variances_that_tie_are_all_selected() -> None:
    base = torch.zeros(4, dtype=torch.float64)
    tensors = [torch.tensor(row, dtype=torch.float64) for row in ([1.0, 2.0, 3.0, 0.1], [3.0, 3.0, 1.0, 0.1])]
    assert sce(tensors, base, select_topk=0.25).nonzero().flatten().tolist() == [0, 2]


def test_the_sign_is_that_of_the_unweighted_sum() -> None:
    base = torch.zeros(3, dtype=torch.float64)
    large = torch.tensor([100.0, 1.0, 1.0], dtype=torch.float64)
    small = torch.tensor([0.0, -2.0, -1.0], dtype=torch.float64)
    assert sce([large, small], base).tolist() == [100, -2, 0]


def test_nothing_selected_is_the_base() -> None:
    base, tensor = normals(2, 3, 4)
    assert_same_bits(sce([tensor], base, select_topk=0.0), base)
    assert sce([torch.zeros(0)], torch.zeros(0)).shape == (0,)


def test_many_pieces_select_what_one_does() -> None:
    base, *tensors = normals(3, 100_000, dtype=torch.float64)
    variance = (tensors[0] - tensors[1]).square()
    selected = variance >= variance.sort(descending=True).values[59_999]
    found = sce(tensors, base, select_topk=0.6)
    assert torch.equal(found != base, selected)
