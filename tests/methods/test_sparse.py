from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.merging import assert_same_bits
from tests.methods.cases import assert_vector, cases, name_of, normals
from xttsrecipe.methods.sparse import breadcrumbs, breadcrumbs_ties, ties


@pytest.mark.parametrize("case", cases("ties", "breadcrumbs", "breadcrumbs_ties"), ids=name_of)
def test_the_vectors(case: dict[str, Any]) -> None:
    assert_vector(case)


def zeros(count: int) -> torch.Tensor:
    return torch.zeros(count, dtype=torch.float64)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=60), st.integers(0, 100).map(lambda share: share / 100))
def test_ties_keeps_the_largest_and_what_ties_with_them(values: list[int], density: float) -> None:
    """Never one more, as the authors' code, nor two, as sd-mecha."""
    kept = 0 if density == 0 else max(round(density * 100) * len(values) // 100, 1)
    smallest = sorted(map(abs, values), reverse=True)[kept - 1] if kept else 10
    expected = [value if abs(value) >= smallest else 0 for value in values]
    found = ties([column(*map(float, values))], [1.0], zeros(len(values)), density=[density])
    assert found.tolist() == expected


rows = st.lists(st.integers(-4, 4), min_size=12, max_size=12).map(lambda values: column(*map(float, values)))
shares = st.sampled_from([0.0, 0.01, 0.2, 0.29, 0.5, 0.9, 1.0])


def literally(deltas: list[torch.Tensor], weights: list[float], normalize: bool) -> list[float]:
    """Steps 2 and 3 of TIES, number by number."""
    found = []
    for values in zip(*(delta.tolist() for delta in deltas), strict=True):
        balance = round(sum(weight * value for weight, value in zip(weights, values, strict=True)), 9)
        agreeing = [pair for pair in zip(weights, values, strict=True) if pair[1] * balance > 0]
        merged = sum(weight * value for weight, value in agreeing)
        found.append(merged / sum(weight for weight, _ in agreeing) if agreeing and normalize else merged)
    return found


def crumbs(delta: torch.Tensor, density: float, gamma: float) -> torch.Tensor:
    """What is kept, by sorting."""
    kept = 0 if density == 0 else max(round(density * 100) * len(delta) // 100, 1)
    above = min(round(gamma * 100) * len(delta) // 100, len(delta) - kept)
    ordered = delta.abs().sort(descending=True).values
    inside = (delta.abs() >= ordered[above + kept - 1]) & (delta.abs() <= ordered[above]) if kept else delta > 9
    return delta * inside


@given(st.lists(rows, min_size=1, max_size=4), rows, shares, shares, st.booleans())
def test_it_is_what_the_papers_say(
    tensors: list[torch.Tensor], base: torch.Tensor, density: float, gamma: float, normalize: bool
) -> None:
    weights = [0.1, 0.2, 0.3, 0.5][: len(tensors)]
    each: dict[str, Any] = {"density": [density] * len(tensors), "normalize": normalize}
    trimmed = [crumbs(tensor - base, density, 0) for tensor in tensors]
    found = ties(tensors, weights, base, **each) - base
    assert found.tolist() == pytest.approx(literally(trimmed, weights, normalize), abs=1e-9)
    each["gamma"] = [gamma] * len(tensors)
    masked = [crumbs(tensor - base, density, gamma) for tensor in tensors]
    found = breadcrumbs_ties(tensors, weights, base, **each) - base
    assert found.tolist() == pytest.approx(literally(masked, weights, normalize), abs=1e-9)
    found = breadcrumbs(tensors, weights, base, **each) - base
    expected = sum(weight * tensor for weight, tensor in zip(weights, masked, strict=True))
    divisor = sum(weights) if normalize else 1
    assert found.tolist() == pytest.approx((expected / divisor).tolist(), abs=1e-9)  # type: ignore[union-attr]


def test_one_element_is_kept_at_least() -> None:
    """mergekit asserts where ⌊density·n⌋ = 0, peft keeps nothing."""
    assert ties([column(1, -3, 2)], [1.0], zeros(3), density=[0.01]).tolist() == [0, -3, 0]
    assert ties([torch.tensor(-3.0)], [1.0], torch.tensor(0.0), density=[0.2]).item() == -3


def test_masses_that_cancel_out_leave_the_base() -> None:
    """mergekit and peft take +."""
    base = column(-0.0, 5, 1)
    found = ties([column(1, 6, 2), column(-1, 4, 1)], [1.0, 1.0], base, density=[1.0, 1.0])
    assert_same_bits(found, column(-0.0, 5, 2))


def test_the_sign_is_elected_of_weighted_task_vectors() -> None:
    """peft elects before weighting, and divides by the count; sd-mecha counts heads."""
    tensors = [column(1, 1), column(-2, -0.1), column(-2, -0.1)]
    found = ties(tensors, [0.9, 0.1, 0.2], zeros(2), density=[1.0] * 3)
    torch.testing.assert_close(found, column(1, 1))
    found = ties(tensors, [0.9, 0.1, 0.2], zeros(2), density=[1.0] * 3, normalize=False)
    torch.testing.assert_close(found, column(0.9, 0.9))


def test_each_source_may_have_its_density() -> None:
    tensors = [column(1, 2, 3, 4), column(4, 3, 2, 1)]
    found = ties(tensors, [1.0, 1.0], zeros(4), density=[0.25, 0.5], lambda_=2.0)
    assert found.tolist() == [8, 6, 0, 8]


def test_the_layer_is_the_tensor() -> None:
    """The authors' breadcrumbs code masks per row."""
    tensor = torch.tensor([[1.0, 2.0], [30.0, 40.0]], dtype=torch.float64)
    found = breadcrumbs([tensor], [1.0], tensor * 0, density=[0.5], gamma=[0.0])
    assert found.tolist() == [[0, 0], [30, 40]]


def test_breadcrumbs_without_outliers_keeps_the_largest() -> None:
    """mergekit drops the whole task vector where ⌊γn⌋ = 0."""
    values = [float(index) for index in range(1, 51)]
    found = breadcrumbs([column(*values)], [1.0], zeros(50), density=[0.1], gamma=[0.01])
    assert found.nonzero().flatten().tolist() == [45, 46, 47, 48, 49]


@pytest.mark.parametrize(
    ("density", "gamma", "kept"),
    [
        (0.5, 0.2, range(3, 8)),
        (0.9, 0.5, range(9)),
        (1.0, 0.5, range(10)),
        (0.0, 0.2, range(0)),
        (0.29, 0.1, range(7, 9)),
    ],
)
def test_breadcrumbs_keeps_the_middle(density: float, gamma: float, kept: range) -> None:
    values = column(*[(-1.0) ** index * (index + 1) for index in range(10)])
    for method in (breadcrumbs, breadcrumbs_ties):
        found = method([values], [1.0], zeros(10), density=[density], gamma=[gamma])
        assert found.nonzero().flatten().tolist() == list(kept)


def test_what_ties_with_the_smallest_or_largest_crumb_stays() -> None:
    values = column(3, 3, 2, 1, 1)
    assert breadcrumbs([values], [1.0], zeros(5), density=[0.4], gamma=[0.2]).tolist() == [3, 3, 2, 0, 0]


def test_breadcrumbs_normalises_only_if_asked_breadcrumbs_ties_always_unless_asked_not_to() -> None:
    """mergekit's breadcrumbs_ties does not."""
    tensors, base = [column(2), column(4)], zeros(1)
    given: dict[str, Any] = {"density": [1.0] * 2, "gamma": [0.0] * 2}
    assert breadcrumbs(tensors, [1.0, 1.0], base, **given).item() == 6
    assert breadcrumbs(tensors, [1.0, 1.0], base, normalize=True, **given).item() == 3
    assert breadcrumbs_ties(tensors, [1.0, 1.0], base, **given).item() == 3
    assert breadcrumbs_ties(tensors, [1.0, 1.0], base, normalize=False, **given).item() == 6


def test_tensors_of_many_pieces_are_cut_as_a_whole() -> None:
    base, tensor = normals(2, 100_000)
    delta = (tensor.double() - base.double()).abs()
    ordered = delta.sort(descending=True).values
    found = ties([tensor], [1.0], base, density=[0.6])
    assert torch.equal(found != base, delta >= ordered[59_999])
    found = breadcrumbs([tensor], [1.0], base, density=[0.6], gamma=[0.2])
    assert torch.equal(found != base, (delta >= ordered[79_999]) & (delta <= ordered[20_000]))


def test_a_weight_below_zero_cannot_be_normalised() -> None:
    with pytest.raises(ValueError, match="no weight may be below 0"):
        ties([column(1), column(2)], [1.0, -0.5], zeros(1), density=[1.0, 1.0])
    found = ties([column(1), column(2)], [1.0, -0.25], zeros(1), density=[1.0, 1.0], normalize=False)
    assert found.item() == 0.5
