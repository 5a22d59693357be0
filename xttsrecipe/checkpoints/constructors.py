"""What the callables in a checkpoint's pickle mean as data: torch's tensors, numpy's scalars, plain containers.

Sources: torch/_utils.py for the ``_rebuild_*`` functions, numpy/_core/multiarray for ``scalar``, PEP 307 for copyreg.
"""

from __future__ import annotations

import datetime
import math
import pathlib
import struct
from collections.abc import Callable, Mapping
from typing import Any

from ..specs import DType
from .records import (
    MalformedPickleError,
    PickledStorage,
    PickledTensor,
    PlainDict,
    Record,
    RecordType,
    TorchDType,
    Unsupported,
)


class _NumpyDType:
    """``numpy.dtype`` with the state numpy pickles: (version, byte order, …)."""

    def __init__(self, code: str, *_: object) -> None:
        if not isinstance(code, str):
            raise MalformedPickleError("a numpy type that is no text")
        self.code = code
        self.order = "<"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.order = state[1]

    def __repr__(self) -> str:
        return f"numpy.{self.code}"


_NUMPY_SCALARS = {
    "f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b",
    "u8": "Q", "u4": "I", "u2": "H", "u1": "B", "b1": "?",
}  # fmt: skip


def _numpy_scalar(dtype: object, raw: object = b"") -> object:
    """A Python number for a pickled numpy scalar."""
    code = _NUMPY_SCALARS.get(dtype.code) if isinstance(dtype, _NumpyDType) else None
    if code is None or not isinstance(raw, bytes):
        return Record(dtype, raw)
    assert isinstance(dtype, _NumpyDType)
    return struct.unpack(dtype.order + code, raw)[0]


# torch allows so many.
_MAX_DIMENSIONS = 64
_MAX_DIGITS = 18
_ENCODINGS = ("latin1", "latin-1", "utf-8", "utf8", "ascii")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """``_codecs.encode`` as protocol 2 uses it to carry bytes; other names would import a codec."""
    if not isinstance(text, str) or encoding not in _ENCODINGS:
        name = repr(encoding[:40]) if isinstance(encoding, str) else type(encoding).__name__
        raise MalformedPickleError(f"bytes in the encoding {name}")
    return text.encode(encoding)


def _text(value: object = "", encoding: str = "utf-8", errors: str = "strict") -> str:
    # str() of a structure could be longer than all memory: only what is spelled out in the file.
    if isinstance(value, bytes) and encoding in _ENCODINGS:
        return value.decode(encoding, errors if errors in ("strict", "replace", "ignore") else "strict")
    if isinstance(value, (str, int, float)):
        return str(value)
    raise MalformedPickleError("text made of something that is none")


def _size(*args: Any) -> tuple[Any, ...]:
    sizes = args[0] if args else ()
    if not (isinstance(sizes, (list, tuple)) and all(type(size) is int for size in sizes)):
        raise MalformedPickleError("a size that is no list of numbers")
    if len(sizes) > _MAX_DIMENSIONS:
        raise MalformedPickleError(f"a size of {len(sizes):,} dimensions")
    return tuple(sizes)


def _int(value: object = 0, *_: object) -> int:
    # In a base of 2 to 32 text of any length is a number, and every look-up of a number hashes all its digits.
    if not isinstance(value, (int, float)) and not (isinstance(value, (str, bytes)) and len(value) <= _MAX_DIGITS):
        raise MalformedPickleError("a whole number made of something that is none")
    return int(value)


def _complex(*parts: Any) -> str:
    return str(complex(*parts))  # text: Python's hash folds any number of complex numbers into one


def _datetime(stamp: Any, *zone: Any) -> datetime.datetime:
    return datetime.datetime(stamp, *zone)  # as it pickles itself: ten bytes, a zone


def _path(*parts: str) -> str:
    return str(pathlib.PurePosixPath(*parts))


def _windows_path(*parts: str) -> str:
    return str(pathlib.PureWindowsPath(*parts))


def _rebuild_tensor(storage: object, offset: object, shape: object, strides: object) -> PickledTensor | Unsupported:
    if not isinstance(storage, PickledStorage):
        raise MalformedPickleError("a tensor without a storage")
    dtype = DType.UINT8 if storage.type.name == "UntypedStorage" else storage.type.dtype
    if dtype is None:
        return Unsupported(f"lies in a {storage.type.name}; only dense tensors can be merged")
    return _tensor(storage, dtype, offset, shape, strides)


def _rebuild_tensor_v2(
    storage: object, offset: object, shape: object, strides: object, _grad: object = None, _hooks: object = None,
    metadata: object = None,
) -> PickledTensor | Unsupported:  # fmt: skip
    if metadata:
        return Unsupported("is lazily conjugated or negated; save it again after .resolve_conj().resolve_neg()")
    return _rebuild_tensor(storage, offset, shape, strides)


