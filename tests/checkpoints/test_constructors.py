from __future__ import annotations

import collections
import contextlib
import datetime
import decimal
import enum
import math
import pathlib
import struct
import sys
import types
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.checkpoints.crafted import (
    PROTOCOLS,
    call,
    entry_of,
    find,
    find_on_stack,
    foreign,
    load_entry,
    program,
    refusal,
    save_foreign,
    says,
    short_bytes,
    text,
    with_entry,
    zip_checkpoint,
)
from xttsrecipe.checkpoints import open_checkpoint
from xttsrecipe.checkpoints.constructors import constructor
from xttsrecipe.checkpoints.inert_pickle import load
from xttsrecipe.checkpoints.plain import to_plain
from xttsrecipe.checkpoints.records import MalformedPickleError

# -- numpy, which is not installed: what its versions write, opcode by opcode

MULTIARRAY = {"numpy 1": "numpy.core.multiarray", "numpy 2": "numpy._core.multiarray"}


def numpy_dtype(code: str, order: str = "<", *, old: bool = False) -> bytes:
    """numpy.dtype(code, align, copy), with its state; numpy before 1.20 wrote the flags as 0 and 1."""
    flags = b"K\x00K\x01" if old else b"\x89\x88"
    state = b"(K\x03" + text(order) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
    return find("numpy", "dtype") + text(code) + flags + b"\x87R" + state + b"b"


def raw_bytes(data: bytes, protocol: int) -> bytes:
    """Bytes as pickle writes them: up to protocol 2 as the text that they are in latin1."""
    if protocol > 2:
        return short_bytes(data)
    return call(find("_codecs", "encode"), text(data.decode("latin1")), text("latin1"))


def numpy_scalar(version: str, code: str, data: bytes, protocol: int = 2, order: str = "<") -> bytes:
    dtype = numpy_dtype(code, order, old=protocol == 2 and version == "numpy 1")
    return find(MULTIARRAY[version], "scalar") + dtype + raw_bytes(data, protocol) + b"\x86R"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("version", MULTIARRAY)
@pytest.mark.parametrize(
    ("code", "layout", "value"),
    [
        ("f8", "<d", 2.5123),
        ("f8", "<d", -math.inf),
        ("f4", "<f", 2.5),
        ("f2", "<e", 0.5),
        ("i8", "<q", -(2**63)),
        ("i4", "<i", -5),
        ("i2", "<h", -5),
        ("i1", "<b", -5),
        ("u8", "<Q", 2**64 - 1),
        ("u4", "<I", 5),
        ("u2", "<H", 5),
        ("u1", "<B", 255),
        ("b1", "<?", True),
    ],
)
def test_numpy_scalars_are_numbers(
    tmp_path: Path, code: str, layout: str, value: float, version: str, protocol: int
) -> None:
    order = "|" if struct.calcsize(layout) == 1 else "<"
    scalar = numpy_scalar(version, code, struct.pack(layout, value), protocol, order)
    found = load_entry(tmp_path, scalar, protocol)
    assert (found, type(found)) == (value, type(value))


def test_a_big_endian_numpy_scalar_is_the_number_it_was(tmp_path: Path) -> None:
    assert load_entry(tmp_path, numpy_scalar("numpy 2", "f8", struct.pack(">d", 2.5), order=">")) == 2.5


@given(st.floats(allow_nan=False))
def test_any_numpy_loss_comes_out_bit_for_bit(value: float) -> None:
    for version in MULTIARRAY:
        assert load(program(numpy_scalar(version, "f8", struct.pack("<d", value)))) == value


def test_numpy_scalars_of_other_types_and_arrays_are_inert(tmp_path: Path) -> None:
    complex_scalar = numpy_scalar("numpy 2", "c16", bytes(16))
    array = call(
        find("numpy._core.multiarray", "_reconstruct"), find("numpy", "ndarray"), b"K\x00\x85", short_bytes(b"b")
    )
    state = b"(K\x01K\x02\x85" + numpy_dtype("f8") + b"\x89" + short_bytes(bytes(16)) + b"t"
    assert load_entry(tmp_path, complex_scalar) == ["numpy.c16", "16 bytes"]
    assert load_entry(tmp_path, array + state + b"b") == ["numpy.ndarray", [0], "1 bytes"]


def test_a_numpy_scalar_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", with_entry(numpy_scalar("numpy 2", "f8", b"1234")))
    says(refusal(path), "damaged", "nothing of it was executed")


def test_numpy_losses_in_a_trainers_file_are_plain(tmp_path: Path) -> None:
    losses = b"}(" + text("train_loss") + numpy_scalar("numpy 1", "f4", struct.pack("<f", 2.5))
    losses += text("eval_loss") + numpy_scalar("numpy 1", "f8", struct.pack("<d", 2.75)) + b"u"
    assert load_entry(tmp_path, losses) == {"train_loss": 2.5, "eval_loss": 2.75}


