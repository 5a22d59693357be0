"""Sums of task vectors, as weighted means of the tensors and their base: arXiv 2212.04089."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .fusing import divisor_of
from .linear import Scratch, linear

if TYPE_CHECKING:
    from torch import Tensor


def task_arithmetic(
    tensors: Sequence[Tensor], weights: Sequence[float], base: Tensor, scratch: Scratch | None = None, *,
    lambda_: float = 1.0, normalize: bool = False,
) -> Tensor:  # fmt: skip
    """base + λ Σ wᵢ(xᵢ − base), with ``normalize`` the sum divided by Σ wᵢ. Of the tensors one is needed at a time.
    Raises ValueError where the weights cannot be normalised.
    """
    divisor = divisor_of(weights, normalize)
    return _moved(tensors, [lambda_ * weight / divisor for weight in weights], base, scratch)


def add_difference(
    tensors: Sequence[Tensor], base: Tensor, scratch: Scratch | None = None, *, lambda_: float = 1.0
) -> Tensor:
    """a + λ(b − base) of two tensors, a and b."""
    return _moved(tensors, [1.0, lambda_], base, scratch)


def _moved(tensors: Sequence[Tensor], weights: Sequence[float], base: Tensor, scratch: Scratch | None) -> Tensor:
    """base + Σ wᵢ(xᵢ − base) as a weighted mean, to which the base itself contributes 1 − Σ wᵢ."""
    mean = [(-1, math.fsum([1.0, *(-weight for weight in weights)])), *enumerate(weights)]
    # What weighs nothing is left out: 0 times what is not finite is NaN, and 0 + −0.0 is 0.
    chosen = [(index, weight) for index, weight in mean if weight != 0]
    return linear(_Chosen(tensors, base, [index for index, _ in chosen]), [weight for _, weight in chosen], scratch)


class _Chosen(Sequence["Tensor"]):
    """Some of the tensors, and the base as number −1. Each is taken when it is asked for: all but the base may share
    their memory, so that one that comes to be first is kept.
    """

    def __init__(self, tensors: Sequence[Tensor], base: Tensor, numbers: Sequence[int]) -> None:
        self._tensors = tensors
        self._base = base
        self._numbers = numbers
        self._kept = {0: tensors[numbers[0]].clone()} if len(numbers) > 1 and numbers[0] >= 0 else {}

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]
        number = self._numbers[index]
        if number < 0:
            return self._base
        return self._kept[index] if index in self._kept else self._tensors[number]
