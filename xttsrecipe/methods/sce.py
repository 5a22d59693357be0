"""SCE of FuseChat, arXiv 2408.07990: select positions by variance, calculate weights by size, erase minorities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .counts import kept_count
from .directions import fitting_scale
from .election import elected
from .magnitude import kth_largest
from .sums import exact_sum, total, weighted_sum
from .vectors import Vectors

if TYPE_CHECKING:
    from torch import Tensor

# What variances that are equal may differ by for rounding, as a share.
_ROUNDING = 2.0**-40


def sce(tensors: Sequence[Tensor], base: Tensor, *, select_topk: float = 1.0) -> Tensor:
    """base + Σ ηᵢδᵢ / Σ ηᵢ over the task vectors whose sign is that of Σ δⱼ, of the ⌊select_topk · n⌋ positions whose
    variance over the sources is largest, with those that tie with them. ηᵢ is a task vector's share of the squared
    lengths, of what is selected.
    """
    vectors = Vectors(tensors, base)
    kept = kept_count(select_topk, vectors.count)
    if kept == 0:
        return base.clone()
    scale = fitting_scale(vectors, range(len(vectors)))

    def variances() -> Iterator[Tensor]:
        return (_variance(vectors.all(where), scale) for where in vectors.pieces())

    cut = 0.0 if kept == vectors.count else kth_largest(variances, vectors.count, [kept])[0] * (1 - _ROUNDING)

    def select(pieces: Sequence[Tensor]) -> None:
        if cut > 0:
            dropped = _variance([piece.clone() for piece in pieces], scale) < cut
            for piece in pieces:
                piece.masked_fill_(dropped, 0)

    squares: list[list[float]] = [[] for _ in tensors]
    for where in vectors.pieces():
        pieces = vectors.all(where)
        select(pieces)
        for found, piece in zip(squares, pieces, strict=True):
            found.append(total(piece.mul_(scale).square_()))
    sizes = [exact_sum(found) for found in squares]
    whole = exact_sum(sizes)
    shares = [size / whole for size in sizes] if whole > 0 else [0.0 for _ in sizes]

    def merge(_where: slice, pieces: list[Tensor]) -> Tensor:
        select(pieces)
        return elected(pieces, shares, normalize=True, weighted_votes=False)

    return vectors.merged(merge)


def _variance(pieces: Sequence[Tensor], scale: float) -> Tensor:
    """That of each position over the sources, times their number; of pieces that are lost. It is taken about the first:
    so it is zero where all are equal.
    """
    shifted = [piece.sub_(pieces[0]).mul_(scale) for piece in reversed(pieces)]
    mean = weighted_sum([piece.clone() for piece in shifted], [1 / len(pieces)] * len(pieces))
    result = shifted[0].sub_(mean).square_()
    for piece in shifted[1:]:
        result.add_(piece.sub_(mean).square_())
    return result
