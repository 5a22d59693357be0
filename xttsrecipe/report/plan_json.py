"""A plan for machines: the facts of ``report.plan`` as one JSON object, every tensor included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..metadata import training_of
from ..plan import Plan, rules_of
from ..recipe import Merge, Source, Take
from ..specs import Header
from ..steps import Step
from .json_text import json_text
from .layout import numbers
from .mixtures import plain_value
from .plan import dtype_changes
from .vocabulary import vocabulary_data


def plan_json(plan: Plan) -> str:
    """The plan as JSON: sources, rules, output, memory, notes, and under ``keys`` a line for every tensor."""
    recipe = plan.recipe
    changes = dtype_changes(plan).items()
    return json_text(
        {
            "recipe": str(recipe.file),
            "name": recipe.name,
            "description": recipe.description,
            "sources": [_source(*pair) for pair in zip(recipe.sources, plan.headers, strict=True)],
            "rules": _rules(plan),
            "dtype_changes": [{"from": old, "to": new, "inputs": count} for (old, new), count in changes],
            "vocabulary": vocabulary_data(plan.vocabulary, recipe.source_names),
            "output": _output(plan),
            "memory": plan.memory,
            "notes": list(plan.notes),
            "warnings": list(plan.warnings),
            "keys": [_step(step, plan.recipe.source_names) for step in plan.steps],
        }
    )


def _source(source: Source, header: Header) -> dict[str, Any]:
    training = training_of(header.entries)
    return {
        "name": source.name,
        "path": str(header.path),
        "directory": header.directory and str(header.directory),
        "format": header.format,
        "layout": header.layout,
        "version": header.version,
        "bytes": header.stamp.size,
        "step": training.get("step"),
        "epoch": training.get("epoch"),
        "header_sha256": header.digest,
    }


def _rules(plan: Plan) -> list[dict[str, Any]]:
    """One entry per rule in the recipe's order, and last, with pattern null, what the global weights decide."""
    return [
        {
            "pattern": pattern,
            "decision": _decision(plan.recipe.decision_of(pattern), plan.recipe.source_names),
            **numbers(step.spec for step in steps),
        }
        for pattern, steps in rules_of(plan).items()
    ]


def _decision(decision: Take | Merge, names: Sequence[str]) -> dict[str, Any]:
    if isinstance(decision, Take):
        return {"from": names[decision.source]}
    parameters = {name: plain_value(value) for name, value in decision.method.parameters.items()}
    weights = {
        name: plain_value(weight)
        for index, (name, weight) in enumerate(zip(names, decision.weights, strict=True))
        if index != decision.base
    }
    base = None if decision.base is None else names[decision.base]
    return {"method": decision.method.name, "parameters": parameters, "weights": weights, "base": base}


def _output(plan: Plan) -> dict[str, Any]:
    metadata = plan.metadata
    return {
        "path": str(plan.recipe.output.path),
        "format": plan.recipe.output.format,
        "layout": plan.layout,
        **numbers(step.spec for step in plan.steps),
        "disk": plan.disk,
        "directory": plan.recipe.output.is_directory,
        "companions": [
            {"name": companion.name, "origin": companion.origin, "bytes": companion.nbytes}
            for companion in plan.companions
        ],
        "metadata": dict(training_of(metadata.entries)),
        "config_from": None if metadata.config_from is None else plan.recipe.source_names[metadata.config_from],
    }


def _step(step: Step, names: Sequence[str]) -> dict[str, Any]:
    shares = [(names[source], weight) for source, weight in zip(step.sources, step.weights, strict=True)]
    return {
        "key": step.key,
        "name": step.name,
        "shape": list(step.spec.shape),
        "dtype": str(step.spec.dtype),
        "rule": step.rule,
        "method": step.method,
        "parameters": {
            name: list(value) if isinstance(value, tuple) else value for name, value in step.parameters.items()
        },
        "base": names[step.sources[0]] if step.has_base else None,
        "by_token": step.by_token,
        "weights": dict(shares[1:] if step.has_base else shares),
    }
