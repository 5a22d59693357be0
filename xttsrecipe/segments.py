"""From which places of its inputs a tensor is made: as a whole, or row by row where rows have other places in each."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive elements of an output tensor that are made from consecutive elements of the same inputs.

    ``start``, ``count``: where they lie in the output, in elements. ``inputs``: which of the step's inputs take part,
    ``starts`` the first element in each, ``weights`` how much of each.
    """

    start: int
    count: int
    inputs: tuple[int, ...]
    starts: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` consecutive rows of the output, from ``start`` on, that are rows of the same ``inputs``, there
    consecutive too; ``rows``: the first in each.
    """

    start: int
    count: int
    inputs: tuple[int, ...]
    rows: tuple[int, ...]


class CancellingWeightsError(ValueError):
    """The weights of some inputs sum to so little that they cannot be scaled to sum to 1."""

    def __init__(self, inputs: Sequence[int]) -> None:
        super().__init__(f"the weights of inputs {inputs} cancel")
        self.inputs = inputs


@functools.lru_cache(maxsize=4096)
def whole(count: int, weights: tuple[float, ...]) -> tuple[Segment, ...]:
    """A tensor of ``count`` elements that is made from the same places in all inputs."""
    inputs = range(len(weights))
    return (Segment(0, count, tuple(inputs), (0,) * len(inputs), weights),)


def runs_of(row_of: Sequence[Sequence[int | None]]) -> Iterator[Run]:
    """Where rows of the output come from; ``row_of``: for each input its row for every row, None where it has none."""
    start, count = 0, 0
    inputs: tuple[int, ...] = ()
    firsts: tuple[int, ...] = ()
    for places in zip(*row_of, strict=True):
        having = tuple(index for index, row in enumerate(places) if row is not None)
        rows = tuple(row for row in places if row is not None)
        if count and having == inputs and rows == tuple(first + count for first in firsts):
            count += 1
            continue
        if count:
            yield Run(start, count, inputs, firsts)
        start, count, inputs, firsts = start + count, 1, having, rows
    if count:
        yield Run(start, count, inputs, firsts)


def by_rows(runs: Iterable[Run], weights: Sequence[float], width: int) -> tuple[Segment, ...]:
    """A tensor with ``width`` elements a row, made row by row.

    A row of several inputs is their mean by ``weights``, scaled to sum to 1 over those; a row of one is that input's.
    Raises CancellingWeightsError.
    """
    return tuple(
        Segment(
            run.start * width,
            run.count * width,
            run.inputs,
            tuple(row * width for row in run.rows),
            tuple(weights) if len(run.inputs) == len(weights) else _shares(run.inputs, weights),
        )
        for run in runs
    )


def _shares(inputs: Sequence[int], weights: Sequence[float]) -> tuple[float, ...]:
    if len(inputs) == 1:
        return (1.0,)  # however little it weighs
    given = [weights[index] for index in inputs]
    total = math.fsum(given)
    # Scaled up more than tenfold, differences between the inputs would drown what they have in common.
    if abs(total) < 0.1 * math.fsum(map(abs, given)):
        raise CancellingWeightsError(inputs)
    return tuple(weight / total for weight in given)
