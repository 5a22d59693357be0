"""What differs between recipes, for terminals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..changes import Amounts, LayerRun, PlanDiff, RecipeChange, Review, SourceChange, Status
from .diff import UNCHANGED, Words, amount_cells, kinds_text, layers_text, told
from .layout import columns, printable
from .workflow_commands import harmless

_WORDS = Words()
_SIGNS = {"added": "+", "removed": "-"}


def diff_text(review: Review, keys: bool) -> str:
    """The total, then a report on each recipe; with every tensor that changes where ``keys`` are asked for."""
    shown = told(review)
    reports = ["\n".join(_lines(change, keys)) for change in shown]
    if len(review.recipes) != 1:
        reports.insert(0, printable(_WORDS.total(review)))
    return harmless("\n\n".join(reports) + "\n")


def _lines(change: RecipeChange, keys: bool) -> Iterator[str]:
    yield printable(f"{change.name}: {_WORDS.summary(change)}")
    if change.bases:
        yield printable(f"  basis: {_WORDS.basis(change)}")
    if change.diff:
        yield from _sections(change.diff, change.status, keys)


def _sections(diff: PlanDiff, status: Status, keys: bool) -> Iterator[str]:
    if diff.sources:
        yield "  sources"
        yield columns(map(_source, diff.sources), indent="    ")
    if diff.weights:
        yield f"  global weights\n    {printable(_WORDS.change(*diff.weights))}"
    if diff.output:
        yield "  output"
        arrow = _now if status is Status.ADDED else _arrow
        yield columns(([its.field, arrow(*_WORDS.output(its))] for its in diff.output), indent="    ")
    if diff.tensors:
        rules = [(_WORDS.rule(its), its.amounts, _WORDS.change(its.old, its.new)) for its in diff.by_rule]
        yield _table("by rule", [*rules, ("in all", diff.amounts, "")])
        yield _table("by component", ((its.component, its.amounts, "") for its in diff.by_component))
    if diff.layers:
        yield "  GPT layers"
        yield columns((row for run in diff.layers for row in _layers(run)), indent="    ")
    if keys and diff.tensors:
        yield "  keys"
        signed = ([_SIGNS.get(its.kinds[0].value, "~"), its.key, _WORDS.tensor(its)] for its in diff.tensors)
        yield columns(signed, indent="    ")
    if status is Status.CHANGED:
        yield from (f"  new warning: {printable(warning)}" for warning in diff.new_warnings)


def _source(change: SourceChange) -> list[str]:
    was, now = _WORDS.source_facts(change)
    facts = {"added": now, "removed": was}.get(change.what) or _arrow(was, now)
    return [change.what, _WORDS.source(change), "the same file" if change.same_file and was == now else facts]


def _arrow(was: str, now: str) -> str:
    return f"{was} → {now}"


def _now(was: str, now: str) -> str:
    return now


def _table(title: str, rows: Iterable[tuple[str, Amounts, str]]) -> str:
    """Of labels, amounts and what else there is to say."""
    rows = list(rows)
    made = any(text for _, _, text in rows)
    cells = [[f"  {title}", "tensors", "parameters", "bytes", *[""] * made, "changes"]]
    for label, amounts, text in rows:
        cells.append([f"    {label}", *amount_cells(amounts.in_all), *[text] * made, kinds_text(amounts)])
    return columns(cells, right=(1, 2, 3), indent="")


def _layers(run: LayerRun) -> Iterator[list[str]]:
    if not run.changes:
        yield [layers_text(run), "", UNCHANGED]
    for number, part in enumerate(run.changes):
        label = "" if number else layers_text(run)
        yield [label, _WORDS.names(part.parts) if part.parts else "", _WORDS.change(part.old, part.new)]
