from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strict_json import strictly
from xttsrecipe.report.json_text import json_text

KEYS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=4)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.tuples(below, below) | st.dictionaries(KEYS, below, max_size=3),
    max_leaves=12,
)


@given(DATA)
def test_any_data_is_json_that_every_parser_takes(data: Any) -> None:
    text = json_text(data)
    strictly(text)
    assert text.isascii()
    assert text.endswith("\n")


SHORT = st.text(max_size=4)


@given(
    st.recursive(
        st.none() | st.integers() | SHORT,
        lambda below: st.lists(below, max_size=3) | st.dictionaries(SHORT, below, max_size=3),
        max_leaves=8,
    )
)
def test_what_json_has_reads_back_in_its_order(data: Any) -> None:
    assert json.dumps(strictly(json_text(data))) == json.dumps(data)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_null_wherever_it_stands(value: float) -> None:
    data = {"a": value, "b": [1.5, value], "c": {"d": (value,)}}
    assert strictly(json_text(data)) == {"a": None, "b": [1.5, None], "c": {"d": [None]}}


def test_a_key_that_is_no_finite_number_is_left_out() -> None:
    assert strictly(json_text({math.nan: 1, math.inf: 2, 0.5: 3, 1: 4, None: 5})) == {"0.5": 3, "1": 4, "null": 5}


def test_what_json_does_not_know_is_text() -> None:
    assert strictly(json_text({"path": Path("a/b.pth")})) == {"path": "a/b.pth"}


def test_it_is_indented() -> None:
    assert json_text({"a": [1]}) == '{\n  "a": [\n    1\n  ]\n}\n'
