"""Whether numbers that vary over layers do so in a way that works in every layer: sums of weights, and parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from .codes import Code
from .depth import Depth, depth_of, depths, layer_count
from .errors import Problem
from .recipe import Merge, Recipe, Rule, refusal, sum_problem


def gradient_problems(recipe: Recipe, decided: Mapping[str, Rule | None]) -> Iterator[Problem]:
    """One problem for each kind of thing that does not work in some layers; ``decided``: the rule that decides each
    canonical key. Only the layers that a rule decides matter to it.
    """
    layers = layer_count(decided)
    places: dict[Rule | None, dict[Depth, None]] = {}
    for key, rule in decided.items():
        if depth := depth_of(key, layers):
            places.setdefault(rule, {})[depth] = None
    for rule in (None, *recipe.rules):
        merge = rule.decision if rule else recipe.default
        if not isinstance(merge, Merge) or not merge.varies:
            continue
        if not layers:
            what = "weights and parameters that vary over layers need layers, and these checkpoints have none of XTTS's"
            yield Problem(Code.GRADIENT_WITHOUT_LAYERS, what, merge.where, hint="give one number for all tensors")
        else:
            yield from _problems(merge, [depth for depth in depths(layers) if depth in places.get(rule, ())], layers)


def _problems(merge: Merge, decided: Iterable[Depth], layers: int) -> Iterator[Problem]:
    found: dict[tuple[Code, str | None], dict[Depth, str]] = {}
    for depth in decided:
        if why := sum_problem(merge, [merge.number(weight, depth) for weight in merge.weights]):
            found.setdefault((why[0], why[2]), {})[depth] = why[1]
        elif refused := refusal(merge, depth):
            found.setdefault((Code.UNUSABLE_PARAMETER, None), {})[depth] = refused
    for (code, hint), places in found.items():
        what = f"what varies over the layers does not work {_where(places, layers)}"
        details = tuple(f"{depth}: {why}" for depth, why in places.items())
        yield Problem(code, what, merge.where, hint=hint, details=details)


def _where(places: Collection[Depth], layers: int) -> str:
    count = sum(depth.within for depth in places)
    if not count:
        return "outside of them"
    return f"in {'1 layer' if count == 1 else f'{count} layers'} of {layers}"
