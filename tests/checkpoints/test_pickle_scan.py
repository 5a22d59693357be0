from __future__ import annotations

import contextlib
import pickle
import random
import struct
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.checkpoints.crafted import PROTOCOLS, call, find, laughs, number, program, text
from xttsrecipe.checkpoints.pickle_scan import scan


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_python_pickles_passes(protocol: int) -> None:
    """Every kind of opcode that the protocols have for plain values, and more values than a short memo index has."""
    numbers = [None, True, False, 0, 255, 65_535, -1, 2**31, 2**80, 2**3000, 2.5]
    texts = ["", "x", "é" * 300, "a\nb", b"", b"x", b"y" * 300, bytearray(b"z")]
    tuples: list[Any] = [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((1, 2), ("a", (3,)))]
    groups: list[Any] = [set("ab"), frozenset("ab"), {"a": 1}, {}, [], [[]], {(1, "k"): [ValueError("x")]}]
    many = [(str(index), index) for index in range(1000)]
    scan(pickle.dumps([numbers, texts, tuples, groups, many, many[5:9], random.getstate()], protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_an_optimizer_leaves_passes(protocol: int) -> None:
    parameters = [torch.nn.Parameter(torch.ones(3)) for _ in range(300)]
    optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.96))
    for parameter in parameters:
        parameter.grad = torch.ones(3)
    optimizer.step()
    scan(pickle.dumps(optimizer.state_dict(), protocol))


nested = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple),
    max_leaves=50,
)


@given(nested, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_any_nesting_that_is_spelled_out_passes(value: object, protocol: int) -> None:
    scan(pickle.dumps(value, protocol))


@pytest.mark.parametrize("levels", [1, 100, 1000])
def test_a_thousand_levels_pass(levels: int) -> None:
    scan(program(b")" + b"\x85" * levels))


def test_a_tuple_of_sixty_thousand_numbers_passes() -> None:
    scan(program(b"(" + b"K\x01" * 60_000 + b"t"))


TUPLES = {
    "fetched twice": laughs(),
    "fetched by either opcode": b")q\x00" + b"0j\x00\0\0\0h\x00\x86r\x00\0\0\0" * 60,
    "fetched by text": b")p0\n" + b"0g0\ng0\n\x86p0\n" * 60,
    "memoized": b")\x94" + b"".join(b"0h%ch%c\x86\x94" % (at, at) for at in range(60)),
    "duplicated": b")" + b"2\x86" * 60,
    "from a mark": b")q\x00" + b"0(h\x00h\x00tq\x00" * 60,
    "behind a mark that is popped": b")q\x00" + b"0(0h\x00h\x00\x86q\x00" * 60,
    "deep": b")" + b"\x85" * 100_000,
    "deep, to the left": b")" + b"N\x86" * 100_000,
    "deep, from marks": b"(" * 100_000 + b"t" * 100_000,
    "wide": b"(" + b"K\x01" * 100_000 + b"t",
}


@pytest.mark.parametrize("value", TUPLES.values(), ids=TUPLES)
def test_tuples_that_grow_beyond_reason_are_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="tuple of tuples"):
        scan(program(value))


LARGE_KEYS = {
    "tuple": b"(" + b"K\x01" * 60_000 + b"tq\x00",
    "frozenset": b"(" + b"K\x01" * 60_000 + b"\x91q\x00",
    "text": b"X" + struct.pack("<I", 16 << 20) + bytes(16 << 20) + b"q\x00",
    "bytes": b"B" + struct.pack("<I", 16 << 20) + bytes(16 << 20) + b"r\x00\0\0\0",
    "number": number(1 << (8 * 16 << 20)) + b"q\x00",
    "text of protocol 0": b"V" + b"x" * (16 << 20) + b"\np0\n",
}


@pytest.mark.parametrize("key", LARGE_KEYS.values(), ids=LARGE_KEYS)
@pytest.mark.parametrize(
    "opening", [b"}" + b"h\x00Ns" * 300, b"}(" + b"h\x00N" * 300 + b"u", b"\x8f(" + b"h\x00" * 300 + b"\x90"]
)
def test_large_keys_again_and_again_are_refused(key: bytes, opening: bytes) -> None:
    with pytest.raises(ValueError, match="for keys beyond any real checkpoint"):
        scan(program(key + b"0" + opening))


@pytest.mark.parametrize("spelled", [number, lambda value: b"L%dL\n" % value, lambda value: b"I%d\n" % value])
def test_keys_that_python_gives_one_hash_are_refused(spelled: Callable[[int], bytes]) -> None:
    folded = [place * (2**61 - 1) for place in range(1, 20_000)]
    assert len(set(map(hash, folded))) == 1
    with pytest.raises(ValueError, match="for keys"):
        scan(program(b"}(" + b"".join(spelled(value) + b"N" for value in folded) + b"u"))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_many_keys_of_the_usual_kinds_pass(protocol: int) -> None:
    scan(
        pickle.dumps(
            {**dict.fromkeys(range(20_000)), **{f"layer.{n}.weight" * 3: None for n in range(20_000)}}, protocol
        )
    )


def test_a_million_opcodes_are_the_limit() -> None:
    scan(program(b"N0" * 499_999))
    with pytest.raises(ValueError, match="more than 1,000,000 opcodes"):
        scan(program(b"N0" * 500_000))


LONG_TEXT = b"X" + struct.pack("<I", 4 << 20) + bytes(4 << 20)


@pytest.mark.parametrize(
    "value",
    [
        b"Nr" + (1 << 20).to_bytes(4, "little"),
        b"Nr\xff\xff\xff\xff",
        b"Np99999999\n",
        LONG_TEXT + b"r" + (2 << 20).to_bytes(4, "little"),
        LONG_TEXT + b"p2000000\n",
    ],
    ids=["binary", "largest", "as text", "within a long text's length", "the same as text"],
)
def test_a_memo_index_beyond_all_values_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="number beyond that of all its values"):
        scan(program(value))


def test_two_ways_of_numbering_are_refused() -> None:
    with pytest.raises(ValueError, match="two ways"):
        scan(b"\x80\x04N\x94q\x00.")


@pytest.mark.parametrize(
    "pickled",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02K",
        program(b"t"),
        program(b"R"),
        program(b"0"),
        program(text("word")[:-1]),
        program(find("acme", "Thing")[:-1])[:-1],
        program(b"\xff"),
        program(b"\x8e" + (2**40).to_bytes(8, "little")),
    ],
)
def test_what_ends_in_the_middle_or_takes_what_is_not_there_is_refused(pickled: bytes) -> None:
    with pytest.raises(ValueError, match=r"middle|opcode"):
        scan(pickled)


def test_calls_take_the_weight_of_their_arguments_away() -> None:
    """What they give is no tuple: a list of many tensors is no tuple of tuples."""
    scan(program(b"(" + call(find("acme", "Thing"), b"K\x01K\x02\x86") * 10_000 + b"l"))


@given(st.binary(max_size=100))
def test_any_bytes_pass_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        scan(data)
