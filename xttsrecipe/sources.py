"""The sources of a recipe, opened: the header of each, with the vocabulary that its rows go by where one is known."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from . import checkpoints, vocabulary
from .errors import CheckpointError, Problem
from .lock import Lock
from .recipe import Source
from .specs import Header, Vocabulary
from .xtts import VOCABULARY_FILE

_RELATIVE = "paths in a recipe are relative to the recipe's folder; --set {}=PATH names another place"


def open_sources(
    sources: Sequence[Source],
    open_checkpoint: Callable[[Path], Header] = checkpoints.open_checkpoint,
    read_vocabulary: Callable[[Path], Vocabulary] = vocabulary.read_vocabulary,
    lock: Lock | None = None,
) -> list[Header]:
    """The headers of sources, in their order; from the lock, where one is given, of those that are not here.

    Raises CheckpointError for all that cannot be read, together.
    """
    headers: list[Header] = []
    problems: list[Problem] = []
    for source in sources:
        locked = lock.header_of(source) if lock and not os.path.lexists(source.path) else None
        if locked:
            headers.append(locked)
            continue
        try:
            with _naming(source.path, f"source {source.name!r}", f"checkpoints.{source.name}"):
                header = open_checkpoint(source.path)
            path = _vocabulary_path(source, header)
            headers.append(replace(header, vocabulary=vocabulary_of(source, path, read_vocabulary)) if path else header)
        except CheckpointError as error:
            problems += error.problems
    if problems:
        raise CheckpointError(problems)
    return headers


def vocabulary_of(
    source: Source, path: Path, read_vocabulary: Callable[[Path], Vocabulary] = vocabulary.read_vocabulary
) -> Vocabulary:
    """The vocabulary at ``path``, that of a source. Raises CheckpointError, which names the source."""
    with _naming(path, f"the vocabulary of {source.name!r}", f"vocabulary.{source.name}"):
        return read_vocabulary(path)


def _vocabulary_path(source: Source, header: Header) -> Path | None:
    """What the recipe names, else what lies in an XTTS model's directory."""
    found = header.companions.get(VOCABULARY_FILE) if header.layout != "plain" else None
    return source.vocabulary or (found.path if found else None)


@contextlib.contextmanager
def _naming(path: Path, what: str, setting: str) -> Iterator[None]:
    """``FILE: is empty`` becomes ``FILE: source 'news' is empty``."""
    try:
        yield
    except CheckpointError as error:
        absent = None if os.path.exists(path) else _RELATIVE.format(setting)  # noqa: PTH110 # never raises
        raise CheckpointError(
            replace(problem, what=f"{what} {problem.what}", hint=problem.hint or absent) for problem in error.problems
        ) from error
