"""What differs between two recipes, as data: between their plans, tensor by tensor, and between many of them.

Owns the shapes only. ``diff`` finds what differs, ``report`` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from .errors import Problem
from .recipe import Weight
from .specs import TensorSpec

# What of SourceFacts another file content shows in.
_CONTENT = ("sha256", "size", "layout", "version", "step", "epoch")

# A source's name and its weight, which may vary over layers.
Share = tuple[str, Weight]


class Kind(Enum):
    """In what way a tensor of the output changes; a word for people."""

    SOURCE = "source"
    WEIGHTS = "weights"
    METHOD = "method"
    DTYPE = "dtype"
    ROWS = "rows"  # of the vocabulary: which token's row is merged into which
    SHAPE = "shape"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of a model: tensors, parameters, bytes of the output."""

    tensors: int
    parameters: int
    nbytes: int

    @classmethod
    def of(cls, specs: Iterable[TensorSpec]) -> Amount:
        """Of tensors with these specs."""
        specs = list(specs)
        return cls(len(specs), sum(spec.numel for spec in specs), sum(spec.nbytes for spec in specs))


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much changes in each way, and in all: a tensor may change in several ways, and counts once in all."""

    of_kind: Mapping[Kind, Amount]
    in_all: Amount


@dataclass(frozen=True, slots=True)
class Decided:
    """What a rule says, or with pattern None the global weights: every source that it names, with its weight.

    ``method``: a name in the method table, ``from`` for tensors taken as they are, ``carried`` for those that no rule
    decides. ``base``: the source that it measures from, which is none of the shares.
    """

    pattern: str | None
    method: str
    parameters: Mapping[str, Any]
    shares: tuple[Share, ...]
    base: str | None = None


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """What a tensor is made from: the sources that are read for it, and how. ``method`` as in ``Decided``."""

    spec: TensorSpec
    method: str
    by_token: bool
    shares: tuple[Share, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    base: str | None = None


@dataclass(frozen=True, slots=True)
class TensorChange:
    """A tensor of the output that changes; ``old`` or ``new`` is None where there is none."""

    key: str
    component: str
    old: MadeFrom | None
    new: MadeFrom | None
    kinds: tuple[Kind, ...]

    @property
    def spec(self) -> TensorSpec:
        """The new tensor's, or that of the one that is gone."""
        making = self.new or self.old
        assert making is not None
        return making.spec


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known of a source's file. ``size`` in bytes; ``is_stated``: the recipe itself states the digest;
    ``text``: the path as the recipe has it, where what it stands for is not to be shown.
    """

    path: Path
    sha256: str | None
    size: int | None
    layout: str | None
    version: str | None
    step: Any
    epoch: Any
    is_stated: bool = False
    text: str | None = None


@dataclass(frozen=True, slots=True)
class SourceChange:
    """A source that was added, removed, renamed or changed. ``same_file``: both are one file, by digest or by path."""

    old_name: str | None
    new_name: str | None
    old: SourceFacts | None
    new: SourceFacts | None
    same_file: bool

    @property
    def what(self) -> str:
        """In a word."""
        if self.old is None:
            return "added"
        if self.new is None:
            return "removed"
        return "renamed" if self.old_name != self.new_name else "changed"

    @property
    def has_other_content(self) -> bool:
        """Whether the file is known not to be what it was, though it may lie where it did."""
        if self.old is None or self.new is None:
            return False
        known = ((getattr(self.old, name), getattr(self.new, name)) for name in _CONTENT)
        return any(was is not None and now is not None and was != now for was, now in known)


@dataclass(frozen=True, slots=True)
class OutputChange:
    """Something about the output beside its tensors; texts for people, None where there is nothing. ``is_place``: they
    are whole paths.
    """

    field: str
    old: str | None
    new: str | None
    is_place: bool = False


@dataclass(frozen=True, slots=True)
class RuleChange:
    """The changed tensors that ``old`` decided before and ``new`` does now, and how much of them changes."""

    old: Decided | None
    new: Decided | None
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class ComponentChange:
    """The changed tensors of a component (see ``xtts``), and how much of them changes."""

    component: str
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class LayerPart:
    """Tensors of GPT layers that change alike. ``parts``: components, or names of tensors within a layer where not all
    of a component is meant; none where the whole layer is.
    """

    parts: tuple[str, ...]
    old: MadeFrom | None
    new: MadeFrom | None


@dataclass(frozen=True, slots=True)
class LayerRun:
    """Consecutive GPT layers, both ends counted, of which the same changes; no ``changes`` where nothing does."""

    first: int
    last: int
    changes: tuple[LayerPart, ...]


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """What differs between two plans. ``weights``: the global ones, old and new, where they differ. ``layers``: only
    where GPT layers differ from each other in what changes. ``tensors_before``, ``tensors_after``: of the outputs.
    ``new_warnings``: of the new plan that the old one did not have.
    """

    sources: tuple[SourceChange, ...]
    weights: tuple[Decided | None, Decided] | None
    output: tuple[OutputChange, ...]
    tensors: tuple[TensorChange, ...]
    amounts: Amounts
    by_rule: tuple[RuleChange, ...]
    by_component: tuple[ComponentChange, ...]
    layers: tuple[LayerRun, ...]
    tensors_before: int
    tensors_after: int
    new_warnings: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether both plans do the same."""
        return not (self.sources or self.weights or self.output or self.tensors)

    @property
    def changes_model(self) -> bool:
        """Whether the output is another: not where sources only come, go or have another name, without a tensor that
        changes, nor where weights do that no tensor has.
        """
        return bool(self.tensors or self.output) or any(change.has_other_content for change in self.sources)


