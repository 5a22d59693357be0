"""What differs between recipes, in the words that all formats share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    SourceChange,
    SourceFacts,
    Status,
    TensorChange,
)
from ..errors import listed
from ..specs import shape_text
from .layout import count_text, counted, cut, size_text
from .mixtures import base_text, method_text, shares_text
from .problems import path_text

NOTHING = "–"
# Of GPT layers.
UNCHANGED = "as before"

# Of names in a list; a recipe may have hundreds of sources.
_MOST_NAMES = 8

_TAKEN = {"from": "from ", "carried": "carried from "}
# The method that goes without saying.
_USUAL = "linear"
_COUNTED = (
    (Status.CHANGED, "changed"),
    (Status.ADDED, "new"),
    (Status.REMOVED, "removed"),
    (Status.INVALID, "not valid"),
    (Status.SAME_PLAN, "with an identical plan"),
    (Status.IDENTICAL, "identical"),
)


def told(review: Review) -> Sequence[RecipeChange]:
    """The recipes that there is something to say of: of several not those that are identical."""
    if len(review.recipes) == 1:
        return review.recipes
    return [change for change in review.recipes if change.status is not Status.IDENTICAL]


def amount_text(amount: Amount) -> str:
    """``333 tensors, 12.1 M parameters, 48.4 MB``."""
    parameters = f"{count_text(amount.parameters)} parameters"
    return f"{counted(amount.tensors, 'tensor')}, {parameters}, {size_text(amount.nbytes)}"


def amount_cells(amount: Amount) -> list[str]:
    """The same as three cells of a table."""
    return [str(amount.tensors), count_text(amount.parameters), size_text(amount.nbytes)]


def kinds_text(amounts: Amounts) -> str:
    """``source, weights``: in what ways tensors change; with how much of them where that is not all."""
    return ", ".join(
        kind.value if amount == amounts.in_all else f"{kind.value} ({amount_text(amount)})"
        for kind, amount in amounts.of_kind.items()
    )


def layers_text(run: LayerRun) -> str:
    """``0–9``."""
    return str(run.first) if run.first == run.last else f"{run.first}–{run.last}"


def _shortened(revision: str) -> str:
    """An id of git's as git shortens it, without the : that says it is one; a name as it is."""
    return revision[:10] if re.fullmatch(r"[0-9a-f]{40,64}:?", revision) else revision


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return f"{', '.join(names[:_MOST_NAMES])} and {more} more" if more > 0 else listed(names)


