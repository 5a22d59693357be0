"""Merges of task vectors whose elements are dropped at random and the rest scaled up: DARE (arXiv 2311.03099) and
DELLA (arXiv 2406.11617), each with a plain sum or with the election of TIES (arXiv 2306.01708).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .draws import Draw
from .fusing import fused, normalize_refusal
from .vectors import Vectors

if TYPE_CHECKING:
    from torch import Tensor


def dare_linear(
    tensors: Sequence[Tensor], weights: Sequence[float], base: Tensor, *,
    density: Sequence[float], lambda_: float = 1.0, normalize: bool = False, draws: Sequence[Draw],
) -> Tensor:  # fmt: skip
    """base + λ Σ wᵢδᵢ, each element of a δᵢ kept with the probability of its density and divided by it. Raises
    ValueError where the weights cannot be normalised.
    """
    return _dare(tensors, weights, base, density, draws, elect=False, lambda_=lambda_, normalize=normalize)


def dare_ties(
    tensors: Sequence[Tensor], weights: Sequence[float], base: Tensor, *,
    density: Sequence[float], lambda_: float = 1.0, normalize: bool = True, draws: Sequence[Draw],
) -> Tensor:  # fmt: skip
    """Dropped as by ``dare_linear``, then the election of TIES. Raises ValueError where the weights cannot be
    normalised.
    """
    return _dare(tensors, weights, base, density, draws, elect=True, lambda_=lambda_, normalize=normalize)


def della_linear(
    tensors: Sequence[Tensor], weights: Sequence[float], base: Tensor, *,
    density: Sequence[float], epsilon: Sequence[float], lambda_: float = 1.0, normalize: bool = False,
    draws: Sequence[Draw],
) -> Tensor:  # fmt: skip
    """base + λ Σ wᵢδᵢ, each element of a δᵢ kept with a probability from density − ε for the smallest magnitude of its
    row to density + ε for the largest, by rank, and divided by it. Rows are the last axis. Raises ValueError where
    such a probability is not between 0 and 1, or the weights cannot be normalised.
    """
    return _della(tensors, weights, base, density, epsilon, draws, elect=False, lambda_=lambda_, normalize=normalize)


def della(
    tensors: Sequence[Tensor], weights: Sequence[float], base: Tensor, *,
    density: Sequence[float], epsilon: Sequence[float], lambda_: float = 1.0, normalize: bool = True,
    draws: Sequence[Draw],
) -> Tensor:  # fmt: skip
    """Dropped as by ``della_linear``, then the election of TIES. Raises ValueError as that."""
    return _della(tensors, weights, base, density, epsilon, draws, elect=True, lambda_=lambda_, normalize=normalize)


def della_refusal(weights: Sequence[float], parameters: Mapping[str, Any], *, elect: bool = False) -> str | None:
    """Why DELLA cannot drop with these parameters, None where it can. ``density`` and ``epsilon`` are numbers, or
    sequences with one for each source.
    """
    density, epsilon = (_each(parameters[name], len(weights)) for name in ("density", "epsilon"))
    for share, spread in zip(density, epsilon, strict=True):
        if 0 < share < 1 and (share - spread <= 0 or share + spread >= 1):
            found = f"density {share:g} with epsilon {spread:g}"
            return f"{found} keeps elements with probabilities from {share - spread:g} to {share + spread:g}: " \
                "density - epsilon must be above 0 and density + epsilon below 1"  # fmt: skip
    return normalize_refusal(weights, parameters, elect=elect)


def _each(value: float | Sequence[float], count: int) -> Sequence[float]:
    return value if isinstance(value, Sequence) else [value] * count


def _dare(
    tensors: Sequence[Tensor], weights: Sequence[float], base: Tensor, density: Sequence[float],
    draws: Sequence[Draw], *, elect: bool, lambda_: float, normalize: bool,
) -> Tensor:  # fmt: skip
    def merge(_where: slice, pieces: list[Tensor]) -> Tensor:
        for piece, share, draw in zip(pieces, density, draws, strict=True):
            _drop(piece, float(share), draw)
        return fused(pieces, weights, elect=elect, lambda_=lambda_, normalize=normalize)

    return Vectors(tensors, base).merged(merge)


def _della(
    tensors: Sequence[Tensor], weights: Sequence[float], base: Tensor, density: Sequence[float],
    epsilon: Sequence[float], draws: Sequence[Draw], *, elect: bool, lambda_: float, normalize: bool,
) -> Tensor:  # fmt: skip
    refusal = della_refusal(weights, {"density": density, "epsilon": epsilon})
    if refusal:
        raise ValueError(refusal)
    length = base.shape[-1] if base.dim() else 1

    def merge(_where: slice, pieces: list[Tensor]) -> Tensor:
        for piece, share, spread, draw in zip(pieces, density, epsilon, draws, strict=True):
            ranked = 0 < share < 1 and length > 1
            _drop(piece, _probabilities(piece.view(-1, length), share, spread) if ranked else float(share), draw)
        return fused(pieces, weights, elect=elect, lambda_=lambda_, normalize=normalize)

    return Vectors(tensors, base, unit=max(length, 1)).merged(merge)


def _probabilities(rows: Tensor, density: float, epsilon: float) -> Tensor:
    """That of each element to be kept: by the rank of its magnitude in its row, equal ones by their position. Rows are
    sorted whole: a single one takes several times its own memory.
    """
    length = rows.shape[-1]
    order = rows.abs().argsort(dim=-1, stable=True)
    ranks = rows.new_ones(length).cumsum(-1).sub_(1)
    by_rank = ranks.mul_(2 * epsilon / (length - 1)).add_(density - epsilon)
    return rows.new_empty(rows.shape).scatter_(-1, order, by_rank.expand(rows.shape)).flatten()


def _drop(piece: Tensor, probability: float | Tensor, draw: Draw) -> None:
    """Keeps each element with its probability and divides it by that."""
    if isinstance(probability, float) and not 0 < probability < 1:
        if probability <= 0:
            piece.zero_()
        return
    kept = draw(piece.numel()).to(piece.device) < probability
    piece.div_(probability).masked_fill_(~kept, 0)