# -- what training leaves in checkpoints

DAY = datetime.date(2024, 6, 1)
MOMENT = datetime.datetime(2024, 6, 1, 12, 30, 5, 17)
UTC = find_on_stack("datetime", "timezone.utc")


PLAIN: list[tuple[Callable[[], object], object]] = [
    (lambda: pathlib.Path("/data/voices/news.pth"), "/data/voices/news.pth"),
    (lambda: pathlib.PurePosixPath("a", "b"), "a/b"),
    (lambda: pathlib.PureWindowsPath("c:\\voices", "a"), "c:\\voices\\a"),
    (lambda: DAY, "2024-06-01"),
    (lambda: MOMENT, "2024-06-01T12:30:05.000017"),
    (lambda: datetime.time(12, 30), "12:30:00"),
    (lambda: datetime.timedelta(days=1, seconds=5), "1 day, 0:00:05"),
    (lambda: collections.Counter("abca"), {"a": 2, "b": 1, "c": 1}),
    (lambda: collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    (lambda: collections.defaultdict(list, a=[1]), {"a": [1]}),
    (lambda: collections.defaultdict(dict, a={"b": 1}), {"a": {"b": 1}}),
    (lambda: collections.defaultdict(float, a=0.5), {"a": 0.5}),
    (lambda: collections.deque([1, 2], maxlen=3), [1, 2]),
    (lambda: {1, 2, 3}, [1, 2, 3]),
    (lambda: {"a"}, ["a"]),
    (lambda: frozenset([5]), [5]),
    (lambda: (1, (2, 3)), [1, [2, 3]]),
    (lambda: types.SimpleNamespace(a=1, b=types.SimpleNamespace(c=2)), {"a": 1, "b": {"c": 2}}),
    (lambda: decimal.Decimal("2.50"), "2.50"),
    (lambda: uuid.UUID(int=5), {"int": 5}),
    (lambda: torch.Size([2, 3]), [2, 3]),
    (lambda: torch.float16, "torch.float16"),
    (lambda: torch.device("cpu"), "cpu"),
    (lambda: torch.ones(2, 3), "tensor 2x3 float32"),
    (lambda: torch.tensor(5), "tensor scalar int64"),
    (lambda: torch.nn.Parameter(torch.ones(2)), "tensor 2 float32"),
    (lambda: b"abc", "3 bytes"),
    (lambda: b"", "0 bytes"),
    (lambda: 1 + 2j, "(1+2j)"),
    (lambda: 2**100, 2**100),
    (lambda: None, None),
    (lambda: torch.nn.Linear, "torch.nn.modules.linear.Linear"),
    (lambda: torch.nn.functional.relu, "torch.nn.functional.relu"),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("make", "expected"), PLAIN)
def test_what_training_leaves_is_plain_data(
    tmp_path: Path, make: Callable[[], object], expected: object, protocol: int
) -> None:
    found = entry_of(tmp_path / "model.pth", make(), protocol)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: collections.defaultdict(int, a=1), {"a": 1}),
        (lambda: collections.defaultdict(str, a="b"), {"a": "b"}),
        (lambda: collections.defaultdict(collections.Counter), {}),
    ],
)
def test_a_defaultdict_of_numbers_or_text_is_plain_data(
    tmp_path: Path, make: Callable[[], object], expected: object, protocol: int
) -> None:
    assert entry_of(tmp_path / "model.pth", make(), protocol) == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("make", [lambda: range(3), lambda: int, lambda: str])
def test_what_python_2_called_otherwise_is_accused_of_nothing(
    tmp_path: Path, make: Callable[[], object], protocol: int
) -> None:
    assert entry_of(tmp_path / "model.pth", make(), protocol) is not None


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("zone", [datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=2))])
def test_a_datetime_with_a_time_zone_keeps_it(tmp_path: Path, zone: datetime.timezone, protocol: int) -> None:
    moment = MOMENT.replace(tzinfo=zone)
    assert entry_of(tmp_path / "model.pth", moment, protocol) == moment.isoformat()


def test_utc_may_be_named_as_such() -> None:
    moment = call(find("datetime", "datetime"), short_bytes(b"\x07\xe8\x06\x01\x0c\x00\x00\x00\x00\x00"), UTC)
    assert to_plain(load(b"\x80\x04" + moment + b".")) == "2024-06-01T12:00:00+00:00"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_bytearray_is_as_short_as_bytes(tmp_path: Path, protocol: int) -> None:
    assert entry_of(tmp_path / "model.pth", bytearray(1000), protocol) == "1000 bytes"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_bare_object_is_inert(tmp_path: Path, protocol: int) -> None:
    assert "object" in entry_of(tmp_path / "model.pth", object(), protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: slice(1, 2), [1, 2, None]),
        (lambda: Ellipsis, "builtins.Ellipsis"),
        (lambda: ValueError("lost"), "lost"),
    ],
)
def test_other_builtins_are_inert(tmp_path: Path, make: Callable[[], object], expected: object, protocol: int) -> None:
    assert entry_of(tmp_path / "model.pth", make(), protocol) == expected


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Mode(str, enum.Enum):
    FAST = "fast"


