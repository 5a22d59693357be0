"""What a method works on: tensors, or their task vectors xᵢ − base, in float64, a piece at a time.

So no method holds a float64 copy of a whole tensor, and sums over float32 are rounded once. The pieces are the same
whatever the machine and the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# Elements at a time: half a MiB in float64, so that what a method makes of a piece stays in a processor's cache.
PIECE = 1 << 16

# What float64 tensors may hold of at most before they are scaled down, so that sums and differences do not overflow.
_LARGE = 2.0**960
_DOWN = 2.0**-64


def pieces_of(count: int, step: int = PIECE) -> Iterator[slice]:
    """So many elements, piece by piece."""
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


class Vectors:
    """Tensors of one shape and one type, float32 or float64, which stay as they are; their task vectors where there is
    a base. Pieces are runs of elements in row-major order, whole multiples of ``unit`` elements.

    Float64 tensors near the limit of their type are scaled by ``scale``, a power of two, which ``merged`` undoes.
    """

    def __init__(self, tensors: Sequence[Tensor], base: Tensor | None = None, unit: int = 1) -> None:
        self._first = tensors[0]
        self._flat = [tensor.flatten() for tensor in tensors]
        self._base = None if base is None else base.flatten()
        self._step = max(PIECE // unit, 1) * unit
        self.count = self._first.numel()
        self.scale = self._fitting_scale()

    def __len__(self) -> int:
        return len(self._flat)

    @property
    def is_double(self) -> bool:
        """Whether the tensors are float64."""
        return self._first.element_size() == 8

    def pieces(self) -> Iterator[slice]:
        """All elements, piece by piece."""
        return pieces_of(self.count, self._step)

    def piece(self, index: int, where: slice) -> Tensor:
        """One vector's elements there, in float64 and memory of their own. Zero wherever a source has what the base
        has, infinities too.
        """
        values = self._flat[index][where]
        if self._base is None:
            return values.double() * self.scale
        base = self._base[where]
        difference = self._scaled(values).sub(self._scaled(base))
        if not math.isfinite(difference.sum().item()):
            difference.masked_fill_(values == base, 0)
        return difference

    def all(self, where: slice) -> list[Tensor]:
        """Every vector's elements there."""
        return [self.piece(index, where) for index in range(len(self))]

    def merged(self, merge: Callable[[slice, list[Tensor]], Tensor]) -> Tensor:
        """What ``merge`` makes of the vectors, piece by piece, added to the base where there is one: a tensor like the
        sources'. ``merge`` is given pieces that are its own to change.

        Where it makes a zero, the base stays bit for bit.
        """
        result = self._first.new_empty(self._first.shape).flatten()
        for where in self.pieces():
            result[where] = self._placed(where, merge(where, self.all(where)))
        return result.view(self._first.shape)

    def _placed(self, where: slice, merged: Tensor) -> Tensor:
        """What was merged, from the base and in the sources' scale; it is lost."""
        if self._base is None:
            return merged.mul_(1 / self.scale)
        base = self._base[where]
        stays = merged == 0
        # −0.0 is what leaves every number as it is when added, −0.0 too.
        moved = merged.masked_fill_(stays, -0.0).add_(self._scaled(base))
        return moved if self.scale == 1 else base.where(stays, moved.mul_(1 / self.scale))

    def _scaled(self, values: Tensor) -> Tensor:
        return values.double() if self.scale == 1 else values.double() * self.scale

    def _fitting_scale(self) -> float:
        if not self.is_double or self.count == 0:
            return 1.0
        flat = self._flat if self._base is None else [*self._flat, self._base]
        return _DOWN if any(_LARGE < largest(tensor) < math.inf for tensor in flat) else 1.0


def largest(values: Tensor) -> float:
    """The largest magnitude; 0 of nothing."""
    return max(values.amax().item(), -values.amin().item()) if values.numel() else 0.0
