"""The sources of a recipe, opened: the header of each, with the vocabulary that its rows go by where one is known."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from . import checkpoints, vocabulary
from .codes import Code
from .errors import CheckpointError, Problem
from .lock import Lock
from .recipe import Source
from .specs import Header, Vocabulary
from .xtts import MODEL_FILES, VOCABULARY_FILE

_LFS_POINTER = b"version https://git-lfs"
_RELATIVE = "paths in a recipe are relative to the recipe's folder; --set {}=PATH names another place"


def open_sources(
    sources: Sequence[Source],
    open_checkpoint: Callable[[Path], Header] = checkpoints.open_checkpoint,
    read_vocabulary: Callable[[Path], Vocabulary] = vocabulary.read_vocabulary,
    lock: Lock | None = None,
) -> list[Header]:
    """The headers of sources, in their order; from the lock, where one is given, of those that are not here.

    Raises CheckpointError for all that cannot be read, together, and for a vocabulary that was changed since it was
    locked where those of others are known from the lock only.
    """
    headers: list[Header] = []
    problems: list[Problem] = []
    for source in sources:
        locked = lock.header_of(source) if lock and not is_here(source) else None
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
    if lock and any(header.vocabulary.locked for header in headers if header.vocabulary):
        return [_comparable(source, header, lock) for source, header in zip(sources, headers, strict=True)]
    return headers


def is_here(source: Source) -> bool:
    """Whether there is a checkpoint where the recipe says: neither nothing, nor a link to nothing, nor what Git LFS
    leaves in place of a file.
    """
    model = source.path / MODEL_FILES[0] if os.path.isdir(source.path) else source.path  # noqa: PTH112 # never raises
    try:
        if not stat.S_ISREG(model.stat().st_mode):
            return True  # of a device or pipe, whose reading might never end, the reader says what it is
        with model.open("rb") as file:
            return file.read(len(_LFS_POINTER)) != _LFS_POINTER
    except (OSError, ValueError):
        return os.path.exists(source.path)  # noqa: PTH110


def _comparable(source: Source, header: Header, lock: Lock) -> Header:
    """A header whose vocabulary can be compared with those that are known from the lock only."""
    vocabulary, known = header.vocabulary, lock.header_of(source)
    if vocabulary is None or vocabulary.locked:
        return header
    if known is None or known.vocabulary is None or known.vocabulary.digest != vocabulary.digest:
        raise CheckpointError(
            Problem(
                Code.CANNOT_BE_LOCKED,
                f"the vocabulary of {source.name} is not the one that was locked, and others are known from it only",
                source.where,
                found=str(vocabulary.path),
                hint="compare and lock them where all sources are",
            )
        )
    return replace(header, vocabulary=replace(known.vocabulary, path=vocabulary.path))


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
