"""How the merge methods look on a terminal: all of them in a list, or one explained; and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from ..errors import did_you_mean
from ..methods import METHODS, MethodEntry, Parameter
from ..methods.explanations import EXPLANATIONS
from ..methods.rivals import MERGEKIT, OTHERWISE, SD_MECHA, Namesake
from . import method_facts as facts
from .json_text import json_text
from .layout import columns, cut

_WIDTH = 100


def methods_text() -> str:
    """All methods, each with formula, parameters, what it needs and its paper."""
    names = max(map(len, METHODS))
    groups = {
        "Of the sources as they are:": [entry for entry in METHODS.values() if entry.base != "required"],
        "Of what they changed, measured from a base:": [e for e in METHODS.values() if e.base == "required"],
    }
    blocks = [
        "method: NAME, or method: {name: NAME, …parameters}, for a whole recipe or in a rule.\n"
        'xttsrecipe methods NAME explains one. Tensors taken as they are need no method: "PATTERN": from NAME'
    ]
    for title, entries in groups.items():
        blocks.append(title)
        blocks += ["\n".join(_listed(entry, names)) for entry in entries]
    return "\n\n".join(blocks) + "\n"


def _listed(entry: MethodEntry, width: int) -> Iterator[str]:
    yield f"  {entry.name:{width}}  {entry.summary}"
    margin = " " * (width + 4)
    yield f"{margin}{entry.formula}"
    base = {"none": "no base", "optional": "a base or none", "required": "needs a base"}[entry.base]
    memory = "streams" if entry.elementwise else "needs tensors whole"
    yield f"{margin}{base}; {memory}; {facts.parameters_text(entry) or 'no parameters'}"
    yield f"{margin}{entry.paper}"


def unknown_method(name: str) -> str | None:
    """What to say where there is no method of this name, with what was meant; None where there is one."""
    if name in METHODS:
        return None
    what = f"no method named '{cut(name)}'"
    if name in OTHERWISE:
        return f"{what}: {OTHERWISE[name]}"
    here = [method for table in (MERGEKIT, SD_MECHA) for method, found in table.items() if found.name == name]
    if here:
        return f"{what}: what others call so is {here[0]} here"
    return what + (did_you_mean(name, METHODS) or "; xttsrecipe methods lists them")


def method_text(name: str) -> str:
    """One method explained, with a recipe that uses it. Raises KeyError where there is none of this name."""
    entry = METHODS[name]
    about = [
        ["formula", entry.formula],
        ["where", facts.symbols(entry)],
        ["sources", facts.sources_text(entry)],
        ["base", facts.base_text(entry)],
        ["weights", facts.weights_text(entry)],
        ["memory", facts.memory_text(entry)],
        ["random", facts.random_text(entry)],
        ["paper", entry.paper],
    ]
    parts = [
        f"{entry.name}: {entry.summary}",
        _wrapped(EXPLANATIONS[name]),
        _columns([row for row in about if row[1]]),
        "\n".join(["parameters", *_parameters(entry)]),
        "\n".join(["elsewhere", *_elsewhere(entry)]),
        "\n".join(["a recipe", textwrap.indent(facts.snippet(entry).rstrip(), "  ")]),
    ]
    return "\n\n".join(parts) + "\n"


def _wrapped(text: str, first: str = "", others: str = "") -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)


def _columns(rows: list[list[str]]) -> str:
    """Rows of a word and a text, which is wrapped."""
    width = max(len(row[0]) for row in rows) + 2
    return "\n".join(_wrapped(text, f"{word:{width}}", " " * width) for word, text in rows)


def _parameters(entry: MethodEntry) -> Iterator[str]:
    if not entry.settings:
        yield "  none"
        return
    rows = [
        [its.name, facts.range_text(its), facts.default_text(its), facts.variation_text(its)] for its in entry.settings
    ]
    table = columns([["name", "range", "default", "may differ"], *rows], indent="  ").splitlines()
    yield table[0]
    for line, parameter in zip(table[1:], entry.settings, strict=True):
        yield line
        yield f"    {facts.meaning_text(parameter)}"


def _elsewhere(entry: MethodEntry) -> Iterator[str]:
    rows = [[tool, facts.namesake_text(found)] for tool, found in facts.rivals(entry)]
    yield textwrap.indent(_columns(rows), "  ")
    for text in facts.differences(entry):
        yield _wrapped(text, "  - ", "    ")


def methods_json(name: str | None) -> str:
    """The same facts for machines: a list, or one method's. Raises KeyError where there is none of this name."""
    return json_text({"methods": list(map(_data, METHODS.values()))} if name is None else _data(METHODS[name]))


def _data(entry: MethodEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "summary": entry.summary,
        "explanation": EXPLANATIONS[entry.name],
        "formula": entry.formula,
        "symbols": facts.symbols(entry),
        "paper": entry.paper,
        "base": entry.base,
        "least_sources": entry.least,
        "most_sources": entry.most,
        "ordered": entry.ordered,
        "weighted": entry.uses_weights,
        "weights_sum_to_one": entry.weights_sum_to_one,
        "streams": entry.elementwise,
        "random": entry.random,
        "parameters": list(map(_parameter, entry.settings)),
        "elsewhere": {tool: found and _namesake(found) for tool, found in facts.rivals(entry)},
        "differences": facts.differences(entry),
        "recipe": facts.snippet(entry),
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "aliases": parameter.aliases,
        "meaning": parameter.meaning,
        "kind": parameter.kind,
        "required": parameter.required,
        "default": parameter.default,
        "otherwise": parameter.otherwise or None,
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "maximum_excluded": parameter.below,
        "per_source": parameter.per_source,
        "over_layers": parameter.kind == "number",
    }


def _namesake(found: Namesake) -> dict[str, str]:
    return {"name": found.name, "parameters": found.parameters, "note": found.note}
