"""Reads a pickle as data: no import, no call, nothing of the file is executed.

Python's own unpickler does the parsing; every global it asks for is answered with one of the inert stand-ins below.
What torch uses for tensors becomes ``PickledTensor``; the few plain types of the standard library that training leaves
in checkpoints become plain values; every other class becomes a ``Record`` that only remembers what was put in it. A
global that could only be there to run something (``os.system``) is refused by name.

Formats: the opcodes are PEP 307 / PEP 3154; torch's tensors are ``torch._utils._rebuild_*`` (torch/_utils.py) over
persistent ids ``("storage", type, key, location, numel)`` (torch/serialization.py).
"""

from __future__ import annotations

import datetime
import io
import pathlib
import pickle
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..specs import DType


class RefusedGlobalError(Exception):
    """The pickle asks for a callable that has no place in a checkpoint; ``str()`` is its dotted name."""


class MalformedPickleError(Exception):
    """The bytes are not a pickle, or not one that torch writes."""


@dataclass(frozen=True, slots=True)
class PickledStorage:
    """A storage as the pickle names it: the record's key and the number of elements of ``dtype`` (None: bytes)."""

    key: str
    dtype: DType | None
    numel: int


@dataclass(frozen=True, slots=True)
class PickledTensor:
    """A dense tensor as the pickle describes it: a window on a storage; offset and strides in elements."""

    storage: PickledStorage
    dtype: DType
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A tensor of a kind that has no plain bytes to merge (sparse, quantized, lazily conjugated …); ``why`` says so."""

    why: str


class PlainDict(dict[Any, Any]):
    """A dict, OrderedDict, defaultdict or Counter; attributes set on it (``_metadata``) are dropped."""

    def __setstate__(self, state: object) -> None:
        pass


class Record:
    """An instance of a class we do not know: its name, constructor arguments, state and items, as data."""

    class_name = "?"

    def __new__(cls, *args: object, **kwargs: object) -> Record:
        record = super().__new__(cls)
        record.args = args + tuple(kwargs.items())
        record.state = None
        record.items = []
        return record

    args: tuple[object, ...]
    state: object
    items: list[object]

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        self.items.append((key, value))

    def append(self, item: object) -> None:
        self.items.append(item)

    def extend(self, items: list[object]) -> None:
        self.items.extend(items)

    def add(self, item: object) -> None:
        self.items.append(item)

    def __call__(self, *args: object) -> Record:
        return Record(*args)

    def __repr__(self) -> str:
        return self.class_name


class _Constructor:
    """A callable the pickle may apply. Not a function: BUILD could set a function's defaults."""

    __slots__ = ("_build", "name")

    def __init__(self, name: str, build: Callable[..., Any]) -> None:
        self.name = name
        self._build = build

    def __call__(self, *args: Any) -> Any:
        return self._build(*args)

    def __setstate__(self, state: object) -> None:
        raise MalformedPickleError(f"the pickle sets attributes of {self.name}")

    def __repr__(self) -> str:
        return self.name


class _RecordType(type):
    """Record classes are made anew for each file; ``class_name`` is what the file calls them."""

    class_name: str

    def __repr__(cls) -> str:
        return cls.class_name


@dataclass(frozen=True, slots=True)
class _StorageType:
    dtype: DType | None


class _NumpyDType:
    """``numpy.dtype`` with the state numpy pickles: (version, byte order, …)."""

    def __init__(self, code: str, *_: object) -> None:
        self.code = str(code)
        self.order = "<"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.order = state[1]


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


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """``_codecs.encode`` as protocol 2 uses it to carry bytes."""
    if encoding not in ("latin1", "latin-1", "utf-8", "utf8", "ascii"):
        raise MalformedPickleError(f"bytes in the encoding {encoding!r}")
    return text.encode(encoding)


def _size(*args: Any) -> tuple[Any, ...]:
    return tuple(args[0]) if args else ()


def _datetime(stamp: Any, *_zone: object) -> datetime.datetime:
    return datetime.datetime(stamp)  # type: ignore[call-arg] # as datetime itself pickles: ten bytes


def _path(*parts: str) -> str:
    return str(pathlib.PurePosixPath(*parts))


def _windows_path(*parts: str) -> str:
    return str(pathlib.PureWindowsPath(*parts))


def _rebuild_tensor(storage: object, offset: object, shape: object, strides: object) -> PickledTensor | Unsupported:
    if isinstance(storage, PickledStorage) and storage.dtype is None:
        return _rebuild_tensor_v3(storage, offset, shape, strides, None, None, DType.UINT8)
    return _tensor(storage, storage.dtype if isinstance(storage, PickledStorage) else None, offset, shape, strides)


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
    if not isinstance(dtype, DType):
        return Unsupported(f"has element type {dtype}, which xttsrecipe does not know")
    return _tensor(storage, dtype, offset, shape, strides)


