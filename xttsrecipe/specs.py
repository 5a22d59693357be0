"""What a checkpoint says of itself: element types, tensors and where they lie, metadata.

Owns the data types that travel from the readers to the plan and on to the executor. Never opens a file.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any


class DType(Enum):
    """An element type, by torch's name without ``torch.``: (name, bytes per element, kind)."""

    FLOAT64 = ("float64", 8, "float")
    FLOAT32 = ("float32", 4, "float")
    FLOAT16 = ("float16", 2, "float")
    BFLOAT16 = ("bfloat16", 2, "float")
    FLOAT8_E4M3FN = ("float8_e4m3fn", 1, "float")
    FLOAT8_E5M2 = ("float8_e5m2", 1, "float")
    FLOAT8_E4M3FNUZ = ("float8_e4m3fnuz", 1, "float")
    FLOAT8_E5M2FNUZ = ("float8_e5m2fnuz", 1, "float")
    FLOAT8_E8M0FNU = ("float8_e8m0fnu", 1, "float")
    INT64 = ("int64", 8, "int")
    INT32 = ("int32", 4, "int")
    INT16 = ("int16", 2, "int")
    INT8 = ("int8", 1, "int")
    UINT64 = ("uint64", 8, "int")
    UINT32 = ("uint32", 4, "int")
    UINT16 = ("uint16", 2, "int")
    UINT8 = ("uint8", 1, "int")
    BOOL = ("bool", 1, "bool")
    COMPLEX32 = ("complex32", 4, "complex")
    COMPLEX64 = ("complex64", 8, "complex")
    COMPLEX128 = ("complex128", 16, "complex")

    def __init__(self, label: str, itemsize: int, kind: str) -> None:
        self.label = label
        self.itemsize = itemsize
        self.kind = kind

    @property
    def averages(self) -> bool:
        """Whether a weighted mean of such elements means anything: integers and booleans are never averaged."""
        return self.kind in ("float", "complex")

    @classmethod
    def named(cls, label: str) -> DType | None:
        """The type torch calls ``label``, or None if it is none of ours."""
        return _BY_LABEL.get(label)

    def __str__(self) -> str:
        return self.label


_BY_LABEL = {dtype.label: dtype for dtype in DType}

# How wide a type is; those not listed can each hold values that another of them cannot.
_WIDTH = {DType.FLOAT64: 3, DType.FLOAT32: 2, DType.COMPLEX128: 3, DType.COMPLEX64: 2}


def widest(dtypes: list[DType]) -> DType:
    """The type that holds every value of ``dtypes``, all floating or all complex: float16, bfloat16 give float32."""
    if all(dtype is dtypes[0] for dtype in dtypes):
        return dtypes[0]
    wide = max(dtypes, key=lambda dtype: _WIDTH.get(dtype, 0))
    if wide in _WIDTH:
        return wide
    return DType.COMPLEX64 if wide.kind == "complex" else DType.FLOAT32


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor's shape (elements per dimension; ``()`` is a single element) and element type."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def rows(self) -> int:
        """The size of the first dimension; 0 where there is none."""
        return self.shape[0] if self.shape else 0

    @property
    def nbytes(self) -> int:
        return self.numel * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{shape_text(self.shape)} {self.dtype}"


@functools.lru_cache(maxsize=4096)
def shared_spec(shape: tuple[int, ...], dtype: DType) -> TensorSpec:
    """One object for all tensors that are alike: the checkpoints that are merged have the same thousand."""
    return TensorSpec(shape, dtype)


def shape_text(shape: tuple[int, ...]) -> str:
    """``1024x80x1``; a 0-dim tensor is ``scalar``."""
    return "x".join(map(str, shape)) or "scalar"


@functools.lru_cache(maxsize=4096)
def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major strides in elements, as torch gives a fresh tensor of this shape."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in a file, under the ``name`` that the file has.

    ``offset``: bytes from the start of the file to the first element; ``strides``: in elements, never negative.
    """

    name: str
    spec: TensorSpec
    offset: int
    strides: tuple[int, ...]

    @property
    def span(self) -> int:
        """Elements from the first to the last one in the file, both counted; 0 for an empty tensor."""
        return span(self.spec.shape, self.strides)

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie in row-major order without gaps; strides of dimensions of size 1 do not count."""
        expected = contiguous_strides(self.spec.shape)
        if self.strides == expected or 0 in self.spec.shape:
            return True
        return all(
            size == 1 or stride == want
            for size, stride, want in zip(self.spec.shape, self.strides, expected, strict=True)
        )


