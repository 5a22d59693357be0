"""Several vocabularies as one: tokens, merges, the rows that belong together, and where they disagree.

Works on vocabularies as read; never opens or writes a file, never reads a tensor.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..codes import Code
from ..errors import CheckpointError, Location, Problem
from ..specs import Vocabulary
from .client import VERSION_LINE, Pair, joined, prefix_of


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something that vocabularies say differently.

    ``id``: another token in each (``id`` is theirs), or ``merges``: one token that each joins from other pairs (``id``
    is the merged one). ``sources``: indices of the vocabularies concerned, in order; ``tokens`` and ``merges`` are
    what each of them says, in the same order. ``merges`` is empty where the conflict is an id.
    """

    kind: Literal["id", "merges"]
    id: int
    sources: tuple[int, ...]
    tokens: tuple[str, ...]
    merges: tuple[tuple[Pair, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class MergedVocabulary:
    """Several vocabularies as one.

    ``tokens``: token to id, in order of ids. ``text``: the vocab.json to write. ``row_of``: for every source, and in it
    for every row of the merged text tensors, the source's row for the same token, None where it has none. ``shared``:
    how many tokens all sources know; ``only``: for every source, how many it alone knows. ``settings_differ``: names
    of settings beside tokens and merges that are not the same in all (``normalizer``, ``model.unk_token``), sorted;
    the result has those of the vocabulary that gave the order.
    """

    tokens: Mapping[str, int]
    text: bytes
    row_of: tuple[tuple[int | None, ...], ...]
    shared: int
    only: tuple[int, ...]
    conflicts: tuple[Conflict, ...]
    settings_differ: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows of the merged text tensors: the largest id and one."""
        return max(self.tokens.values()) + 1


def merge_vocabularies(vocabularies: Sequence[Vocabulary], order: int = 0) -> MergedVocabulary:
    """The vocabulary that knows every token of all.

    The ids of ``vocabularies[order]`` stay as they are; the others' new tokens follow behind its rows, source by
    source, each in order of its ids. Likewise merges and added tokens. All else is as in ``vocabularies[order]``; the
    text is its file, byte for byte, where nothing is new. Raises CheckpointError where pairs of one are not joined as
    in another.
    """
    order = range(len(vocabularies))[order]
    first = vocabularies[order]
    others = [*vocabularies[:order], *vocabularies[order + 1 :]]
    _check_prefixes(first, others)
    new_tokens = dict.fromkeys(token for other in others for token in other.tokens if token not in first.tokens)
    tokens = {**first.tokens, **{token: row for row, token in enumerate(new_tokens, first.rows)}}
    known = set(first.merges)
    new_merges = list(dict.fromkeys(pair for other in others for pair in other.merges if pair not in known))
    new_added = _new_added(first, others)
    same = not (new_tokens or new_merges or new_added)
    rows = [_rows(vocabulary, tokens, first.rows + len(new_tokens)) for vocabulary in vocabularies]
    # Rows without a token exist in the one tensor only that gives the order; there they stay.
    rows[order][: first.rows] = range(first.rows)
    knowing = [[index for index, its in enumerate(vocabularies) if token in its.tokens] for token in tokens]
    alone = Counter(indices[0] for indices in knowing if len(indices) == 1)
    return MergedVocabulary(
        tokens=tokens,
        text=first.text if same else _written(first, tokens, new_merges, new_added),
        row_of=tuple(map(tuple, rows)),
        shared=sum(len(indices) == len(vocabularies) for indices in knowing),
        only=tuple(alone[index] for index in range(len(vocabularies))),
        conflicts=(*_id_conflicts(vocabularies), *_merge_conflicts(vocabularies, tokens, knowing)),
        settings_differ=_differing(vocabularies),
    )


def differ(vocabularies: Sequence[Vocabulary]) -> bool:
    """Whether vocabularies differ in tokens, merges, added tokens or settings; not in how their files are written."""
    said = [(its.tokens, its.merges, {entry["content"] for entry in _added(its)}) for its in vocabularies]
    return any(other != said[0] for other in said) or bool(_differing(vocabularies))


def _added(vocabulary: Vocabulary) -> Sequence[Mapping[str, Any]]:
    added: Sequence[Mapping[str, Any]] = vocabulary.data.get("added_tokens", ())
    return added


def _check_prefixes(first: Vocabulary, others: Iterable[Vocabulary]) -> None:
    mine = prefix_of(first.data["model"])
    for other in others:
        its = prefix_of(other.data["model"])
        if other.merges and its != mine:
            raise CheckpointError(
                Problem(
                    Code.INCOMPATIBLE_VOCABULARIES,
                    f"joins tokens otherwise than {first.path}, so their merges do not go into one vocabulary",
                    Location(str(other.path)),
                    found=f"continuing_subword_prefix {its!r}",
                    expected=repr(mine),
                )
            )


def _new_added(first: Vocabulary, others: Iterable[Vocabulary]) -> list[dict[str, Any]]:
    """The entries of added tokens that ``first`` has not among its own, each as the first source has it."""
    known = {"", *(entry["content"] for entry in _added(first))}
    new: list[dict[str, Any]] = []
    for other in others:
        its = [dict(entry) for entry in _added(other) if entry["content"] not in known]
        new += its
        known.update(entry["content"] for entry in its)
    return new


def _written(
    first: Vocabulary, tokens: Mapping[str, int], new_merges: Iterable[Pair], new_added: Iterable[Mapping[str, Any]]
) -> bytes:
    """The vocab.json. Every token stands in model.vocab, added ones too: only there the client minds ids."""
    model = first.data["model"]
    added = [{**entry, "id": tokens.get(entry["content"], entry["id"])} for entry in (*_added(first), *new_added)]
    merges = _written_merges(model["merges"], list(new_merges), first.merges)
    data = {**first.data, "added_tokens": added, "model": {**model, "vocab": tokens, "merges": merges}}
    return (json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode("utf-8")


def _written_merges(entries: list[Any], new: list[Pair], effective: Iterable[Pair]) -> list[Any]:
    """``entries`` and the new pairs behind, in the form of ``entries``; as lists where lines could not say them."""
    if not all(isinstance(entry, str) for entry in entries):
        return [*entries, *map(list, new)]
    if any(" " in left + right or left.startswith(VERSION_LINE) for left, right in new):
        return [*map(list, effective), *map(list, new)]
    return [*entries, *map(" ".join, new)]


def _rows(vocabulary: Vocabulary, tokens: Mapping[str, int], rows: int) -> list[int | None]:
    its: list[int | None] = [None] * rows
    for token, row in tokens.items():
        its[row] = vocabulary.tokens.get(token)
    return its


def _id_conflicts(vocabularies: Sequence[Vocabulary]) -> Iterable[Conflict]:
    by_id = [{number: token for token, number in vocabulary.tokens.items()} for vocabulary in vocabularies]
    for number in sorted(set().union(*by_id)):
        if len({tokens[number] for tokens in by_id if number in tokens}) > 1:
            sources = tuple(source for source, tokens in enumerate(by_id) if number in tokens)
            yield Conflict("id", number, sources, tuple(by_id[source][number] for source in sources))


def _merge_conflicts(
    vocabularies: Sequence[Vocabulary], tokens: Mapping[str, int], knowing: Iterable[Sequence[int]]
) -> Iterable[Conflict]:
    joined_from = [_joined_from(vocabulary) for vocabulary in vocabularies]
    for (token, number), sources in zip(tokens.items(), knowing, strict=True):
        merges = tuple([joined_from[source].get(token, ()) for source in sources])
        # Most are equal as they are; those in another order are equal too.
        if merges.count(merges[0]) < len(merges) and len(set(map(frozenset, merges))) > 1:
            yield Conflict("merges", number, tuple(sources), (token,) * len(sources), merges)


def _joined_from(vocabulary: Vocabulary) -> dict[str | None, tuple[Pair, ...]]:
    """For every token that merges make, the pairs that make it, in rank order."""
    prefix = prefix_of(vocabulary.data["model"])
    pairs: dict[str | None, list[Pair]] = {}
    for pair in vocabulary.merges:
        pairs.setdefault(joined(*pair, prefix), []).append(pair)
    return {token: tuple(its) for token, its in pairs.items()}


def _differing(vocabularies: Sequence[Vocabulary]) -> tuple[str, ...]:
    settings = [_settings(vocabulary.data) for vocabulary in vocabularies]
    names = sorted(set().union(*settings))
    return tuple(name for name in names if any(its.get(name) != settings[0].get(name) for its in settings))


def _settings(data: Mapping[str, Any]) -> dict[str, Any]:
    outer = {name: value for name, value in data.items() if name not in ("version", "added_tokens", "model")}
    model = data["model"].items()
    return outer | {f"model.{name}": value for name, value in model if name not in ("type", "vocab", "merges")}
