"""What differs between two plans: sources, global weights, output, and every tensor.

Two sources are the same where they are one file, whatever a recipe calls them and in whatever order. Compares what
plans do; knows no texts, no files and no formats.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..changes import (
    Amount,
    Amounts,
    ComponentChange,
    Decided,
    Kind,
    MadeFrom,
    PlanDiff,
    RuleChange,
    TensorChange,
)
from ..depth import Gradient
from ..methods import METHODS
from ..recipe import Take, Weight
from ..review import Reviewed
from ..steps import Step
from ..xtts import LEAVES, component_of
from .layer_runs import layer_runs
from .output_changes import output_changes
from .source_changes import shared_files, source_changes, source_facts

# Of a tensor that no method makes.
_TAKEN = ("from", "carried")
# Weights that differ by less, in parts of themselves, are equal.
_SAME = 1e-12


def diff_plans(old: Reviewed | None, new: Reviewed) -> PlanDiff:
    """What the new plan does otherwise than the old one; all that it does where there is no old one."""
    before, after = source_facts(old), source_facts(new)
    files = shared_files(before, after)
    was, now = _Side(old, files[: len(before)]), _Side(new, files[len(before) :])
    changes = {change.key: change for change in _tensor_changes(was, now)}
    tensors = tuple(changes.values())
    certain = not new.assumed and not (old and old.assumed)
    return PlanDiff(
        sources=tuple(source_changes(before, after, files)),
        weights=_weights(was, now),
        output=tuple(output_changes(old.plan if old else None, was.files, new.plan, now.files, certain)),
        tensors=tensors,
        amounts=_amounts(tensors),
        by_rule=tuple(_by_rule(was, now, tensors)),
        by_component=tuple(_by_component(tensors)),
        layers=layer_runs(_signatures(was, now), changes) if old else (),
        tensors_before=len(was.steps),
        tensors_after=len(now.steps),
        new_warnings=_new_warnings(old, new) if certain else (),
    )


class _Side:
    """One of the two plans. ``files``: for each source, by its index, the number of its file; of no plan, nothing."""

    def __init__(self, reviewed: Reviewed | None, files: Sequence[int]) -> None:
        self.files = files
        self._plan = reviewed.plan if reviewed else None
        self.is_there = reviewed is not None
        self.steps: dict[str, Step] = {step.key: step for step in self._plan.steps} if self._plan else {}
        self.names = self._plan.recipe.source_names if self._plan else []
        self.patterns = [rule.pattern for rule in self._plan.recipe.rules] if self._plan else []
        self._mixtures: dict[tuple[tuple[int, ...], tuple[float, ...]], Mapping[int, float]] = {}
        self._signatures: dict[tuple[object, ...], Hashable] = {}
        self._decided: dict[tuple[str | None, int | None], Decided] = {}

    def mixture(self, step: Step) -> Mapping[int, float]:
        """What each file weighs in a tensor."""
        given = step.sources, step.weights
        if given not in self._mixtures:
            self._mixtures[given] = self.weighed(*given)
        return self._mixtures[given]

    def weighed(self, sources: Iterable[int], weights: Iterable[float]) -> Mapping[int, float]:
        """The same for sources (indices); a recipe may give a file two names."""
        found: dict[int, float] = {}
        for source, weight in zip(sources, weights, strict=True):
            file = self.files[source]
            found[file] = found[file] + weight if file in found else weight
        return found

    def weighed_globally(self) -> Mapping[int, float]:
        """What each file weighs by the global weights, those that weigh nothing aside."""
        assert self._plan is not None
        weights = self._plan.recipe.default.shares
        return {file: weight for file, weight in self.weighed(range(len(weights)), weights).items() if weight}

    def method(self, step: Step) -> tuple[str, Mapping[str, Any], bool, Hashable] | None:
        """How a tensor is computed: the method, its parameters, whether by token, and what of its sources matters to it
        beside their content: their order, or their names, on which random numbers depend. None for one that is taken.
        """
        if step.method in _TAKEN:
            return None
        entry, sources = METHODS[step.method], step.sources[step.has_base :]
        matters: Hashable = None
        if entry.random:
            matters = tuple(sorted((self.files[source], self.names[source]) for source in sources))
        elif entry.ordered and entry.shares_by is None:  # whose shares say it
            matters = tuple(self.files[source] for source in sources)
        return step.method, step.parameters, step.by_token, matters

    def rows(self, step: Step) -> Hashable:
        """Which rows of which files a tensor merged by token is made from."""
        files = [self.files[source] for source in step.sources]
        return tuple(
            (part.start, part.count, tuple(sorted(zip((files[its] for its in part.inputs), part.starts, strict=True))))
            for part in step.segments
        )

    def signature(self, step: Step | None) -> Hashable:
        """Equal where tensors are made alike."""
        if step is None:
            return None
        # Tensors that are decided alike share their parameters.
        given = step.rule, step.method, step.by_token, step.sources, step.weights, id(step.parameters)
        if given not in self._signatures:
            method = self.method(step)
            how = method and (method[0], repr(sorted(method[1].items())), *method[2:])
            shares = sorted((file, f"{weight:.12g}") for file, weight in self.mixture(step).items())
            self._signatures[given] = how, tuple(shares)
        return self._signatures[given]

    def making(self, step: Step | None) -> MadeFrom | None:
        if step is None:
            return None
        first = int(step.has_base)
        names = [self.names[index] for index in step.sources]
        shares = tuple(zip(names, step.weights, strict=True))[first:]
        base = names[0] if first else None
        return MadeFrom(step.spec, step.method, step.by_token, shares, step.parameters, base)

    def decided(self, step: Step) -> Decided:
        """What the rule says that decided a tensor."""
        carried = step.sources[0] if step.method == "carried" else None
        if (step.rule, carried) not in self._decided:
            says = self.says(step.rule) if carried is None else _taken(None, "carried", self.names[carried])
            self._decided[step.rule, carried] = says
        return self._decided[step.rule, carried]

    def says(self, pattern: str | None) -> Decided:
        """What a rule says; for None, what the global weights say."""
        assert self._plan is not None
        decision = self._plan.recipe.decision_of(pattern)
        if isinstance(decision, Take):
            return _taken(pattern, "from", self.names[decision.source])
        base = None if decision.base is None else self.names[decision.base]
        shares = tuple(share for share in zip(self.names, decision.weights, strict=True) if share[0] != base)
        return Decided(pattern, decision.method.name, decision.method.parameters, shares, base)


def _taken(pattern: str | None, method: str, name: str) -> Decided:
    return Decided(pattern, method, {}, ((name, 1.0),))


# --- weights and tensors --------------------------------------------------------------------------------------------


def _weights(was: _Side, now: _Side) -> tuple[Decided | None, Decided] | None:
    """The global weights where they differ: by file, and by what the sources are called now, as names may have changed
    places, and a name may stand for another file, which the sources tell.
    """
    after = now.says(None)
    if not was.is_there:
        return None, after
    before = was.says(None)
    called = {name: name for name in now.names}
    by_file = dict(zip(now.files, now.names, strict=True))
    for name, file in zip(was.names, was.files, strict=True):
        called.setdefault(name, by_file.get(file, name))
    named = ({called[name]: weight for name, weight in says.shares if weight} for says in (before, after))
    filed = (side.weighed_globally() for side in (was, now))
    same_method = (before.method, before.parameters, before.base) == (after.method, after.parameters, after.base)
    varies = any(isinstance(weight, Gradient) for says in (before, after) for _, weight in says.shares)
    same = same_method and any(
        old.keys() == new.keys() and not _weigh_otherwise(old, new)
        for old, new in ((named,) if varies else (named, filed))
    )
    return None if same else (before, after)


def _tensor_changes(was: _Side, now: _Side) -> Iterator[TensorChange]:
    for key, step in now.steps.items():
        old = was.steps.get(key)
        kinds = _kinds(was, old, now, step) if old else (Kind.ADDED,)
        if kinds:
            yield TensorChange(key, component_of(key), was.making(old), now.making(step), kinds)
    for key, old in was.steps.items():
        if key not in now.steps:
            yield TensorChange(key, component_of(key), was.making(old), None, (Kind.REMOVED,))


def _kinds(was: _Side, old: Step, now: _Side, new: Step) -> tuple[Kind, ...]:
    before, after = was.mixture(old), now.mixture(new)
    method_before, method_after = was.method(old), now.method(new)
    found = {
        Kind.SOURCE: before.keys() != after.keys(),
        Kind.WEIGHTS: _weigh_otherwise(before, after),
        # That a tensor is no longer taken but merged, its sources and weights say.
        Kind.METHOD: None not in (method_before, method_after) and method_before != method_after,
        Kind.DTYPE: old.spec.dtype != new.spec.dtype,
        Kind.ROWS: old.by_token and new.by_token and before.keys() == after.keys() and was.rows(old) != now.rows(new),
        Kind.SHAPE: old.spec.shape != new.spec.shape,
    }
    return tuple(kind for kind, is_so in found.items() if is_so)


def _weigh_otherwise(before: Mapping[Any, Weight], after: Mapping[Any, Weight]) -> bool:
    """Whether a file that stays has another weight, or those that come other weights than those that go."""
    if not all(_same_weight(before[file], after[file]) for file in before.keys() & after.keys()):
        return True
    gone = sorted((before[file] for file in before.keys() - after.keys()), key=str)
    came = sorted((after[file] for file in after.keys() - before.keys()), key=str)
    return len(gone) != len(came) or not all(map(_same_weight, gone, came))


def _same_weight(one: Weight, other: Weight) -> bool:
    """Normalized, 7 : 2 : 1 and 0.7 : 0.2 : 0.1 are not the same to the last bit."""
    if isinstance(one, Gradient) or isinstance(other, Gradient):
        return one == other
    return math.isclose(one, other, rel_tol=_SAME)


def _signatures(was: _Side, now: _Side) -> Mapping[str, Hashable]:
    """For every tensor how it is made, before and after."""
    keys = dict.fromkeys([*now.steps, *was.steps])
    return {key: (was.signature(was.steps.get(key)), now.signature(now.steps.get(key))) for key in keys}


# --- sums -----------------------------------------------------------------------------------------------------------


def _amounts(changes: Sequence[TensorChange]) -> Amounts:
    of_kind = {kind: Amount.of(change.spec for change in changes if kind in change.kinds) for kind in Kind}
    return Amounts(
        {kind: amount for kind, amount in of_kind.items() if amount.tensors},
        Amount.of(change.spec for change in changes),
    )


def _by_rule(was: _Side, now: _Side, changes: Iterable[TensorChange]) -> Iterator[RuleChange]:
    """In the new recipe's order, the global weights' tensors behind those of rules; what is gone last."""
    decided: dict[tuple[int | None, int | None], tuple[Decided | None, Decided | None]] = {}
    by_group: dict[tuple[int | None, int | None], list[TensorChange]] = {}
    for change in changes:
        old, new = was.steps.get(change.key), now.steps.get(change.key)
        pair = (was.decided(old) if old else None, now.decided(new) if new else None)
        group = (_position(was, pair[0]), _position(now, pair[1]))
        decided.setdefault(group, pair)
        by_group.setdefault(group, []).append(change)
    last = len(now.patterns) + len(was.patterns) + 2
    for group in sorted(by_group, key=lambda its: tuple(last if place is None else place for place in reversed(its))):
        old_says, new_says = decided[group]
        yield RuleChange(old_says, new_says, _amounts(by_group[group]))


def _position(side: _Side, decided: Decided | None) -> int | None:
    if decided is None:
        return None
    if decided.pattern is not None:
        return side.patterns.index(decided.pattern)
    return len(side.patterns) + (decided.method == "carried")


def _by_component(changes: Iterable[TensorChange]) -> Iterator[ComponentChange]:
    """In the order in which XTTS has them; those that it does not know last."""
    groups: dict[str, list[TensorChange]] = {name: [] for name in LEAVES}
    for change in changes:
        groups.setdefault(change.component, []).append(change)
    return (ComponentChange(name, _amounts(group)) for name, group in groups.items() if group)


def _new_warnings(old: Reviewed | None, new: Reviewed) -> tuple[str, ...]:
    known = old.plan.warnings if old else ()
    return tuple(warning for warning in new.plan.warnings if warning not in known)
