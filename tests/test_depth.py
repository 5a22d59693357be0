from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.depth import Depth, Gradient, depth_of, depths, layer_count
from xttsrecipe.xtts import COMPONENTS, LEAVES, component_of, known_tensors

numbers = st.floats(-1e6, 1e6)
anchors = st.lists(numbers, min_size=1, max_size=9).map(tuple)


def values(gradient: Gradient, layers: int) -> list[float]:
    return [gradient.at(Depth(layer, layers)) for layer in range(layers)]


# --- where a tensor lies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("gpt.gpt.h.0.ln_1.weight", "layer 0"),
        ("gpt.gpt.h.29.mlp.c_fc.weight", "layer 29"),
        ("gpt.text_embedding.weight", "before the layers"),
        ("gpt.mel_embedding.weight", "before the layers"),
        ("gpt.text_pos_embedding.emb.weight", "before the layers"),
        ("gpt.conditioning_encoder.init.weight", "before the layers"),
        ("gpt.conditioning_perceiver.latents", "before the layers"),
        ("mel_stats", "before the layers"),
        ("gpt.gpt.ln_f.weight", "after the layers"),
        ("gpt.final_norm.weight", "after the layers"),
        ("gpt.text_head.weight", "after the layers"),
        ("gpt.mel_head.bias", "after the layers"),
        ("hifigan_decoder.speaker_encoder.fc.weight", "after the layers"),
        ("hifigan_decoder.waveform_decoder.conv_pre.weight", "after the layers"),
        ("gpt.dialect.weight", "after the layers"),
        ("", "after the layers"),
    ],
)
def test_a_key_lies_in_a_layer_or_before_or_after_them(key: str, place: str) -> None:
    assert str(depth_of(key, 30)) == place


def test_every_tensor_of_xtts_lies_somewhere_and_a_component_on_one_side_of_the_layers() -> None:
    outside: dict[str, set[str]] = {}
    within = 0
    for key in known_tensors():
        depth = depth_of(key, 30)
        assert depth is not None
        within += depth.within
        if not depth.within:
            outside.setdefault(component_of(key) or "", set()).add(str(depth))
    assert within == sum(key.startswith("gpt.gpt.h.") for key in known_tensors()) > 300
    assert {len(places) for places in outside.values()} == {1}
    assert set(outside) <= set(LEAVES) <= set(COMPONENTS)


def test_without_layers_there_is_no_depth() -> None:
    assert depth_of("gpt.gpt.h.0.ln_1.weight", 0) is None


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ([], 0),
        (["encoder.weight", "gpt.text_head.bias"], 0),
        (["gpt.gpt.h.0.ln_1.weight"], 1),
        (["gpt.gpt.h.7.ln_1.weight", "gpt.gpt.h.2.ln_1.weight"], 8),
        (["gpt.gpt.h.x.ln_1.weight"], 0),
    ],
)
def test_layers_are_counted_up_to_the_last_that_is_there(keys: list[str], count: int) -> None:
    assert layer_count(keys) == count
    assert layer_count(known_tensors()) == 30


def test_all_depths_are_those_before_in_and_after_the_layers() -> None:
    assert list(map(str, depths(2))) == ["before the layers", "layer 0", "layer 1", "after the layers"]
    assert [str(depth) for depth in depths(30)][1:-1] == [f"layer {number}" for number in range(30)]


# --- numbers over layers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "layers", "expected"),
    [
        ((1.0, 0.5, 0.0), 5, [1, 0.75, 0.5, 0.25, 0]),
        ((0.0, 1.0), 3, [0, 0.5, 1]),
        ((0.0, 1.0), 2, [0, 1]),
        ((0.0, 1.0, 0.0), 4, [0, 2 / 3, 2 / 3, 0]),
        ((0.3,), 4, [0.3] * 4),
        ((0.0, 1.0), 1, [0]),
        ((0.0, 1.0, 5.0), 1, [0]),
        ((0.0, 5.0, 9.0, 1.0), 2, [0, 1]),
        (tuple(map(float, range(30))), 30, list(range(30))),
    ],
)
def test_anchors_are_spread_evenly_and_between_them_it_is_linear(
    given_: tuple[float, ...], layers: int, expected: list[float]
) -> None:
    assert values(Gradient(given_), layers) == pytest.approx(expected)


def mergekits(given_: tuple[float, ...], layer: int, layers: int) -> float:
    """As mergekit reads a list of numbers: t = layer/(layers − 1), at t·(anchors − 1) among the anchors."""
    place = layer / (layers - 1) * (len(given_) - 1)
    below = math.floor(place)
    if below >= len(given_) - 1:
        return given_[-1]
    return (1 - (place - below)) * given_[below] + (place - below) * given_[below + 1]


@given(anchors, st.integers(2, 40))
def test_it_is_as_in_mergekit(given_: tuple[float, ...], layers: int) -> None:
    expected = [mergekits(given_, layer, layers) for layer in range(layers)]
    assert values(Gradient(given_), layers) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(anchors, st.integers(1, 40))
def test_first_and_last_layer_have_first_and_last_anchor_and_none_lies_beyond_them(
    given_: tuple[float, ...], layers: int
) -> None:
    found = values(Gradient(given_), layers)
    assert found[0] == given_[0]
    assert layers == 1 or found[-1] == given_[-1]
    slack = 1e-9 * max(map(abs, given_))
    assert min(given_) - slack <= min(found) <= max(found) <= max(given_) + slack


@given(anchors, st.integers(1, 40))
def test_gradients_that_are_equal_at_their_anchors_sum_as_those_do(given_: tuple[float, ...], layers: int) -> None:
    other = Gradient(given_).complement()
    for depth in depths(layers):
        assert Gradient(given_).at(depth) + other.at(depth) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("rest", "expected"), [(None, (1.0, 0.0)), (0.4, (0.4, 0.4)), (0.0, (0.0, 0.0))])
def test_outside_of_the_layers_it_is_as_in_the_nearest_or_what_is_said(
    rest: float | None, expected: tuple[float, float]
) -> None:
    before, *_, after = depths(5)
    gradient = Gradient((1.0, 0.0), rest)
    assert (gradient.at(before), gradient.at(after)) == expected


def test_a_complement_has_the_complement_of_the_rest() -> None:
    assert Gradient((0.0, 0.25), 0.5).complement() == Gradient((1.0, 0.75), 0.5)
    assert Gradient((0.0,)).complement() == Gradient((1.0,))


@pytest.mark.parametrize(
    ("gradient", "text"),
    [
        (Gradient((1.0, 0.5, 0.0)), "[1 … 0.5 … 0]"),
        (Gradient((1 / 3,)), "[0.333333]"),
        (Gradient((0.0, 1.0), 0.25), "[0 … 1, elsewhere 0.25]"),
    ],
)
def test_it_is_shown_by_its_anchors(gradient: Gradient, text: str) -> None:
    assert f"{gradient:.6g}" == text
