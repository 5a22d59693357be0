"""Random numbers for one tensor of one source, which depend on nothing but the seed, the key and the source's name.

They are what SHAKE-128 makes of the three, a number of eight bytes each: the same on every machine and with every
version of torch, whose own generator knows no more than 2³² seeds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# How many numbers are wanted: the next so many, uniform in [0, 1), float64.
Draw = Callable[[int], "Tensor"]

# Numbers that are made at a time, so that it does not matter in which portions they are asked for.
_PORTION = 1 << 13


def draw_of(seed: int, key: str, source: str) -> Draw:
    """The numbers for the tensor of a key of a source, from the first on."""
    import torch

    name = json.dumps([seed, key, source]).encode("ascii")
    rest = bytearray()
    portions = 0

    def draw(count: int) -> Tensor:
        nonlocal portions
        while len(rest) < 8 * count:
            rest.extend(hashlib.shake_128(b"%d %b" % (portions, name)).digest(8 * _PORTION))
            portions += 1
        drawn, rest[:] = rest[: 8 * count], rest[8 * count :]
        if not count:
            return torch.empty(0, dtype=torch.float64)
        bits = torch.frombuffer(drawn, dtype=torch.int64)
        # The upper 53 bits, as many as a float64 has.
        return bits.bitwise_right_shift_(11).bitwise_and_((1 << 53) - 1).double().mul_(2.0**-53)

    return draw
