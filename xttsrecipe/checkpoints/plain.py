"""What was read from a pickle, as the plain values that every loader accepts."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from .records import MalformedPickleError, PickledTensor, Record, StorageType, TorchDType, Unsupported

_MAX_DEPTH = 64
# Python writes out no longer integers, and weights_only reads none beyond 2,040 bits.
_MAX_BITS = 2040
# A real config has some 500.
_MAX_NODES = 250_000


def to_plain(value: object) -> Any:
    """``value`` as str, int, float, bool, None, list, dict with such keys: what weights_only loading and JSON accept.

    Records become the dict of their state (a pickled Coqpit config becomes what its config.json would be), dates and
    paths become text, tensors a description. Raises MalformedPickleError for nesting beyond 64 levels or a quarter of a
    million nodes.
    """
    return _plain(value, 0, [_MAX_NODES])


def plain_entries(entries: Mapping[str, object]) -> dict[str, Any]:
    """The entries of a checkpoint by name, each as ``to_plain`` makes it; that many nodes in all."""
    budget = [_MAX_NODES]
    return {name: _plain(value, 0, budget) for name, value in entries.items()}


def _plain(value: object, depth: int, budget: list[int]) -> Any:
    budget[0] -= 1
    if depth > _MAX_DEPTH or budget[0] < 0:
        raise MalformedPickleError("metadata that is nested too deeply, too large, or refers to itself")
    match value:
        case int() if value.bit_length() > _MAX_BITS:
            return f"an integer of {value.bit_length():,} bits"
        case None | bool() | int() | float() | str():
            return value
        case PickledTensor():
            return f"tensor {'x'.join(map(str, value.shape)) or 'scalar'} {value.dtype}"
        case TorchDType() | StorageType() | Unsupported():
            return str(value)
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
        case bytes() | bytearray():
            return f"{len(value)} bytes"
    return str(value)


def _plain_key(key: object) -> str | int | float | bool | None:
    if isinstance(key, int) and key.bit_length() > _MAX_BITS:
        return f"an integer of {key.bit_length():,} bits"
    return key if key is None or isinstance(key, (str, int, float, bool)) else f"a {type(key).__name__}"


def _plain_record(record: Record, depth: int, budget: list[int]) -> Any:
    if record.entries:  # of a kind of dict
        return {_plain_key(key): _plain(value, depth + 1, budget) for key, value in record.entries}
    if record.items:
        return _plain(record.items, depth, budget)
    state = _fields(record.state)
    if state is not None:
        return _plain(state, depth, budget)
    if len(record.args) == 1:  # an enum member, a wrapped number
        return _plain(record.args[0], depth + 1, budget)
    return _plain(record.args, depth, budget) if record.args else record.class_name


def _fields(state: object) -> Mapping[object, object] | None:
    """An object's attributes by name, from what its class pickles: a dict, or the pair of ``__dict__`` and slots."""
    match state:
        case Mapping():
            # Coqpit marks an instance as initialised; that is no field of a config.
            return {name: value for name, value in state.items() if name != "_initialized"}
        case (None | Mapping() as attributes, None | Mapping() as slots):
            return _fields({**(attributes or {}), **(slots or {})})
    return None
