"""How tensors are decided: methods with their parameters, weights, base, and rules; globally and by rule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..codes import Code
from ..depth import Gradient
from ..document import Path_, join_path
from ..errors import listed
from ..methods import METHODS, MethodEntry
from ..patterns import PatternError, compile_patterns
from ..xtts import COMPONENTS
from .parameters import number_of, numbers_in, read_parameters
from .parts import Merge, Method, ParameterValue, Rule, Take, Weight
from .reading import Reading

# How far from 1 weights may sum: room for how decimals are stored, none for 0.33 + 0.33 + 0.33.
SUM_TOLERANCE = 1e-9
_ZERO_SUM = "weights that sum to 0 cannot be normalized"


@dataclass(frozen=True, slots=True)
class _Said:
    """What a scope says, the recipe as a whole or a rule, and where: method, weights and base as they stand there.

    ``own``: which of these it says itself. ``is_sound``: whether weights and base have no fault of their own;
    ``is_lost``: whether the base has a name that is no source's.
    """

    method: Any
    method_path: Path_
    weights: Mapping[str, Any] | None
    weights_path: Path_
    base: int | None
    own: frozenset[str]
    path: Path_
    is_sound: bool = True
    is_lost: bool = False


class Decisions:
    """Reads them; problems are kept in the ``reading``."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._names = reading.names
        self._normalize = bool(reading.data.get("normalize", False))
        self._global = self._said(reading.data, (), _Said("linear", (), None, (), None, frozenset(), ()))

    def default(self) -> Merge:
        """What is decided where no rule does."""
        return self._merge(self._global)

    def rules(self) -> Iterator[Rule]:
        """The overrides, in their order."""
        overrides = self._reading.data.get("overrides", {})
        for (pattern, entry), matches in zip(overrides.items(), compile_patterns(overrides, COMPONENTS), strict=False):
            path: Path_ = ("overrides", pattern)
            if isinstance(matches, PatternError):
                self._reading.problem(matches.code, path, str(matches), at_key=True)
                continue
            yield Rule(pattern, matches, self._decision(entry, path), self._reading.document.where_key(path))

    def check_base(self, merges: Sequence[Merge]) -> None:
        """Keep a problem where the recipe's base is left out of every merge."""
        base = self._global.base
        if base is not None and not any(its.base == base or base in its.merged for its in merges):
            what = f"no method here measures from a base, so {self._names[base]} would be left out"
            hint = "remove it, or choose a method with a base: xttsrecipe methods lists them"
            self._reading.problem(Code.UNUSED_BASE, ("base",), what, hint=hint)

    def _decision(self, entry: str | Mapping[str, Any], path: Path_) -> Take | Merge:
        if isinstance(entry, str):
            return Take(self._reading.source(entry.removeprefix("from "), path))
        if "from" in entry:
            others = [name for name in entry if name != "from"]
            if others:
                what = f"'from' takes tensors as they are; {listed(others)} cannot go with it"
                self._reading.problem(Code.FROM_WITH_MORE, (*path, others[0]), what, at_key=True)
            return Take(self._reading.source(entry["from"], (*path, "from")))
        return self._merge(self._said(entry, path, self._global))

    def _said(self, entry: Mapping[str, Any], path: Path_, outer: _Said) -> _Said:
        """What a scope says, with what it takes over from the one around it."""
        own = frozenset({"method", "weights", "base"} & entry.keys())
        weights: Path_ = (*path, "weights")
        faults = len(self._reading.problems)
        usable = "weights" not in own or self._are_usable(entry["weights"], weights)
        base, is_lost = outer.base, outer.is_lost
        if "base" in own:
            index = self._reading.source(entry["base"], (*path, "base"))
            is_lost = entry["base"] not in self._names
            base = None if is_lost else index
        return _Said(
            entry.get("method", outer.method),
            (*path, "method") if "method" in own else outer.method_path,
            entry.get("weights", outer.weights) if usable else None,
            weights if "weights" in own else outer.weights_path,
            base,
            own,
            path,
            is_sound=(outer.is_sound or "weights" in own) and not is_lost and len(self._reading.problems) == faults,
            is_lost=is_lost,
        )

    def _are_usable(self, given: Mapping[str, Any], path: Path_) -> bool:
        usable = True
        for name, weight in given.items():
            self._reading.source(name, (*path, name), at_key=True)
            for where, number in numbers_in(weight, (*path, name)):
                if not abs(number) <= 1e6:  # nor NaN
                    expected = "a finite number, seldom beyond -1 and 2"
                    what = f"{number} is not usable as a weight"
                    self._reading.problem(Code.UNUSABLE_WEIGHT, where, what, expected=expected)
                    usable = False
        return usable

    def _merge(self, said: _Said) -> Merge:
        faults = len(self._reading.problems)
        given = said.method if isinstance(said.method, Mapping) else {"name": said.method}
        entry = METHODS[given["name"]]
        base = said.base if entry.base != "none" else None
        if entry.base == "none" and said.path and "base" in said.own and not said.is_lost:
            what = f"{entry.name} measures from no base, so {self._names[said.base or 0]} would be left out"
            hint = "remove it, or choose a method with a base: xttsrecipe methods lists them"
            self._reading.problem(Code.UNUSED_BASE, (*said.path, "base"), what, hint=hint)
        if entry.base == "required" and base is None and not said.is_lost and (not said.path or "method" in said.own):
            hint = "name the checkpoint that all are fine-tunes of: base: NAME"
            self._place(Code.METHOD_WITHOUT_BASE, said, f"{entry.name} measures from a base, and there is none", hint)
        weights = self._weights(said, entry, said.base)
        names = [name for name, weight in zip(self._names, weights, strict=True) if weight != 0]
        if said.is_sound and len(self._reading.problems) == faults:
            self._check_count(said, entry, names, base)
        parameters = self._parameters(said, given, entry, names)
        normalize = self._normalize or entry.shares_by is not None
        if entry.weights_sum_to_one:
            normalize |= bool(parameters.pop("normalize", False))
        if entry.shares_by is not None and (share := parameters.pop(entry.shares_by, None)) is not None:
            weights = self._shared(said, weights, share, entry.shares_by)
        varies = any(isinstance(weight, Gradient) for weight in weights)
        if normalize and entry.uses_weights and said.is_sound and len(self._reading.problems) == faults and not varies:
            weights, normalize = self._divided(said, weights), False
        where = self._reading.document.where_key(self._path(said))
        merge = Merge(tuple(weights), Method(entry.name, parameters), base, normalize, where)
        if said.is_sound and len(self._reading.problems) == faults and not merge.varies:
            self._check_sum(said, merge)
        is_sound = said.is_sound and len(self._reading.problems) == faults
        if is_sound and not merge.varies and (why := refusal(merge, None)):
            self._place(Code.UNUSABLE_PARAMETER, said, f"{entry.name}: {why}")
        return merge

    def _parameters(
        self, said: _Said, given: Mapping[str, Any], entry: MethodEntry, names: Sequence[str]
    ) -> dict[str, ParameterValue]:
        problems, faults = self._reading.problems, len(self._reading.problems)
        base = None if said.base is None else self._names[said.base]
        found = read_parameters(self._reading, given, entry, said.method_path, names, base)
        if said.path and "method" not in said.own:
            # What was right where the method stands is wrong with the sources or the base of this rule.
            where = self._reading.document.where_key(self._path(said))
            told, new = problems[:faults], problems[faults:]
            path = f"{join_path(self._path(said))}: here "
            problems[faults:] = [replace(its, what=path + its.what, where=where) for its in new if its not in told]
        return found

    def _place(self, code: Code, said: _Said, what: str, hint: str | None = None) -> None:
        """Keep a problem with the method that a scope has, where that stands; or else with the scope."""
        path = said.method_path if "method" in said.own else self._path(said)
        self._reading.problem(code, path, what, at_key=True, hint=hint)

    @staticmethod
    def _path(said: _Said) -> Path_:
        """Where a scope says what it says, weights rather than a method."""
        named = next((field for field in ("weights", "method", "base") if field in said.own), None)
        return (*said.path, named) if named else said.path or ("checkpoints",)

    # --- weights ----------------------------------------------------------------------------------------------------

    def _weights(self, said: _Said, entry: MethodEntry, base: int | None) -> list[Weight]:
        """One for each source; 0 for the base."""
        merged = [name for index, name in enumerate(self._names) if index != base]
        each = 1.0 if entry.base == "required" and entry.weighted else 1 / max(len(merged), 1)
        given = said.weights
        if given is None:
            return [each if name in merged else 0.0 for name in self._names]
        self._check_names(said, given, merged, base)
        found = {name: number_of(given[name]) for name in merged if name in given}
        if not entry.uses_weights:
            found = self._equal(said, entry, found)
        return [found.get(name, 0.0) for name in self._names]

    def _check_names(self, said: _Said, given: Mapping[str, Any], merged: Sequence[str], base: int | None) -> None:
        if base is not None and "weights" in said.own and self._names[base] in given:
            what = f"{self._names[base]} is the base, which has no weight: the others are measured from it"
            path = (*said.weights_path, self._names[base])
            self._reading.problem(Code.BASE_WITH_WEIGHT, path, what, at_key=True, hint="remove it here")
        absent = [name for name in merged if name not in given]
        if said.path and "weights" not in said.own:  # of those taken over it was said where they stand
            absent = [name for name in absent if self._names.index(name) == self._global.base]
        if absent and not said.is_lost:
            hint = f"name every source; {absent[0]}: 0 leaves it out"
            self._reading.problem(
                Code.MISSING_WEIGHT, self._path(said), f"no weight for {listed(absent)}", at_key=True, hint=hint
            )

    def _equal(self, said: _Said, entry: MethodEntry, found: Mapping[str, Weight]) -> dict[str, Weight]:
        """Of a method without weights: those that are not left out count alike."""
        taken = [name for name, weight in found.items() if weight != 0]
        differ = len({str(found[name]) for name in taken}) > 1
        differ |= any(isinstance(found[name], Gradient) for name in taken)
        if "weights" in said.own and differ and (said.path or "method" in said.own):
            what = f"{entry.name} has no use for weights: all count alike, and 0 leaves one out"
            if said.path or not self._is_taken_over():
                self._reading.problem(Code.UNUSED_WEIGHTS, said.weights_path, what, at_key=True, hint="remove them")
        return {name: 1 / len(taken) if name in taken else 0.0 for name in found}

    def _is_taken_over(self) -> bool:
        """Whether a rule has a method that uses the global weights."""
        rules = self._reading.data.get("overrides", {}).values()
        return any(
            isinstance(rule, Mapping)
            and "method" in rule
            and "weights" not in rule
            and _entry(rule["method"]).uses_weights
            for rule in rules
        )

    def _shared(self, said: _Said, weights: Sequence[Weight], share: Any, name: str) -> list[Weight]:
        """The weights of two sources of which the second has this ``share``. Weights that are given beside it may only
        leave sources out; those that a rule gives count more than the share that it takes over.
        """
        taken = [index for index, weight in enumerate(weights) if weight != 0]
        if "weights" in said.own and "method" not in said.own:
            return list(weights)
        leave_out = 0 in weights and len({str(weights[index]) for index in taken}) == 1
        if "weights" in said.own and not leave_out and not _has_share([weights[index] for index in taken], share):
            what = f"{name} says already how much the second counts, and weights say it too"
            hint = f"keep one of the two; beside {name}, weights of 0 and 1 say which two are merged"
            self._reading.problem(Code.UNUSED_WEIGHTS, said.weights_path, what, at_key=True, hint=hint)
        first: Weight = share.complement() if isinstance(share, Gradient) else 1 - share
        pair: list[Weight] = [first, share]
        return [pair[taken.index(index)] if index in taken[:2] else 0.0 for index in range(len(weights))]

    def _check_count(self, said: _Said, entry: MethodEntry, names: Sequence[str], base: int | None) -> None:
        if not names and (entry.weights_sum_to_one or base is not None):
            return  # their sum says it better; or the base is left
        if len(names) == 1 and entry.takes_one_of_two:
            return
        if entry.least <= len(names) and (entry.most is None or len(names) <= entry.most):
            return
        wanted = str(entry.least) if entry.least == entry.most else f"at least {entry.least}"
        if entry.least != entry.most and entry.most is not None:
            wanted = f"at most {entry.most}"
        beside = " beside the base" if said.base is not None else ""
        there = f"there {'is' if len(names) == 1 else 'are'} {len(names) or 'none'}{': ' if names else ''}"
        what = f"{entry.name} merges {wanted} of the checkpoints{beside}, and {there}{', '.join(names)}"
        too_many = entry.most is not None and len(names) > entry.most
        hint = "a weight of 0 leaves a checkpoint out" if too_many else "name more checkpoints, or weigh more of them"
        self._place(Code.METHOD_AND_SOURCES, said, what, hint)

    def _divided(self, said: _Said, weights: Sequence[Any]) -> list[Weight]:
        total = math.fsum(weights)
        if abs(total) < SUM_TOLERANCE:
            self._reading.problem(Code.WEIGHTS_SUM_TO_ZERO, self._path(said), _ZERO_SUM, at_key=True)
            return list(weights)
        return [weight / total for weight in weights]

    def _check_sum(self, said: _Said, merge: Merge) -> None:
        if why := sum_problem(merge, merge.weights):
            code, what, hint = why
            self._reading.problem(code, self._path(said), what, at_key=True, hint=hint)


