"""The digest of a plan: equal where runs make the same model of the same sources, whatever the recipe's text.

Without paths, so that it is the same on every machine, and without what only a source's file can tell, so that it is
the same whether headers come from checkpoints or from a lock.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from .metadata import training_of
from .plan import Plan
from .steps import Step
from .xtts import CARD_FILE


def plan_digest(plan: Plan) -> str:
    """sha256, hex, of the plan: the sources' headers, every tensor of the output, and what goes with them."""
    text = json.dumps(_data(plan), sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _data(plan: Plan) -> dict[str, Any]:
    recipe, metadata = plan.recipe, plan.metadata
    names = recipe.source_names
    return {
        "sources": {name: header.digest for name, header in zip(names, plan.headers, strict=True)},
        "format": recipe.output.format,
        "directory": recipe.output.is_directory,
        "layout": plan.layout,
        "training": training_of(metadata.entries),
        "config": None if metadata.config_from is None else names[metadata.config_from],
        # Beside a file, the name is made from the output's. A card says nothing that is not said here.
        "companions": sorted(
            [its.name if recipe.output.is_directory else "", its.origin]
            for its in plan.companions
            if not its.name.endswith(CARD_FILE)
        ),
        "steps": sorted(_step(step, names) for step in plan.steps),
    }


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
    return [step.name, str(step.spec), step.method, [names[source] for source in step.sources], segments]
