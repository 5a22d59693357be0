"""The vectors of tests/methods/vectors, and tensors to try the methods with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from xttsrecipe.methods import METHODS, Draw, MethodEntry, Value, call, draw_of

VECTORS = Path(__file__).parent / "vectors"

# What required parameters are given where nothing is said of them.
REQUIRED: dict[str, Value] = {"density": 0.5, "t": 0.4, "beta": 0.2}


def cases(*names: str) -> list[dict[str, Any]]:
    """The vectors of methods; of all that have some where none is named."""
    found = names or [file.stem for file in sorted(VECTORS.glob("*.json")) if file.stem != "random_methods"]
    return [case for name in found for case in json.loads((VECTORS / f"{name}.json").read_text("utf-8"))["cases"]]


def name_of(case: dict[str, Any]) -> str:
    """What a case is called in reports."""
    return f"{case['method']}-{case['name']}"


def assert_vector(case: dict[str, Any]) -> None:
    """That a method gives what a vector expects, in float64 and as well as float32 can."""
    for dtype, rtol, atol in ((torch.float64, 1e-6, 1e-9), (torch.float32, 1e-6, 2e-7)):
        sources = {name: torch.tensor(values, dtype=dtype) for name, values in case["inputs"].items()}
        base = sources.pop(case["base"]) if case["base"] else None
        weights = [case["weights"][name] for name in sources] if case["weights"] else []
        found = call(METHODS[case["method"]], list(sources.values()), weights, base, case["params"])
        expected = torch.tensor(case["expected"], dtype=torch.float64)
        assert (found.dtype, found.shape) == (dtype, expected.shape)
        torch.testing.assert_close(found.double(), expected, rtol=rtol, atol=atol)


def normals(count: int, *shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> list[torch.Tensor]:
    """So many standard normal tensors of a shape."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for _ in range(count)]


def number_of_sources(entry: MethodEntry, wanted: int) -> int:
    """As many sources as wanted, or as the method allows."""
    return max(entry.least, min(wanted, entry.most or wanted))


def required(entry: MethodEntry, **others: Value) -> dict[str, Value]:
    """Parameters that a method has to be given, and others where it has them."""
    names = {parameter.name: parameter for parameter in entry.parameters}
    given = {name: REQUIRED[name] for name, parameter in names.items() if parameter.default is None}
    return {**given, **{name: value for name, value in others.items() if name in names}}


def merged(
    name: str, tensors: Sequence[torch.Tensor], base: torch.Tensor, weights: Sequence[float] = (), seed: int = 0,
    names: Sequence[str] = (), **parameters: Value,
) -> torch.Tensor:  # fmt: skip
    """What a method makes of tensors: equal weights unless given, the base where it takes one."""
    entry = METHODS[name]
    given = weights or [1 / len(tensors)] * len(tensors)
    return call(
        entry,
        tensors,
        given,
        base if entry.base == "required" else None,
        required(entry, **parameters),
        draws(len(tensors), seed, names=names),
    )


def draws(count: int, seed: int = 0, key: str = "gpt.h.0", names: Sequence[str] = ()) -> list[Draw]:
    """Random numbers for so many sources."""
    return [draw_of(seed, key, name) for name in (names or [str(index) for index in range(count)])]
