"""Checkpoints that torch.save would not write, tensor bytes as a header places them, and what a refusal must be."""

from __future__ import annotations

import json
import re
import signal
import struct
import subprocess
import sys
import types
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from xttsrecipe.checkpoints import open_checkpoint
from xttsrecipe.errors import CheckpointError, Problem
from xttsrecipe.specs import Header, StoredTensor

PROTOCOLS = (2, 3, 4, 5)


# -- pickles, put together from opcodes


def text(value: str) -> bytes:
    """Pushes a str (BINUNICODE)."""
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def short_bytes(value: bytes) -> bytes:
    """Pushes bytes (SHORT_BINBYTES, protocol 3)."""
    return b"C" + bytes([len(value)]) + value


def find(module: str, name: str) -> bytes:
    """Pushes what find_class gives (GLOBAL)."""
    return f"c{module}\n{name}\n".encode()


def find_on_stack(module: str, name: str) -> bytes:
    """The same with STACK_GLOBAL (protocol 4), which reaches through dots."""
    return text(module) + text(name) + b"\x93"


def call(function: bytes, *args: bytes) -> bytes:
    """Pushes function(*args) (REDUCE)."""
    return function + b"(" + b"".join(args) + b"tR"


def storage(kind: bytes = find("torch", "FloatStorage"), key: str = "0") -> bytes:
    """Pushes a storage of four elements (BINPERSID)."""
    return b"(" + text("storage") + kind + text(key) + text("cpu") + b"K\x04tQ"


def tensor(
    of: bytes | None = None, start: bytes = b"K\x00", shape: bytes = b"K\x04\x85", strides: bytes = b"K\x01\x85"
) -> bytes:
    """Pushes a tensor of four elements as torch.save writes it."""
    hooks = call(find("collections", "OrderedDict"))
    return call(find("torch._utils", "_rebuild_tensor_v2"), of or storage(), start, shape, strides, b"\x89", hooks)


def number(value: int) -> bytes:
    """Pushes an int (LONG1, up to 255 bytes; beyond that LONG4)."""
    encoded = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    length = len(encoded)
    return (b"\x8a" + bytes([length]) if length < 256 else b"\x8b" + struct.pack("<I", length)) + encoded


def dictionary(entries: Mapping[str, bytes]) -> bytes:
    """Pushes a dict of text keys."""
    return b"}(" + b"".join(text(name) + value for name, value in entries.items()) + b"u"


def program(value: bytes) -> bytes:
    """A whole pickle that gives ``value``."""
    return b"\x80\x02" + value + b"."


def with_entry(value: bytes) -> bytes:
    """The pickle of a good checkpoint that has ``value`` under "entry"."""
    return program(dictionary({"model": dictionary({"w": tensor()}), "entry": value}))


def laughs(doublings: int = 60) -> bytes:
    """Pushes a tuple that is small in memory and has 2**doublings leaves when walked."""
    return b")q\x00" + b"0h\x00h\x00\x86q\x00" * doublings


