"""Whether a checkpoint is what a plan makes, as far as its header tells."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from ..metadata import TRAINING, training_of
from ..plan import Plan
from ..specs import Header


def differences(header: Header, plan: Plan, with_config: bool = True) -> Iterator[str]:
    """Where names, shapes, types and metadata of a checkpoint are not those that the plan makes, in words."""
    found = header.stored
    expected = {step.name: step.spec for step in plan.steps}
    yield from (f"{name}: is missing" for name in expected if name not in found)
    yield from (f"{name}: is not made by the recipe" for name in (*found, *header.leftovers) if name not in expected)
    for name, spec in expected.items():
        if name in found and found[name].spec != spec:
            yield f"{name}: is {found[name].spec}, the recipe makes {spec}"
    said, made = training_of(header.entries), training_of(plan.metadata.entries)
    for name in TRAINING:
        if text_of(said.get(name)) != text_of(made.get(name)):
            yield f"{name}: is {said.get(name)!r}, the recipe makes {made.get(name)!r}"
    # The config.json of a directory is one of the files beside the model.
    own = header.own_config if header.directory else header.entries.get("config")
    if with_config and text_of(own) != text_of(plan.metadata.entries.get("config")):
        yield "config: is not the one that the recipe takes"


def text_of(value: Any) -> str:
    """A value as formats that hold text only have it: NaN is NaN, and keys are text."""
    with contextlib.suppress(ValueError):
        value = json.loads(value) if isinstance(value, str) else value
    return json.dumps(value, sort_keys=False, default=repr)
