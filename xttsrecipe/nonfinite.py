"""Finds values that are NaN or infinite in what is written, and which source brought them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import torch

from .steps import Step
from .summary import NonFinite


class NonFiniteCount:
    """Counts what is not finite in one tensor of the output, piece by piece."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._count = 0
        self._overflowed = 0
        self._brought: Counter[int] = Counter()

    def add(self, result: torch.Tensor, pieces: Sequence[torch.Tensor], sources: Sequence[int]) -> None:
        """Count in a piece of the output and the ``pieces`` of the sources it was made from, all 1-D, of one length."""
        bad = ~_finite(result)
        unexplained = bad.clone()
        for piece, source in zip(pieces, sources, strict=True):
            brought = bad & ~_finite(piece)
            if found := int(brought.sum()):
                self._brought[source] += found
                unexplained &= ~brought
        self._count += int(bad.sum())
        self._overflowed += int(unexplained.sum())

    def told(self, names: Sequence[str]) -> NonFinite | None:
        """What was found, the sources by their ``names`` in the recipe; None where all is finite."""
        if not self._count:
            return None
        brought = {names[source]: count for source, count in sorted(self._brought.items())}
        return NonFinite(self._step.key, self._step.spec.dtype, self._count, self._overflowed, brought)


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether all elements are; told by reading them once, where they are."""
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    if not tensor.is_floating_point():
        return True
    wide = _tested(tensor)
    # Nothing that is not finite is lost in a sum. One that overflows only costs a second look.
    total = wide.sum(dtype=torch.float64 if wide.dtype == torch.float64 else torch.float32)
    return math.isfinite(total.item()) or bool(wide.isfinite().all())


def _finite(tensor: torch.Tensor) -> torch.Tensor:
    return _tested(tensor).isfinite()


def _tested(tensor: torch.Tensor) -> torch.Tensor:
    """The same values in a type that torch can test: the narrowest have no arithmetic."""
    return tensor.float() if tensor.is_floating_point() and tensor.element_size() == 1 else tensor