def _tensor(storage: object, dtype: DType | None, offset: object, shape: object, strides: object) -> PickledTensor:
    sizes = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides)
    if not (sizes and isinstance(storage, PickledStorage) and dtype and _counts((offset, *shape, *strides))):  # type: ignore[misc]
        raise MalformedPickleError("a tensor without a proper storage, shape, strides or offset")
    return PickledTensor(storage, dtype, offset, shape, strides)  # type: ignore[arg-type]


def _counts(numbers: tuple[object, ...]) -> bool:
    return all(type(number) is int and 0 <= number < 2**62 for number in numbers)


def _rebuild_parameter(data: object, *_: object) -> object:
    return data


def _rebuild_from_type(function: Any, _type: object, args: Any, _state: object = None) -> object:
    """A tensor subclass, or a tensor with Python attributes: the tensor is what the inner call gives."""
    return function(*args)


def _unsupported(kind: str) -> Callable[..., Unsupported]:
    return lambda *_: Unsupported(f"is a {kind} tensor; only dense tensors can be merged")


def _bytes(*args: Any) -> bytes:
    # bytes(10**12) would be that many zeros: only what is spelled out in the file.
    if args and isinstance(args[0], str):
        return _encode(*args)
    return bytes(args[0]) if args and isinstance(args[0], (bytes, list)) else b""


_BUILTINS: dict[str, Callable[..., Any]] = {
    "set": list,  # order as in the file: a set's own order differs from run to run
    "frozenset": tuple,
    "list": list,
    "dict": PlainDict,
    "tuple": tuple,
    "bytes": _bytes,
    "bytearray": _bytes,
    "complex": complex,
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "slice": Record,
    "range": Record,
    "object": Record,
    "type": Record,
}

_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): PlainDict,
    ("collections", "Counter"): PlainDict,
    ("collections", "defaultdict"): lambda *_: PlainDict(),
    ("collections", "deque"): lambda items=(), *_: list(items),
    ("_codecs", "encode"): _encode,
    ("copyreg", "__newobj__"): lambda cls, *args: cls(*args) if isinstance(cls, _RecordType) else Record(cls),
    ("copyreg", "_reconstructor"): lambda cls, *_: cls() if isinstance(cls, _RecordType) else Record(cls),
    ("datetime", "date"): datetime.date,
    ("datetime", "time"): datetime.time,
    ("datetime", "datetime"): _datetime,
    ("datetime", "timedelta"): datetime.timedelta,
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

# torch.FloatStorage and its kin; torch.storage.UntypedStorage counts bytes.
_STORAGES = {
    "DoubleStorage": DType.FLOAT64, "FloatStorage": DType.FLOAT32, "HalfStorage": DType.FLOAT16,
    "BFloat16Storage": DType.BFLOAT16, "LongStorage": DType.INT64, "IntStorage": DType.INT32,
    "ShortStorage": DType.INT16, "CharStorage": DType.INT8, "ByteStorage": DType.UINT8, "BoolStorage": DType.BOOL,
    "ComplexDoubleStorage": DType.COMPLEX128, "ComplexFloatStorage": DType.COMPLEX64, "UntypedStorage": None,
}  # fmt: skip

_OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}

# Where the standard library keeps what runs, imports, opens or reaches out; nothing there belongs in a checkpoint.
_REFUSED_MODULES = frozenset(
    [
        "_frozen_importlib",
        "_io",
        "_pickle",
        "_posixsubprocess",
        "_socket",
        "asyncio",
        "bdb",
        "cProfile",
        "code",
        "codeop",
        "commands",
        "concurrent",
        "ctypes",
        "distutils",
        "doctest",
        "ensurepip",
        "fileinput",
        "ftplib",
        "gc",
        "http",
        "imaplib",
        "imp",
        "importlib",
        "inspect",
        "io",
        "linecache",
        "marshal",
        "mmap",
        "multiprocessing",
        "nntplib",
        "nt",
        "operator",
        "os",
        "pdb",
        "pickle",
        "pip",
        "pipes",
        "pkgutil",
        "platform",
        "poplib",
        "posix",
        "posixpath",
        "profile",
        "pty",
        "pydoc",
        "runpy",
        "shelve",
        "shutil",
        "signal",
        "site",
        "smtplib",
        "socket",
        "socketserver",
        "sqlite3",
        "ssl",
        "subprocess",
        "sys",
        "sysconfig",
        "telnetlib",
        "tempfile",
        "test",
        "threading",
        "timeit",
        "tkinter",
        "trace",
        "types",
        "unittest",
        "urllib",
        "venv",
        "webbrowser",
        "xmlrpc",
        "zipapp",
        "zipfile",
        "zipimport",
        "aiohttp",
        "cloudpickle",
        "dill",
        "httpx",
        "joblib",
        "requests",
        "setuptools",
    ]
)
_REFUSED_GLOBALS = frozenset(
    {("torch", "load"), ("torch", "save"), ("torch.serialization", "load"), ("numpy", "load"), ("numpy", "fromfile")}
)
_REFUSED_PREFIXES = (
    "torch.hub", "torch.jit", "torch._inductor", "torch._dynamo", "torch.utils.cpp_extension", "numpy.testing",
)  # fmt: skip
_HARMLESS = frozenset({("types", "SimpleNamespace"), ("threading", "Lock"), ("threading", "RLock")})


