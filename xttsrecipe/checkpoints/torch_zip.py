"""Reads the header of a ``torch.save`` zip file (``.pth``, ``.pt``; torch 1.6 and later) without torch.

Layout (torch/serialization.py, caffe2/serialize/inline_container.h): stored, uncompressed records under one root folder
of any name: ``data.pkl`` (the object graph), ``data/KEY`` (one per storage), ``byteorder``, ``version``. Tensor data is
not touched: a tensor's place in the file is that of its storage's record plus its offset.
"""

from __future__ import annotations

import hashlib
import math
import operator
import os
import struct
import sys
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from ..codes import Code
from ..errors import CheckpointError, Location, Problem
from ..positional import read_at
from ..specs import RawCheckpoint, StoredTensor, contiguous_strides, shared_spec, span
from . import inert_pickle
from .archive import UNREADABLE, open_archive
from .plain import plain_entries
from .records import MalformedPickleError, PickledTensor, Record, Unsupported

MAGIC = b"PK\x03\x04"
# A real trainer checkpoint with its optimizer has 0.4 MB.
_MAX_PICKLE_BYTES = 16 << 20
# torch keeps the single element of an expanded tensor, whatever its size. So do small things that a model holds; what
# would be more than the file and more than this is no weight.
_MAX_EXPANDED_BYTES = 16 << 20
# A record begins with a header of so many bytes, the last of which are the lengths of its name and of more.
_LOCAL_BYTES = 30
_LENGTHS = struct.Struct("<2H")
# Everything of a trainer's file that is not the model and not worth reading as metadata.
_BULK_ENTRIES = ("optimizer", "scheduler", "scaler")
# A record's name is UTF-8 (PKWARE APPNOTE 4.4.4), else code page 437.
_UTF8 = 0x800


def read(file: BinaryIO, path: str) -> RawCheckpoint:
    """The header of the open torch zip file; ``path`` is what errors call it. Raises CheckpointError."""
    try:
        archive = open_archive(file)
    except UNREADABLE as error:
        raise _refused(
            Code.DAMAGED_CHECKPOINT,
            path,
            "is a zip file without a readable end: it is cut short or damaged",
            found=f"{os.fstat(file.fileno()).st_size:,} bytes; {error}",
            hint="copy or download it again and compare the sizes",
        ) from error
    return _Reader(file, archive, path).read()


def _refused(code: Code, path: str, what: str, **more: Any) -> CheckpointError:
    return CheckpointError(Problem(code, what, Location(path), **more))


