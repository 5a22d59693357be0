"""One tensor of the output: from which tensors of the sources it is made, how, and in which type.

Mismatches between sources (missing keys, unequal shapes, other kinds of number) are found here, all of them, unless a
rule settles them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .errors import Problem, listed
from .methods import METHODS
from .recipe import Merge, Recipe, Rule, Take
from .segments import Segment, whole
from .specs import DType, Header, StoredTensor, TensorSpec, shape_text, widest
from .text_rows import OutputVocabulary, TextRows
from .xtts import TEXT_ROWS, TEXT_ROWS_PATTERN, VOCABULARY_FILE


@dataclass(frozen=True, slots=True)
class Step:
    """One tensor of the output.

    ``key``: canonical; ``name``: as the output has it. ``rule``: the pattern that decided, None for the global
    weights or a training-only tensor. ``inputs`` and ``weights`` run in parallel; ``sources`` are their indices in
    the recipe. ``method``: a name in the method table, or ``from`` for a tensor that is taken as it is (one input),
    ``carried`` for one that no rule decides. ``compute``: the type that the method gets them in. ``segments``: what
    the tensor is made of from its first element to its last.
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
    segments: tuple[Segment, ...]

    @property
    def by_token(self) -> bool:
        """Whether rows are merged by the token that they mean, not by their place."""
        return len(self.segments) > 1 or any(self.segments[0].starts)


_UNEQUAL = "of unequal shape"


def is_elementwise(step: Step) -> bool:
    """Whether a step can be done in pieces; otherwise its method needs all elements at once."""
    return step.method not in METHODS or METHODS[step.method].elementwise


def text_step(steps: Iterable[Step]) -> Step | None:
    """The first of the text tensors' steps, which are decided alike; None where there are none."""
    return next((step for step in steps if step.key in TEXT_ROWS), None)


# The tensor of a key in each source that a decision reads: index of the source, tensor, weight.
_Weighted = Sequence[tuple[int, StoredTensor, float]]