def zip_checkpoint(
    path: Path,
    pickled: bytes,
    storages: Mapping[str, bytes] | None = None,
    records: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """A torch zip file of this data.pkl; ``records`` replace or add others."""
    storages = {"0": bytes(16)} if storages is None else storages
    contents = {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n"}
    contents |= {f"data/{key}": data for key, data in storages.items()}
    contents |= records or {}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in contents.items():
            archive.writestr(f"archive/{name}", data)
    return path


# -- zip files, header by header


@dataclass(frozen=True)
class Member:
    """A record of a zip file. ``local`` and ``central`` are what its two headers say otherwise than is true."""

    name: bytes
    data: bytes
    local: Mapping[str, Any] = field(default_factory=dict)
    central: Mapping[str, Any] = field(default_factory=dict)


def member(name: str, data: bytes = b"", both: Mapping[str, Any] | None = None, **headers: Mapping[str, Any]) -> Member:
    """The record of a checkpoint; ``both`` is what both headers say. Deflated where they say method 8."""
    said = {name: {**(both or {}), **headers.get(name, {})} for name in ("local", "central")}
    if (both or {}).get("method") == zipfile.ZIP_DEFLATED:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        truth = {"size": len(data), "crc": zlib.crc32(data)}
        data, said = packer.compress(data) + packer.flush(), {name: truth | its for name, its in said.items()}
    return Member(f"archive/{name}".encode(), data, **said)


def members(pickled: bytes | None = None, **storages: bytes) -> list[Member]:
    """The records of a good checkpoint, or of this data.pkl; ``s0`` is the storage 0."""
    stored = {name[1:]: data for name, data in storages.items()} or {"0": bytes(16)}
    given = {"data.pkl": with_entry(b"N") if pickled is None else pickled, "byteorder": b"little", "version": b"3\n"}
    return [member(name, data) for name, data in (given | {f"data/{key}": of for key, of in stored.items()}).items()]


def forge(path: Path, *records: Member, before: bytes = b"", behind: bytes = b"", **end: Any) -> Path:
    """A zip file of these records, whatever their headers say; ``end`` is what its end says otherwise than is true.

    A header's ``offset`` may be the name of another record, and ``skip`` so many bytes behind its beginning.
    """
    whole, starts = bytearray(before), {}
    for record in records:
        starts[record.name] = len(whole)
        whole += _header(b"PK\x03\x04", record, record.local) + record.data
    directory = b"".join(_entry(record, starts) for record in records)
    fields = {"disk": 0, "first": 0, "here": len(records), "all": len(records), "size": len(directory)}
    fields |= {"offset": len(whole), "comment": len(behind)} | end
    whole += directory
    if end.keys() & {"size64", "offset64", "all64"}:
        count, size, offset = (fields.pop(f"{name}64", fields[name]) for name in ("all", "size", "offset"))
        whole += struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
        whole += struct.pack("<4sLQL", b"PK\x06\x07", 0, len(whole) - 56, 1)
    path.write_bytes(whole + struct.pack("<4s4H2LH", b"PK\x05\x06", *fields.values()) + behind)
    return path


def _header(magic: bytes, record: Member, said: Mapping[str, Any]) -> bytes:
    """What the local header and the entry of the directory have in common."""
    truth: dict[str, Any] = {
        "needed": 20,
        "flags": 0,
        "method": 0,
        "time": 0,
        "date": 33,
        "crc": zlib.crc32(record.data),
    }
    truth |= {"packed": len(record.data), "size": len(record.data), "name": record.name, "extra": b""}
    fields = {**truth, **{name: value for name, value in said.items() if name in truth}}
    name: bytes = fields.pop("name")
    extra: bytes = fields.pop("extra")
    lengths = said.get("name_length", len(name)), said.get("extra_length", len(extra))
    return struct.pack("<4s5H3L2H", magic, *fields.values(), *lengths) + name + extra


def _entry(record: Member, starts: Mapping[bytes, int]) -> bytes:
    common = _header(b"PK\x01\x02", record, record.central)
    offset = record.central.get("offset", record.name)
    place = (starts[offset] if isinstance(offset, bytes) else offset) + record.central.get("skip", 0)
    tail = struct.pack("<3H2L", record.central.get("comment_length", 0), record.central.get("disk", 0), 0, 0, place)
    return common[:4] + struct.pack("<H", 20) + common[4:30] + tail + common[30:]


# -- safetensors


def craft(path: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    """A safetensors file with this header, given as data, text or bytes; ``length``: what it says it has."""
    if not isinstance(header, (str, bytes)):
        header = json.dumps(header)
    encoded = header.encode("utf-8", "surrogatepass") if isinstance(header, str) else header
    path.write_bytes(struct.pack("<Q", len(encoded) if length is None else length) + encoded + data)
    return path


def entry(shape: object = (2,), begin: object = 0, end: object = 8, dtype: object = "F32") -> dict[str, Any]:
    """What a safetensors header says of a tensor."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


# -- what is expected of the reader


def refusal(path: Path) -> Problem:
    """The one problem that the file at ``path`` is refused for; it names the file."""
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(path)
    (problem,) = caught.value.problems
    assert problem.where is not None
    assert problem.where.file == str(path)
    assert str(path) in str(caught.value)
    return problem


def words(problem: Problem) -> str:
    """All that a problem says."""
    return " | ".join(filter(None, (problem.what, problem.found, problem.expected, problem.hint, *problem.details)))


def says(problem: Problem, *phrases: str) -> None:
    for phrase in phrases:
        assert re.search(phrase, words(problem)), f"{phrase!r} is not in: {words(problem)}"


def opens_or_is_refused(path: Path) -> Header | None:
    try:
        return open_checkpoint(path)
    except CheckpointError:
        return None


def in_python(code: str, *args: object, cpu_seconds: int = 60) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter, with no more than this much processor time."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_CPU, ({cpu_seconds}, {cpu_seconds}))\n"
    command = [sys.executable, "-c", limit + code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fails what blocks for longer."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# -- tensor bytes


def elements_at(
    flat: torch.Tensor, shape: Sequence[int], strides: Sequence[int], itemsize: int, start: int
) -> torch.Tensor:
    """The bytes of a strided tensor's elements, from a flat tensor of bytes; ``start`` in bytes."""
    if 0 in shape:
        return torch.empty((*shape, itemsize), dtype=torch.uint8)
    return flat.as_strided((*shape, itemsize), (*(stride * itemsize for stride in strides), 1), start)


def stored_elements(path: Path, stored: StoredTensor) -> torch.Tensor:
    """The bytes of a tensor's elements, read at the place that the header gives and nowhere else."""
    itemsize = stored.spec.dtype.itemsize
    with path.open("rb") as file:
        file.seek(stored.offset)
        data = bytearray(file.read(stored.span * itemsize))
    assert len(data) == stored.span * itemsize
    flat = torch.frombuffer(data, dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)
    return elements_at(flat, stored.spec.shape, stored.strides, itemsize, 0)


def saved_elements(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of the elements of a tensor in memory."""
    flat = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
    itemsize = tensor.element_size()
    return elements_at(flat, tensor.shape, tensor.stride(), itemsize, int(tensor.storage_offset()) * itemsize)


def assert_stored(path: Path, stored: StoredTensor, tensor: torch.Tensor) -> None:
    """The file holds ``tensor`` where the header says, bit for bit."""
    assert stored.spec.shape == tuple(tensor.shape)
    assert f"torch.{stored.spec.dtype}" == str(tensor.dtype)
    assert torch.equal(stored_elements(path, stored), saved_elements(tensor))


# -- classes of packages that are not installed


@contextmanager
def foreign_classes(**classes: type) -> Iterator[None]:
    """Makes each class importable as the dotted name it has in ``__module__``; gone again afterwards."""
    made: list[str] = []
    for cls in classes.values():
        parts = cls.__module__.split(".")
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            if name not in sys.modules:
                sys.modules[name] = types.ModuleType(name)
                made.append(name)
        setattr(sys.modules[cls.__module__], cls.__name__, cls)
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]


def foreign(cls: type, module: str) -> type:
    """Says that a class lives in ``module``."""
    cls.__module__ = module
    cls.__qualname__ = cls.__name__
    return cls


def save_foreign(path: Path, cls: type, value: Any, protocol: int = 2) -> Path:
    """A checkpoint with ``value`` under "entry", an object of a class that no one can import when it is read."""
    with foreign_classes(cls=cls):
        torch.save({"model": {"w": torch.ones(2)}, "entry": value}, path, pickle_protocol=protocol)
    assert cls.__module__ not in sys.modules
    return path


def entry_of(path: Path, value: Any, protocol: int = 2) -> Any:
    """``value`` as it comes out of a checkpoint that has it under "entry"."""
    torch.save({"model": {"w": torch.ones(2)}, "entry": value}, path, pickle_protocol=protocol)
    return open_checkpoint(path).entries["entry"]


def load_entry(folder: Path, value: bytes, protocol: int = 2) -> Any:
    """What opcodes that push a value come out as from a checkpoint that has it under "entry"."""
    pickled = bytes([0x80, protocol]) + with_entry(value)[2:]
    return open_checkpoint(zip_checkpoint(folder / "entry.pth", pickled)).entries["entry"]
