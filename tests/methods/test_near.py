from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.merging import assert_same_bits
from tests.methods.cases import assert_vector, cases, name_of, normals
from xttsrecipe.methods.near import arcee_fusion, nearswap


@pytest.mark.parametrize("case", cases("nearswap", "arcee_fusion"), ids=name_of)
def test_the_vectors(case: dict[str, Any]) -> None:
    assert_vector(case)


def test_nearswap_of_what_is_near_is_the_source_bit_for_bit() -> None:
    base, shift = normals(2, 1000)
    tensor = base + 1e-3 * shift
    tensor[0], base[0] = -0.0, 1e-9
    far = (tensor.double() - base.double()).abs() > 1e-3
    found = nearswap([tensor], base, t=1e-3)
    assert_same_bits(found[~far].clone(), tensor[~far].clone())
    assert far.any()
    torch.testing.assert_close((found - base).abs()[far], torch.full_like(found[far], 1e-3), rtol=1e-3, atol=0)


@pytest.mark.parametrize("scale", [1e-7, 1e-20])
def test_nearswap_has_no_floor(scale: float) -> None:
    """mergekit floors |x − base| at 10⁻⁶."""
    base = torch.zeros(2, dtype=torch.float64)
    found = nearswap([torch.tensor([1.0, -0.5], dtype=torch.float64) * scale], base, t=0.75 * scale)
    torch.testing.assert_close(found / scale, torch.tensor([0.75, -0.5], dtype=torch.float64))


def test_nearswap_by_nothing_is_the_base() -> None:
    base, tensor = normals(2, 20)
    base[0] = -0.0
    assert_same_bits(nearswap([tensor], base, t=0.0), base)


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_nearswap_to_infinity_goes_so_far(value: float) -> None:
    found = nearswap([torch.tensor([value])], torch.tensor([1.0]), t=0.5)
    assert found.item() == 1 + math.copysign(0.5, value)


@given(st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=12))
def test_fusion_takes_every_element_from_one_of_both(values: list[float]) -> None:
    base = torch.tensor(values)
    tensor = base.flip(0)
    found = arcee_fusion([tensor], base)
    assert ((found == base) | (found == tensor)).all()


def test_fusion_takes_what_stands_out() -> None:
    base, shift = normals(2, 40, 30, dtype=torch.float64)
    tensor = base + 1e-3 * shift
    tensor[7, 11] += 5
    found = arcee_fusion([tensor], base)
    assert found[7, 11] == tensor[7, 11]
    assert 0 < (found != base).sum() < 400


def test_fusion_of_a_tensor_of_no_axes_keeps_its_shape() -> None:
    """mergekit makes (1,) of it. A softmax of one is 1: nothing is less important than the threshold."""
    assert_same_bits(arcee_fusion([torch.tensor(3.0)], torch.tensor(2.0)), torch.tensor(3.0))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_fusion_of_nothing_is_nothing(shape: tuple[int, ...]) -> None:
    assert arcee_fusion([torch.zeros(shape)], torch.zeros(shape)).shape == shape


@pytest.mark.parametrize("shape", [(2, 66_000), (70_001,)])
def test_fusion_of_rows_longer_than_a_piece(shape: tuple[int, ...]) -> None:
    base, shift = normals(2, *shape, dtype=torch.float64)
    tensor = base + 0.1 * shift
    rows = [tensor.log_softmax(-1).exp() + 1e-8, base.log_softmax(-1).exp() + 1e-8]
    divergence = (rows[0] * (rows[0] / rows[1]).log()).sum(-1, keepdim=True)
    importance = (tensor - base).abs() * divergence
    ordered = importance.flatten().sort().values
    lower, middle, upper = (ordered[math.floor(share * (len(ordered) - 1))] for share in (0.25, 0.5, 0.75))
    threshold = middle + 1.5 * (upper - lower)
    clear = (importance - threshold).abs() > 1e-9 * threshold
    expected = torch.where(importance >= threshold, tensor, base)
    assert torch.equal(arcee_fusion([tensor], base)[clear], expected[clear])