def _has_share(pair: Sequence[Weight], share: Weight) -> bool:
    """Whether weights of two sources say that the second has this share."""
    if len(pair) != 2 or any(isinstance(number, Gradient) for number in (*pair, share)):
        return list(pair)[1:] == [share]
    total = math.fsum(map(float, pair))  # type: ignore[arg-type]
    return total != 0 and math.isclose(float(pair[1]) / total, float(share), abs_tol=SUM_TOLERANCE)  # type: ignore[arg-type]


def sum_problem(merge: Merge, weights: Sequence[Any]) -> tuple[Code, str, str | None] | None:
    """What is wrong with the sum of a merge's weights, as they stand for one tensor: kind, words, and what to do."""
    total = math.fsum(weights)
    if merge.normalize and merge.method.entry.weighted:
        if abs(total) < SUM_TOLERANCE:
            return Code.WEIGHTS_SUM_TO_ZERO, _ZERO_SUM, None
    elif merge.method.entry.weights_sum_to_one and abs(total - 1) > SUM_TOLERANCE:
        hint = "change them, or write 'normalize: true' to have them divided by their sum"
        return Code.WEIGHTS_DO_NOT_SUM_TO_ONE, f"the weights sum to {total:.10g}, not to 1", hint
    return None


def refusal(merge: Merge, depth: Any) -> str | None:
    """Why a method cannot work with the weights and parameters that it has at a depth; None where it can."""
    weights, read = merge.weights_at(depth), merge.read_at(depth)
    if not read and merge.base is not None:
        return None  # the base is left
    entry, parameters = merge.method.entry, merge.parameters_at(depth)
    share: Any = parameters[entry.shares_by] if entry.shares_by else 0
    if not 0 <= share <= 1:
        if math.isnan(share):
            return "the weights must not sum to 0: what counts is the second's share of their sum"
        return f"the second's share of the weights is {share:g}, and has to be between 0 and 1"
    return entry.refusal([weights[index] for index in read], parameters)


def _entry(method: Any) -> MethodEntry:
    return METHODS[method["name"] if isinstance(method, Mapping) else method]
