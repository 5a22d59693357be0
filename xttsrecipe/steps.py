"""One tensor of the output: from which tensors of the sources it is made, how, and in which type.

Mismatches between sources (missing keys, unequal shapes, other kinds of number) are found here, all of them, unless a
rule settles them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .codes import Code
from .depth import Depth, depth_of, layer_count
from .errors import Problem, listed
from .methods import METHODS, Value
from .recipe import Merge, Recipe, Rule, Take
from .segments import Segment, whole
from .specs import DType, Header, StoredTensor, TensorSpec, shape_text, shared_spec, widest
from .text_rows import OutputVocabulary, TextRows
from .xtts import TEXT_ROWS, TEXT_ROWS_PATTERN, VOCABULARY_FILE

# The method that complex numbers may be merged by, too.
_FOR_ALL_KINDS = "linear"


@dataclass(frozen=True, slots=True)
class Step:
    """One tensor of the output.

    ``key``: canonical; ``name``: as the output has it. ``rule``: the pattern that decided, None for the global
    weights or a training-only tensor. ``inputs`` and ``weights`` run in parallel; ``sources`` are their indices in
    the recipe. Where the method measures from a base (``has_base``), that is the first, with the weight 0.
    ``method``: a name in the method table, or ``from`` for a tensor that is taken as it is (one input), ``carried`` for
    one that no rule decides. ``parameters``: the method's, as they are for this tensor; those that differ per source
    have a value for each input but the base. ``compute``: the type that the method gets the inputs in. ``segments``:
    what the tensor is made of from its first element to its last.
    """

    key: str
    name: str
    spec: TensorSpec
    rule: str | None
    method: str
    parameters: Mapping[str, Value]
    has_base: bool
    sources: tuple[int, ...]
    inputs: tuple[StoredTensor, ...]
    weights: tuple[float, ...]
    compute: DType
    segments: tuple[Segment, ...]

    @property
    def by_token(self) -> bool:
        """Whether rows are merged by the token that they mean, not by their place."""
        return len(self.segments) > 1 or any(self.segments[0].starts)


def is_elementwise(step: Step) -> bool:
    """Whether a step can be done in pieces; otherwise its method needs all elements at once."""
    return step.method not in METHODS or METHODS[step.method].elementwise


def takes_one_by_one(step: Step) -> bool:
    """Whether at most two inputs, the first and one other, are needed at once."""
    return step.method not in METHODS or METHODS[step.method].one_by_one


def text_step(steps: Iterable[Step]) -> Step | None:
    """The first of the text tensors' steps, which are decided alike; None where there are none."""
    return next((step for step in steps if step.key in TEXT_ROWS), None)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a decision reads, and how, at some depth; the fields are as in ``Step``."""

    method: str
    parameters: Mapping[str, Value]
    has_base: bool
    sources: tuple[int, ...]
    weights: tuple[float, ...]


def in_order(step: Step, ranks: Sequence[tuple[str, str]]) -> Step:
    """The same step with its sources in the order of their ``ranks``, where their order should not matter: sums that
    are rounded on the way otherwise come out a little different.
    """
    first = int(step.has_base)
    if step.method not in METHODS or METHODS[step.method].ordered or len(step.inputs) - first < 2:
        return step
    order = [*range(first), *sorted(range(first, len(step.inputs)), key=lambda index: ranks[step.sources[index]])]
    place = {index: new for new, index in enumerate(order)}
    return replace(
        step,
        sources=tuple(step.sources[index] for index in order),
        inputs=tuple(step.inputs[index] for index in order),
        weights=tuple(step.weights[index] for index in order),
        parameters={
            name: tuple(value[index - first] for index in order[first:]) if isinstance(value, tuple) else value
            for name, value in step.parameters.items()
        },
        segments=tuple(_in_order(segment, place) for segment in step.segments),
    )


def _in_order(segment: Segment, place: Mapping[int, int]) -> Segment:
    parts = sorted(
        (place[index], start, weight)
        for index, start, weight in zip(segment.inputs, segment.starts, segment.weights, strict=True)
    )
    inputs, starts, weights = zip(*parts, strict=True)
    return replace(segment, inputs=inputs, starts=starts, weights=weights)


class StepBuilder:
    """Makes steps key by key and remembers what does not fit."""

    def __init__(self, recipe: Recipe, headers: Sequence[Header], prefix: str) -> None:
        self._recipe = recipe
        self._headers = headers
        self._text = TextRows(recipe, headers)
        self._names = recipe.source_names
        self._prefix = prefix
        self._layers = layer_count(key for header in headers for key in header.tensors)
        self._readings: dict[tuple[Rule | None, Depth | None], _Reading] = {}
        # By which kind of problem, what is wrong and the rule that decided: the keys, each with the facts.
        self._misfits: dict[tuple[Code, str, Rule | None], dict[str, str]] = {}

    def step(self, key: str, rule: Rule | None) -> Step | None:
        """The step for a canonical key; None, and a problem kept, where the sources do not allow one."""
        reading = self._reading(key, rule)
        absent = [self._names[index] for index in reading.sources if key not in self._headers[index].tensors]
        if absent:
            self._misfit(Code.MISSING_TENSORS, f"missing in {listed(absent)}", rule, key, "")
            return None
        inputs = tuple([self._headers[index].tensors[key] for index in reading.sources])
        vocabulary = None
        if key in TEXT_ROWS:
            if not self._text.fit(key, [*zip(reading.sources, (tensor.spec for tensor in inputs), strict=True)]):
                return None
            vocabulary = self._vocabulary(reading.sources, inputs)
        if not self._alike(key, rule, reading, inputs, by_token=vocabulary is not None):
            return None
        if vocabulary:
            return self._by_token(key, rule, reading, inputs, vocabulary)
        spec = inputs[0].spec
        if not spec.dtype.averages:
            heaviest = max(range(len(inputs)), key=reading.weights.__getitem__)  # the first of equals
            reading, inputs = _taken(reading.sources[heaviest]), (inputs[heaviest],)
        elif spec.dtype.kind == "complex" and reading.method not in ("from", _FOR_ALL_KINDS):
            self._misfit(
                Code.UNSUPPORTED_TENSOR, f"complex, and {reading.method} is not defined for that", rule, key, ""
            )
            return None
        return self._made(key, rule, reading, inputs, spec.shape, whole(spec.numel, reading.weights))

    def _reading(self, key: str, rule: Rule | None) -> _Reading:
        decision = rule.decision if rule else self._recipe.default
        depth = depth_of(key, self._layers) if isinstance(decision, Merge) and decision.varies else None
        if (rule, depth) not in self._readings:
            self._readings[rule, depth] = _reading(decision, depth)
        return self._readings[rule, depth]

    def _alike(
        self, key: str, rule: Rule | None, reading: _Reading, inputs: Sequence[StoredTensor], by_token: bool
    ) -> bool:
        """Whether the inputs fit together in shape, rows apart where those are merged by token, and kind of number."""
        specs = [tensor.spec for tensor in inputs]
        if specs.count(specs[0]) == len(specs):
            return True
        names = [self._names[index] for index in reading.sources]
        if len({spec.shape[1:] if by_token else spec.shape for spec in specs}) > 1:
            facts = [f"{name} {shape_text(spec.shape)}" for name, spec in zip(names, specs, strict=True)]
            self._misfit(Code.UNEQUAL_SHAPES, "of unequal shape", rule, key, ", ".join(facts))
            return False
        if len({spec.dtype.kind for spec in specs}) > 1:
            facts = [f"{name} {spec.dtype}" for name, spec in zip(names, specs, strict=True)]
            self._misfit(Code.UNEQUAL_TYPES, "of element types that cannot be mixed", rule, key, ", ".join(facts))
            return False
        return True

    def _vocabulary(self, sources: tuple[int, ...], inputs: Sequence[StoredTensor]) -> OutputVocabulary | None:
        """The vocabulary to merge text rows by, where they do not mean the same tokens in the same places."""
        if not all(tensor.spec.dtype.averages for tensor in inputs):
            return None
        vocabulary = self._text.vocabulary(sources)
        return vocabulary if vocabulary and vocabulary.by_token else None

    def _by_token(
        self, key: str, rule: Rule | None, reading: _Reading, inputs: tuple[StoredTensor, ...],
        vocabulary: OutputVocabulary,
    ) -> Step | None:  # fmt: skip
        if reading.has_base or not METHODS[reading.method].elementwise:
            # A base need not have the row that a task vector is measured from, nor every source that of a token.
            what = f"to be merged token by token, as the vocabularies differ, which {reading.method} cannot do"
            self._misfit(Code.METHOD_BY_TOKEN, what, rule, key, "")
            return None
        shape = inputs[0].spec.shape[1:]
        segments = self._text.segments(vocabulary, reading.weights, math.prod(shape))
        if segments is None:
            return None
        return self._made(key, rule, reading, inputs, (vocabulary.merged.rows, *shape), segments)

    def _misfit(self, code: Code, what: str, rule: Rule | None, key: str, facts: str) -> None:
        self._misfits.setdefault((code, what, rule), {})[key] = facts

    def _made(
        self, key: str, rule: Rule | None, reading: _Reading, inputs: tuple[StoredTensor, ...],
        shape: tuple[int, ...], segments: tuple[Segment, ...],
    ) -> Step:  # fmt: skip
        dtype = widest([tensor.spec.dtype for tensor in inputs])
        return Step(
            key=key,
            name=self._prefix + key,
            spec=shared_spec(shape, _output_dtype(dtype, self._recipe.output.dtype)),
            rule=rule.pattern if rule else None,
            method=reading.method,
            parameters=reading.parameters,
            has_base=reading.has_base,
            sources=reading.sources,
            inputs=inputs,
            weights=reading.weights,
            compute=dtype if reading.method == "from" else _compute_dtype(dtype),
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
                {},
                False,
                (source,),
                (tensor,),
                (1.0,),
                tensor.spec.dtype,
                whole(tensor.spec.numel, (1.0,)),
            )
            for tensor in self._headers[source].training_only.values()
        ]

    def problems(self) -> Iterator[Problem]:
        """One problem for each kind of misfit and rule, with all its keys."""
        for (code, what, rule), keys in self._misfits.items():
            first = next(iter(keys))
            count = "1 tensor is" if len(keys) == 1 else f"{len(keys)} tensors are"
            decided = f" (decided by rule {rule.pattern!r})" if rule else ""
            method = self._recipe.default.where if code is Code.METHOD_BY_TOKEN else None
            yield Problem(
                code,
                f"{count} {what}{decided}",
                rule.where if rule else method or self._recipe.sources[0].where,
                hint=self._settle(code, first, rule),
                details=tuple(f"{key}: {facts}" if facts else key for key, facts in keys.items()),
            )
        yield from self._text.problems()

    def _settle(self, code: Code, key: str, rule: Rule | None) -> str:
        having = next(n for n, header in zip(self._names, self._headers, strict=True) if key in header.tensors)
        if rule and isinstance(rule.decision, Take):
            return f"take {key} from {having} with a later rule, or name another source"
        if code is Code.METHOD_BY_TOKEN:
            return f'give the text tensors another method: "{TEXT_ROWS_PATTERN}": {{method: linear, weights: …}}'
        if key in TEXT_ROWS and code is Code.UNEQUAL_SHAPES:
            return (
                f'name the {VOCABULARY_FILE} of each source under "vocabulary" to merge them token by token, or take '
                f'them all from one: "{TEXT_ROWS_PATTERN}": from {having}'
            )
        return f'settle it with a rule, as "{key}": from {having}'


def _taken(source: int) -> _Reading:
    return _Reading("from", {}, False, (source,), (1.0,))


def _reading(decision: Take | Merge, depth: Depth | None) -> _Reading:
    if isinstance(decision, Take):
        return _taken(decision.source)
    read, weights = decision.read_at(depth), decision.weights_at(depth)
    entry = decision.method.entry
    if not read and decision.base is not None:
        return _taken(decision.base)  # no task vector weighs anything
    if len(read) == 1 and (entry.weights_sum_to_one or entry.takes_one_of_two):
        return _taken(read[0])
    base = () if decision.base is None else (decision.base,)
    return _Reading(
        decision.method.name,
        decision.parameters_at(depth),
        bool(base),
        (*base, *read),
        (*(0.0 for _ in base), *(weights[index] for index in read)),
    )


def _output_dtype(dtype: DType, wanted: DType | None) -> DType:
    return wanted if wanted and dtype.kind == "float" else dtype


def _compute_dtype(dtype: DType) -> DType:
    """What a method is given: float32 or float64, complex of these."""
    if dtype.kind == "complex":
        return DType.COMPLEX128 if dtype == DType.COMPLEX128 else DType.COMPLEX64
    return DType.FLOAT64 if dtype == DType.FLOAT64 else DType.FLOAT32
