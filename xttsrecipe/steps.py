"""One tensor of the output: from which tensors of the sources it is made, how, and in which type.

Mismatches between sources (missing keys, unequal shapes, other kinds of number) are found here, all of them, unless a
rule settles them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .errors import Problem, listed
from .recipe import Merge, Recipe, Rule, Take
from .specs import DType, Header, StoredTensor, TensorSpec, shape_text, widest
from .xtts import TEXT_ROWS


@dataclass(frozen=True, slots=True)
class Step:
    """One tensor of the output.

    ``key``: canonical; ``name``: as the output has it. ``rule``: the pattern that decided, None for the global
    weights or a training-only tensor. ``inputs`` and ``weights`` run in parallel; ``sources`` are their indices in
    the recipe. ``method``: a name in the method table, or ``from`` for a tensor that is taken as it is (one input),
    ``carried`` for one that no rule decides. ``compute``: the type that the arithmetic is done in.
    """

    key: str
    name: str
    spec: TensorSpec
    rule: str | None
    method: str
    sources: tuple[int, ...]
    inputs: tuple[StoredTensor, ...]
    weights: tuple[float, ...]
    compute: DType

    @property
    def changes_dtype(self) -> bool:
        return any(tensor.spec.dtype != self.spec.dtype for tensor in self.inputs)


class StepBuilder:
    """Makes steps key by key and remembers what does not fit."""

    def __init__(self, recipe: Recipe, headers: Sequence[Header], prefix: str) -> None:
        self._recipe = recipe
        self._headers = headers
        self._names = [source.name for source in recipe.sources]
        self._prefix = prefix
        self._missing: dict[tuple[Rule | None, tuple[int, ...]], list[str]] = {}
        self._unequal: dict[Rule | None, list[str]] = {}
        self._kinds: dict[Rule | None, list[str]] = {}

    def step(self, key: str, rule: Rule | None) -> Step | None:
        """The step for a canonical key; None, and a problem kept, where the sources do not allow one."""
        decision = rule.decision if rule else self._recipe.default
        weighted = _weighted_sources(decision, len(self._headers))
        absent = tuple(index for index, _ in weighted if key not in self._headers[index].tensors)
        if absent:
            self._missing.setdefault((rule, absent), []).append(key)
            return None
        tensors = [(index, self._headers[index].tensors[key], weight) for index, weight in weighted]
        shapes = {tensor.spec.shape for _, tensor, _ in tensors}
        if len(shapes) > 1:
            self._unequal.setdefault(rule, []).append(
                self._described(key, [(i, shape_text(t.spec.shape)) for i, t, _ in tensors])
            )
            return None
        if len({tensor.spec.dtype.kind for _, tensor, _ in tensors}) > 1:
            self._kinds.setdefault(rule, []).append(
                self._described(key, [(i, str(t.spec.dtype)) for i, t, _ in tensors])
            )
            return None
        method = "from" if isinstance(decision, Take) else decision.method.name
        if not tensors[0][1].spec.dtype.averages and len(tensors) > 1:
            index, tensor, _ = max(tensors, key=lambda entry: entry[2])  # the heaviest; the first of equals
            tensors = [(index, tensor, 1.0)]
        if len(tensors) == 1:
            method = "from"
        return self._made(key, rule, method, tensors)

    def _made(
        self, key: str, rule: Rule | None, method: str, tensors: Sequence[tuple[int, StoredTensor, float]]
    ) -> Step:
        sources, inputs, weights = zip(*tensors, strict=True)
        dtype = widest([tensor.spec.dtype for tensor in inputs])
        return Step(
            key=key,
            name=self._prefix + key,
            spec=TensorSpec(inputs[0].spec.shape, _output_dtype(dtype, self._recipe.output.dtype)),
            rule=rule.pattern if rule else None,
            method=method,
            sources=sources,
            inputs=inputs,
            weights=weights,
            compute=dtype if method == "from" else _compute_dtype(dtype, len(inputs)),
        )

    def training_only(self, source: int) -> list[Step]:
        """The training wrapper's own tensors, untouched, as one source has them."""
        return [
            Step(
                tensor.name,
                tensor.name,
                tensor.spec,
                None,
                "carried",
                (source,),
                (tensor,),
                (1.0,),
                tensor.spec.dtype,
            )
            for tensor in self._headers[source].training_only.values()
        ]

    def _described(self, key: str, facts: Sequence[tuple[int, str]]) -> str:
        return f"{key}: " + ", ".join(f"{self._names[index]} {fact}" for index, fact in facts)

    def problems(self) -> Iterator[Problem]:
        for (rule, absent), keys in self._missing.items():
            names = listed([self._names[index] for index in absent])
            having = [
                name for name, header in zip(self._names, self._headers, strict=True) if keys[0] in header.tensors
            ]
            yield Problem(
                f"{_tensors(keys)} missing in {names}{_of(rule)}",
                rule.where if rule else self._recipe.sources[absent[0]].where,
                hint=self._settle(keys[0], having[0], rule),
                details=tuple(keys),
            )
        for rule, lines in self._unequal.items():
            key = lines[0].partition(":")[0]
            yield Problem(
                f"{_tensors(lines)} of unequal shape{_of(rule)}",
                rule.where if rule else self._recipe.sources[0].where,
                hint=self._settle(key, self._names[0], rule)
                + ("; row counts differ because the vocabularies do" if key in TEXT_ROWS else ""),
                details=tuple(lines),
            )
        for rule, lines in self._kinds.items():
            yield Problem(
                f"{_tensors(lines)} of element types that cannot be mixed{_of(rule)}",
                rule.where if rule else self._recipe.sources[0].where,
                hint=self._settle(lines[0].partition(":")[0], self._names[0], rule),
                details=tuple(lines),
            )

    def _settle(self, key: str, having: str, rule: Rule | None) -> str:
        if rule and isinstance(rule.decision, Take):
            return f"take {key} from {having} with a later rule, or name another source"
        return f'settle it with a rule, as "{key}": from {having}'


def _tensors(items: Sequence[object]) -> str:
    return f"{len(items)} tensor{'s are' if len(items) > 1 else ' is'}"


def _of(rule: Rule | None) -> str:
    return f" (decided by rule {rule.pattern!r})" if rule else ""


def _weighted_sources(decision: Take | Merge, count: int) -> list[tuple[int, float]]:
    """The sources that a decision reads, with their weights; a source of weight 0 is not read."""
    if isinstance(decision, Take):
        return [(decision.source, 1.0)]
    return [(index, decision.weights[index]) for index in range(count) if decision.weights[index] != 0]


def _output_dtype(dtype: DType, wanted: DType | None) -> DType:
    return wanted if wanted and dtype.kind == "float" else dtype


def _compute_dtype(dtype: DType, sources: int) -> DType:
    """What the arithmetic is done in: float32 for two sources, float64 for more or for float64.

    For two sources the error of float32 is at most 4 · 2⁻²⁴ · Σ|wᵢxᵢ|. For more it grows with their number, as xₕ
    may be far larger than the mean.
    """
    if dtype.kind == "complex":
        return DType.COMPLEX128 if dtype == DType.COMPLEX128 or sources > 2 else DType.COMPLEX64
    return DType.FLOAT64 if dtype == DType.FLOAT64 or sources > 2 else DType.FLOAT32