class _Reader:
    def __init__(self, file: BinaryIO, archive: zipfile.ZipFile, path: str) -> None:
        self._descriptor = file.fileno()
        self._path = path
        self._archive = archive
        self._size = os.fstat(file.fileno()).st_size
        self._most_bytes = max(self._size, _MAX_EXPANDED_BYTES)
        self._records = {info.filename: info for info in archive.infolist()}
        self._root = self._find_root()
        self._data_starts: dict[str, tuple[int, int]] = {}

    def _damaged(self, what: str, **more: Any) -> CheckpointError:
        return _refused(Code.DAMAGED_CHECKPOINT, self._path, f"is damaged: {what}", **more)

    def _find_root(self) -> str:
        roots = [name[: -len("data.pkl")] for name in self._records if name.split("/")[-1] == "data.pkl"]
        if len(roots) != 1:
            inside = [name for name in self._records if name.endswith((".pth", ".pt", ".safetensors"))]
            if inside:
                raise _refused(
                    Code.PACKED_CHECKPOINT,
                    self._path,
                    f"is an ordinary zip archive with {inside[0]} in it",
                    hint="unpack it and name that file",
                )
            raise _refused(
                Code.NOT_A_CHECKPOINT,
                self._path,
                "is a zip file, but no torch checkpoint",
                found=f"{len(roots)} data.pkl records",
                expected="one, as torch.save writes it",
            )
        root = roots[0]
        if f"{root}constants.pkl" in self._records:
            raise _refused(
                Code.NOT_A_CHECKPOINT,
                self._path,
                "is a TorchScript archive: a compiled program, not a checkpoint",
                hint="name the .pth file that the script was made from",
            )
        if len(self._records) != len(self._archive.infolist()):
            raise _refused(
                Code.DAMAGED_CHECKPOINT,
                self._path,
                "has two records of one name: the zip directory is damaged or forged",
            )
        return root

    def read(self) -> RawCheckpoint:
        if f"{self._root}byteorder" in self._records:
            order = self._small_record("byteorder", 16).strip()
            if order != b"little":
                raise _refused(
                    Code.UNSUPPORTED_FORMAT,
                    self._path,
                    f"was written on a big-endian machine (byteorder: {order.decode('ascii', 'replace')})",
                    expected="little-endian data",
                    hint="load it with torch on a little-endian machine and save it again",
                )
        pickled = self._small_record("data.pkl", _MAX_PICKLE_BYTES)
        top = self._unpickle(pickled)
        model, wrapped = self._find_model(top)
        tensors = {name: self._locate(name, tensor) for name, tensor in _tensors_of(model, self._path)}
        self._check_overlaps()
        others = {name: value for name, value in top.items() if name != "model"} if wrapped else {}
        unnamed = next((name for name in others if not isinstance(name, str)), None)
        if unnamed is not None:
            raise _refused(
                Code.NO_STATE_DICT,
                self._path,
                f"holds something under {_named(unnamed)}",
                expected="names that are text",
            )
        bulk = {name: _bulk_bytes(others.pop(name)) for name in _BULK_ENTRIES if name in others}
        return RawCheckpoint("torch zip", tensors, self._plain(others), bulk, wrapped, self._digest(pickled))

    def _small_record(self, name: str, limit: int) -> bytes:
        info = self._records[self._root + name]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(
                Code.PACKED_CHECKPOINT, self._path, f"has a record {name} that is compressed as torch never does"
            )
        if info.file_size > limit:
            raise _refused(
                Code.BEYOND_ANY_CHECKPOINT,
                self._path,
                f"has a record {name} of {info.file_size:,} bytes",
                expected=f"at most {limit:,}, as in any real checkpoint",
            )
        try:
            with self._archive.open(info) as record:
                # A forged size must not make us inflate more than was announced.
                return record.read(limit)
        except UNREADABLE as error:
            raise self._damaged(
                f"its record {name} cannot be read",
                found=str(error),
                hint="copy or download the file again",
            ) from error

    def _unpickle(self, pickled: bytes) -> Any:
        try:
            return inert_pickle.load(pickled)
        except inert_pickle.RefusedGlobalError as error:
            raise _refused(
                Code.CODE_IN_CHECKPOINT,
                self._path,
                f"asks to run {error} when it is loaded: no checkpoint needs that, and nothing of it was executed",
                hint="do not load this file with torch.load(weights_only=False); get it from a source that you trust",
            ) from error
        except MalformedPickleError as error:
            raise self._damaged(
                "its data.pkl is not a pickle that torch writes (nothing of it was executed)",
                found=str(error),
                hint="copy or download the file again",
            ) from error

    def _find_model(self, top: Any) -> tuple[Mapping[Any, Any], bool]:
        if isinstance(top, dict):
            model = top.get("model")
            if isinstance(model, dict) and _has_tensors(model):
                return model, True
            if _has_tensors(top):
                return top, False
            names = [key if isinstance(key, str) else _named(key) for key in list(top)[:6]]
            found = f"a dict of {', '.join(names) or 'nothing'}"
        elif isinstance(top, Record):
            found = f"a pickled {top.class_name} object"
        elif isinstance(top, PickledTensor):
            found = "a single tensor"
        else:
            found = f"a {type(top).__name__}"
        raise _refused(
            Code.NO_STATE_DICT,
            self._path,
            "holds no state dict",
            found=found,
            expected="tensors by name at top level, or under 'model'",
            hint="save model.state_dict(), or {'model': model.state_dict()}",
        )

    def _locate(self, name: str, tensor: PickledTensor) -> StoredTensor:
        start, length = self._storage_start(tensor.storage.key, name)
        itemsize = tensor.dtype.itemsize
        needed = tensor.offset + span(tensor.shape, tensor.strides)
        if needed * itemsize > length:
            raise self._damaged(
                f"tensor {name!r} reaches beyond its storage",
                found=f"{length:,} bytes in record data/{tensor.storage.key}",
                expected=f"{needed * itemsize:,}",
            )
        if math.prod(tensor.shape) * itemsize > self._most_bytes:
            raise _refused(
                Code.UNSUPPORTED_TENSOR,
                self._path,
                f"holds tensor {name!r} of {math.prod(tensor.shape):,} elements that are the same few again and again",
                found=f"{math.prod(tensor.shape) * itemsize:,} bytes of elements in a file of {self._size:,}",
                hint="save it again after .contiguous()",
            )
        spec = shared_spec(tensor.shape, tensor.dtype)
        usual = contiguous_strides(spec.shape)
        strides = usual if tensor.strides == usual else tensor.strides
        return StoredTensor(sys.intern(name), spec, start + tensor.offset * itemsize, strides)

    def _storage_start(self, key: str, tensor_name: str) -> tuple[int, int]:
        """Where the record of a storage begins, and its length, both in bytes."""
        known = self._data_starts.get(key)
        if known:
            return known
        info = self._records.get(f"{self._root}data/{key}")
        if info is None:
            raise self._damaged(f"tensor {tensor_name!r} has no data (record data/{key} is missing)")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise _refused(
                Code.PACKED_CHECKPOINT,
                self._path,
                "was packed again by a zip tool: its tensor data is compressed or encrypted",
                hint="unpack it, and pack it without compression (zip -0), or get the original file",
            )
        place, name = info.header_offset, info.orig_filename
        encoded = name.encode("utf-8" if name.isascii() or info.flag_bits & _UTF8 else "cp437")
        local = bytearray(_LOCAL_BYTES + len(encoded))
        if not 0 <= place < self._size or read_at(self._descriptor, memoryview(local), place) < len(local):
            raise self._damaged(f"the zip directory points beyond the file for data/{key}")
        if not local.startswith(MAGIC):
            raise self._damaged(f"the zip directory points to no record for data/{key}")
        name_length, extra_length = _LENGTHS.unpack_from(local, _LOCAL_BYTES - _LENGTHS.size)
        if name_length != len(encoded) or not local.endswith(encoded):
            what = f"the record that the zip directory gives for data/{key} has another name"
            raise self._damaged(what)
        start = place + _LOCAL_BYTES + name_length + extra_length
        if start + info.file_size > self._size:
            raise _refused(
                Code.DAMAGED_CHECKPOINT,
                self._path,
                "is cut short: its directory promises more data than the file has",
                found=f"{self._size:,} bytes",
                expected=f"at least {start + info.file_size:,}",
                hint="copy or download it again",
            )
        found = self._data_starts[key] = (start, info.file_size)
        return found

    def _check_overlaps(self) -> None:
        """No record may lie in another: torch writes nothing twice, and what it would cost is not in the file."""
        records = sorted(self._records.values(), key=operator.attrgetter("header_offset"))
        # At least: what a local header has beside the name cannot be told from the directory.
        ends = [info.header_offset + _LOCAL_BYTES + len(info.filename) + info.compress_size for info in records]
        starts = [*(info.header_offset for info in records[1:]), self._archive.start_dir]
        if any(map(operator.gt, ends, starts)):
            name = next(info.filename for info, end, start in zip(records, ends, starts, strict=True) if end > start)
            raise self._damaged(f"its record {name} overlaps what follows it")

    def _plain(self, entries: Mapping[str, object]) -> Mapping[str, Any]:
        try:
            return plain_entries(entries)
        except MalformedPickleError as error:
            raise _refused(Code.BEYOND_ANY_CHECKPOINT, self._path, f"has {error}") from error

    def _digest(self, pickled: bytes) -> str:
        """sha256 over the pickle and, by the checksums in the zip directory, the data: same digest, same checkpoint."""
        digest = hashlib.sha256(pickled)
        folder, cut = f"{self._root}data/", len(self._root)
        lines = [
            f"\n{name[cut:]} {info.file_size} {info.CRC:08x}"
            for name, info in sorted(self._records.items())
            if name.startswith(folder)
        ]
        digest.update("".join(lines).encode("utf-8", "replace"))
        return digest.hexdigest()


