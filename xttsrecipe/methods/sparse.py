"""Merges of task vectors of which only some elements are kept: those of TIES (arXiv 2306.01708) and of Model
Breadcrumbs (arXiv 2312.06795). Positions do not matter, magnitudes of a whole tensor do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .counts import kept_count, share_of
from .fusing import fused
from .magnitude import kth_largest
from .vectors import Vectors

if TYPE_CHECKING:
    from torch import Tensor


def ties(
    tensors: Sequence[Tensor], weights: Sequence[float], base: Tensor, *,
    density: Sequence[float], lambda_: float = 1.0, normalize: bool = True,
) -> Tensor:  # fmt: skip
    """base + λ · what is elected of the task vectors, each trimmed to its ⌊density · n⌋ largest magnitudes; what ties
    with the smallest of these is kept too. Raises ValueError where the weights cannot be normalised.
    """
    vectors = Vectors(tensors, base)
    bands = [_band(vectors, index, kept_count(share, vectors.count), 0) for index, share in enumerate(density)]
    return _merged(vectors, weights, bands, elect=True, lambda_=lambda_, normalize=normalize)


def breadcrumbs(
    tensors: Sequence[Tensor], weights: Sequence[float], base: Tensor, *,
    density: Sequence[float], gamma: Sequence[float], lambda_: float = 1.0, normalize: bool = False,
) -> Tensor:  # fmt: skip
    """base + λ Σ wᵢδᵢ without the ⌊γ · n⌋ largest magnitudes of each task vector and without the smallest, so that
    ⌊density · n⌋ are left; what ties with the smallest or the largest of these is kept too. Raises ValueError where
    the weights cannot be normalised.
    """
    vectors = Vectors(tensors, base)
    bands = _bands(vectors, density, gamma)
    return _merged(vectors, weights, bands, elect=False, lambda_=lambda_, normalize=normalize)


def breadcrumbs_ties(
    tensors: Sequence[Tensor], weights: Sequence[float], base: Tensor, *,
    density: Sequence[float], gamma: Sequence[float], lambda_: float = 1.0, normalize: bool = True,
) -> Tensor:  # fmt: skip
    """What is kept as by ``breadcrumbs``, then the election of TIES. Raises ValueError where the weights cannot be
    normalised.
    """
    vectors = Vectors(tensors, base)
    bands = _bands(vectors, density, gamma)
    return _merged(vectors, weights, bands, elect=True, lambda_=lambda_, normalize=normalize)


# The smallest and the largest magnitude that are kept, None where all go.
_Band = tuple[float, float] | None


def _bands(vectors: Vectors, density: Sequence[float], gamma: Sequence[float]) -> list[_Band]:
    bands: list[_Band] = []
    for index, (share, outliers) in enumerate(zip(density, gamma, strict=True)):
        kept = kept_count(share, vectors.count)
        bands.append(_band(vectors, index, kept, min(share_of(outliers, vectors.count), vectors.count - kept)))
    return bands


def _band(vectors: Vectors, index: int, kept: int, above: int) -> _Band:
    """Of the magnitudes of one vector: those of ``kept`` elements, with ``above`` larger ones."""
    if kept == 0:
        return None
    largest_kept, all_kept = above > 0, above + kept == vectors.count
    ranks = [rank for rank, wanted in ((above + kept, not all_kept), (above + 1, largest_kept)) if wanted]

    def magnitudes() -> Iterable[Tensor]:
        return (vectors.piece(index, where).abs_() for where in vectors.pieces())

    found = iter(kth_largest(magnitudes, vectors.count, ranks) if ranks else ())
    return 0.0 if all_kept else next(found), next(found) if largest_kept else math.inf


def _merged(
    vectors: Vectors, weights: Sequence[float], bands: Sequence[_Band], elect: bool, lambda_: float, normalize: bool
) -> Tensor:
    def merge(_where: slice, pieces: list[Tensor]) -> Tensor:
        for piece, band in zip(pieces, bands, strict=True):
            _keep(piece, band)
        return fused(pieces, weights, elect=elect, lambda_=lambda_, normalize=normalize)

    return vectors.merged(merge)


def _keep(piece: Tensor, band: _Band) -> None:
    if band is None:
        piece.zero_()
    elif band != (0.0, math.inf):
        magnitude = piece.abs()
        # NaN is in no band, and stays where it can be seen.
        piece.masked_fill_((magnitude < band[0]).logical_or_(magnitude > band[1]), 0)
