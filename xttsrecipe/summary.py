"""What a run did, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .specs import DType


@dataclass(frozen=True, slots=True)
class NonFinite:
    """Elements of a tensor of the output that are NaN or infinite.

    Of ``count`` elements ``overflowed`` are finite in all sources; ``brought`` says by the source's name how many are
    not finite there already.
    """

    key: str
    dtype: DType
    count: int
    overflowed: int
    brought: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """Tensors and bytes of tensor data written, the file's size, wall seconds of the streaming: from the first byte
    read to the last one handed to the system. ``nonfinite``: tensors with values that are not finite, in plan order.
    ``digest``: of the output's tensors, where it was asked for.
    """

    output: Path
    tensors: int
    nbytes: int
    size: int
    seconds: float
    nonfinite: tuple[NonFinite, ...]
    digest: str | None = None