@dataclass(frozen=True, slots=True)
class Words:
    """``name`` makes a text from a file fit for the place where it is shown; all others are ours."""

    name: Callable[[str], str] = cut

    def names(self, names: Sequence[str]) -> str:
        """``a, b and c``, of many the first."""
        return _some([self.name(name) for name in names])

    def total(self, review: Review) -> str:
        """``main → work tree: 2 recipes changed and 1 new``."""
        names = ["work tree" if name is None else self.name(_shortened(name)) for name in (review.old, review.new)]
        found = [(count, words) for status, words in _COUNTED if (count := review.count(status))]
        said = [
            f"{count} {words}" if number else f"{counted(count, 'recipe')} {words}"
            for number, (count, words) in enumerate(found)
        ]
        return f"{' → '.join(names)}: {listed(said) if said else 'no recipe differs'}"

    def summary(self, change: RecipeChange) -> str:
        """What became of one recipe, in a line."""
        match change.status:
            case Status.IDENTICAL:
                return "identical"
            case Status.SAME_PLAN:
                changed = ["text"] * change.text_changed + ["lock"] * change.lock_changed
                return f"{listed(changed)} changed, plan identical"
            case Status.REMOVED:
                return "removed"
            case Status.INVALID:
                sides = (("not valid", change.new), ("not valid before", change.old))
                counts = [(words, len(side.problems)) for words, side in sides if side and side.problems]
                return "; ".join(f"{words}: {counted(count, 'problem')}" for words, count in counts)
        assert change.diff is not None
        if change.status is Status.ADDED:
            names = [change.new_name or "" for change in change.diff.sources]
            return f"new: {amount_text(change.diff.amounts.in_all)}, from {self.names(names)}"
        return "; ".join(self._changed(change.diff))

    def _changed(self, diff: PlanDiff) -> Iterator[str]:
        if diff.tensors:
            of_kind = ", ".join(f"{kind.value} {amount.tensors}" for kind, amount in diff.amounts.of_kind.items())
            whole = max(diff.tensors_after, diff.tensors_before)
            amount = diff.amounts.in_all
            changed = f"{amount.tensors} of {counted(whole, 'tensor')} {'changes' if amount.tensors == 1 else 'change'}"
            yield f"{changed} ({of_kind}): {count_text(amount.parameters)} parameters, {size_text(amount.nbytes)}"
        else:
            yield "no tensor changes"
        by_what: dict[str, list[str]] = {}
        for change in diff.sources:
            by_what.setdefault(change.what, []).append(self.source(change))
        if by_what:
            yield "sources: " + ", ".join(f"{_some(names)} {what}" for what, names in by_what.items())
        if diff.weights:
            yield "global weights"
        if diff.output:
            yield f"output: {self.names([change.field for change in diff.output])}"

    def basis(self, change: RecipeChange) -> str:
        """What the plans rest on; nothing where there are none."""
        if len(change.bases) < 2:
            return "".join(map(self.name, change.bases))
        old, new = map(self.name, change.bases)
        return f"before {old}, after {new}; keys, shapes and types may differ for that reason alone"

    # --- before and after -------------------------------------------------------------------------------------------

    def was_is(self, old: MadeFrom | Decided | None, new: MadeFrom | Decided | None) -> tuple[str, str]:
        """What a tensor is made from, or what a rule says: ``news 0.8, audiobook 0.2`` and ``from news``.

        With the method where it changes or is not the usual one, and all digits where fewer do not show a difference.
        """
        methods = {self._method(its) for its in (old, new) if its is not None and its.method not in _TAKEN}
        said = len(methods) > 1 or any(method != _USUAL for method in methods)
        was, now = (self._made(its, said, ".6g") for its in (old, new))
        if was == now and old and new and old.shares != new.shares:
            was, now = (self._made(its, said, "") for its in (old, new))
        return was, now

    def change(self, old: MadeFrom | Decided | None, new: MadeFrom | Decided | None) -> str:
        """``news 0.8 → news 0.6``; once where both say the same."""
        was, now = self.was_is(old, new)
        if old is None or new is None:
            return was if new is None else now
        return now if was == now else f"{was} → {now}"

    def _method(self, made: MadeFrom | Decided) -> str:
        return method_text(made.method, made.parameters, isinstance(made, MadeFrom) and made.by_token)

    def _made(self, made: MadeFrom | Decided | None, with_method: bool, digits: str) -> str:
        if made is None:
            return NOTHING
        if made.method in _TAKEN:
            return _TAKEN[made.method] + self.name(made.shares[0][0])
        read = [share for share in made.shares if share[1] != 0]
        some = read[:_MOST_NAMES]
        more = len(read) - len(some)
        shares = shares_text(made.method, some, digits, self.name) + (f" and {more} more" if more > 0 else "")
        shares += base_text(made.base, self.name)
        return f"{self._method(made)}: {shares}" if with_method else shares

    def rule(self, change: RuleChange) -> str:
        """``"*encoder*"``, ``"*encoder*" → global weights``: what decided tensors, and what does now."""
        was, now = self._decider(change.old), self._decider(change.new)
        if was is None or now is None or was == now:
            return now or was or NOTHING
        return f"{was} → {now}"

    def _decider(self, decided: Decided | None) -> str | None:
        if decided is None:
            return None
        if decided.method == "carried":
            return "(training-only)"
        return "global weights" if decided.pattern is None else self.name(f'"{decided.pattern}"')

    def tensor(self, change: TensorChange) -> str:
        """What changes of a tensor: ``news 0.8 → news 0.6; float32 → float16 (weights, dtype)``."""
        parts = [self.change(change.old, change.new)]
        if change.old and change.new:
            was, now = change.old.spec, change.new.spec
            if was.dtype != now.dtype:
                parts.append(f"{was.dtype} → {now.dtype}")
            if was.shape != now.shape:
                parts.append(f"{shape_text(was.shape)} → {shape_text(now.shape)}")
        return f"{'; '.join(parts)} ({', '.join(kind.value for kind in change.kinds)})"

    # --- sources and output -----------------------------------------------------------------------------------------

    def source(self, change: SourceChange) -> str:
        """``news``, ``news → voice``."""
        names = [self.name(name) for name in (change.old_name, change.new_name) if name is not None]
        return " → ".join(dict.fromkeys(names))

    def source_facts(self, change: SourceChange) -> tuple[str, str]:
        """What is known of a source before and after: all of one that came or went, else what changes."""
        old, new = self._facts(change.old), self._facts(change.new)
        if change.old and change.new:
            differing = [field for field in old if field in new and old[field] != new[field]] or ["path"]
            old, new = ({field: facts[field] for field in differing} for facts in (old, new))
        return ", ".join(old.values()) or NOTHING, ", ".join(new.values()) or NOTHING

    def _facts(self, facts: SourceFacts | None) -> dict[str, str]:
        if facts is None:
            return {}
        size = facts.size
        found = {
            "path": self.name(facts.text or path_text(facts.path)),
            "sha256": facts.sha256 and f"sha256 {self.name(facts.sha256)}",
            "size": None if size is None else f"{size:,} bytes",
            "layout": facts.layout and f"{facts.layout} layout",
            "version": facts.version and f"XTTS {facts.version}",
            "step": None if facts.step is None else f"step {self.name(str(facts.step))}",
            "epoch": None if facts.epoch is None else f"epoch {self.name(str(facts.epoch))}",
        }
        return {field: text for field, text in found.items() if text}

    def output(self, change: OutputChange) -> tuple[str, str]:
        """Before and after."""
        return self._output(change, change.old), self._output(change, change.new)

    def _output(self, change: OutputChange, text: str | None) -> str:
        if text is None:
            return NOTHING
        if change.is_place:
            ending = text[-1:] if text[-1:] in "/\\" else ""
            return self.name(path_text(Path(text)) + ending)
        return self.name(text)
