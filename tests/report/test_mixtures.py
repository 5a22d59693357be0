from __future__ import annotations

import pytest

from xttsrecipe.depth import Gradient
from xttsrecipe.report.layout import cut
from xttsrecipe.report.mixtures import (
    base_text,
    made_text,
    method_text,
    plain_value,
    shares_text,
    uses_weights,
    value_text,
)


def test_how_a_tensor_is_made_is_said_in_a_line() -> None:
    text = made_text("ties", {"density": 0.3, "lambda": 1.0}, [("news", 1.0), ("audiobook", 0.5)], "original")
    assert text == "ties (density 0.3, lambda 1): news 1, audiobook 0.5; base original"
    assert made_text("linear", {}, [("news", 0.6), ("audiobook", 0.4)], None) == "linear: news 0.6, audiobook 0.4"
    assert made_text("linear", {}, [("news", 1.0)], None, by_token=True) == "linear by token: news 1"


def test_what_the_weights_say_already_is_left_out() -> None:
    assert method_text("slerp", {"t": 0.3}) == "slerp"
    assert method_text("nearswap", {"t": 0.3}) == "nearswap (t 0.3)"


@pytest.mark.parametrize(
    ("method", "shares", "text"),
    [
        ("linear", [("a", 1 / 3), ("b", 2 / 3)], "a 0.333333, b 0.666667"),
        ("slerp", [("a", 0.7), ("b", 0.3)], "a 0.7, b 0.3"),
        ("median", [("a", 0.5), ("b", 0.5), ("c", 0.0)], "a, b"),
        ("nearswap", [("a", 1.0)], "a"),
        ("ties", [("a", Gradient((1.0, 0.0))), ("b", -1.0)], "a [1 … 0], b -1"),
        ("of a later version", [("a", 1.0)], "a 1"),
    ],
)
def test_shares_are_said_where_they_matter(method: str, shares: list[tuple[str, float]], text: str) -> None:
    assert shares_text(method, shares) == text


def test_shares_may_be_said_with_fewer_digits_and_with_names_made_fit() -> None:
    assert shares_text("linear", [("a\x1b", 1 / 3)], ".3g", cut) == "a\\x1b 0.333"
    assert base_text("a\x1b", cut) == "; base a\\x1b"
    assert base_text(None) == ""


@pytest.mark.parametrize("method", ["linear", "slerp", "ties", "karcher", "of a later version"])
def test_methods_with_weights(method: str) -> None:
    assert uses_weights(method)


@pytest.mark.parametrize("method", ["median", "model_stock", "add_difference", "sce"])
def test_methods_without_weights(method: str) -> None:
    assert not uses_weights(method)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.3, "0.3"),
        (1.0, "1"),
        (1e-12, "1e-12"),
        (True, "true"),
        (False, "false"),
        (42, "42"),
        (10**20, "100000000000000000000"),
        ((0.3, 0.5), "0.3/0.5"),
        ((Gradient((0.1, 0.5), 0.2), 1.0), "[0.1 … 0.5, elsewhere 0.2]/1"),
        (Gradient((1.0, 0.0)), "[1 … 0]"),
    ],
)
def test_a_value_is_said_as_short_as_it_can(value: object, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (0.3, 0.3),
        (True, True),
        ((0.3, Gradient((1.0,))), [0.3, {"layers": [1.0]}]),
        (Gradient((1.0, 0.0), 0.5), {"layers": [1.0, 0.0], "rest": 0.5}),
    ],
)
def test_for_machines_what_varies_is_as_recipes_have_it(value: object, data: object) -> None:
    assert plain_value(value) == data
