"""The tensors with a row for every token: what their rows mean, and which rows of the sources each is made from.

Fine-tunes that extended their vocabulary have other row counts, or as many rows that mean other tokens. Where the
vocabularies are known, rows of the same token are merged, whatever their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .codes import Code
from .errors import Problem, listed
from .recipe import Recipe
from .segments import CancellingWeightsError, Run, Segment, by_rows, runs_of
from .specs import Header, TensorSpec, Vocabulary
from .vocabulary import MergedVocabulary, differ, merge_vocabularies
from .xtts import TEXT_ROWS, TEXT_ROWS_PATTERN, VOCABULARY_FILE


@dataclass(frozen=True, slots=True)
class OutputVocabulary:
    """What the rows of the output mean. ``sources``: those (indices) whose rows are in it; ``known``: those of them
    whose vocabulary is known, in the order of ``merged.row_of``. ``owner``: the one whose vocab.json the merged one is,
    byte for byte; None where it is nobody's. ``runs``: where each row comes from, if their tokens differ.
    """

    sources: tuple[int, ...]
    known: tuple[int, ...]
    merged: MergedVocabulary
    owner: int | None
    runs: tuple[Run, ...]

    @property
    def by_token(self) -> bool:
        """Whether rows of the same token lie in different places, so that they are merged by ``runs``."""
        return bool(self.runs)


def vocabularies_differ(headers: Iterable[Header]) -> bool:
    """Whether those vocabularies that are known differ in anything that they mean."""
    return differ([header.vocabulary for header in headers if header.vocabulary])


class TextRows:
    """Answers what the rows of the sources mean, and remembers what does not fit."""

    def __init__(self, recipe: Recipe, headers: Sequence[Header]) -> None:
        self._recipe = recipe
        self._headers = headers
        self._names = recipe.source_names
        self._vocabularies: dict[tuple[int, ...], OutputVocabulary | None] = {}
        self._misfits: dict[int, Problem] = {}
        self._problems: dict[Problem, None] = {}  # each once, in the order in which they were found

    def _listed(self, sources: Iterable[int]) -> str:
        return listed([self._names[index] for index in sources])

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
        merged = merge_vocabularies([first, *others], order)
        by_token = not all(first.tokens == other.tokens for other in others)
        runs = tuple(runs_of(merged.row_of)) if by_token else ()
        # The text is that of the vocabulary that gave the order, or a new one.
        owner = known[order] if merged.text == vocabularies[known[order]].text else None
        return OutputVocabulary(sources, known, merged, owner, runs)

    def fit(self, key: str, tensors: Iterable[tuple[int, TensorSpec]]) -> bool:
        """Whether the tensor of this key has as many rows in each source (an index) as its vocabulary, if it is known.

        A problem is kept for each source of which that is not so.
        """
        fits = True
        for index, spec in tensors:
            vocabulary = self._headers[index].vocabulary
            if vocabulary and vocabulary.rows != spec.rows:
                fits = False
                self._misfits.setdefault(index, self._misfit(index, vocabulary, key, spec.rows))
        return fits

    def _misfit(self, index: int, vocabulary: Vocabulary, key: str, rows: int) -> Problem:
        return Problem(
            Code.WRONG_VOCABULARY,
            f"the vocabulary of {self._names[index]} is not the one that it was trained with",
            self._recipe.sources[index].where,
            found=f"{vocabulary.rows:,} rows in {vocabulary.path} (its largest id and one), {rows:,} in {key}",
            hint=f"name the right {VOCABULARY_FILE}: vocabulary: {{{self._names[index]}: …}}",
        )

    def segments(
        self, vocabulary: OutputVocabulary, weights: Sequence[float], width: int
    ) -> tuple[Segment, ...] | None:
        """How a tensor with ``width`` elements a row is made token by token; ``weights``: of ``vocabulary.sources``.

        None, and a problem kept, where weights or vocabularies do not allow it.
        """
        where = self._recipe.sources[vocabulary.sources[0]].where
        unknown = [index for index in vocabulary.sources if index not in vocabulary.known]
        if unknown:
            what = f"the vocabularies of {self._listed(vocabulary.known)} differ, and that of "
            hint = f"name its {VOCABULARY_FILE}: vocabulary: {{{self._names[unknown[0]]}: …}}"
            what += f"{self._listed(unknown)} is not known"
            self._keep(Problem(Code.UNKNOWN_VOCABULARY, what, where, hint=hint))
            return None
        try:
            return by_rows(vocabulary.runs, weights, width)
        except CancellingWeightsError as error:
            given = {vocabulary.sources[index]: weights[index] for index in error.inputs}
            self._keep(
                Problem(
                    Code.CANCELLING_WEIGHTS,
                    f"there are tokens that only {self._listed(given)} know, and their weights cancel each other",
                    where,
                    found=", ".join(f"{self._names[index]} {weight:g}" for index, weight in given.items()),
                    hint=f'give the text tensors weights of their own: "{TEXT_ROWS_PATTERN}": {{weights: …}}',
                )
            )
            return None

    def output(self, sources: Mapping[str, tuple[int, ...]], rows: Mapping[str, int]) -> OutputVocabulary | None:
        """What the output's rows mean, of whose text tensors the ``sources`` and ``rows`` are given by key.

        None where it is not known; a problem is kept where the tensors' rows mean different tokens.
        """
        made = [key for key in TEXT_ROWS if key in sources]
        known = [vocabulary for key in made if (vocabulary := self.vocabulary(sources[key]))]
        alike = all(vocabulary.merged.tokens == known[0].merged.tokens for vocabulary in known)
        if not alike or len({rows[key] for key in made}) > 1:
            self._keep(
                Problem(
                    Code.TEXT_TENSORS_APART,
                    "the text tensors would get the rows of different vocabularies: no client could load that",
                    self._recipe.output.where,
                    hint=f'decide them alike: "{TEXT_ROWS_PATTERN}": …',
                    details=tuple(f"{key}: {rows[key]:,} rows, of {self._listed(sources[key])}" for key in made),
                )
            )
        if not known:
            return None
        wanted = self._recipe.vocabulary_order
        if known[0].by_token and wanted is not None and wanted not in known[0].sources:
            self._keep(
                Problem(
                    Code.ORDER_WITHOUT_ROWS,
                    f"vocabulary.order names {self._names[wanted]}, of which the text tensors have no rows",
                    self._recipe.sources[wanted].where,
                    expected=f"one of {', '.join(self._names[index] for index in known[0].sources)}",
                )
            )
        return known[0]

    def _keep(self, problem: Problem) -> None:
        self._problems[problem] = None

    def problems(self) -> list[Problem]:
        """What was kept: each thing that does not fit once."""
        return [*self._misfits.values(), *self._problems]
