"""What a pickle is read into: inert stand-ins for tensors, storages and objects of classes that we do not import."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..specs import DType


class MalformedPickleError(Exception):
    """The bytes are not a pickle, or not one that torch writes."""


# Named tuples, because a pickle can set the fields of almost anything else (BUILD), and what is checked must stay so.


class StorageType(NamedTuple):
    """torch's class for a storage; ``dtype`` None where it counts bytes or holds what we do not know."""

    name: str
    dtype: DType | None


class TorchDType(NamedTuple):
    """``torch.float32`` and its kin."""

    dtype: DType

    def __str__(self) -> str:
        return f"torch.{self.dtype}"


class PickledStorage(NamedTuple):
    """A storage as the pickle names it: the record's key, its type, the number of elements."""

    key: str
    type: StorageType
    numel: int


class PickledTensor(NamedTuple):
    """A dense tensor as the pickle describes it: a window on a storage; offset and strides in elements."""

    storage: PickledStorage
    dtype: DType
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Unsupported(NamedTuple):
    """A tensor of a kind that has no plain bytes to merge (sparse, quantized, conjugated …); ``why`` says so."""

    why: str


class PlainDict(dict[Any, Any]):
    """A dict, OrderedDict, defaultdict or Counter; attributes set on it (``_metadata``) are dropped."""

    def __setstate__(self, state: object) -> None:
        pass


class Record:
    """An instance of a class we do not know: its name, constructor arguments, state, list items, dict entries."""

    class_name = "?"

    @staticmethod
    def spend(args: tuple[object, ...]) -> None:
        """Counts what an instance is made with; the classes of a file share an account, which may be overdrawn."""

    args: tuple[object, ...]
    state: object
    items: list[object]
    entries: list[tuple[object, object]]

    def __new__(cls, *args: object, **kwargs: object) -> Record:
        record = super().__new__(cls)
        record.args = args + tuple(kwargs.items())
        cls.spend(record.args)
        record.state = None
        record.items = []
        record.entries = []
        return record

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        self.entries.append((key, value))

    def append(self, item: object) -> None:
        """A list's item."""
        self.items.append(item)

    def extend(self, items: list[object]) -> None:
        """A list's items."""
        self.items.extend(items)

    def add(self, item: object) -> None:
        """A set's item."""
        self.items.append(item)

    def __call__(self, *args: object) -> Record:
        return type(self)(*args)

    def __repr__(self) -> str:
        return self.class_name


class RecordType(type):
    """Record classes are made anew for each file; ``class_name`` is what the file calls them."""

    class_name: str

    def __repr__(cls) -> str:
        return cls.class_name