def _is_refused(module: str, name: str) -> bool:
    """Whether asking for this global shows that the file means to run something.

    Nothing would be executed either way; a file that asks is not one to build a model from. From the standard library
    only classes pass (their names start with a capital), and none from the modules that run or open things.
    """
    top = module.partition(".")[0]
    if (module, name) in _HARMLESS:
        return False
    if top in _REFUSED_MODULES or (module, name) in _REFUSED_GLOBALS or module.startswith(_REFUSED_PREFIXES):
        return True
    return top in sys.stdlib_module_names and not name.rpartition(".")[2][:1].isupper()


class _InertUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", errors="surrogateescape")
        self._globals: dict[tuple[str, str], Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        key = (_OLD_MODULES.get(module, module), name)
        if key not in self._globals:
            self._globals[key] = self._stand_in(*key)
        return self._globals[key]

    def _stand_in(self, module: str, name: str) -> Any:
        known = _KNOWN.get((module, name)) or (_BUILTINS.get(name) if module == "builtins" else None)
        if known:
            return _Constructor(f"{module}.{name}", known)
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _StorageType(_STORAGES[name])
        if module == "torch" and (dtype := DType.named(name)):
            return dtype
        if _is_refused(module, name):
            raise RefusedGlobalError(f"{module}.{name}")
        return _RecordType(name, (Record,), {"class_name": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> PickledStorage:
        match pid:
            case ("storage", _StorageType(dtype=dtype), str(key), _, int(numel), *_):
                return PickledStorage(key, dtype, numel)
        raise MalformedPickleError(f"a storage reference of an unknown form: {str(pid)[:80]}")


def load(data: bytes) -> object:
    """The object graph of a pickle, made of plain values and the stand-ins of this module.

    Raises RefusedGlobalError or MalformedPickleError; both mean that nothing was executed.
    """
    try:
        return _InertUnpickler(data).load()
    except (RefusedGlobalError, MalformedPickleError):
        raise
    except Exception as error:
        # Whatever a hostile stream makes the unpickler trip over: it is a malformed pickle to us.
        raise MalformedPickleError(f"{type(error).__name__}: {error}") from error


_MAX_DEPTH = 64
_MAX_NODES = 1_000_000


def to_plain(value: object) -> Any:
    """``value`` as str, int, float, bool, None, list, dict with such keys: what weights_only loading and JSON accept.

    Records become the dict of their state (a pickled Coqpit config becomes what its config.json would be), dates and
    paths become text, tensors a description. Raises MalformedPickleError for nesting beyond 64 levels or a million
    nodes.
    """
    budget = [_MAX_NODES]
    return _plain(value, 0, budget)


def _plain(value: object, depth: int, budget: list[int]) -> Any:
    budget[0] -= 1
    if depth > _MAX_DEPTH or budget[0] < 0:
        raise MalformedPickleError("metadata that is nested too deeply or refers to itself")
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {_plain_key(key): _plain(item, depth + 1, budget) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, depth + 1, budget) for item in value]
        case set() | frozenset():
            return sorted((_plain(item, depth + 1, budget) for item in value), key=repr)
        case datetime.date() | datetime.time():
            return value.isoformat()
        case Record():
            return _plain_record(value, depth, budget)
        case PickledTensor():
            return f"tensor {'x'.join(map(str, value.shape)) or 'scalar'} {value.dtype}"
        case bytes():
            return f"{len(value)} bytes"
    return str(value)


def _plain_key(key: object) -> str | int | float | bool | None:
    return key if key is None or isinstance(key, (str, int, float, bool)) else str(key)[:200]


def _plain_record(record: Record, depth: int, budget: list[int]) -> Any:
    state = record.state
    if isinstance(state, tuple) and len(state) == 2:  # (__dict__, slots)
        state = (
            {**(state[0] or {}), **(state[1] or {})}
            if all(s is None or isinstance(s, Mapping) for s in state)
            else None
        )
    if isinstance(state, Mapping):
        return _plain(state, depth, budget)
    if record.items:
        return _plain(record.items, depth, budget)
    if len(record.args) == 1 and isinstance(record.args[0], (str, int, float, bool)):
        return record.args[0]  # an enum member, a wrapped number
    return record.class_name
