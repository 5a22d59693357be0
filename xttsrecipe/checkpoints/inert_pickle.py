"""Reads a pickle as data: no import, no call, nothing of the file is executed.

Python's own unpickler does the parsing; every global it asks for is answered with an inert stand-in (``records``,
``constructors``). What torch uses for tensors becomes ``PickledTensor``; the few plain types of the standard library
that training leaves in checkpoints become plain values; every other class becomes a ``Record`` that only remembers what
was put in it. A global that could only be there to run something (``os.system``) is refused by name (``refusal``).

Formats: the opcodes are PEP 307 / PEP 3154; torch's tensors are ``torch._utils._rebuild_*`` (torch/_utils.py) over
persistent ids ``("storage", type, key, location, numel)`` (torch/serialization.py).
"""

from __future__ import annotations

import _compat_pickle
import datetime
import io
import pickle
from collections.abc import Callable
from typing import Any

from ..specs import DType
from .constructors import constructor
from .pickle_scan import scan
from .records import MalformedPickleError, PickledStorage, Record, RecordType, StorageType, TorchDType
from .refusal import is_refused


class RefusedGlobalError(Exception):
    """The pickle asks for a callable that has no place in a checkpoint; ``str()`` is its dotted name."""


class _Constructor:
    """A callable the pickle may apply. Not a function: BUILD could set a function's defaults."""

    __slots__ = ("_build", "_spend", "name")

    def __init__(self, name: str, build: Callable[..., Any], spend: Callable[[tuple[Any, ...]], None]) -> None:
        self.name = name
        self._build = build
        self._spend = spend

    def __call__(self, *args: Any) -> Any:
        self._spend(args)
        return self._build(*args)

    def __setstate__(self, state: object) -> None:
        raise MalformedPickleError(f"the pickle sets attributes of {self.name}")

    def __repr__(self) -> str:
        return self.name


# torch.FloatStorage and its kin. torch.storage.UntypedStorage counts bytes; others hold what has no plain bytes.
_STORAGES = {
    "DoubleStorage": DType.FLOAT64, "FloatStorage": DType.FLOAT32, "HalfStorage": DType.FLOAT16,
    "BFloat16Storage": DType.BFLOAT16, "LongStorage": DType.INT64, "IntStorage": DType.INT32,
    "ShortStorage": DType.INT16, "CharStorage": DType.INT8, "ByteStorage": DType.UINT8, "BoolStorage": DType.BOOL,
    "ComplexDoubleStorage": DType.COMPLEX128, "ComplexFloatStorage": DType.COMPLEX64,
}  # fmt: skip


_SIZED = (list, tuple, dict, set, frozenset, str, bytes)
_TEXT = (str, bytes)
# Arguments and what is in them; of text, eight characters are one. A real trainer checkpoint has 26,000 in all.
_MAX_COPIED = 1 << 20
# Real checkpoints name a handful; each is a class of its own in memory, of some kilobytes.
_MAX_GLOBALS = 1_000
_MAX_NAME = 1_000


class _InertUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", errors="surrogateescape")
        self._globals: dict[tuple[str, str], Any] = {}
        self._copied = 0
        # Before protocol 3 Python 3 writes Python 2's names: __builtin__.long is int.
        self._old_names = data[:1] != b"\x80" or data[1:2] < b"\x03"

    def find_class(self, module: str, name: str) -> Any:
        key = _new_name(module, name) if self._old_names else (module, name)
        if key not in self._globals:
            if len(self._globals) == _MAX_GLOBALS:
                raise MalformedPickleError(f"more than {_MAX_GLOBALS:,} classes and functions")
            if len(module) + len(name) > _MAX_NAME:
                raise MalformedPickleError(f"a class whose name has {len(module) + len(name):,} characters")
            self._globals[key] = _stand_in(*key, self._spend)
        return self._globals[key]

    def _spend(self, args: tuple[Any, ...]) -> None:
        # A reference of a few bytes must not copy a list of a million, again and again.
        copied = self._copied + len(args)
        for argument in args:
            if isinstance(argument, _SIZED):
                copied += len(argument) >> 3 if isinstance(argument, _TEXT) else len(argument)
        self._copied = copied
        if copied > _MAX_COPIED:
            raise MalformedPickleError("copies of copies, beyond any real checkpoint")

    def persistent_load(self, pid: Any) -> PickledStorage:
        match pid:
            case ("storage", StorageType() as kind, str(key), _, int(numel), *_):
                return PickledStorage(key, kind, numel)
        raise MalformedPickleError("a storage reference of an unknown form")


def _new_name(module: str, name: str) -> tuple[str, str]:
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[module, name]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


def _stand_in(module: str, name: str, spend: Callable[[tuple[Any, ...]], None]) -> Any:
    known = constructor(module, name)
    if known:
        return _Constructor(f"{module}.{name}", known, spend)
    if module in ("torch", "torch.storage") and name.endswith("Storage"):
        return StorageType(name, _STORAGES.get(name))
    if module == "torch" and (dtype := DType.named(name)):
        return TorchDType(dtype)
    if (module, name) == ("datetime", "timezone.utc"):
        return datetime.timezone.utc
    if is_refused(module, name):
        raise RefusedGlobalError(f"{module}.{name}")
    return RecordType(name, (Record,), {"class_name": f"{module}.{name}", "spend": staticmethod(spend)})


def load(data: bytes) -> object:
    """The object graph of a pickle, made of plain values and the stand-ins of this module.

    Raises RefusedGlobalError or MalformedPickleError; both mean that nothing was executed.
    """
    try:
        scan(data)
        return _InertUnpickler(data).load()
    except (RefusedGlobalError, MalformedPickleError):
        raise
    except Exception as error:
        # Whatever a hostile stream makes the unpickler trip over: it is a malformed pickle to us.
        raise MalformedPickleError(f"{type(error).__name__}: {error}") from error
