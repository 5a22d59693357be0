"""Order statistics of magnitudes, in pieces: which is the k-th largest.

A whole tensor is never sorted. The bits of a float64 that is not negative, read as an integer, are in the order of the
numbers: they are counted by their first sixteen, then those that begin as the wanted one does by the next sixteen.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from .vectors import PIECE

if TYPE_CHECKING:
    from torch import Tensor

# All that is to be ranked, in pieces: float64, nothing negative, read as often as is needed.
Magnitudes = Callable[[], Iterable["Tensor"]]

_DIGIT = 16


def kth_largest(magnitudes: Magnitudes, ranks: Sequence[int]) -> list[float]:
    """The magnitudes of these ranks, 1 for the largest. NaN counts as larger than all numbers.

    ``ranks`` are from 1 to the number of elements.
    """
    counts = _counts(magnitudes, 48, None)
    return [_refined(magnitudes, counts, rank) for rank in ranks]


def _refined(magnitudes: Magnitudes, counts: Sequence[int], rank: int) -> float:
    """The magnitude of one rank, ``counts`` being those by the first digit."""
    shift, prefix = 48, 0
    while True:
        digit, rank, found = _digit(counts, rank)
        prefix = prefix << _DIGIT | digit
        if found <= PIECE or shift == 0:
            return _among(magnitudes, shift, prefix, rank)
        shift -= _DIGIT
        counts = _counts(magnitudes, shift, prefix)


def _digit(counts: Sequence[int], rank: int) -> tuple[int, int, int]:
    """The digit that the number of a rank has, its rank among those that have it, and how many these are."""
    for digit in range(len(counts) - 1, -1, -1):
        if rank <= counts[digit]:
            return digit, rank, counts[digit]
        rank -= counts[digit]
    raise ValueError("there are fewer elements than ranks")


def _counts(magnitudes: Magnitudes, shift: int, prefix: int | None) -> list[int]:
    """How many have each digit at a shift, of those that begin with the prefix."""
    found: Tensor | None = None
    for piece in magnitudes():
        digits = _bits(piece).bitwise_right_shift(shift)
        if prefix is not None:
            digits = digits[digits.bitwise_right_shift(_DIGIT) == prefix]
        counted = digits.bitwise_and_((1 << _DIGIT) - 1).bincount(minlength=1 << _DIGIT)
        found = counted if found is None else found.add_(counted)
    assert found is not None
    counts: list[int] = found.tolist()
    return counts


def _among(magnitudes: Magnitudes, shift: int, prefix: int, rank: int) -> float:
    """The one of a rank among those that begin with the prefix, which are few or all the same."""
    chosen: list[int] = []
    for piece in magnitudes():
        bits = _bits(piece)
        matching = bits[bits.bitwise_right_shift(shift) == prefix]
        if shift == 0 and matching.numel():
            return _number(prefix)
        chosen += matching.tolist()
    return _number(sorted(chosen)[-rank])


def _number(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<q", bits))[0])


def _bits(values: Tensor) -> Tensor:
    """The numbers' bits as integers, in the numbers' own memory."""
    return values.view(values[:0].long().dtype)
