"""What a pickle is read into: inert stand-ins for tensors, storages and objects of classes that we do not import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..specs import DType


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


class RecordType(type):
    """Record classes are made anew for each file; ``class_name`` is what the file calls them."""

    class_name: str

    def __repr__(cls) -> str:
        return cls.class_name
