"""The digest of a plan: equal where runs make the same model of the same sources, whatever the recipe's text.

Without paths and without the kind of file that is written, so that it is the same on every machine, and without what
only a source's file can tell, so that it is the same whether headers come from checkpoints or from a lock.
"""

from __future__ import annotations

import hashlib
import json
import operator
from typing import Any

from ..metadata import training_of
from ..plan import Plan
from ..specs import Header
from ..steps import Step


def plan_digest(plan: Plan) -> str:
    """sha256, hex, of the plan: the sources' headers, every tensor of the output, and what goes with them."""
    text = json.dumps(_data(plan), sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _data(plan: Plan) -> dict[str, Any]:
    recipe, metadata = plan.recipe, plan.metadata
    names = recipe.source_names
    return {
        "sources": {name: _source(header) for name, header in zip(names, plan.headers, strict=True)},
        "layout": plan.layout,
        "training": training_of(metadata.entries),
        "entries": sorted(metadata.entries),
        "config": None if metadata.config_from is None else names[metadata.config_from],
        "companions": recipe.companions_from if recipe.companions_from is None else names[recipe.companions_from],
        "steps": sorted((_step(step, names) for step in plan.steps), key=operator.itemgetter(0)),
    }


def _source(header: Header) -> list[Any]:
    files = sorted([name, file.digest] for name, file in header.companions.items())
    return [header.digest, files, header.vocabulary and header.vocabulary.digest]


def _step(step: Step, names: list[str]) -> list[Any]:
    """Name first, by which they are sorted: the order in a file means nothing."""
    segments = [
        [
            segment.start,
            segment.count,
            segment.starts,
            segment.weights,
            [names[step.sources[index]] for index in segment.inputs],
        ]
        for segment in step.segments
    ]
    made = [step.name, str(step.spec), step.method, [names[source] for source in step.sources], segments]
    return [*made, step.parameters, step.has_base] if step.parameters or step.has_base else made
