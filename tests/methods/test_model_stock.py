from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from tests.merging import assert_same_bits
from tests.methods.cases import assert_vector, cases, name_of, normals
from xttsrecipe.methods.model_stock import model_stock


@pytest.mark.parametrize("case", cases("model_stock"), ids=name_of)
def test_the_vectors(case: dict[str, Any]) -> None:
    assert_vector(case)


def literally(tensors: list[torch.Tensor], base: torch.Tensor) -> torch.Tensor:
    """The formula, in float64."""
    deltas = [(tensor - base).double().flatten() for tensor in tensors]
    cosines = [(one @ two / one.norm() / two.norm()).item() for one, two in itertools.combinations(deltas, 2)]
    cosine = min(max(sum(cosines) / len(cosines), 0), 1)
    share = len(tensors) * cosine / (1 + (len(tensors) - 1) * cosine)
    mean: torch.Tensor = torch.stack(tensors).mean(0)
    moved: torch.Tensor = base + (mean - base) * share
    return moved


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e-9, 1e-170])
def test_how_small_task_vectors_are_does_not_matter(scale: float) -> None:
    """mergekit floors ‖δᵢ‖‖δⱼ‖ at 10⁻⁶: small ones count as orthogonal."""
    base = torch.zeros(3, 4, dtype=torch.float64)
    tensors = [row + 1 for row in normals(3, 3, 4, dtype=torch.float64)]
    found = model_stock([tensor * scale for tensor in tensors], base)
    torch.testing.assert_close(found / scale, literally(tensors, base), rtol=1e-10, atol=1e-12)


def test_all_pairs_count() -> None:
    """sd-mecha averages consecutive pairs only."""
    base = torch.zeros(2, dtype=torch.float64)
    tensors = [torch.tensor(row, dtype=torch.float64) for row in ([1.0, 0.0], [1.0, 1.0], [0.0, 1.0])]
    torch.testing.assert_close(model_stock(tensors, base), literally(tensors, base))


@pytest.mark.parametrize("filter_wise", [False, True])
def test_task_vectors_that_disagree_leave_the_base(filter_wise: bool) -> None:
    """mergekit throws the result far away: the formula has a pole at −1/(N−1)."""
    base = normals(1, 2, 6, dtype=torch.float64)[0]
    shift = normals(1, 2, 6, dtype=torch.float64, seed=1)[0]
    assert_same_bits(model_stock([base + shift, base - shift], base, filter_wise=filter_wise), base)


def test_a_filter_of_a_convolution_is_all_of_an_output_channel() -> None:
    """mergekit's filters are single rows of a kernel."""
    base, *tensors = normals(4, 5, 3, 7, dtype=torch.float64)
    tensors = [tensor + 2 for tensor in tensors]
    found = model_stock(tensors, base, filter_wise=True)
    for row in range(5):
        torch.testing.assert_close(found[row], literally([tensor[row] for tensor in tensors], base[row]))


@pytest.mark.parametrize("length", [70_000, 30_000, 3])
def test_filters_larger_and_smaller_than_a_piece(length: int) -> None:
    base, *tensors = (row + 1 for row in normals(3, 5, length))
    found = model_stock(tensors, base * 0, filter_wise=True)
    for row in range(5):
        torch.testing.assert_close(found[row], model_stock([tensor[row] for tensor in tensors], base[row] * 0))


@pytest.mark.parametrize("shape", [(), (9,)])
def test_fewer_than_two_axes_are_one_filter(shape: tuple[int, ...]) -> None:
    base, *tensors = normals(4, *shape)
    assert_same_bits(model_stock(tensors, base, filter_wise=True), model_stock(tensors, base))


def test_one_source_is_the_result() -> None:
    base, tensor = normals(2, 3, 4)
    assert_same_bits(model_stock([tensor], base, filter_wise=True), tensor)


def test_a_source_that_changed_nothing_counts_as_orthogonal() -> None:
    base, shift = torch.zeros(4), torch.ones(4)
    torch.testing.assert_close(model_stock([shift, shift, base], base), torch.full((4,), (2 / 3) / 3 / (5 / 3) * 3))
    torch.testing.assert_close(model_stock([shift, base], base, filter_wise=True), base)
