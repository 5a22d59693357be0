from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.merging import assert_same_bits
from tests.methods.cases import assert_vector, cases, name_of, normals
from xttsrecipe.methods.linear import linear
from xttsrecipe.methods.spherical import karcher, multislerp, nuslerp, slerp


@pytest.mark.parametrize("case", cases("slerp", "nuslerp", "multislerp", "karcher"), ids=name_of)
def test_the_vectors(case: dict[str, Any]) -> None:
    assert_vector(case)


def at_angle(degrees: float, length: float = 1.0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    angle = math.radians(degrees)
    return torch.tensor([length * math.cos(angle), length * math.sin(angle)], dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("t", [0.0, 1.0])
def test_slerp_at_its_ends_is_a_source_bit_for_bit(t: float, dtype: torch.dtype) -> None:
    tensors = normals(2, 5, 7, dtype=dtype)
    tensors[int(t)][0, 0] = -0.0
    found = slerp(tensors, t=t)
    assert_same_bits(found, tensors[int(t)])
    assert found.data_ptr() != tensors[int(t)].data_ptr()


def test_slerp_of_unequal_lengths_does_not_interpolate_the_length() -> None:
    """As sd-mecha does, whose slerp is karcher of two."""
    tensors = [at_angle(0, 1), at_angle(90, 3)]
    assert slerp(tensors, t=0.5).tolist() == pytest.approx([math.sqrt(0.5), 3 * math.sqrt(0.5)])
    assert karcher(tensors, [0.5, 0.5]).tolist() == pytest.approx([2 * math.sqrt(0.5)] * 2)


def test_slerp_of_no_axes_works() -> None:
    """mergekit fails."""
    assert slerp([torch.tensor(2.0), torch.tensor(4.0)], t=0.25).item() == 2.5


@pytest.mark.parametrize("method", ["slerp", "nuslerp"])
def test_against_a_zero_tensor_it_goes_straight(method: str) -> None:
    """mergekit: sin((1−t)π/2)·a."""
    tensors = [at_angle(30, 2), torch.zeros(2, dtype=torch.float64)]
    found = slerp(tensors, t=0.25) if method == "slerp" else nuslerp(tensors, [0.75, 0.25])
    assert torch.equal(found, linear(tensors, [0.75, 0.25]))


def test_slerp_in_float32_is_rounded_once() -> None:
    """mergekit's works in float32."""
    single = normals(2, 500)
    exact = slerp([tensor.double() for tensor in single], t=0.3)
    assert_same_bits(slerp(single, t=0.3), exact.float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("factor", [-2.0, -0.3])
def test_opposed_tensors_go_straight(dtype: torch.dtype, factor: float) -> None:
    """mergekit's nuslerp reaches 10⁸; what float32 makes of −0.3x is opposed too."""
    tensor = normals(1, 1000, dtype=dtype)[0]
    tensors = [tensor, tensor * factor]
    straight = linear(tensors, [0.6, 0.4])
    torch.testing.assert_close(nuslerp(tensors, [0.6, 0.4]), straight)
    torch.testing.assert_close(slerp(tensors, t=0.4), straight)
    for method in (multislerp, karcher):
        torch.testing.assert_close(method(tensors, [0.5, 0.5]), linear(tensors, [0.5, 0.5]))


def test_nuslerp_stays_on_the_arc_where_slerp_goes_straight() -> None:
    tensors = [at_angle(0), at_angle(1.5)]
    assert slerp(tensors, t=0.5).norm() < 1 - 1e-5
    assert nuslerp(tensors, [1, 1]).norm().item() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize(("weights", "angle"), [([1, 3], 45), ([1, -1], 30), ([0, 0], 30), ([2, -1], -60)])
def test_nuslerp_goes_by_the_second_share(weights: list[float], angle: float) -> None:
    found = nuslerp([at_angle(0), at_angle(60)], weights)
    torch.testing.assert_close(found, at_angle(angle))


def test_an_arc_close_to_a_half_turn_is_exact() -> None:
    """An arc cosine would lose some eight digits of the angle."""
    found = nuslerp([at_angle(0), at_angle(180 - 1e-4)], [0.5, 0.5])
    torch.testing.assert_close(found, at_angle(90 - 5e-5), rtol=1e-9, atol=1e-9)


def test_multislerp_of_a_tensor_no_source_changed_is_the_base() -> None:
    """mergekit raises."""
    base = normals(1, 3, 4)[0]
    assert_same_bits(multislerp([base.clone() for _ in range(3)], [0.2, 0.3, 0.5], base), base)


def test_multislerp_of_one_source_is_that_source() -> None:
    base, tensor = normals(2, 3, 4)
    assert_same_bits(multislerp([tensor], [2.0], base), tensor)
    assert_same_bits(multislerp([tensor, base], [1.0, 0.0]), tensor)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_karcher_of_opposed_tensors_is_their_mean_whatever_the_order(order: tuple[int, int]) -> None:
    """mergekit: the first one's direction."""
    tensors = [at_angle(0, 3), at_angle(180, 1)]
    found = karcher([tensors[index] for index in order], [0.5, 0.5])
    torch.testing.assert_close(found, at_angle(0, 1), atol=1e-12, rtol=0)


def test_a_source_opposite_to_the_mean_leaves_none() -> None:
    tensors = [at_angle(10), at_angle(-10), at_angle(180)]
    weights = [0.45, 0.45, 0.1]
    torch.testing.assert_close(karcher(tensors, weights), linear(tensors, weights))


def test_karcher_goes_on_until_it_is_there() -> None:
    """mergekit stops after ten steps, or at 10⁻⁵."""
    tensors = [row + 0.05 for row in normals(4, 40, dtype=torch.float64)]
    weights = [0.4, 0.3, 0.2, 0.1]
    found = karcher(tensors, weights)
    length = sum(weight * tensor.norm() for weight, tensor in zip(weights, tensors, strict=True))
    mean = found / length
    assert mean.norm().item() == pytest.approx(1)
    pull = torch.zeros_like(mean)
    for weight, tensor in zip(weights, tensors, strict=True):
        unit = tensor / tensor.norm()
        cosine = unit @ mean
        pull += weight * cosine.acos() / cosine.acos().sin() * (unit - cosine * mean)
    assert pull.norm() < 1e-12


def test_karcher_of_one_and_zeros_has_its_direction_and_the_mean_length() -> None:
    zero = torch.zeros(2, dtype=torch.float64)
    torch.testing.assert_close(karcher([at_angle(30, 4), zero, zero], [0.5, 0.25, 0.25]), at_angle(30, 2))
    assert_same_bits(karcher([zero, -zero], [0.5, 0.5]), zero)


def test_more_directions_than_dimensions_end() -> None:
    tensors = [at_angle(angle, 1 + angle / 100) for angle in (0, 10, 25, 50, 70, 71)]
    found = karcher(tensors, [1 / 6] * 6)
    assert math.degrees(math.atan2(found[1], found[0])) == pytest.approx(226 / 6)


@pytest.mark.parametrize("method", [multislerp, karcher])
def test_weights_that_cancel_out_are_refused(method: Any) -> None:
    with pytest.raises(ValueError, match="the weights must not sum to 0"):
        method([at_angle(0), at_angle(1)], [0.0, 0.0])


def test_karcher_refuses_weights_below_zero() -> None:
    with pytest.raises(ValueError, match="no weight may be below 0"):
        karcher([at_angle(0), at_angle(1)], [1.5, -0.5])


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_not_finite_stays_where_it_is(wrong: float) -> None:
    tensors = normals(2, 10)
    tensors[0][3] = wrong
    for found in (
        slerp(tensors, t=0.5),
        nuslerp(tensors, [0.5, 0.5]),
        multislerp(tensors, [0.5, 0.5]),
        karcher(tensors, [0.5, 0.5]),
    ):
        assert (~found.isfinite()).nonzero().flatten().tolist() == [3]
