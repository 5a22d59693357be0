"""How the named components look: what each is, and how much of a checkpoint or of XTTS-V2 it makes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from ..patterns import compile_pattern
from ..specs import Header, TensorSpec
from ..xtts import COMPONENTS, GROUPS, LEAVES, Component, component_of, known_tensors
from .json_text import json_text
from .layout import amounts, columns, numbers
from .plan import version_text

_BUILT_IN = "XTTS-V2 2.0.3"
_SHOWN_KEYS = 3


def components_text(header: Header | None) -> str:
    """The components with their patterns and, without a checkpoint, the tensors of XTTS-V2 from the built-in table.

    With a checkpoint: the tensors, parameters and bytes that each has in that file, and what belongs to none.
    """
    return _table_text() if header is None else _checkpoint_text(header)


def _table_text() -> str:
    known = known_tensors()
    rows = [["component", "tensors", "parameters", "what it is", "patterns"]]
    for name, part in LEAVES.items():
        rows += _lines([f"  @{name}", *_amounts(_tensors(name, known))[:2], part.about], part.patterns)
    rows += [[""] * 5, ["group", "", "", "", "components"]]
    for name, part in GROUPS.items():
        rows += _lines([f"  @{name}", *_amounts(_tensors(name, known))[:2], part.about], _leaves(part, 36))
    intro = (
        'Names for parts of XTTS. They may stand wherever a pattern may: "@attention": from news\n'
        f"Tensors and parameters are those of {_BUILT_IN}, from the built-in table; name a CHECKPOINT to count its own."
    )
    return f"{intro}\n\n{columns(rows, right=(1, 2), indent='')}\n"


def _checkpoint_text(header: Header) -> str:
    specs = _specs(header)
    facts = [["file", str(header.path)], ["model", f"{version_text(header)}, {header.layout} layout"]]
    rows = [["component", "tensors", "parameters", "bytes", "what it is"]]
    for name, part in LEAVES.items():
        rows.append([f"  @{name}", *_amounts(_tensors(name, specs)), part.about])
    others = _others(specs)
    if others:
        rows.append(["  (in no component)", *_amounts(others.values()), _some(list(others))])
    rows.append(["  in all", *_amounts(specs.values()), ""])
    if header.training_only:
        training = [tensor.spec for tensor in header.training_only.values()]
        rows.append(["  (training-only)", *_amounts(training), "dvae and spectrograms, not part of the model"])
    rows += [[""] * 5, ["group", "", "", "", "components"]]
    for name, part in GROUPS.items():
        rows += _lines([f"  @{name}", *_amounts(_tensors(name, specs))], _leaves(part, 56))
    return f"{columns(facts, indent='')}\n\n{columns(rows, right=(1, 2, 3), indent='')}\n"


def _specs(header: Header) -> Mapping[str, TensorSpec]:
    return {key: tensor.spec for key, tensor in header.tensors.items()}


def _tensors(name: str, specs: Mapping[str, TensorSpec]) -> list[TensorSpec]:
    test = compile_pattern(f"@{name}", COMPONENTS)
    return [spec for key, spec in specs.items() if test(key)]


def _others(specs: Mapping[str, TensorSpec]) -> Mapping[str, TensorSpec]:
    """The tensors that belong to no component: an older XTTS has some, and so may a model that someone extended."""
    return {key: spec for key, spec in specs.items() if component_of(key) not in LEAVES}


def _amounts(specs: Iterable[TensorSpec]) -> list[str]:
    specs = list(specs)
    return amounts(specs) if specs else ["0", "-", "-"]


def _some(keys: Sequence[str]) -> str:
    more = len(keys) - _SHOWN_KEYS
    return ", ".join(keys[:_SHOWN_KEYS]) + (f" and {more} more" if more > 0 else "")


def _leaves(part: Component, width: int) -> list[str]:
    return textwrap.wrap(", ".join(part.leaves), width)


def _lines(cells: Sequence[str], last: Sequence[str]) -> list[list[str]]:
    """A row whose last cell has several lines, as rows."""
    return [[*(line or [""] * len(cells)), text] for line, text in zip_longest([cells], last)]


def components_json(header: Header | None) -> str:
    """The same facts for machines; ``path`` is null where the tensors are those of the built-in table."""
    specs = known_tensors() if header is None else _specs(header)
    others = _others(specs)
    data: dict[str, Any] = {
        "path": None if header is None else str(header.path),
        "built_in_table": _BUILT_IN if header is None else None,
        "layout": None if header is None else header.layout,
        "version": None if header is None else header.version,
        "components": {
            name: {"about": part.about, "patterns": part.patterns, **numbers(_tensors(name, specs))}
            for name, part in LEAVES.items()
        },
        "groups": {
            name: {"about": part.about, "components": part.leaves, **numbers(_tensors(name, specs))}
            for name, part in GROUPS.items()
        },
        "in_no_component": {**numbers(others.values()), "keys": list(others)},
        "in_all": numbers(specs.values()),
    }
    if header is not None:
        data["training_only"] = numbers(tensor.spec for tensor in header.training_only.values())
    return json_text(data)