class Flags(enum.Flag):
    A = 1
    B = 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("member", "expected"), [(Colour.RED, "red"), (Level.HIGH, 3), (Mode.FAST, "fast"), (Flags.A | Flags.B, 3)]
)
def test_enum_members_are_their_values(tmp_path: Path, member: enum.Enum, expected: object, protocol: int) -> None:
    path = save_foreign(tmp_path / "model.pth", foreign(type(member), "acme.enums"), member, protocol)
    assert open_checkpoint(path).entries["entry"] == expected


@given(
    st.dates(),
    st.datetimes(),
    st.times(),
    st.lists(st.text("abc/. ", min_size=1), max_size=4),
    st.dictionaries(st.text(), st.integers()),
    st.sampled_from(PROTOCOLS),
)
def test_any_of_them_comes_out_whole(
    tmp_path_factory: pytest.TempPathFactory,
    day: datetime.date,
    moment: datetime.datetime,
    time: datetime.time,
    parts: list[str],
    counts: dict[str, int],
    protocol: int,
) -> None:
    path = pathlib.PurePosixPath(*parts)
    value = [day, moment, time, path, collections.Counter(counts), collections.OrderedDict(counts)]
    expected: Any = [day.isoformat(), moment.isoformat(), time.isoformat(), str(path), counts, counts]
    assert entry_of(tmp_path_factory.getbasetemp() / "any.pth", value, protocol) == expected


def test_the_older_name_of_a_path_is_a_path() -> None:
    """Python 3.13 pickles paths from pathlib._local."""
    value = load(program(call(find("pathlib._local", "PosixPath"), text("/"), text("data"))))
    assert to_plain(value) == "/data"


def test_only_what_is_listed_is_built() -> None:
    assert constructor("collections", "OrderedDict") is not None
    for module, name in [("builtins", "eval"), ("builtins", "open"), ("os", "system"), ("torch", "load"), ("x", "set")]:
        assert constructor(module, name) is None


@pytest.mark.parametrize("encoding", ["rot13", "zlib_codec", "unicode_escape", "utf-16", "idna", "no such"])
def test_bytes_in_another_encoding_are_refused(tmp_path: Path, encoding: str) -> None:
    value = call(find("_codecs", "encode"), text("x"), text(encoding))
    says(refusal(zip_checkpoint(tmp_path / "model.pth", with_entry(value))), "damaged", encoding)


def test_text_in_another_encoding_imports_no_codec() -> None:
    sys.modules.pop("encodings.cp037", None)
    with contextlib.suppress(MalformedPickleError):
        load(program(call(find("builtins", "str"), short_bytes(b"x"), text("cp037"))))
    assert "encodings.cp037" not in sys.modules


@pytest.mark.parametrize("length", [64, 65, 100_000])
def test_a_size_has_no_more_dimensions_than_torch_has(length: int) -> None:
    """It is a tuple: one that is long would be walked wherever it is a key."""
    size = call(find("torch", "Size"), b"](" + b"K\x01" * length + b"e")
    if length <= 64:
        assert load(program(size)) == (1,) * length
    else:
        with pytest.raises(MalformedPickleError, match=f"a size of {length:,} dimensions"):
            load(program(size))


@pytest.mark.parametrize(
    "arguments", [(text("z" * 1_000_000), b"K\x20"), (text("9" * 19),), (short_bytes(b"9" * 19),), (b"N",), (b"]",)]
)
def test_a_whole_number_is_made_of_a_number_or_of_few_digits(arguments: tuple[bytes, ...]) -> None:
    with pytest.raises(MalformedPickleError, match="a whole number made of something that is none"):
        load(program(call(find("builtins", "int"), *arguments)))


@pytest.mark.parametrize(
    ("argument", "made"), [(b"K\x07", 7), (text("12"), 12), (short_bytes(b"-3"), -3), (b"\x88", 1)]
)
def test_a_whole_number_of_one_is_that(argument: bytes, made: int) -> None:
    assert load(program(call(find("builtins", "int"), argument))) == made


def test_complex_numbers_are_text_from_the_start(tmp_path: Path) -> None:
    assert load(program(call(find("builtins", "complex"), b"K\x01", b"K\x02"))) == "(1+2j)"
    assert entry_of(tmp_path / "model.pth", {1 + 2j: -0.5j}) == {"(1+2j)": str(-0.5j)}
