"""What differs between recipes, for machines: one JSON object, as docs/reviewing.md describes it."""

from __future__ import annotations

from typing import Any

from ..changes import (
    Amount,
    Amounts,
    Decided,
    LayerRun,
    MadeFrom,
    OutputChange,
    PlanDiff,
    RecipeChange,
    Review,
    RuleChange,
    Side,
    SourceChange,
    SourceFacts,
    Status,
    TensorChange,
)
from .diff import Words
from .json_text import json_text, whole
from .mixtures import plain_value
from .validation_json import problem_data

_WORDS = Words()


def diff_json(review: Review) -> str:
    """Everything that is known of every recipe that was compared."""
    data = {
        "old": review.old,
        "new": review.new,
        "summary": _WORDS.total(review),
        "count": {status.value.replace(" ", "_"): review.count(status) for status in Status},
        "recipes": [_comparison(change) for change in review.recipes],
    }
    return json_text(whole(data))


def _comparison(change: RecipeChange) -> dict[str, Any]:
    return {
        "name": change.name,
        "status": change.status.value.replace(" ", "_"),
        "summary": _WORDS.summary(change),
        "text_changed": change.text_changed,
        "lock_changed": change.lock_changed,
        "old": _side(change.old),
        "new": _side(change.new),
        "diff": _diff(change.diff) if change.diff else None,
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "name": side.label,
        "path": str(side.path),
        "basis": side.basis,
        "problems": [problem_data(problem) for problem in side.problems],
    }


def _diff(diff: PlanDiff) -> dict[str, Any]:
    return {
        "sources": [_source(change) for change in diff.sources],
        "weights": diff.weights and {"old": _decided(diff.weights[0]), "new": _decided(diff.weights[1])},
        "output": [_output(change) for change in diff.output],
        "tensors": {"before": diff.tensors_before, "after": diff.tensors_after, "changed": _amounts(diff.amounts)},
        "by_rule": [_rule(change) for change in diff.by_rule],
        "by_component": [{"component": its.component, "changed": _amounts(its.amounts)} for its in diff.by_component],
        "layers": [_layers(run) for run in diff.layers],
        "new_warnings": diff.new_warnings,
        "keys": [_tensor(change) for change in diff.tensors],
    }


def _source(change: SourceChange) -> dict[str, Any]:
    return {
        "change": change.what,
        "old_name": change.old_name,
        "new_name": change.new_name,
        "same_file": change.same_file,
        "old": _facts(change.old),
        "new": _facts(change.new),
    }


def _facts(facts: SourceFacts | None) -> dict[str, Any] | None:
    if facts is None:
        return None
    return {
        "path": facts.text or str(facts.path),
        "sha256": facts.sha256,
        "bytes": facts.size,
        "layout": facts.layout,
        "version": facts.version,
        "step": facts.step,
        "epoch": facts.epoch,
    }


def _decided(decided: Decided | None) -> dict[str, Any] | None:
    if decided is None:
        return None
    return {
        "pattern": decided.pattern,
        "method": decided.method,
        "parameters": {name: plain_value(value) for name, value in decided.parameters.items()},
        "weights": {name: plain_value(weight) for name, weight in decided.shares},
        "base": decided.base,
    }


def _output(change: OutputChange) -> dict[str, Any]:
    return {"field": change.field, "old": change.old, "new": change.new}


def _amounts(amounts: Amounts) -> dict[str, Any]:
    """In all, and by the way in which they change."""
    return {"in_all": _amount(amounts.in_all), **{kind.value: _amount(its) for kind, its in amounts.of_kind.items()}}


def _amount(amount: Amount) -> dict[str, int]:
    return {"tensors": amount.tensors, "parameters": amount.parameters, "bytes": amount.nbytes}


def _rule(change: RuleChange) -> dict[str, Any]:
    return {"old": _decided(change.old), "new": _decided(change.new), "changed": _amounts(change.amounts)}


def _layers(run: LayerRun) -> dict[str, Any]:
    return {
        "first": run.first,
        "last": run.last,
        "changes": [{"parts": its.parts, "old": _making(its.old), "new": _making(its.new)} for its in run.changes],
    }


def _making(making: MadeFrom | None) -> dict[str, Any] | None:
    if making is None:
        return None
    return {
        "shape": making.spec.shape,
        "dtype": str(making.spec.dtype),
        "method": making.method,
        "by_token": making.by_token,
        "parameters": dict(making.parameters),
        "weights": {name: plain_value(weight) for name, weight in making.shares},
        "base": making.base,
    }


def _tensor(change: TensorChange) -> dict[str, Any]:
    return {
        "key": change.key,
        "component": change.component,
        "changes": [kind.value for kind in change.kinds],
        "old": _making(change.old),
        "new": _making(change.new),
    }
