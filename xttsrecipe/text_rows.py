"""The tensors with a row for every token: what their rows mean, and which rows of the sources each is made from.

Fine-tunes that extended their vocabulary have other row counts, or as many rows that mean other tokens. Where the
vocabularies are known, rows of the same token are merged, whatever their place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .errors import Problem, listed
from .recipe import Recipe
from .specs import Header, StoredTensor, TensorSpec, Vocabulary
from .vocabulary import MergedVocabulary, merge_vocabularies
from .xtts import TEXT_ROWS


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive elements of an output tensor that are made from consecutive elements of the same inputs.

    ``start``, ``count``: where they lie in the output, in elements. ``inputs``: which of the step's inputs take part,
    ``starts`` the first element in each, ``weights`` how much of each.
    """

    start: int
    count: int
    inputs: tuple[int, ...]
    starts: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class OutputVocabulary:
    """What the rows of the output mean. ``sources``: those (indices) whose rows are in it; ``known``: those of them
    whose vocabulary is known, in the order of ``merged.row_of``. ``owner``: the one whose vocab.json the merged one is,
    byte for byte; None where it is nobody's. ``by_token``: their tokens differ.
    """

    sources: tuple[int, ...]
    known: tuple[int, ...]
    merged: MergedVocabulary
    owner: int | None
    by_token: bool


def rows_of(spec: TensorSpec) -> int:
    """How many rows a tensor has; 0 where it is a single element."""
    return spec.shape[0] if spec.shape else 0


