"""Attacks on the zip file around a data.pkl."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

from tests.checkpoints.crafted import (
    Member,
    dictionary,
    forge,
    member,
    members,
    program,
    storage,
    tensor,
    with_entry,
    zip_checkpoint,
)
from tests.hostile.attack import HARMLESS, Corpus

FOUR_GIB = 0xFFFFFFFF
PICKLE, ORDER, VERSION, DATA = members()
STORED = b"archive/data/0"
# A record in whose data a record of that name begins.
BLOB = member("blob", struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 33, 0, 16, 16, 14, 0) + STORED + bytes(16))


def zip64(*numbers: int) -> bytes:
    """An extra field that has what does not fit in 32 bits."""
    return struct.pack(f"<2H{len(numbers)}Q", 1, 8 * len(numbers), *numbers)


def with_data(path: Path, **headers: object) -> Path:
    """A checkpoint whose storage has these headers; ``data`` are its bytes."""
    return forge(path, PICKLE, ORDER, VERSION, Member(STORED, bytes(16), **headers))  # type: ignore[arg-type]


def beside(path: Path, *more: Member) -> Path:
    """A good checkpoint with more records."""
    return forge(path, PICKLE, ORDER, VERSION, DATA, *more)


def two_tensors(path: Path, **second: object) -> Path:
    """A checkpoint of two storages, the second with another directory entry."""
    pickled = program(dictionary({"a": tensor(), "b": tensor(storage(key="1"))}))
    one, order, version, data = members(pickled)
    return forge(path, one, order, version, data, Member(b"archive/data/1", bytes(16), central=second))


def cut(path: Path, end: int) -> Path:
    """A good checkpoint without what is beyond ``end``."""
    whole = beside(path).read_bytes()
    path.write_bytes(whole[:end])
    return path


def sparse(path: Path, size: int) -> Path:
    """A file with the first bytes of a checkpoint and then nothing, which takes no room on the disk."""
    beside(path)
    with path.open("r+b") as file:
        file.truncate(size)
    return path


def end_after(path: Path, size: int, **end: Any) -> Path:
    """A sparse file of ``size`` bytes with the end of a zip file."""
    whole = forge(path, **end).read_bytes()
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.seek(size)
        file.write(whole)
    return path


HEADERS: Corpus = {
    "two records of one name": (lambda path: beside(path, DATA), "two records of one name"),
    "two data.pkl of one name": (lambda path: beside(path, member("data.pkl", b"x")), "two records of one name"),
    "two data.pkl in two folders": (lambda path: beside(path, Member(b"b/data.pkl", b"x")), "2 data.pkl records"),
    "a data.pkl that only the directory names so": (
        lambda path: forge(path, member("data.pkl", with_entry(b"N"), local={"name": b"archive/other"}), ORDER, DATA),
        r"data\.pkl cannot be read",
    ),
    "a storage that only the directory names so": (
        lambda path: with_data(path, local={"name": b"archive/other1"}),
        "another name",
    ),
    "a local header with a longer name": (lambda path: with_data(path, local={"name_length": 40_000}), "another name"),
    "a local header with a long extra": (lambda path: with_data(path, local={"extra_length": 65_535}), "cut short"),
    "a storage that is another record": (
        lambda path: with_data(path, central={"offset": b"archive/data.pkl"}),
        "another name",
    ),
    "a storage in the middle of another record": (
        lambda path: with_data(path, central={"offset": b"archive/data.pkl", "skip": 50}),
        "points to no record|Overlapped entries",
    ),
    "a storage inside another record, with a header there": (
        lambda path: forge(
            path, *members()[:3], BLOB, Member(STORED, bytes(16), {}, {"offset": BLOB.name, "skip": 42})
        ),
        "overlap|Overlapped",
    ),
    "two storages in one place": (lambda path: two_tensors(path, offset=STORED), "another name|overlap"),
    "a storage that reaches into the next": (
        lambda path: forge(
            path,
            PICKLE,
            ORDER,
            VERSION,
            Member(STORED, bytes(16), central={"size": 60, "packed": 60}),
            member("data/1", bytes(99)),
        ),
        "overlap",
    ),
    "a storage that reaches into the directory": (
        lambda path: with_data(path, central={"size": 40, "packed": 40}),
        "overlap",
    ),
    "a storage larger than the file": (
        lambda path: with_data(path, central={"size": 2**31, "packed": 2**31}),
        "cut short",
    ),
    "a storage of 2**63 bytes": (
        lambda path: with_data(path, central={"size": FOUR_GIB, "packed": FOUR_GIB, "extra": zip64(2**63, 2**63)}),
        "cut short",
    ),
    "a storage at 2**64 - 1": (
        lambda path: with_data(path, central={"offset": FOUR_GIB, "extra": zip64(2**64 - 1)}),
        "beyond the file",
    ),
    "a data.pkl at 2**64 - 1": (
        lambda path: forge(
            path, Member(PICKLE.name, PICKLE.data, central={"offset": FOUR_GIB, "extra": zip64(2**64 - 1)}), DATA
        ),
        "damaged",
    ),
    "a zip64 field that is too short": (
        lambda path: with_data(path, central={"offset": FOUR_GIB, "extra": b"\x01\0\x04\0\0\0\0\0"}),
        "without a readable end",
    ),
    "an extra field longer than it is": (
        lambda path: with_data(path, central={"extra": b"\x01\0\xff\xff\0\0"}),
        "without a readable end",
    ),
    "an encrypted data.pkl": (
        lambda path: forge(path, member("data.pkl", with_entry(b"N"), {"flags": 1}), ORDER, DATA),
        "encrypted",
    ),
    "an encrypted storage": (lambda path: with_data(path, central={"flags": 1}), "encrypted"),
    "strong encryption": (
        lambda path: forge(path, member("data.pkl", with_entry(b"N"), {"flags": 0x41}), ORDER, DATA),
        "cannot be read",
    ),
    "a patch in place of data": (
        lambda path: forge(path, member("data.pkl", with_entry(b"N"), {"flags": 0x20}), ORDER, DATA),
        "cannot be read",
    ),
    "a deflated storage": (
        lambda path: forge(path, PICKLE, ORDER, VERSION, member("data/0", bytes(1 << 20), {"method": 8})),
        "compressed or encrypted",
    ),
    "a method that nobody knows": (
        lambda path: forge(path, member("data.pkl", with_entry(b"N"), {"method": 99}), ORDER, DATA),
        "compressed as torch never does",
    ),
    "an lzma data.pkl": (
        lambda path: zip_checkpoint(path, with_entry(b"N"), compression=zipfile.ZIP_LZMA),
        "compressed as torch never does",
    ),
    "garbage for deflated data": (
        lambda path: forge(path, Member(PICKLE.name, PICKLE.data, {"method": 8}, {"method": 8}), ORDER, DATA),
        "cannot be read",
    ),
    "a bomb that says it is small": (
        lambda path: forge(
            path, member("data.pkl", b"\x80\x02" + b"]" * (60 << 20), {"method": 8}, central={"size": 100}), ORDER, DATA
        ),
        "cannot be read",
    ),
    "a wrong checksum": (
        lambda path: forge(path, member("data.pkl", with_entry(b"N"), {"crc": 1}), ORDER, DATA),
        "cannot be read",
    ),
    "names that lead out of the archive": (
        lambda path: beside(path, Member(b"archive/../../executed", b"x"), Member(b"/executed", b"x")),
        HARMLESS,
    ),
    "a root that leads out of the archive": (
        lambda path: forge(path, *(Member(b"../../" + record.name, record.data) for record in members())),
        HARMLESS,
    ),
    "a data.pkl behind a NUL": (
        lambda path: beside(path, Member(b"archive/data.pkl\0.txt", b"x")),
        "two records of one name",
    ),
    "a name that is not the UTF-8 that it says": (
        lambda path: beside(path, Member(b"\xff\xfe", b"x", central={"flags": 0x800})),
        "without a readable end",
    ),
    "a name as long as can be": (lambda path: beside(path, Member(b"n" * 65_535, b"x")), HARMLESS),
    "records with no name": (lambda path: beside(path, Member(b"", b"x")), HARMLESS),
    "a record on another disk": (lambda path: with_data(path, central={"disk": 7}), HARMLESS),
}

ENDS: Corpus = {
    "an end that counts more records": (lambda path: beside_end(path, all=60_000), HARMLESS),
    "an end that counts no records": (lambda path: beside_end(path, all=0, here=0), HARMLESS),
    "a directory said to be shorter": (lambda path: beside_end(path, size=46), "without a readable end|data.pkl"),
    "a directory said to be longer": (lambda path: beside_end(path, size=2**31), "without a readable end"),
    "a directory said to be elsewhere": (lambda path: beside_end(path, offset=0), "damaged|readable end"),
    "a directory said to be beyond the file": (lambda path: beside_end(path, offset=2**31), "damaged|readable end"),
    "a zip64 directory at 2**64 - 1": (
        lambda path: beside_end(path, offset64=2**64 - 1),
        "damaged|readable end",
    ),
    "a zip64 directory of 2**62 bytes": (lambda path: beside_end(path, size64=2**62), "readable end"),
    "a zip64 end that counts 2**63 records": (lambda path: beside_end(path, all64=2**63), HARMLESS),
    "a directory of a sparse terabyte": (
        lambda path: end_after(path, 1 << 40, size64=(1 << 40) - 4, offset64=4),
        "directory",
    ),
    "a directory of two hundred thousand records": (
        lambda path: forge(path, *members(), *[Member(b"", b"")] * 200_000, here=0, all=0),
        "directory",
    ),
    "a second end in the comment": (
        lambda path: forge(path, *members(), behind=struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, 0, 0, 0)),
        "damaged|data.pkl",
    ),
    "another zip file in the comment": (
        lambda path: forge(path, *members(), behind=zip_checkpoint(path, with_entry(b"N")).read_bytes()),
        HARMLESS,
    ),
    "a comment longer than it is": (lambda path: beside_end(path, comment=500), HARMLESS),
    "a zip file with something before it": (
        lambda path: forge(path, *members(), before=b"PK\x03\x04" + bytes(99)),
        HARMLESS,
    ),
    "a zip file in a zip file": (
        lambda path: forge(path, member("model.pth", zip_checkpoint(path, with_entry(b"N")).read_bytes())),
        "ordinary zip archive",
    ),
    "a zip file of nothing": (lambda path: forge(path, before=b"PK\x03\x04"), "0 data.pkl records"),
    "no end at all": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(1 << 20)), "readable end"),
    "a sparse file of a terabyte": (lambda path: sparse(path, 1 << 40), "readable end"),
}


def beside_end(path: Path, **end: Any) -> Path:
    """A good checkpoint whose end says something else."""
    return forge(path, *members(), **end)


CUT: Corpus = {
    f"cut after {end} bytes": (lambda path, end=end: cut(path, end), "readable end|not a checkpoint|empty")  # type: ignore[misc]
    for end in (0, 1, 4, 30, 60, 200, 400, 500, 600, -1, -22, -30, -60)
}

ARCHIVES: Corpus = {**HEADERS, **ENDS, **CUT}