def span(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """How many elements lie from the first to the last of a strided tensor, both counted; 0 for an empty one."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))


@dataclass(frozen=True, slots=True)
class RawCheckpoint:
    """A checkpoint file as its format gives it, before anything is known of the model in it.

    ``tensors`` are the state dict's, under the names in the file. ``entries`` is what else lies at top level, as plain
    data; ``bulk`` is the size in bytes of the tensors in entries that are not model weights (the optimizer's, say).
    ``wrapped``: the state dict lies under ``model``, not at top level. ``digest``: sha256 of the header, hex.
    """

    format: str
    tensors: Mapping[str, StoredTensor]
    entries: Mapping[str, Any]
    bulk: Mapping[str, int]
    wrapped: bool
    digest: str


@dataclass(frozen=True, slots=True)
class FileStamp:
    """A file's identity when its header was read: if it differs later, the header no longer describes the file."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileStamp:
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a vocab.json says: a tokenizers file with a BPE model.

    ``tokens``: token to id as the XTTS client gives it, in order of ids, which may have holes. ``merges``: the pairs
    that are joined, in rank order, each once. ``data``: the JSON as it stands; ``text``: the file as it stands.
    ``locked``: what a lock says of it, where that is all that is known: then tokens have stand-ins.
    """

    path: Path
    tokens: Mapping[str, int]
    merges: tuple[tuple[str, str], ...]
    data: Mapping[str, Any]
    text: bytes
    locked: Mapping[str, Any] | None = None

    @property
    def digest(self) -> str:
        """sha256, hex, of its file."""
        return self.locked["sha256"] if self.locked else hashlib.sha256(self.text).hexdigest()

    @property
    def rows(self) -> int:
        """Rows of the text tensors that go with it: the largest id and one."""
        return max(self.tokens.values()) + 1


@dataclass(frozen=True, slots=True)
class CompanionFile:
    """A file beside a model; ``digest``: of what it holds (see ``checkpoints.content_digest``)."""

    path: Path
    stamp: FileStamp
    digest: str


@dataclass(frozen=True, slots=True)
class Header:
    """Everything a plan needs to know of a checkpoint, under canonical keys (see ``xtts``).

    ``layout``: release, trainer, shrunk, bare, or plain (not XTTS). ``trainer_keys``: names carry ``xtts.``.
    ``training_only``: tensors that a merge carries or drops, never averages. ``leftovers``: stored names of tied copies
    that inference leaves behind. ``entries``: config, step, epoch, model_loss and the like, as plain data.
    ``mel_stats``: the element type and sha256 of that tensor, None where there is none. Of a model directory,
    ``directory`` is its path, ``companions`` are the files beside the model that belong to it, by name, and where there
    is a config.json, that is the config in ``entries`` and ``own_config`` the one in the checkpoint itself.
    ``vocabulary``: what the rows of the text tensors mean, where that is known. ``from_lock``: this is what a lock says
    of a file that is not here.
    """

    path: Path
    stamp: FileStamp
    format: str
    layout: str
    trainer_keys: bool
    version: str | None
    tensors: Mapping[str, StoredTensor]
    training_only: Mapping[str, StoredTensor]
    leftovers: tuple[str, ...]
    entries: Mapping[str, Any]
    bulk: Mapping[str, int]
    digest: str
    mel_stats: tuple[DType, str] | None = None
    own_config: Any = None
    directory: Path | None = None
    companions: Mapping[str, CompanionFile] = field(default_factory=dict)
    vocabulary: Vocabulary | None = None
    from_lock: bool = False

    @property
    def stored(self) -> Mapping[str, StoredTensor]:
        """All tensors that are model or carried with it, by the names that the file has for them."""
        return {tensor.name: tensor for tensor in (*self.tensors.values(), *self.training_only.values())}

    @property
    def place(self) -> Path:
        """What a recipe names: the model directory, or the file."""
        return self.directory or self.path
