"""What of docs/methods.md is made from the method table: the overview, and a section for each method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..methods import METHODS, MethodEntry
from ..methods.explanations import EXPLANATIONS
from ..methods.rivals import ONLY_SD_MECHA, Namesake
from . import method_facts as facts


def overview() -> str:
    """A table of all methods beside what others have, with links to their sections and tests."""
    head = ["method", "what it does", "parameters and their defaults", "base", "tensors"]
    rows = [[*head, *(tool for tool, _ in facts.rivals(METHODS["linear"])), "test"], ["---"] * (len(head) + 3)]
    rows += map(_overview_row, METHODS.values())
    rows.append(
        ["`from NAME`", "tensors as they are", "", "", "stream", "`passthrough`: scale", "none",
         "[test_execute.py](../tests/test_execute.py)"]
    )  # fmt: skip
    only = ", ".join(f"`{name}`" for name in ONLY_SD_MECHA)
    differing = ", ".join(f"[{name}](#{name})" for name, entry in METHODS.items() if facts.differences(entry))
    return (
        f"{_table(rows)}\nmergekit has no others. sd-mecha has besides: {only}.\n\n"
        "Where others, under the same name, give something else than the papers say, or than is given here, is told "
        f"in these sections: {differing}.\n"
    )


def _overview_row(entry: MethodEntry) -> list[str]:
    parameters = [f"`{its.name}` {facts.default_text(its)}" for its in entry.settings]
    tests = facts.file_of_tests(entry)
    return [
        f"[{entry.name}](#{entry.name})",
        entry.summary,
        ", ".join(parameters),
        {"none": "", "optional": "may be", "required": "has to be"}[entry.base],
        "stream" if entry.elementwise else "whole",
        *(_namesake(found) for _, found in facts.rivals(entry)),
        f"[{tests.rpartition('/')[2]}](../{tests})",
    ]


def _namesake(found: Namesake | None) -> str:
    if found is None:
        return "none"
    parameters = f": {found.parameters}" if found.parameters else ""
    return f"`{found.name}`{parameters}{f' ({found.note})' if found.note else ''}"


def sections() -> str:
    """A section for each method."""
    return "\n".join("\n".join(_section(entry)) for entry in METHODS.values())


def _section(entry: MethodEntry) -> Iterator[str]:
    yield f"### {entry.name}\n"
    yield f"*{entry.summary[0].upper()}{entry.summary[1:]}.* {EXPLANATIONS[entry.name]}\n"
    yield f"```text\n{entry.formula}\n```\n"
    yield f"Symbols: {_escaped(facts.symbols(entry))}.\n"
    about = {
        "sources": facts.sources_text(entry),
        "base": facts.base_text(entry),
        "weights": facts.weights_text(entry),
        "tensors": facts.memory_text(entry),
        "random numbers": facts.random_text(entry),
        "paper": entry.paper,
    }
    yield "".join(f"- {word}: {_escaped(text)}\n" for word, text in about.items() if text)
    if entry.settings:
        yield _table(
            [["parameter", "range", "default", "may differ", "what it says"], ["---"] * 5, *_parameters(entry)]
        )
    others = [f"{tool}: {_namesake(found)}" for tool, found in facts.rivals(entry)]
    yield "What others have, and where their results are others:\n"
    yield "".join(f"- {text}\n" for text in [*others, *map(_escaped, facts.differences(entry))])
    yield f"```yaml\n{facts.snippet(entry)}```\n"


def _parameters(entry: MethodEntry) -> Iterator[list[str]]:
    for its in entry.settings:
        yield [
            f"`{its.name}`",
            facts.range_text(its),
            facts.default_text(its),
            facts.variation_text(its),
            facts.meaning_text(its),
        ]


def _escaped(text: str) -> str:
    """Text in which nothing is markup."""
    return "".join(f"\\{character}" if character in "\\*_`|<>[]" else character for character in text)


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
