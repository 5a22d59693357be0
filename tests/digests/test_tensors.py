from __future__ import annotations

import hashlib

from xttsrecipe.digests.tensors import tensors_digest
from xttsrecipe.specs import DType, TensorSpec

A, B = TensorSpec((2, 3), DType.FLOAT32), TensorSpec((), DType.INT64)


def test_it_is_what_the_docstring_says() -> None:
    text = '["a", "float32", [2, 3], "11"]\n["b", "int64", [], "22"]\n'
    assert tensors_digest({"b": B, "a": A}, {"a": "11", "b": "22"}) == hashlib.sha256(text.encode()).hexdigest()


def test_everything_counts_but_the_order() -> None:
    found = {
        tensors_digest(specs, {"a": "11", "b": "22", "c": "22", **more})
        for specs, more in (
            ({"a": A, "b": B}, {}),
            ({"b": B, "a": A}, {}),
            ({"a": A, "c": B}, {}),
            ({"a": TensorSpec((3, 2), DType.FLOAT32), "b": B}, {}),
            ({"a": TensorSpec((2, 3), DType.INT32), "b": B}, {}),
            ({"a": A, "b": B}, {"a": "12"}),
        )
    }
    assert len(found) == 5


def test_a_name_cannot_forge_a_line() -> None:
    forged = 'a", "float32", [2, 3], "11"]\n["b'
    assert tensors_digest({forged: B}, {forged: "22"}) != tensors_digest({"a": A, "b": B}, {"a": "11", "b": "22"})
