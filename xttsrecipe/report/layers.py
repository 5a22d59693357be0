"""Weights and parameters that vary over the GPT's layers, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator

from ..depth import depths, layer_count, varies
from ..plan import Plan
from ..recipe import Merge
from .layout import columns, printable
from .mixtures import value_text


def layers_text(plan: Plan) -> str:
    """A table for what varies, once for all decisions in which it varies alike; nothing where nothing does."""
    layers = layer_count(step.key for step in plan.steps)
    decisions = [(rule.pattern, rule.decision) for rule in plan.recipe.rules]
    tables: dict[str, list[str]] = {}
    for pattern, decision in [*decisions, (None, plan.recipe.default)]:
        if isinstance(decision, Merge) and decision.varies:
            label = "global weights" if pattern is None else printable(f'"{pattern}"')
            tables.setdefault(columns(_rows(plan, decision, layers), _RIGHT), []).append(label)
    return "\n\n".join(f"layer by layer, {', '.join(labels)}\n{table}" for table, labels in tables.items())


# All columns but the first, whatever their number.
_RIGHT = range(1, 1000)


def _rows(plan: Plan, merge: Merge, layers: int) -> Iterator[list[str]]:
    names = [plan.recipe.source_names[index] for index in merge.merged]
    varying = [name for name, value in merge.method.parameters.items() if varies(value)]
    weighed = varies(merge.weights)
    yield ["layer", *(names if weighed else ()), *varying]
    for depth in depths(layers):
        weights = merge.weights_at(depth)
        values = [f"{weights[index]:.6g}" for index in merge.merged] if weighed else []
        values += [value_text(merge.number(merge.method.parameters[name], depth)) for name in varying]
        yield [str(depth), *values]
