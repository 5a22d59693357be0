"""Attacks in the header of a safetensors file."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from tests.checkpoints.crafted import craft, entry
from tests.hostile.attack import HARMLESS, Corpus

EIGHT = bytes(8)


def named(path: Path, **tensors: object) -> Path:
    """A file of these tensors, with eight bytes of data."""
    return craft(path, tensors, EIGHT)


def sized(path: Path, length: int, size: int = 0) -> Path:
    """A file that says its header has so many bytes, filled up with nothing to ``size``."""
    craft(path, '{"w":1}', length=length)
    with path.open("r+b") as file:
        file.truncate(max(size, path.stat().st_size))
    return path


def metadata(path: Path, said: object) -> Path:
    return named(path, __metadata__=said, w=entry())


SAFETENSORS: Corpus = {
    "a header of 2**63 bytes": (lambda path: sized(path, 2**63), "longer than the file, or than any real one"),
    "a header of 2**64 - 1 bytes": (lambda path: sized(path, 2**64 - 1), "longer than the file, or than any real one"),
    "a header of no bytes": (lambda path: sized(path, 0), "longer than the file, or than any real one"),
    "a header longer than the file": (lambda path: sized(path, 100), "longer than the file, or than any real one"),
    "a header of a sparse terabyte": (
        lambda path: sized(path, (1 << 40) - 8, 1 << 40),
        "longer than the file, or than any real one",
    ),
    "a header of megabytes of nothing": (lambda path: sized(path, 15_900_000, 15_900_008), "no proper JSON"),
    "a header that is not JSON": (lambda path: craft(path, "{'w': 1}"), "no proper JSON"),
    "a header that is a list": (lambda path: craft(path, "[]" * 9), "is not a checkpoint"),
    "a header in UTF-16": (lambda path: craft(path, "{}".encode("utf-16-le")), "holds no tensors|no proper JSON"),
    "a header a million levels deep": (lambda path: craft(path, '{"w":' + "[" * 1_000_000), "no proper JSON"),
    "a header of five million lists": (
        lambda path: craft(path, '{"w":[' + "[]," * 5_000_000 + "[]]}"),
        "values",
    ),
    "a header of a million tensors": (
        lambda path: craft(path, "{" + ",".join(f'"{n}":0' for n in range(1_200_000)) + "}"),
        "values",
    ),
    "two entries of one name": (
        lambda path: craft(path, '{"w":%s,"w":%s}' % ((json.dumps(entry()),) * 2), EIGHT),
        "'w' occurs twice",
    ),
    "two types for one tensor": (
        lambda path: craft(path, '{"w":{"dtype":"F32","dtype":"I8","shape":[2],"data_offsets":[0,8]}}', EIGHT),
        "'dtype' occurs twice",
    ),
    "a number of a million digits": (lambda path: craft(path, '{"w":' + "9" * 1_000_000 + "}"), "no proper JSON"),
    "NaN for a tensor": (lambda path: craft(path, '{"w":NaN}'), "without a proper dtype"),
    "tensors that overlap": (lambda path: named(path, a=entry(), b=entry(begin=0)), "overlaps another"),
    "a gap between tensors": (lambda path: named(path, a=entry([1], 0, 4), b=entry([1], 8, 12)), "leaves a gap"),
    "a gap before the first tensor": (lambda path: named(path, a=entry(begin=8, end=16)), "leaves a gap"),
    "bytes that belong to nobody": (lambda path: named(path, a=entry([1], 0, 4)), "after its last tensor"),
    "offsets beyond the file": (lambda path: named(path, a=entry([2**40], 0, 2**42)), "cut short"),
    "negative offsets": (lambda path: named(path, a=entry(begin=-8, end=0)), "no counts"),
    "offsets the wrong way round": (lambda path: named(path, a=entry(begin=8, end=0)), "bytes"),
    "offsets of 2**64": (lambda path: named(path, a=entry(begin=2**64 - 8, end=2**64)), "no counts"),
    "true and false for offsets": (
        lambda path: craft(path, {"w": entry([], False, True, "BOOL")}, b"\0"),
        "no counts",
    ),
    "true in place of a size": (lambda path: named(path, w=entry([True, 2])), "no counts"),
    "a size below nothing": (lambda path: named(path, w=entry([-2, -1])), "no counts"),
    "a size with a decimal point": (lambda path: named(path, w=entry([2.0])), "no counts"),
    "a billion elements in eight bytes": (lambda path: named(path, w=entry([10**9], 0, 8)), "damaged"),
    "a billion elements beyond the file": (lambda path: named(path, w=entry([10**9], 0, 4 * 10**9)), "cut short"),
    "a shape whose product wraps to 2": (lambda path: named(path, w=entry([2**32 + 1, 2**32 - 1, 2])), "no counts"),
    "a shape of a hundred thousand sizes": (lambda path: named(path, w=entry([2**61] * 100_000)), "no counts"),
    "a shape of sixty-five sizes": (lambda path: named(path, w=entry([1] * 64 + [2])), "no counts"),
    "a type that nobody knows": (lambda path: named(path, w=entry(dtype="F4\x1b[2J")), "of type"),
    "a type of a million letters": (lambda path: named(path, w=entry(dtype="F" * 1_000_000)), "of type"),
    "a type that is a number": (lambda path: named(path, w=entry(dtype=32)), "without a proper dtype"),
    "a shape that is a mapping": (lambda path: named(path, w=entry({"0": 2})), "without a proper dtype"),
    "a tensor with an own idea": (lambda path: named(path, w={**entry(), "file": "/etc/passwd"}), HARMLESS),
    "a name that leads elsewhere": (lambda path: named(path, **{"../../../etc/passwd": entry()}), HARMLESS),
    "a name of half a character": (lambda path: craft(path, {"\ud800": entry()}, EIGHT), HARMLESS),
    "a name of a million letters": (lambda path: named(path, **{"w" * 1_000_000: entry()}), "name"),
    "metadata that is a list": (lambda path: metadata(path, []), "not a mapping of text to text"),
    "metadata that is a number": (lambda path: metadata(path, {"step": 5}), "not a mapping of text to text"),
    "metadata of metadata": (
        lambda path: craft(path, {"__metadata__": {"__metadata__": "x"}, "w": entry()}, EIGHT),
        HARMLESS,
    ),
    "metadata that is deep JSON": (lambda path: metadata(path, {"config": "[" * 900 + "]" * 900}), HARMLESS),
    "metadata deep enough for a traceback": (
        lambda path: metadata(path, {"config": '{"a":' * 300 + "1" + "}" * 300}),
        HARMLESS,
    ),
    "metadata that is NaN": (
        lambda path: metadata(path, {"step": "NaN", "epoch": "-Infinity", "config": "[NaN]"}),
        HARMLESS,
    ),
    "metadata of hundreds of thousands of lists": (
        lambda path: metadata(path, {"config": "[" + "[]," * 260_000 + "[]]"}),
        HARMLESS,
    ),
    "metadata of a number of four thousand digits": (lambda path: metadata(path, {"step": "9" * 4_000}), HARMLESS),
    "a step of 2**1000": (lambda path: metadata(path, {"step": str(2**1000), "epoch": "1e400"}), HARMLESS),
    "metadata that claims to be ours": (
        lambda path: metadata(path, {"xttsrecipe": '{"version":[],"sources":[[],{"name":{}}],"training":7}'}),
        HARMLESS,
    ),
    "no tensors at all": (lambda path: craft(path, {"__metadata__": {}}), "holds no tensors"),
    "zero bytes and a brace": (lambda path: path.write_bytes(bytes(8) + b"{"), "longer than the file"),
    "a length and nothing": (lambda path: path.write_bytes(struct.pack("<Q", 2) + b"{"), "longer than the file"),
    **{
        f"a safetensors file cut after {end} bytes": (
            lambda path, end=end: path.write_bytes(named(path, w=entry()).read_bytes()[:end]),  # type: ignore[misc]
            "longer than the file|cut short|not a checkpoint|zeros",
        )
        for end in (1, 8, 9, 40, 70, -1, -8)
    },
}
