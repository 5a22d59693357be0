"""The sources of a recipe, opened: the header of each, with the vocabulary that its rows go by where one is known."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from . import checkpoints
from .errors import CheckpointError, Problem
from .recipe import Source
from .specs import Header
from .vocabulary import read_vocabulary

_RELATIVE = "paths in a recipe are relative to the recipe's folder; --set {}.NAME=PATH names another place"


def open_sources(
    sources: Sequence[Source], open_checkpoint: Callable[[Path], Header] = checkpoints.open_checkpoint
) -> list[Header]:
    """The headers of sources, in their order. Raises CheckpointError for all that cannot be read, together."""
    headers: list[Header] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            headers.append(_with_vocabulary(open_checkpoint(source.path), source))
        except CheckpointError as error:
            problems += _of_source(source, error)
    if problems:
        raise CheckpointError(problems)
    return headers


def _with_vocabulary(header: Header, source: Source) -> Header:
    """What the recipe names, else what lies in the model directory."""
    path = source.vocabulary or header.companions.get("vocab.json")
    return replace(header, vocabulary=read_vocabulary(path)) if path else header


def _of_source(source: Source, error: CheckpointError) -> Iterator[Problem]:
    """``FILE: is empty`` becomes ``FILE: source 'news' is empty``."""
    hint = None
    for field, path in (("checkpoints", source.path), ("vocabulary", source.vocabulary)):
        if path and not hint and not os.path.exists(path):  # noqa: PTH110 # never raises
            hint = _RELATIVE.format(field)
    for problem in error.problems:
        yield replace(problem, what=f"source {source.name!r} {problem.what}", hint=problem.hint or hint)
