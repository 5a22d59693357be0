"""GPT layers of which the same changes, together: ``layers 0–9: news 0.8 → news 0.6``."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import groupby

from ..changes import Kind, LayerPart, LayerRun, TensorChange
from ..xtts import component_of, layer_of


def layer_runs(signatures: Mapping[str, Hashable], changes: Mapping[str, TensorChange]) -> tuple[LayerRun, ...]:
    """The runs of GPT layers; nothing where all change alike, or none does.

    ``signatures``: how every tensor is made, before and after, equal where that is alike. Both by canonical key. That
    tensors become of another type is not told by layer.
    """
    layers: dict[int, dict[str, str]] = {}
    for key in signatures:
        place = layer_of(key)
        if place:
            layers.setdefault(place[0], {})[place[1]] = key
    alike = {
        number: tuple(
            (part, signatures[keys[part]]) for part in sorted(keys) if _is_made_otherwise(changes, keys[part])
        )
        for number, keys in sorted(layers.items())
    }
    if len(set(alike.values())) < 2:
        return ()
    # Those of consecutive layers differ from their place in the order by the same number.
    numbered = groupby(enumerate(alike), key=lambda its: (alike[its[1]], its[1] - its[0]))
    runs = ([number for _, number in members] for _, members in numbered)
    return tuple(LayerRun(run[0], run[-1], tuple(_parts(layers[run[0]], signatures, changes))) for run in runs)


def _is_made_otherwise(changes: Mapping[str, TensorChange], key: str) -> bool:
    """Whether more changes of a tensor than its type or shape, in which layers do not differ."""
    return key in changes and not {Kind.DTYPE, Kind.SHAPE}.issuperset(changes[key].kinds)


def _parts(
    keys: Mapping[str, str], signatures: Mapping[str, Hashable], changes: Mapping[str, TensorChange]
) -> Iterator[LayerPart]:
    """What changes in a layer; ``keys`` are those of its tensors, by their names in it."""
    groups: dict[Hashable, list[str]] = {}
    for part, key in keys.items():
        if _is_made_otherwise(changes, key):
            groups.setdefault(signatures[key], []).append(part)
    for parts in groups.values():
        change = changes[keys[parts[0]]]
        named = () if len(parts) == len(keys) else tuple(_named(parts, keys))
        yield LayerPart(named, change.old, change.new)


def _named(parts: Iterable[str], keys: Mapping[str, str]) -> Iterator[str]:
    """Components that are meant as a whole, else the parts themselves."""
    by_component: dict[str, set[str]] = {}
    for part, key in keys.items():
        by_component.setdefault(component_of(key), set()).add(part)
    meant = set(parts)
    for component, members in by_component.items():
        if members <= meant:
            yield component
        else:
            yield from sorted(members & meant)
