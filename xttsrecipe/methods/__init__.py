"""The merge methods: a table of small pure functions.

Reading the table imports no torch; the functions work on torch tensors that the executor hands them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .linear import linear

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class MethodEntry:
    """A method: ``combine`` takes tensors of one shape and type with a weight for each, and may use the tensors up.

    ``elementwise``: every element of the result depends on the same element of the sources only, so that a tensor
    may be merged in pieces.
    """

    name: str
    summary: str
    paper: str
    elementwise: bool
    combine: Callable[[Sequence[Tensor], Sequence[float]], Tensor]


METHODS: Mapping[str, MethodEntry] = {
    entry.name: entry
    for entry in (
        MethodEntry(
            "linear",
            "the weighted mean, Σ wᵢxᵢ",
            "Model soups, arXiv 2203.05482",
            elementwise=True,
            combine=linear,
        ),
    )
}