def _named(key: object) -> str:
    """A key of the file in a sentence; one of another kind than names have by its kind, as it may be of any length."""
    short = isinstance(key, str) or (isinstance(key, int) and abs(key) < 1 << 64)
    return repr(key) if short else f"a key of type {type(key).__name__}"


def _has_tensors(values: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, (PickledTensor, Unsupported)) for value in values.values())


def _tensors_of(model: Mapping[Any, Any], path: str) -> Iterator[tuple[str, PickledTensor]]:
    """The state dict's tensors; what is not a tensor is passed over (some exports keep counters beside the tensors)."""
    for name, value in model.items():
        if isinstance(value, Unsupported):
            raise _refused(
                Code.UNSUPPORTED_TENSOR, path, f"holds a tensor that cannot be read: {_named(name)} {value.why}"
            )
        if isinstance(value, PickledTensor):
            if not isinstance(name, str):
                raise _refused(
                    Code.NO_STATE_DICT, path, f"holds a tensor under {_named(name)}", expected="names that are text"
                )
            yield name, value


def _bulk_bytes(value: object) -> int:
    """Bytes of every tensor below a value (an optimizer's state), each counted once."""
    total, seen, waiting = 0, set(), [value]
    while waiting:
        item = waiting.pop()
        if not isinstance(item, (dict, list, tuple)) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, PickledTensor):
            total += math.prod(item.shape) * item.dtype.itemsize
        elif isinstance(item, dict):
            waiting.extend(item.values())
        else:
            waiting.extend(item)
    return total
