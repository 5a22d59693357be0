from __future__ import annotations

import collections
import datetime
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.checkpoints.crafted import PROTOCOLS, call, entry_of, find, program, refusal, says, text
from xttsrecipe.checkpoints import open_checkpoint
from xttsrecipe.checkpoints.inert_pickle import load
from xttsrecipe.checkpoints.plain import to_plain
from xttsrecipe.checkpoints.records import (
    MalformedPickleError,
    PickledStorage,
    PickledTensor,
    PlainDict,
    Record,
    StorageType,
)
from xttsrecipe.specs import DType

FLOATS = StorageType("FloatStorage", DType.FLOAT32)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def same(first: object, second: object) -> bool:
    """Equal with the same types all the way down: True is not 1."""
    if type(first) is not type(second):
        return False
    if isinstance(first, dict) and isinstance(second, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


@given(plain)
def test_plain_data_is_left_as_it_is(value: object) -> None:
    assert same(to_plain(value), value)
    assert same(to_plain(to_plain(value)), value)


@given(plain, st.sampled_from(PROTOCOLS))
def test_plain_metadata_comes_out_of_a_checkpoint_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, value: object, protocol: int
) -> None:
    assert same(entry_of(tmp_path_factory.getbasetemp() / "plain.pth", value, protocol), value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", ["\ud800", "\udcff tail", "\0", "ünï 🎙", 2**2000, -(2**64), 1e-320, -0.0, math.inf])
def test_odd_values_survive(tmp_path: Path, value: object, protocol: int) -> None:
    found = entry_of(tmp_path / "model.pth", [value], protocol)
    assert same(found, [value])
    assert repr(found) == repr([value])


def test_a_nan_stays_a_nan(tmp_path: Path) -> None:
    assert math.isnan(entry_of(tmp_path / "model.pth", math.nan))


everything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text()
    | st.binary()
    | st.complex_numbers()
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.timedeltas()
    | st.sampled_from(list(DType))
    | st.builds(Record, st.integers(), st.text())
    | st.just(PickledTensor(PickledStorage("0", FLOATS, 4), DType.FLOAT32, 0, (2, 2), (2, 1))),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.text()) | st.none(), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(everything)
def test_whatever_goes_in_json_comes_out(value: object) -> None:
    json.dumps(to_plain(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2,)), [1, [2]]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset("ba"), ["a", "b"]),
        ({1: "a", None: "b", (1, 2): "c"}, {1: "a", None: "b", "a tuple": "c"}),
        (PlainDict(a=PlainDict(b=1)), {"a": {"b": 1}}),
        (collections.OrderedDict(a=(1,)), {"a": [1]}),
        (b"abc", "3 bytes"),
        (datetime.date(2024, 6, 1), "2024-06-01"),
        (PickledTensor(PickledStorage("0", FLOATS, 4), DType.FLOAT16, 0, (2, 3), (3, 1)), "tensor 2x3 float16"),
        (
            PickledTensor(PickledStorage("0", StorageType("LongStorage", DType.INT64), 1), DType.INT64, 0, (), ()),
            "tensor scalar int64",
        ),
    ],
)
def test_other_values_have_a_plain_form(value: object, expected: object) -> None:
    assert same(to_plain(value), expected)


def thing(state: bytes = b"", arguments: tuple[bytes, ...] = (), items: bytes = b"") -> Any:
    """A record of acme.Thing, with what a pickle puts into one."""
    return load(program(call(find("acme", "Thing"), *arguments) + items + (state + b"b" if state else b"")))


def test_a_record_is_its_state_its_items_or_its_name() -> None:
    state = b"}" + text("rate") + b"K\x05s"
    slots = b"}" + text("gain") + b"K\x06s"
    assert to_plain(thing(state)) == {"rate": 5}
    assert to_plain(thing(state + slots + b"\x86")) == {"rate": 5, "gain": 6}
    assert to_plain(thing(b"N" + slots + b"\x86")) == {"gain": 6}
    assert to_plain(thing(b"K\x01K\x02\x86")) == "acme.Thing"
    assert to_plain(thing(items=b"(K\x01K\x02e")) == [1, 2]
    assert to_plain(thing(arguments=(text("red"),))) == "red"
    assert to_plain(thing(arguments=(text("red"), b"K\x01"))) == ["red", 1]
    assert to_plain(thing()) == "acme.Thing"


def _nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def test_64_levels_are_plain_and_more_are_refused() -> None:
    assert to_plain(_nested(64)) == _nested(64)
    with pytest.raises(MalformedPickleError, match="nested too deeply"):
        to_plain(_nested(65))
    with pytest.raises(MalformedPickleError, match="nested too deeply"):
        to_plain(_nested(100_000))


def test_a_quarter_of_a_million_nodes_are_the_limit() -> None:
    assert len(to_plain([0] * 249_999)) == 249_999
    with pytest.raises(MalformedPickleError):
        to_plain([0] * 250_000)


def test_a_list_that_contains_itself_is_refused() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    with pytest.raises(MalformedPickleError, match="refers to itself"):
        to_plain(cycle)


def test_a_tensor_in_the_metadata_is_described(tmp_path: Path) -> None:
    assert entry_of(tmp_path / "model.pth", {"mel": torch.ones(80)}) == {"mel": "tensor 80 float32"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_key_too_long_to_write_out_is_described(tmp_path: Path, protocol: int) -> None:
    found = entry_of(tmp_path / "model.pth", {2**20_000: 1, 2**2039: 2}, protocol)
    assert found == {"an integer of 20,001 bits": 1, 2**2039: 2}


def test_all_entries_of_a_file_together_have_that_limit(tmp_path: Path) -> None:
    """One list under many names is as many lists when it is written out."""
    shared = [[0] * 1_000] * 100
    path = tmp_path / "model.pth"
    torch.save({"model": {"w": torch.ones(1)}, "a": shared, "b": shared}, path)
    assert open_checkpoint(path).entries["b"] == shared
    torch.save({"model": {"w": torch.ones(1)}, "a": shared, "b": shared, "c": shared}, path)
    says(refusal(path), "metadata that is nested too deeply")


def test_an_integer_too_long_to_write_out_is_described(tmp_path: Path) -> None:
    assert entry_of(tmp_path / "model.pth", 2**5000, 2) == "an integer of 5,001 bits"
