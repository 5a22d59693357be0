"""The merge methods: a table of small pure functions.

Reading the table imports no torch; the functions work on torch tensors that the executor hands them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .linear import Scratch, linear

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["METHODS", "MethodEntry", "Scratch"]


@dataclass(frozen=True, slots=True)
class MethodEntry:
    """A method: ``combine`` takes tensors of one shape and type with a weight for each, and leaves them as they are.
    What it needs memory for, the result too, it may put into the scratch that it is given, if any.

    ``elementwise``: every element of the result depends on the same element of the sources only, so that a tensor
    may be merged in pieces. ``one_by_one``: it needs at most two of the tensors at once, the first and one other, which
    may be gone when it takes the next.
    """

    name: str
    summary: str
    paper: str
    elementwise: bool
    one_by_one: bool
    combine: Callable[[Sequence[Tensor], Sequence[float], Scratch | None], Tensor]


METHODS: Mapping[str, MethodEntry] = {
    entry.name: entry
    for entry in (
        MethodEntry(
            "linear",
            "the weighted mean, Σ wᵢxᵢ",
            "Model soups, arXiv 2203.05482",
            elementwise=True,
            one_by_one=True,
            combine=linear,
        ),
    )
}
