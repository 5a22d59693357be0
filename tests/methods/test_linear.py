from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.merging import assert_same_bits, assert_weighted_sum, exact_sum
from tests.methods.cases import assert_vector, cases, name_of, normals
from xttsrecipe.methods.linear import linear, linear_in_pieces

INF = math.inf

finite32 = st.floats(-(2.0**100), 2.0**100, width=32)
ratios = st.floats(-3, 3).map(lambda value: round(value, 6))


@st.composite
def mixtures(draw: st.DrawFn, counts: st.SearchStrategy[int]) -> tuple[list[list[float]], list[float]]:
    """As many rows of numbers as weights; the weights sum to 1."""
    count, length = draw(counts), draw(st.integers(1, 6))
    rows = [draw(st.lists(finite32, min_size=length, max_size=length)) for _ in range(count)]
    weights = [draw(ratios) for _ in range(count - 1)]
    return rows, [*weights, 1 - math.fsum(weights)]


def tensors_of(rows: list[list[float]], dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    return [torch.tensor(row, dtype=dtype) for row in rows]


@given(mixtures(st.just(2)))
def test_two_float32_tensors_give_the_exact_sum_within_3e_7(mixture: tuple[list[list[float]], list[float]]) -> None:
    rows, weights = mixture
    assert_weighted_sum(linear(tensors_of(rows), weights), tensors_of(rows), weights)


@given(mixtures(st.integers(2, 9)))
def test_float64_tensors_give_the_exact_sum(mixture: tuple[list[list[float]], list[float]]) -> None:
    rows, weights = mixture
    found = linear(tensors_of(rows, torch.float64), weights)
    assert_weighted_sum(found, tensors_of(rows, torch.float64), weights, tolerance=1e-14)


@given(st.lists(finite32, min_size=1, max_size=8), st.lists(ratios, min_size=1, max_size=5))
def test_equal_tensors_give_equal_values_whatever_the_weights(row: list[float], ratios: list[float]) -> None:
    weights = [*ratios, 1 - math.fsum(ratios)]
    rows = [row] * len(weights)
    assert torch.equal(linear(tensors_of(rows), weights), torch.tensor(row))


def test_equal_tensors_give_that_tensor_bit_for_bit() -> None:
    row = torch.tensor([1.5, -2.0, 1e-45, 3e38, 0.0])
    assert_same_bits(linear([row.clone(), row.clone(), row.clone()], [0.3, 0.3, 0.4]), row)


@pytest.mark.parametrize(
    "weights",
    [
        [0.5, 0.5],
        [0.6, 0.4],
        [1.4, -0.4],
        [0.50000000025] * 2,
        [1.0, 0.0],
        [0.0, 1.0],
        [1.0, 0.0, 0.0],
        [0.3, 0.3, 0.4],
        [0.7, 0.6, -0.3],
        [0.1] * 10,
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_elements_among_others_stay_bit_for_bit(weights: list[float], dtype: torch.dtype) -> None:
    tensors = [torch.tensor([-0.0, 0.0, 0.1, float(index)], dtype=dtype) for index in range(len(weights))]
    assert_same_bits(linear(tensors, weights)[:3], tensors[0][:3])


def test_zeros_of_both_signs_give_zero() -> None:
    for rows in ([[-0.0], [0.0]], [[-0.0], [0.0], [-0.0]]):
        assert linear(tensors_of(rows), [1 / len(rows)] * len(rows)).tolist() == [0.0]


@given(mixtures(st.just(2)))
def test_the_order_of_two_does_not_matter(mixture: tuple[list[list[float]], list[float]]) -> None:
    rows, weights = mixture
    for shares in (weights, [0.5, 0.5]):
        assert_same_bits(linear(tensors_of(rows[::-1]), shares[::-1]), linear(tensors_of(rows), shares))


@pytest.mark.parametrize("weights", [[1 / 3] * 3, [0.4, 0.4, 0.2], [0.1] * 10, [0.15, 0.35, 0.35, 0.15]])
def test_the_order_of_more_is_worth_one_unit_at_most(weights: list[float]) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(100_000, generator=generator) for _ in weights]
    order = torch.randperm(len(weights), generator=generator).tolist()
    found = linear(tensors, weights)
    other = linear([tensors[index] for index in order], [weights[index] for index in order])
    assert int((found.view(torch.int32) - other.view(torch.int32)).abs().max()) <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weights", [[0.25, 0.75], [0.25, 0.5, 0.25]])
def test_the_type_stays_and_the_tensors_too(weights: list[float], dtype: torch.dtype) -> None:
    tensors = [torch.full((3,), float(index == 0), dtype=dtype) for index in range(len(weights))]
    assert_same_bits(linear(tensors, weights), torch.full((3,), 0.25, dtype=dtype))
    assert [tensor.tolist() for tensor in tensors] == [[float(index == 0)] * 3 for index in range(len(weights))]


@given(mixtures(st.integers(3, 9)))
def test_many_float32_tensors_are_rounded_once(mixture: tuple[list[list[float]], list[float]]) -> None:
    """Half a unit of the result, and what weights of 29 bits make of the terms."""
    rows, weights = mixture
    found = linear(tensors_of(rows), weights).double()
    total, size = exact_sum(tensors_of(rows), weights)
    heaviest = max(rows[index] for index, weight in enumerate(weights) if weight == max(weights))
    made_up_for = 2.0**-29 * sum(map(abs, weights)) * torch.tensor(heaviest, dtype=torch.float64).abs()
    assert ((found - total).abs() <= 2.0**-24 * total.abs() + 2.0**-29 * size + made_up_for + 2.0**-149).all()


special = finite32 | st.sampled_from([INF, -INF, math.nan, 3e38, -3e38, -0.0])


@given(st.lists(st.lists(special, min_size=6, max_size=6), min_size=2, max_size=4))
def test_an_element_depends_on_the_same_elements_only(rows: list[list[float]]) -> None:
    """However a tensor is cut in pieces, the result is the same."""
    weights = [1 / len(rows)] * len(rows)
    tensors = tensors_of(rows)
    pieces = [linear([tensor[start:stop] for tensor in tensors], weights) for start, stop in [(0, 1), (1, 3), (3, 6)]]
    assert_same_bits(torch.cat(pieces), linear(tensors, weights))


def test_one_tensor_of_weight_one_stays() -> None:
    row = torch.tensor([0.1, -0.0, 1e-45])
    assert_same_bits(linear([row.clone()], [1.0]), row)


@pytest.mark.parametrize("weights", [[0.5, 0.2, 0.3], [0.7, 0.6, -0.3]])
def test_scratch_of_any_content_gives_the_same(weights: list[float]) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(101, generator=generator) for _ in weights]
    memory = [torch.full((101,), torch.nan, dtype=torch.float64) for _ in range(2)]
    assert_same_bits(linear(tensors, weights, memory.__getitem__), linear(tensors, weights))


def test_weights_that_do_not_sum_to_one_scale() -> None:
    found = linear([torch.tensor([1.0, 8.0]), torch.tensor([2.0, 4.0])], [2.0, 3.0])
    assert found.tolist() == [8.0, 28.0]


@pytest.mark.parametrize("weights", [[0.5, 0.5], [0.6, 0.4], [0.4, 0.6], [1.5, -0.5], [0.2, 0.3, 0.5]])
@pytest.mark.parametrize("value", [INF, -INF])
def test_an_infinity_that_all_share_stays(value: float, weights: list[float]) -> None:
    rows = [[value, 1.0, float(index)] for index in range(len(weights))]
    found = linear(tensors_of(rows), weights)
    assert found[0] == value
    assert_weighted_sum(found[1:], [row[1:] for row in tensors_of(rows)], weights)


@pytest.mark.parametrize("rows", [[[INF, 2.0], [3.0, 4.0]], [[3.0, 2.0], [INF, 4.0]]])
@pytest.mark.parametrize("weights", [[0.6, 0.4], [0.4, 0.6]])
def test_an_infinity_of_one_source_gives_infinity(rows: list[list[float]], weights: list[float]) -> None:
    found = linear(tensors_of(rows), weights)
    assert found[0] == INF
    assert_weighted_sum(found[1:], [row[1:] for row in tensors_of(rows)], weights)


@pytest.mark.parametrize("rows", [[[INF], [-INF]], [[-INF], [INF]], [[math.nan], [1.0]], [[1.0], [math.nan]]])
def test_what_has_no_sum_gives_nan(rows: list[list[float]]) -> None:
    assert linear(tensors_of(rows), [0.6, 0.4]).isnan().all()


def test_one_infinity_or_nan_changes_no_other_element() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(100, generator=generator) for _ in range(2)]
    rows[0][7], rows[0][9] = INF, math.nan
    found = linear([row.clone() for row in rows], [0.7, 0.3])
    rest = [index for index in range(100) if index not in (7, 9)]
    assert_weighted_sum(found[rest], [row[rest] for row in rows], [0.7, 0.3])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_numbers_of_opposite_signs_give_a_finite_sum(dtype: torch.dtype) -> None:
    huge = torch.finfo(dtype).max
    found = linear([torch.tensor([-huge], dtype=dtype), torch.tensor([huge], dtype=dtype)], [0.6, 0.4])
    assert found.item() == pytest.approx(-0.2 * huge)


