"""What is to be told of a merge method, in words, for whatever shows it: made from the method table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..methods import MethodEntry, Parameter
from ..methods.differences import DIFFERENCES
from ..methods.rivals import MERGEKIT, SD_MECHA, Namesake
from .mixtures import value_text

# In formulas; those that stand in one are explained with it.
_SYMBOLS = (
    (r"\ba\b.*\bb\b", "a and b the sources in their order"),
    (r"xᵢ", "xᵢ the sources"),
    (r"\bx\b", "x the source"),
    (r"w[ᵢ₁]", "wᵢ the weights"),
    (r"\bN\b|βN", "N how many sources"),
    (r"δ[ᵢ₁]", "δᵢ = xᵢ − base"),
    (r"(?<![a-z])n(?![a-z])", "n how many elements the tensor has"),
    (r"λ", "λ lambda"),
    (r"β", "β beta"),
    (r"γ", "γ gamma"),
    (r"τ", "τ select_topk"),
    (r"ε", "ε epsilon"),
    (r"θ(?!ᵢ)", "θ the angle between the two"),
    (r"‖", "‖ ‖ a length"),
    (r"⌊", "⌊ ⌋ rounded down"),
    (r"sgn", "sgn the sign"),
    (r"q₅₀", "qₚ the value that p % of the importances do not exceed"),
)
_EXAMPLES: dict[str, Any] = {"density": 0.5, "seed": 42, "beta": 0.25}
_DENSITIES = {"ties": 0.2, "breadcrumbs": 0.15, "breadcrumbs_ties": 0.15}
# What a snippet shows besides what has to be there.
_SHOWN: dict[str, dict[str, Any]] = {
    "slerp": {"t": 0.3},
    "model_stock": {"filter_wise": "true"},
    "task_arithmetic": {"lambda": 0.7},
    "add_difference": {"lambda": 0.8},
    "sce": {"select_topk": 0.3},
    "nearswap": {"t": 0.001},
    "ram": {"epsilon": 0.0001},
    "della": {"epsilon": 0.1},
    "della_linear": {"epsilon": 0.1},
}
_NAMES = ("news", "audiobook", "calm", "radio")


def symbols(entry: MethodEntry) -> str:
    """What the letters of the formula stand for, but for those that it explains itself."""
    found = [words for pattern, words in _SYMBOLS if re.search(pattern, entry.formula)]
    return ", ".join(words for words in found if words not in entry.formula)


def sources_text(entry: MethodEntry) -> str:
    """How many sources it takes."""
    count = "any number" if entry.most is None else str(entry.most)
    beside = {"none": "", "optional": " (beside a base, where there is one)", "required": " beside the base"}
    order = "; their order under checkpoints matters" if entry.ordered else ""
    return f"{count}{beside[entry.base]}{order}"


def base_text(entry: MethodEntry) -> str:
    """Whether it measures from a base."""
    return {"none": "none", "optional": "may be given", "required": "has to be given"}[entry.base]


def weights_text(entry: MethodEntry) -> str:
    """What weights do, and what they are where a recipe has none."""
    if entry.shares_by:
        share = entry.shares_by
        return f"the second source's share of them is {share}; equal if left out, or say {share} instead"
    if not entry.weighted:
        return "not used; 0 leaves a source out"
    if entry.weights_sum_to_one:
        return "sum to 1, unless normalize is true; equal if left out"
    if entry.base == "required":
        return "need not sum to 1; 1 each if left out"
    return "are divided by their sum; equal if left out"


def memory_text(entry: MethodEntry) -> str:
    """Whether tensors are merged in pieces."""
    return (
        "streams: tensors are merged in pieces" if entry.elementwise else "needs tensors whole, one or a few at a time"
    )


def default_text(parameter: Parameter) -> str:
    """``0.2``, ``true``; or what is taken where nothing is said."""
    if parameter.default is not None:
        return value_text(parameter.default)
    return parameter.otherwise or "has to be given"


def range_text(parameter: Parameter) -> str:
    """What values it takes."""
    if parameter.kind == "boolean":
        return "true or false"
    kind = "a whole number" if parameter.kind == "integer" else "a number"
    return parameter.range + (", whole" if parameter.kind == "integer" else "") if parameter.range else kind


def meaning_text(parameter: Parameter) -> str:
    """What it says, and what else it may be called."""
    called = f"; also called {' and '.join(parameter.aliases)}" if parameter.aliases else ""
    return f"{parameter.meaning}{called}"


def variation_text(parameter: Parameter) -> str:
    """How a parameter may vary."""
    if parameter.kind != "number":
        return ""
    return "per source, over layers" if parameter.per_source else "over layers"


def parameters_text(entry: MethodEntry) -> str:
    """All of a method's in a line, with their defaults: ``density 0.2, lambda 1``."""
    said = [
        f"{its.name} ({default_text(its)})" if its.default is None else f"{its.name} {default_text(its)}"
        for its in entry.settings
    ]
    return ", ".join(said)


def random_text(entry: MethodEntry) -> str:
    """What random numbers depend on; nothing of a method that takes none."""
    return "by seed, tensor and source's name: the same on every machine" if entry.random else ""


def namesake_text(found: Namesake | None) -> str:
    """``ties: weight, density 1``, or that there is none."""
    if found is None:
        return "has none"
    parameters = f" ({found.parameters})" if found.parameters else ""
    return f"{found.name}{parameters}{f'; {found.note}' if found.note else ''}"


def rivals(entry: MethodEntry) -> Iterator[tuple[str, Namesake | None]]:
    """What other tools call it, None where they have nothing like it."""
    yield "mergekit 0.1.4", MERGEKIT.get(entry.name)
    yield "sd-mecha 1.1.5", SD_MECHA.get(entry.name)


def differences(entry: MethodEntry) -> Sequence[str]:
    """Where other tools give something else."""
    return DIFFERENCES.get(entry.name, ())


def file_of_tests(entry: MethodEntry) -> str:
    """The file of its tests."""
    return f"tests/methods/test_{entry.combine.__module__.rpartition('.')[2]}.py"


def snippet(entry: MethodEntry) -> str:
    """A recipe that uses it."""
    names = list(_NAMES[: entry.most or (4 if entry.name == "trimmed_mean" else 3 if entry.base == "none" else 2)])
    known = ["original", *names] if entry.base == "required" else names
    said = {its.name: _EXAMPLES[its.name] for its in entry.settings if its.required}
    said |= {"density": _DENSITIES[entry.name]} if entry.name in _DENSITIES else {}
    said |= _SHOWN.get(entry.name, {})
    in_order = {its.name: said[its.name] for its in entry.settings if its.name in said}
    method = ", ".join([f"name: {entry.name}", *(f"{name}: {value}" for name, value in in_order.items())])
    lines = [f"checkpoints: {{{', '.join(f'{name}: {name}.pth' for name in known)}}}"]
    lines += ["base: original"] if entry.base == "required" else []
    lines.append(f"method: {{{method}}}" if in_order else f"method: {entry.name}")
    if entry.weighted:
        lines.append(f"weights: {{{', '.join(map(': '.join, zip(names, _weights(entry, len(names)), strict=True)))}}}")
    return "\n".join([*lines, "output: {path: merged.pth}\n"])


def _weights(entry: MethodEntry, count: int) -> list[str]:
    if entry.base == "required":
        return ["1", "0.5", "0.5"][:count]
    return {2: ["0.6", "0.4"], 3: ["0.5", "0.3", "0.2"]}[count]
