"""A recipe's plan where its checkpoints may not be at hand, and what it then rests on.

What a lock says of a source goes before the file that is here: that is what the recipe was locked with, whoever looks,
while the file is what this machine has today. Without either a source is assumed to be a fine-tune like the others, or
of XTTS-V2.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import checkpoints, vocabulary
from .errors import listed
from .lock import Lock
from .plan import Plan, make_plan
from .recipe import Recipe, Source
from .sources import open_sources
from .specs import FileStamp, Header, StoredTensor, Vocabulary, contiguous_strides
from .xtts import known_tensors

# Of a file that nobody has seen.
_UNKNOWN = FileStamp(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a recipe's sources, by name: headers, and sha256 (hex) as the recipe states it, or its lock."""

    headers: Mapping[str, Header]
    stated: Mapping[str, str]
    locked: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A plan, and in words what it rests on (``basis``). ``assumed``: the sources of which no header is known."""

    plan: Plan
    basis: str
    known: Known
    assumed: tuple[str, ...]


def known_of(
    recipe: Recipe,
    lock: Lock | None = None,
    open_checkpoint: Callable[[Path], Header] = checkpoints.open_checkpoint,
    read_vocabulary: Callable[[Path], Vocabulary] = vocabulary.read_vocabulary,
) -> Known:
    """What lock and checkpoints say of a recipe's sources. Raises CheckpointError for those that cannot be read."""
    locked = {source.name: header for source in recipe.sources if lock and (header := lock.header_of(source))}
    here = [source for source in recipe.sources if source.name not in locked and os.path.exists(source.path)]  # noqa: PTH110
    opened = open_sources(here, open_checkpoint, read_vocabulary)
    return Known(
        headers={**locked, **{source.name: header for source, header in zip(here, opened, strict=True)}},
        stated={source.name: source.sha256 for source in recipe.sources if source.sha256},
        locked={name: lock.sources[name].sha256 for name in locked} if lock else {},
    )


def plan_for_review(recipe: Recipe, known: Known, others: Known | None = None) -> Reviewed:
    """The plan of a recipe with what is known of its sources, and of those of another recipe that it is compared with.

    Raises RecipeError where recipe and headers do not fit.
    """
    elsewhere = {
        source.name: header
        for source in recipe.sources
        if source.name not in known.headers and others and (header := _same_file(source, others))
    }
    found = {**known.headers, **elsewhere}
    headers = [found.get(source.name) or _assumed(source, known, others) for source in recipe.sources]
    assumed = tuple(source.name for source in recipe.sources if source.name not in found)
    plan = _without_companions(recipe, headers) if assumed else make_plan(recipe, headers)
    return Reviewed(plan, "; ".join(_basis(known, others, assumed, list(elsewhere))), known, assumed)


def _basis(known: Known, others: Known | None, assumed: Sequence[str], elsewhere: Sequence[str]) -> Iterator[str]:
    """What is known from where; with names where it is not the same for all."""
    groups = {
        "from the lock": [name for name in known.headers if name in known.locked],
        "from the checkpoints": [name for name in known.headers if name not in known.locked],
        "from what it is compared with": elsewhere,
        f"assumed: {_like(known, others)}": assumed,
    }
    found = {text: names for text, names in groups.items() if names}
    yield from (text if len(found) == 1 else f"{text}: {listed(names)}" for text, names in found.items())


def _like(known: Known, others: Known | None) -> str:
    if known.headers:
        return "like the others"
    return "like what it is compared with" if others and others.headers else "XTTS-V2"


def _same_file(source: Source, others: Known) -> Header | None:
    """What is known of the same file in what it is compared with, whatever it is called there.

    By digest where both are known, else by path, as ``source_changes`` tells files apart. Not where another vocabulary
    goes with it.
    """
    for name, header in others.headers.items():
        digest = others.stated.get(name) or others.locked.get(name)
        named = header.vocabulary.path if header.vocabulary else None
        if source.vocabulary and source.vocabulary != named:
            continue
        if source.sha256 == digest if source.sha256 and digest else _place(header) == os.path.abspath(source.path):  # noqa: PTH100
            path = source.path / header.path.name if header.directory else source.path
            return replace(header, path=path, directory=header.directory and source.path)
    return None


def _place(header: Header) -> str:
    return os.path.abspath(header.directory or header.path)  # noqa: PTH100 # which follows no links


def _assumed(source: Source, known: Known, others: Known | None) -> Header:
    """A source of the same name in what it is compared with, else any that is known, else XTTS-V2."""
    elsewhere = others.headers if others else {}
    like = elsewhere.get(source.name) or next(iter([*known.headers.values(), *elsewhere.values()]), None)
    if like:
        return replace(
            like, path=source.path, stamp=_UNKNOWN, entries={}, bulk={}, digest="", mel_stats=None, own_config=None,
            directory=None, companions={}, vocabulary=None,
        )  # fmt: skip
    return Header(
        path=source.path,
        stamp=_UNKNOWN,
        format="torch zip",
        layout="release",
        trainer_keys=False,
        version="v2.0.3",
        tensors=_known_tensors(),
        training_only={},
        leftovers=(),
        entries={},
        bulk={},
        digest="",
    )


@functools.cache
def _known_tensors() -> Mapping[str, StoredTensor]:
    return {key: StoredTensor(key, spec, 0, contiguous_strides(spec.shape)) for key, spec in known_tensors().items()}


def _without_companions(recipe: Recipe, headers: list[Header]) -> Plan:
    """The plan as if the output were a file: what would lie beside a model in a directory is not known.

    Nor is it known by which vocabularies the rows go.
    """
    as_file = replace(recipe, output=replace(recipe.output, is_directory=False))
    return replace(make_plan(as_file, [replace(header, vocabulary=None) for header in headers]), recipe=recipe)