class TextRows:
    """Answers what the rows of the sources mean, and remembers what does not fit."""

    def __init__(self, recipe: Recipe, headers: Sequence[Header]) -> None:
        self._recipe = recipe
        self._headers = headers
        self._names = recipe.source_names
        self._vocabularies: dict[tuple[int, ...], OutputVocabulary | None] = {}
        self._runs: dict[tuple[tuple[int, ...], tuple[float, ...]], list[Segment]] = {}
        self._problems: dict[str, Problem] = {}

    def vocabulary(self, sources: tuple[int, ...]) -> OutputVocabulary | None:
        """The vocabulary of rows made from these sources (indices); None where it is not known of any of them."""
        if sources not in self._vocabularies:
            self._vocabularies[sources] = self._merged(sources)
        return self._vocabularies[sources]

    def _merged(self, sources: tuple[int, ...]) -> OutputVocabulary | None:
        vocabularies = {index: found for index in sources if (found := self._headers[index].vocabulary)}
        if not vocabularies:
            return None
        known = tuple(vocabularies)
        wanted = self._recipe.vocabulary_order
        order = known.index(wanted) if wanted in known else 0
        first, *others = vocabularies.values()
        by_token = not all(first.tokens == other.tokens for other in others)
        merged = merge_vocabularies([first, *others], order)
        # The text is that of the vocabulary that gave the order, or a new one.
        owner = known[order] if merged.text == vocabularies[known[order]].text else None
        return OutputVocabulary(sources, known, merged, owner, by_token)

    def check(self, key: str, sources: Sequence[int], tensors: Sequence[StoredTensor]) -> None:
        """Keep a problem for each source whose vocabulary does not fit the rows of this tensor."""
        for index, tensor in zip(sources, tensors, strict=True):
            vocabulary = self._headers[index].vocabulary
            rows = rows_of(tensor.spec)
            if vocabulary and vocabulary.rows != rows:
                self._keep(f"misfit {index}", self._misfit(index, vocabulary, key, rows))

    def _misfit(self, index: int, vocabulary: Vocabulary, key: str, rows: int) -> Problem:
        return Problem(
            f"the vocabulary of {self._names[index]} is not the one that it was trained with",
            self._recipe.sources[index].where,
            found=f"{vocabulary.rows:,} rows in {vocabulary.path} (its largest id and one), {rows:,} in {key}",
            hint=f"name the right vocab.json: vocabulary: {{{self._names[index]}: …}}",
        )

    def _keep(self, what: str, problem: Problem) -> None:
        self._problems.setdefault(what, problem)

    def segments(
        self, vocabulary: OutputVocabulary, weights: Sequence[float], width: int
    ) -> tuple[Segment, ...] | None:
        """How a tensor with ``width`` elements a row is made token by token; ``weights``: of ``vocabulary.sources``.

        A row that several sources know is their mean by weights that sum to 1 over those; one that a single source
        knows is that source's. None, and a problem kept, where weights or vocabularies do not allow it.
        """
        unknown = [self._names[index] for index in vocabulary.sources if index not in vocabulary.known]
        if unknown:
            known = [self._names[index] for index in vocabulary.known]
            self._keep(
                f"unknown {vocabulary.sources}",
                Problem(
                    f"the vocabularies of {listed(known)} differ, and that of {listed(unknown)} is not known",
                    self._recipe.sources[vocabulary.sources[0]].where,
                    hint=f"name its vocab.json: vocabulary: {{{unknown[0]}: …}}",
                ),
            )
            return None
        key = (vocabulary.sources, tuple(weights))
        if key not in self._runs:
            self._runs[key] = list(self._rows(vocabulary, weights))
        return tuple(
            Segment(
                run.start * width,
                run.count * width,
                run.inputs,
                tuple(start * width for start in run.starts),
                run.weights,
            )
            for run in self._runs[key]
        )

    def _rows(self, vocabulary: OutputVocabulary, weights: Sequence[float]) -> Iterator[Segment]:
        """The segments of a tensor with one element a row."""
        start, inputs, starts = 0, (), ()  # type: tuple[int, tuple[int, ...], tuple[int, ...]]
        for row, places in enumerate(zip(*vocabulary.merged.row_of, strict=True)):
            knowing = tuple(index for index, place in enumerate(places) if place is not None)
            at = tuple(place for place in places if place is not None)
            if knowing != inputs or any(place != first + row - start for place, first in zip(at, starts, strict=True)):
                if row > start:
                    yield Segment(start, row - start, inputs, starts, self._shares(vocabulary, inputs, weights))
                start, inputs, starts = row, knowing, at
        yield Segment(start, vocabulary.merged.rows - start, inputs, starts, self._shares(vocabulary, inputs, weights))

    def _shares(
        self, vocabulary: OutputVocabulary, inputs: Sequence[int], weights: Sequence[float]
    ) -> tuple[float, ...]:
        """The weights of those that know a token, scaled to sum to 1."""
        given = [weights[index] for index in inputs]
        total = math.fsum(given)
        if len(inputs) == 1:
            return (1.0,)  # however little it weighs
        if len(inputs) == len(weights):
            return tuple(given)
        if abs(total) < 1e-9:
            names = [self._names[vocabulary.sources[index]] for index in inputs]
            self._keep(
                f"weights {inputs} {weights}",
                Problem(
                    f"there are tokens that only {listed(names)} know, and their weights sum to 0",
                    self._recipe.sources[vocabulary.sources[inputs[0]]].where,
                    found=", ".join(f"{name} {weight:g}" for name, weight in zip(names, given, strict=True)),
                    hint='give the text tensors weights of their own: "gpt.text_{embedding,head}.*": {weights: …}',
                ),
            )
            return tuple(given)
        return tuple(weight / total for weight in given)

    def output(self, sources: Mapping[str, tuple[int, ...]], rows: Mapping[str, int]) -> OutputVocabulary | None:
        """What the output's rows mean, of whose text tensors the ``sources`` and ``rows`` are given by key.

        None where it is not known; a problem is kept where the tensors' rows mean different tokens.
        """
        made = [key for key in TEXT_ROWS if key in sources]
        if not made:
            return None
        vocabularies = [self.vocabulary(sources[key]) for key in made]
        known = [vocabulary for vocabulary in vocabularies if vocabulary]
        first = next(iter(known), None)
        alike = all(rows[key] == rows[made[0]] for key in made)
        alike = alike and all(vocabulary.merged.tokens == known[0].merged.tokens for vocabulary in known)
        if not alike:
            names = {key: listed([self._names[index] for index in sources[key]]) for key in made}
            self._keep(
                "unlike",
                Problem(
                    "the text tensors would get the rows of different vocabularies: no client could load that",
                    self._recipe.output.where,
                    hint='decide them alike: "gpt.text_{embedding,head}.*": …',
                    details=tuple(f"{key}: {rows[key]:,} rows, of {names[key]}" for key in made),
                ),
            )
        wanted = self._recipe.vocabulary_order
        if first and first.by_token and wanted is not None and wanted not in first.sources:
            name = self._names[wanted]
            self._keep(
                "order",
                Problem(
                    f"vocabulary.order names {name}, of which the text tensors have no rows",
                    self._recipe.sources[wanted].where,
                    expected=f"one of {', '.join(self._names[index] for index in first.sources)}",
                ),
            )
        return first

    def problems(self) -> list[Problem]:
        """What was kept: each thing that does not fit once."""
        return list(self._problems.values())