def _rebuild_tensor_v3(
    storage: object, offset: object, shape: object, strides: object, _grad: object, _hooks: object, dtype: object,
    metadata: object = None,
) -> PickledTensor | Unsupported:  # fmt: skip
    """Tensors whose element type has no storage class of its own: the float8 kinds, uint16 to uint64."""
    if metadata:
        return _rebuild_tensor_v2(storage, offset, shape, strides, metadata=metadata)
    if not isinstance(dtype, TorchDType):
        if not isinstance(dtype, (Record, RecordType)):
            raise MalformedPickleError("a tensor without an element type")
        return Unsupported(f"has element type {dtype.class_name}, which xttsrecipe does not know")
    return _tensor(storage, dtype.dtype, offset, shape, strides)


# The product of sizes must stay a number that can be printed.
_MAX_COUNT = 2**62


def _tensor(storage: object, dtype: DType, offset: Any, shape: Any, strides: Any) -> PickledTensor:
    if not (isinstance(storage, PickledStorage) and type(shape) is type(strides) is tuple):
        raise MalformedPickleError("a tensor without a proper storage, shape and strides")
    counts = (offset, *shape, *strides)
    whole = set(map(type, counts)) == {int} and min(counts) >= 0 and max(counts) < _MAX_COUNT
    if not (whole and len(shape) == len(strides) <= _MAX_DIMENSIONS and math.prod(shape) < _MAX_COUNT):
        raise MalformedPickleError("a tensor with sizes, strides or an offset that no tensor has")
    return PickledTensor(storage, dtype, offset, shape, strides)


def _rebuild_parameter(data: object, *_: object) -> PickledTensor | Unsupported:
    if not isinstance(data, (PickledTensor, Unsupported)):
        raise MalformedPickleError("a parameter without a tensor")
    return data


def _rebuild_from_type(function: Any, _type: object, args: Any, _state: object = None) -> PickledTensor | Unsupported:
    """A tensor subclass, or a tensor with Python attributes: the tensor is what the inner call gives."""
    if type(args) is not tuple:
        raise MalformedPickleError("a tensor of a subclass without arguments")
    return _rebuild_parameter(function(*args))


def _unsupported(kind: str) -> Callable[..., Unsupported]:
    return lambda *_: Unsupported(f"is a {kind} tensor; only dense tensors can be merged")


def _bytes(*args: Any) -> bytes:
    # bytes(10**12) would be that many zeros: only what is spelled out in the file.
    if args and isinstance(args[0], str):
        return _encode(*args)
    return bytes(args[0]) if args and isinstance(args[0], (bytes, list)) else b""


_BUILTINS: Mapping[str, Callable[..., Any]] = {
    "set": list,  # order as in the file: a set's own order differs from run to run
    "frozenset": list,
    "list": list,
    "dict": PlainDict,
    "tuple": list,  # a tuple may be hashed, and the scan does not look into what is made here
    "bytes": _bytes,
    "bytearray": _bytes,
    "complex": _complex,
    "int": _int,
    "float": float,
    "str": _text,
    "bool": bool,
}

_KNOWN: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): PlainDict,
    ("collections", "Counter"): PlainDict,
    ("collections", "defaultdict"): lambda *_: PlainDict(),
    ("collections", "deque"): lambda items=(), *_: list(items),
    ("_codecs", "encode"): _encode,
    ("copyreg", "__newobj__"): lambda cls, *args: cls(*args) if isinstance(cls, RecordType) else Record(cls),
    ("copyreg", "_reconstructor"): lambda cls, *_: cls() if isinstance(cls, RecordType) else Record(cls),
    ("datetime", "date"): datetime.date,
    ("datetime", "time"): datetime.time,
    ("datetime", "datetime"): _datetime,
    ("datetime", "timedelta"): datetime.timedelta,
    ("datetime", "timezone"): datetime.timezone,
    **{("pathlib", name): _path for name in ("Path", "PurePath", "PosixPath", "PurePosixPath")},
    **{("pathlib", name): _windows_path for name in ("WindowsPath", "PureWindowsPath")},
    **{("pathlib._local", name): _path for name in ("Path", "PurePath", "PosixPath", "PurePosixPath")},
    **{("pathlib._local", name): _windows_path for name in ("WindowsPath", "PureWindowsPath")},
    ("numpy", "dtype"): _NumpyDType,
    ("numpy.core.multiarray", "scalar"): _numpy_scalar,
    ("numpy._core.multiarray", "scalar"): _numpy_scalar,
    ("torch", "Size"): _size,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): _rebuild_tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_from_type,
    ("torch._tensor", "_rebuild_from_type"): _rebuild_from_type,
    ("torch._utils", "_rebuild_sparse_tensor"): _unsupported("sparse"),
    ("torch._utils", "_rebuild_nested_tensor"): _unsupported("nested"),
    ("torch._utils", "_rebuild_qtensor"): _unsupported("quantized"),
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): _unsupported("meta (data-less)"),
    ("torch._utils", "_rebuild_wrapper_subclass"): _unsupported("wrapper-subclass"),
}


def constructor(module: str, name: str) -> Callable[..., Any] | None:
    """What the global of this name builds, if it is one that we know; everything it does is plain data."""
    known = _KNOWN.get((module, name)) or (_BUILTINS.get(name) if module == "builtins" else None)
    if known is None and module in ("torch._utils", "torch._tensor") and name.startswith("_rebuild_"):
        return _unsupported(f"{name.removeprefix('_rebuild_')}-built")
    return known
