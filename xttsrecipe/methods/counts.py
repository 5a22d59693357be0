"""How many elements a share is."""

from __future__ import annotations

import math


def share_of(share: float, count: int) -> int:
    """⌊share · count⌋, where 0.29 of 100 are 29 though the product is a little less."""
    product = share * count
    return min(math.floor(product + max(1e-9, product * 2**-50)), count)


def kept_count(density: float, count: int) -> int:
    """How many of ``count`` elements a density keeps: none at 0, all at 1, otherwise at least one."""
    if density <= 0:
        return 0
    return count if density >= 1 else min(max(share_of(density, count), 1), count)