def test_an_empty_tensor_stays_empty() -> None:
    assert linear([torch.empty(0, 3), torch.empty(0, 3)], [0.5, 0.5]).shape == (0, 3)


@pytest.mark.parametrize("case", cases("linear"), ids=name_of)
def test_the_vectors(case: dict[str, Any]) -> None:
    assert_vector(case)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalised_weights_give_the_mean(dtype: torch.dtype) -> None:
    tensors = tensors_of([[1.0, -0.0, 0.1], [3.0, -0.0, 0.1], [5.0, -0.0, 0.1]], dtype)
    assert_same_bits(linear(tensors, [2, 2, 2], normalize=True), tensors_of([[3.0, -0.0, 0.1]], dtype)[0])


@pytest.mark.parametrize("weights", [[1.0, -1.0], [0.0, 0.0]])
def test_weights_that_cancel_out_cannot_be_normalised(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="the weights must not sum to 0"):
        linear(tensors_of([[1.0], [2.0]]), weights, normalize=True)


@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (300, 1003)])
def test_in_pieces_it_gives_the_same(shape: tuple[int, ...]) -> None:
    tensors = normals(3, *shape)
    assert_same_bits(linear_in_pieces(tensors, [0.5, 0.2, 0.3]), linear(tensors, [0.5, 0.2, 0.3]))