class StepBuilder:
    """Makes steps key by key and remembers what does not fit."""

    def __init__(self, recipe: Recipe, headers: Sequence[Header], prefix: str) -> None:
        self._recipe = recipe
        self._headers = headers
        self._text = TextRows(recipe, headers)
        self._names = recipe.source_names
        self._prefix = prefix
        # By what is wrong and the rule that decided: the keys, each with the facts.
        self._misfits: dict[tuple[str, Rule | None], dict[str, str]] = {}

    def step(self, key: str, rule: Rule | None) -> Step | None:
        """The step for a canonical key; None, and a problem kept, where the sources do not allow one."""
        decision = rule.decision if rule else self._recipe.default
        read = [(index, weight) for index, weight in _weights(decision) if weight != 0]
        absent = [self._names[index] for index, _ in read if key not in self._headers[index].tensors]
        if absent:
            self._misfit(f"missing in {listed(absent)}", rule, key, "")
            return None
        tensors = [(index, self._headers[index].tensors[key], weight) for index, weight in read]
        if key in TEXT_ROWS and not self._text.fit(key, [(index, tensor.spec) for index, tensor, _ in tensors]):
            return None
        vocabulary = self._vocabulary(key, tensors)
        first = 1 if vocabulary else 0  # the first dimension that must be equal
        if len({tensor.spec.shape[first:] for _, tensor, _ in tensors}) > 1:
            facts = [f"{self._names[index]} {shape_text(tensor.spec.shape)}" for index, tensor, _ in tensors]
            self._misfit(_UNEQUAL, rule, key, ", ".join(facts))
            return None
        if len({tensor.spec.dtype.kind for _, tensor, _ in tensors}) > 1:
            facts = [f"{self._names[index]} {tensor.spec.dtype}" for index, tensor, _ in tensors]
            self._misfit("of element types that cannot be mixed", rule, key, ", ".join(facts))
            return None
        if vocabulary:
            return self._by_token(key, rule, decision, tensors, vocabulary)
        if not tensors[0][1].spec.dtype.averages:
            heaviest, tensor, _ = max(tensors, key=lambda entry: entry[2])  # the first of equals
            tensors = [(heaviest, tensor, 1.0)]
        method = "from" if isinstance(decision, Take) or len(tensors) == 1 else decision.method.name
        spec = tensors[0][1].spec
        segments = whole(spec.numel, [weight for _, _, weight in tensors])
        return self._made(key, rule, method, tensors, spec.shape, segments)

    def _vocabulary(self, key: str, tensors: _Weighted) -> OutputVocabulary | None:
        """The vocabulary to merge this tensor's rows by, where they do not mean the same tokens in the same places."""
        if key not in TEXT_ROWS or not all(tensor.spec.dtype.averages for _, tensor, _ in tensors):
            return None
        vocabulary = self._text.vocabulary(tuple(index for index, _, _ in tensors))
        return vocabulary if vocabulary and vocabulary.by_token else None

    def _by_token(
        self, key: str, rule: Rule | None, decision: Take | Merge, tensors: _Weighted, vocabulary: OutputVocabulary
    ) -> Step | None:
        shape = tensors[0][1].spec.shape[1:]
        weights = [weight for _, _, weight in tensors]
        segments = self._text.segments(vocabulary, weights, math.prod(shape))
        if segments is None:
            return None
        assert isinstance(decision, Merge)  # a tensor taken from one source has that source's vocabulary
        return self._made(key, rule, decision.method.name, tensors, (vocabulary.merged.rows, *shape), segments)

    def _misfit(self, what: str, rule: Rule | None, key: str, facts: str) -> None:
        self._misfits.setdefault((what, rule), {})[key] = facts

    def _made(
        self, key: str, rule: Rule | None, method: str, tensors: _Weighted, shape: tuple[int, ...],
        segments: tuple[Segment, ...],
    ) -> Step:  # fmt: skip
        sources, inputs, weights = zip(*tensors, strict=True)
        dtype = widest([tensor.spec.dtype for tensor in inputs])
        return Step(
            key=key,
            name=self._prefix + key,
            spec=TensorSpec(shape, _output_dtype(dtype, self._recipe.output.dtype)),
            rule=rule.pattern if rule else None,
            method=method,
            sources=sources,
            inputs=inputs,
            weights=weights,
            compute=dtype if method == "from" else _compute_dtype(dtype),
            segments=segments,
        )

    def output_vocabulary(self, steps: Sequence[Step]) -> OutputVocabulary | None:
        """What the rows of the output's text tensors mean, where that is known."""
        made = [step for step in steps if step.key in TEXT_ROWS]
        return self._text.output({step.key: step.sources for step in made}, {step.key: step.spec.rows for step in made})

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
                whole(tensor.spec.numel, [1.0]),
            )
            for tensor in self._headers[source].training_only.values()
        ]

    def problems(self) -> Iterator[Problem]:
        """One problem for each kind of misfit and rule, with all its keys."""
        for (what, rule), keys in self._misfits.items():
            first = next(iter(keys))
            count = "1 tensor is" if len(keys) == 1 else f"{len(keys)} tensors are"
            decided = f" (decided by rule {rule.pattern!r})" if rule else ""
            yield Problem(
                f"{count} {what}{decided}",
                rule.where if rule else self._recipe.sources[0].where,
                hint=self._settle(what, first, rule),
                details=tuple(f"{key}: {facts}" if facts else key for key, facts in keys.items()),
            )
        yield from self._text.problems()

    def _settle(self, what: str, key: str, rule: Rule | None) -> str:
        having = next(n for n, header in zip(self._names, self._headers, strict=True) if key in header.tensors)
        if rule and isinstance(rule.decision, Take):
            return f"take {key} from {having} with a later rule, or name another source"
        if key in TEXT_ROWS and what == _UNEQUAL:
            return (
                f'name the {VOCABULARY_FILE} of each source under "vocabulary" to merge them token by token, or take '
                f'them all from one: "{TEXT_ROWS_PATTERN}": from {having}'
            )
        return f'settle it with a rule, as "{key}": from {having}'


def _weights(decision: Take | Merge) -> list[tuple[int, float]]:
    """The index and weight of each source that a decision names."""
    return [(decision.source, 1.0)] if isinstance(decision, Take) else list(enumerate(decision.weights))


def _output_dtype(dtype: DType, wanted: DType | None) -> DType:
    return wanted if wanted and dtype.kind == "float" else dtype


def _compute_dtype(dtype: DType) -> DType:
    """What a method is given: float32 or float64, complex of these."""
    if dtype.kind == "complex":
        return DType.COMPLEX128 if dtype == DType.COMPLEX128 else DType.COMPLEX64
    return DType.FLOAT64 if dtype == DType.FLOAT64 else DType.FLOAT32
