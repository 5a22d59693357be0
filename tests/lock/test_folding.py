from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.lock.folding import folded, ranges, unfolded
from xttsrecipe.xtts import known_tensors

PARTS = st.sampled_from(["a", "0", "1", "2", "3", "4", "10", "01", "{0..2}x", "ü", ""])
KEYS = st.lists(PARTS, min_size=1, max_size=4).map(".".join)


def test_layers_are_one_line() -> None:
    keys = {f"gpt.gpt.h.{layer}.ln_1.weight": "1024" for layer in range(30)}
    assert folded(keys) == {"gpt.gpt.h.{0..29}.ln_1.weight": "1024"}


def test_several_numbers_in_a_key_are_folded_each() -> None:
    keys = {f"blocks.{block}.convs.{conv}.bias": 1 for block in range(12) for conv in range(3)}
    assert folded(keys) == {"blocks.{0..11}.convs.{0..2}.bias": 1}


def test_what_has_another_value_stands_apart() -> None:
    keys = {f"h.{layer}.w": "8" if layer == 2 else "4" for layer in range(7)}
    assert folded(keys) == {"h.0.w": "4", "h.1.w": "4", "h.2.w": "8", "h.{3..6}.w": "4"}


def test_the_whole_table_comes_back_and_is_short() -> None:
    table = {key: str(spec) for key, spec in known_tensors().items()}
    lines = folded(table)
    assert {key: value for line, value in lines.items() for key in unfolded(line, 1000)} == table
    assert len(lines) < len(table) / 3


@given(st.dictionaries(KEYS, st.integers(0, 2), max_size=40))
def test_every_key_comes_back_once(values: dict[str, int]) -> None:
    lines = folded(values)
    assert list(lines) == sorted(lines)
    pairs = [(key, value) for line, value in lines.items() for key in unfolded(line, 1000)]
    assert len(pairs) == len(values)
    assert dict(pairs) == values


def test_a_key_that_looks_like_a_range_is_refused() -> None:
    with pytest.raises(ValueError, match="looks like a range"):
        folded({"a.{0..3}.b": 1})


def test_a_range_of_too_many_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 1,000 keys"):
        unfolded("a.{0..99999}.{0..99999}.{0..99999}", 1000)


def test_a_range_backwards_stands_for_nothing() -> None:
    assert unfolded("a.{3..1}", 1000) == []


@given(st.sets(st.integers(0, 50)))
def test_ranges_hold_the_numbers(numbers: set[int]) -> None:
    found = list(ranges(numbers))
    assert [number for first, last in found for number in range(first, last + 1)] == sorted(numbers)
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(found))