class Status(Enum):
    """How two recipes compare, in a word."""

    IDENTICAL = "identical"  # text, lock and plan
    SAME_PLAN = "same plan"  # though text or lock changed
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"
    INVALID = "invalid"  # one of the two, or both

    @property
    def differs(self) -> bool:
        """Whether what the recipes do differs, as far as that can be told."""
        return self not in (Status.IDENTICAL, Status.SAME_PLAN)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two recipes: what people call it (``main:recipes/a.yaml``), where it lies or would lie in the work
    tree, what its plan rests on (None where there is no plan), and what is wrong with it.
    """

    label: str
    path: Path
    basis: str | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class RecipeChange:
    """What became of one recipe. ``name``: what the report calls it. ``line``: the first that differs in the new text.
    ``diff``: where there are plans to compare, and they differ.
    """

    name: str
    status: Status
    old: Side | None
    new: Side | None
    line: int
    text_changed: bool
    lock_changed: bool
    diff: PlanDiff | None = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Of both sides."""
        return tuple(problem for side in (self.old, self.new) if side for problem in side.problems)

    @property
    def changes_model(self) -> bool:
        """Whether there is another output, or may be: recipes that came, went or are not valid, too."""
        return self.diff.changes_model if self.status is Status.CHANGED and self.diff else self.status.differs

    @property
    def faults(self) -> tuple[Problem, ...]:
        """What is wrong with the recipe as it is now; what was wrong with it before is mended, or will be."""
        return self.new.problems if self.new else ()

    @property
    def bases(self) -> tuple[str, ...]:
        """What the plans that are compared rest on: one for both, or the old one's and the new one's."""
        found = [side.basis for side in (self.old, self.new) if side and side.basis and not self.problems]
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Review:
    """All recipes that were compared. ``old`` and ``new``: what people call what they were compared in; ``new`` is
    None for the work tree.
    """

    old: str
    new: str | None
    recipes: tuple[RecipeChange, ...]

    def count(self, status: Status) -> int:
        """How many recipes compare so."""
        return sum(change.status is status for change in self.recipes)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Of all recipes."""
        return tuple(problem for change in self.recipes for problem in change.problems)
