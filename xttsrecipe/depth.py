"""How deep in the GPT a tensor lies, and numbers that vary with that: from its first layer to its last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .xtts import component_of, layer_of

# What comes before the first layer; everything else that is in no layer comes after the last.
_BEFORE = frozenset(
    ("text_embedding", "mel_embedding", "positions", "conditioning_encoder", "conditioning_perceiver", "mel_stats")
)


@dataclass(frozen=True, slots=True)
class Depth:
    """A place among ``layers`` layers: in ``layer`` (from 0), or where not ``within`` one, before the first or after
    the last, which ``layer`` is then.
    """

    layer: int
    layers: int
    within: bool = True

    def __str__(self) -> str:
        if self.within:
            return f"layer {self.layer}"
        return "after the layers" if self.layer else "before the layers"


def depths(layers: int) -> Iterator[Depth]:
    """All that there are, in their order."""
    yield Depth(0, layers, within=False)
    yield from (Depth(layer, layers) for layer in range(layers))
    yield Depth(layers - 1, layers, within=False)


@dataclass(frozen=True, slots=True)
class Gradient:
    """A number that varies over layers: ``anchors`` are spread evenly from the first layer to the last, and between
    them it is linear, as in mergekit. Before the layers it is as in the first, after them as in the last, unless
    ``rest`` says what it is outside of them.
    """

    anchors: tuple[float, ...]
    rest: float | None = None

    def at(self, depth: Depth) -> float:
        """The number there."""
        if not depth.within and self.rest is not None:
            return self.rest
        steps = max(depth.layers - 1, 1)
        index, part = divmod(depth.layer * (len(self.anchors) - 1), steps)
        if not part:
            return self.anchors[index]
        share = part / steps
        return (1 - share) * self.anchors[index] + share * self.anchors[index + 1]

    def complement(self) -> Gradient:
        """What it lacks to 1."""
        return Gradient(tuple(1 - anchor for anchor in self.anchors), None if self.rest is None else 1 - self.rest)

    def __format__(self, digits: str) -> str:
        """``[1 … 0.5 … 0]``, with what it is outside of the layers where that is said."""
        rest = "" if self.rest is None else f", elsewhere {format(self.rest, digits)}"
        return f"[{' … '.join(format(anchor, digits) for anchor in self.anchors)}{rest}]"


def varies(value: object) -> bool:
    """Whether a number, or any of several, varies over layers."""
    return any(isinstance(part, Gradient) for part in (value if isinstance(value, tuple) else (value,)))


def layer_count(keys: Iterable[str]) -> int:
    """How many layers a model with these canonical keys has; 0 for one that is not known to have any."""
    return max((found[0] + 1 for key in keys if (found := layer_of(key))), default=0)


def depth_of(key: str, layers: int) -> Depth | None:
    """Where a canonical key lies among so many layers; None where there are none."""
    if not layers:
        return None
    found = layer_of(key)
    if found:
        return Depth(found[0], layers)
    return Depth(0 if component_of(key) in _BEFORE else layers - 1, layers, within=False)
