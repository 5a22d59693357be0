"""The tensors of a header as a lock has them: only what is not as in XTTS-V2, or as in another source.

Keys, shapes and element types; where the data lies in its file is nobody's business without that file.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

from ..specs import DType, StoredTensor, TensorSpec, contiguous_strides, shape_text, shared_spec
from .folding import folded, unfolded
from .node import Node

# As the checkpoint readers allow.
_MAX_TENSORS = 20_000
_MAX_DIMENSIONS = 64
_MAX_SIZE = 1 << 48

Tensors = Mapping[str, StoredTensor]


def tensors_data(tensors: Tensors, like: Mapping[str, Mapping[str, TensorSpec]]) -> dict[str, Any]:
    """What a lock says of these tensors: as one of ``like``, whichever takes the fewest lines, but for what follows.

    Raises ValueError for keys that cannot be folded.
    """
    specs = {key: tensor.spec for key, tensor in tensors.items()}
    choices = [_difference(specs, name, known) for name, known in like.items()]
    data = min(choices, key=_lines)
    strided = {key: " ".join(map(str, tensor.strides)) for key, tensor in tensors.items() if not tensor.is_contiguous}
    return {**data, **({"strides": folded(strided)} if strided else {})}


def _difference(specs: Mapping[str, TensorSpec], name: str, known: Mapping[str, TensorSpec]) -> dict[str, Any]:
    data: dict[str, Any] = {"like": name}
    kinds = {spec.dtype for spec in specs.values() if spec.dtype.kind == "float"}
    dtype = kinds.pop() if len(kinds) == 1 else None
    expected = _as_type(known, dtype)
    if dtype and expected != known:
        data["dtype"] = str(dtype)
    else:
        expected = known
    missing = folded({key: True for key in expected if key not in specs})
    other = folded({key: str(spec) for key, spec in specs.items() if expected.get(key) != spec})
    return {**data, **({"missing": list(missing)} if missing else {}), **({"other": other} if other else {})}


def _as_type(known: Mapping[str, TensorSpec], dtype: DType | None) -> Mapping[str, TensorSpec]:
    """The same with all floating elements of this type."""
    if dtype is None:
        return known
    return {key: shared_spec(spec.shape, dtype) if spec.dtype.kind == "float" else spec for key, spec in known.items()}


def _lines(data: Mapping[str, Any]) -> int:
    return len(data.get("missing", ())) + len(data.get("other", ())) + len(data)


def read_tensors(node: Node, like: Mapping[str, Mapping[str, TensorSpec]]) -> Tensors:
    """The tensors that ``tensors_data`` described. Raises RecipeError."""
    name = node["like"].text()
    if name not in like:
        node["like"].fail(f"one of {', '.join(like)}")
    dtype = DType.named(node["dtype"].text()) if "dtype" in node else None
    if "dtype" in node and dtype is None:
        node["dtype"].fail("an element type, as float16")
    specs = dict(_as_type(like[name], dtype))
    unfold = _Unfolder()
    for folded_key in node.names("missing"):
        for key in unfold(folded_key, node):
            specs.pop(key, None)
    for folded_key, value in node.part("other"):
        spec = _spec(value)
        for key in unfold(folded_key, value):
            specs[key] = spec
    if len(specs) > _MAX_TENSORS:
        node.fail(f"at most {_MAX_TENSORS:,} tensors")
    strides = {
        key: _sizes(value.text().replace(" ", "x"), value)
        for folded_key, value in node.part("strides")
        for key in unfold(folded_key, value)
    }
    tensors = {}
    for key, spec in specs.items():
        its = strides.get(key, contiguous_strides(spec.shape))
        if len(its) != len(spec.shape):
            node["strides"].fail(f"a stride for each dimension of {key}")
        tensors[key] = StoredTensor(key, spec, 0, its)
    return tensors


class _Unfolder:
    """Gives the keys that folded ones stand for, as long as they are not more than three lists of tensors have."""

    def __init__(self) -> None:
        self._left = 3 * _MAX_TENSORS

    def __call__(self, key: str, node: Node) -> list[str]:
        try:
            keys = unfolded(key, min(self._left, _MAX_TENSORS))
        except ValueError as error:
            node.fail(str(error))
        self._left -= len(keys)
        return keys


@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> TensorSpec | None:
    shape, _, label = text.partition(" ")
    dtype = DType.named(label)
    sizes = (
        () if shape == "scalar" else tuple(int(size) for size in shape.split("x") if size.isascii() and size.isdigit())
    )
    usable = len(sizes) <= _MAX_DIMENSIONS and math.prod(sizes) < _MAX_SIZE
    return shared_spec(sizes, dtype) if dtype and usable and shape_text(sizes) == shape else None


def _spec(node: Node) -> TensorSpec:
    return _parsed(node.text()) or node.fail("a shape and an element type, as 1024x80 float32")


def _sizes(text: str, node: Node) -> tuple[int, ...]:
    parsed = _parsed(f"{text} float32")
    return parsed.shape if parsed else node.fail("strides, as 1 1024")
