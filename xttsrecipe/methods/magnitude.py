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
_FIRST = 64 - _DIGIT


def kth_largest(magnitudes: Magnitudes, count: int, ranks: Sequence[int]) -> list[float]:
    """The magnitudes of these ranks, from 1 for the largest to ``count``, how many there are. NaN counts as larger than
    all numbers.
    """
    if count <= PIECE:
        everything = _beginning_with(magnitudes, 64, 0, count)
        return [_ranked(everything, rank) for rank in ranks]
    counts = _counts(magnitudes, _FIRST, None)
    return [_found(magnitudes, counts, rank) for rank in ranks]


def _found(magnitudes: Magnitudes, counts: Sequence[int], rank: int) -> float:
    """The magnitude of one rank, ``counts`` being those by the first digit."""
    shift, prefix = _FIRST, 0
    while True:
        digit, rank, number = _digit(counts, rank)
        prefix = prefix << _DIGIT | digit
        if shift == 0:
            return _float(prefix)
        if number <= PIECE:
            return _ranked(_beginning_with(magnitudes, shift, prefix, number), rank)
        shift -= _DIGIT
        counts = _counts(magnitudes, shift, prefix)


def _digit(counts: Sequence[int], rank: int) -> tuple[int, int, int]:
    """The digit that the number of a rank has, its rank among those that have it, and how many these are."""
    digit = len(counts) - 1
    while rank > counts[digit]:
        rank -= counts[digit]
        digit -= 1
    return digit, rank, counts[digit]


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


def _beginning_with(magnitudes: Magnitudes, shift: int, prefix: int, number: int) -> Tensor:
    """The bits of those that begin with the prefix; so many there are."""
    found: Tensor | None = None
    filled = 0
    for piece in magnitudes():
        bits = _bits(piece)
        if shift < 64:
            bits = bits[bits.bitwise_right_shift(shift) == prefix]
        # One memory for all: what is kept between large pieces that come and go breaks up the heap.
        found = bits.new_empty(number) if found is None else found
        found[filled : filled + bits.numel()] = bits
        filled += bits.numel()
    assert found is not None
    return found


def _ranked(bits: Tensor, rank: int) -> float:
    return _float(int(bits.kthvalue(bits.numel() - rank + 1).values.item()))


def _float(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<q", bits))[0])


def _bits(values: Tensor) -> Tensor:
    """The numbers' bits as integers, in the numbers' own memory; without the sign that ∞ − ∞ gives NaN somewhere."""
    return values.view(values[:0].long().dtype).bitwise_and_((1 << 63) - 1)
