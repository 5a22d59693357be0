"""Inputs for the targets: good files, what hypothesis makes of them, and files that it makes up whole."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.checkpoints.crafted import (
    Member,
    call,
    dictionary,
    entry,
    find,
    find_on_stack,
    forge,
    laughs,
    members,
    number,
    program,
    short_bytes,
    storage,
    tensor,
    text,
    with_entry,
)
from tests.voices import NEWS, config_of, vocabulary

RECIPE = """\
name: both
description: Two voices.
checkpoints:
  news: news.pth
  audiobook: {path: "${VOICES}/audiobook.pth", sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}
weights: {news: 0.6, audiobook: 0.4}
normalize: false
method: {name: linear}
overrides:
  "*encoder*": from news
  "gpt.gpt.h.{0..9}.*": {weights: {news: 0.8, audiobook: 0.2}}
  "@decoder": {from: audiobook}
vocabulary: {news: vocab.json, order: news}
companions: from news
metadata: {from: news}
output: {path: merged.pth, layout: preserve, dtype: keep}
"""

VALUES = (
    *(b"N", b"K\x01", b"\x88", b"}", b"]", b")", b"\x8f", b"(", b"G?\xf0\0\0\0\0\0\0", b"I1\n", b"L5L\n", b"F1.5\n"),
    *(b"S'x'\n", b"V\\u0041\n", b"Pkey\n", b"ios\nsystem\n", number(2**61 - 1), number(-1), text("w"), laughs(8)),
    *(short_bytes(b"x"), storage(), tensor(), call(find("acme", "Thing"), b"K\x05"), find("torch", "float32")),
    *(find("builtins", "set"), find("datetime", "date"), find("os", "system"), find_on_stack("acme", "Thing.inner")),
    *(call(find("collections", "OrderedDict")), call(find("numpy", "dtype"), text("f8"))),
    find("torch._utils", "_rebuild_tensor_v2"),
)
OPCODES = (
    *(bytes([code]) for code in b"0122RbtldaesuQo\x81\x92\x90\x91\x93\x85\x86\x87\x94\x97"),
    *(b"q\x01", b"h\x01", b"r\x01\0\0\0", b"j\x01\0\0\0", b"p1\n", b"g1\n", b"\x95" + bytes(8), b"\x82\x01"),
)

_FIELD = st.sampled_from([0, 1, 2, 8, 9, 16, 30, 46, 99, 0x800, 0xFFFF]) | st.integers(0, 0xFFFF)
_LONG_FIELD = _FIELD | st.sampled_from([2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
_WIDE_FIELD = _LONG_FIELD | st.sampled_from([2**62, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)


def good() -> Mapping[str, Sequence[bytes]]:
    """Small files that every target takes, or refuses late."""
    pickles = [with_entry(b"N"), with_entry(call(find("acme", "Thing"), b"K\x05") + b"}" + text("a") + b"Nsb")]
    pickles.append(program(dictionary({"model": dictionary({"gpt.final_norm.weight": tensor()}), "optimizer": b"}"})))
    header: dict[str, Any] = {
        "__metadata__": {"format": "pt", "config": '{"model": "xtts"}'},
        "a": entry(),
        "b": entry([1, 2], 8, 16),
    }
    words, listed = vocabulary(NEWS, ["a b"]), vocabulary(NEWS)
    listed["model"]["merges"] = [["a", "b"]]
    return {
        "recipe": [RECIPE.encode(), b"checkpoints: {a: a.pth}\noutput: {path: o.pth}\n"],
        "pickle": pickles,
        "archive": [_archive(members(each)) for each in pickles],
        "safetensors": [json.dumps(header).encode(), json.dumps({"gpt.mel_head.bias": entry([4], 0, 16)}).encode()],
        "vocabulary": [json.dumps(each).encode() for each in (words, listed)],
        "config": [json.dumps(config_of(NEWS)).encode()],
    }


def _archive(records: Sequence[Member], **end: Any) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        return forge(Path(file.name), *records, **end).read_bytes()


# -- files that are changed in a few places

_YAML = (
    *(
        b"\n",
        b"  ",
        b": ",
        b"- ",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b"&a ",
        b"*a",
        b"!!str ",
        b"'",
        b'"',
        b"\\",
        b"? ",
        b"<<",
    ),
    *(b"|", b">", b"%", b"@", b"#", b"~", b"\0", b"\t", b"\xff", b"---", b"{0..99}", b"{a,b}", b"*", b".nan", b"0x1"),
    *(b"1e999", b"from news", b"from ", b"news", b"\\ud800", b"${A}", b"../", b"~x/"),
)
_JSON_TOKENS = (
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"null", b"true", b"NaN", b"-1", b"1e999", b"9" * 30, b"0.5"),
    *(b'"a"', b"\\ud800", b"\xff", b"\xed\xa0\x80", b'"F32"', b'"shape"', b"[0,8]", b'"vocab"', b'"merges"'),
)
_ZIP = (
    *(b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"\xff" * 4, b"\xff" * 8, bytes(8)),
    *(b"archive/data/0", b"archive/data.pkl", b"/", b"\x01\0\x08\0"),
)
_TOKENS: Mapping[str, Sequence[bytes]] = {
    "recipe": _YAML,
    "pickle": (*VALUES, *OPCODES, b".", b"\x80\x04"),
    "archive": _ZIP,
    "safetensors": _JSON_TOKENS,
    "vocabulary": _JSON_TOKENS,
    "config": _JSON_TOKENS,
}


@st.composite
def changed(draw: st.DrawFn, name: str) -> bytes:
    """A good file with a few bytes replaced, taken out or put in."""
    data = draw(st.sampled_from(_GOOD[name]))
    tokens = st.sampled_from(_TOKENS[name]) | st.binary(max_size=8)
    changes = st.tuples(st.integers(0, 1 << 16), st.integers(0, 40), tokens)
    for place, count, token in draw(st.lists(changes, max_size=8)):
        at = place % (len(data) + 1)
        data = data[:at] + token + data[at + count :]
    return data


# -- files that are made up whole


def programs() -> st.SearchStrategy[bytes]:
    """Pickles of valid opcodes in any order."""
    pieces = st.sampled_from(VALUES) | st.sampled_from(OPCODES)
    return st.lists(pieces, max_size=30).map(lambda found: b"\x80\x04" + b"".join(found) + b".")


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """Zip files whose headers say anything."""
    records = []
    for record in draw(st.permutations(members(draw(st.sampled_from(_GOOD["pickle"])))))[: draw(st.integers(1, 4))]:
        local = draw(st.dictionaries(st.sampled_from(["flags", "method", "name_length", "extra_length"]), _FIELD))
        central: dict[str, Any] = draw(
            st.dictionaries(st.sampled_from(["flags", "method", "disk", "comment_length"]), _FIELD)
        )
        central |= draw(st.dictionaries(st.sampled_from(["size", "packed", "offset", "crc"]), _LONG_FIELD, max_size=2))
        if draw(st.booleans()):
            central |= {"size": 0xFFFFFFFF, "extra": b"\1\0\x08\0" + draw(_WIDE_FIELD).to_bytes(8, "little")}
        records.append(Member(record.name, record.data, local, central))
    end: dict[str, Any] = draw(st.dictionaries(st.sampled_from(["disk", "here", "all", "comment"]), _FIELD, max_size=2))
    end |= draw(st.dictionaries(st.sampled_from(["size", "offset"]), _LONG_FIELD, max_size=1))
    end |= draw(st.dictionaries(st.sampled_from(["size64", "offset64", "all64"]), _WIDE_FIELD, max_size=2))
    return _archive(records, **end)


_SCALARS = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=5)
_JSON = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
_COUNTS = st.integers(-1, 20) | st.sampled_from([2**31, 2**32, 2**62, 2**64]) | _SCALARS


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """Headers of safetensors files, near enough to right ones."""
    codes = st.sampled_from(["F32", "F16", "U8", "BOOL", "F4", ""]) | _SCALARS
    offsets = st.lists(_COUNTS, min_size=2, max_size=2) | _JSON
    shapes = st.lists(_COUNTS, max_size=4) | _JSON
    tensors = st.fixed_dictionaries({"dtype": codes, "shape": shapes, "data_offsets": offsets}) | _JSON
    header = draw(st.dictionaries(st.text(max_size=4) | st.just("gpt.final_norm.weight"), tensors, max_size=4))
    if draw(st.booleans()):
        texts = st.text(max_size=8) | _JSON.map(json.dumps)
        header["__metadata__"] = draw(st.dictionaries(st.sampled_from(["config", "step", "xttsrecipe"]), texts) | _JSON)
    return json.dumps(header).encode()


@st.composite
def recipes(draw: st.DrawFn) -> bytes:
    """Recipes of the right fields with values of any kind, as JSON, which is YAML."""
    names = st.sampled_from(["news", "audiobook", "order", "", "a b"])
    patterns = st.text("*?[]{}!,.\\@|a0", max_size=12) | st.sampled_from(["*", "@gpt", "gpt.gpt.h.{0..9}.*"])
    weights = st.dictionaries(names, st.floats() | st.integers() | _JSON, max_size=3)
    decisions = st.fixed_dictionaries({}, optional={"from": names, "weights": weights, "method": _JSON})
    paths = st.text(max_size=12) | st.sampled_from(["a.pth", "o/", "~/x.pth", "${X}.pth", "\0", "\ud800.pth"])
    data = {
        "checkpoints": draw(st.dictionaries(names, paths | _JSON, max_size=3)),
        "output": draw(st.fixed_dictionaries({"path": paths | _JSON}, optional={"dtype": _JSON, "layout": _JSON})),
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "weights": weights | _JSON,
        "normalize": st.booleans() | _JSON,
        "method": _JSON,
        "overrides": st.dictionaries(patterns, decisions | names.map("from {}".format) | _JSON, max_size=4),
        "vocabulary": st.dictionaries(names, paths | _JSON, max_size=3),
        "companions": names.map("from {}".format) | _JSON,
        "metadata": st.dictionaries(st.just("from"), names) | _JSON,
        "name": _JSON,
    }
    return json.dumps(data | draw(st.fixed_dictionaries({}, optional=optional))).encode()


@st.composite
def vocabularies(draw: st.DrawFn) -> bytes:
    """vocab.json files of the right parts with values of any kind."""
    words = st.text("ab# ", max_size=3)
    vocab = draw(st.dictionaries(words, st.integers(-1, 9) | _JSON, max_size=6) | _JSON)
    pairs = st.lists(words, min_size=1, max_size=3)
    merges = draw(st.lists(pairs | pairs.map(" ".join) | _JSON, max_size=4) | _JSON)
    data = vocabulary(NEWS)
    data["model"] |= {"vocab": vocab, "merges": merges} | draw(
        st.dictionaries(st.sampled_from(["continuing_subword_prefix", "type"]), words | _JSON, max_size=1)
    )
    return json.dumps(data | draw(st.dictionaries(st.sampled_from(["added_tokens", "version"]), _JSON))).encode()


_GOOD = good()
INPUTS: Mapping[str, st.SearchStrategy[bytes]] = {
    "recipe": changed("recipe") | recipes() | st.binary(max_size=200),
    "pickle": changed("pickle") | programs() | st.binary(max_size=200),
    "archive": changed("archive") | archives() | st.binary(max_size=200).map(b"PK\x03\x04".__add__),
    "safetensors": changed("safetensors") | headers() | st.binary(max_size=200).map(b"{".__add__),
    "vocabulary": changed("vocabulary") | vocabularies() | st.binary(max_size=200),
    "config": changed("config") | _JSON.map(lambda data: json.dumps(data).encode()) | st.binary(max_size=200),
}
