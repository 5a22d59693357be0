"""A recipe's plan where its checkpoints may not be at hand, and what it then rests on.

The headers come from the checkpoints that are here; others are assumed to be fine-tunes of XTTS-V2.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from . import checkpoints, vocabulary
from .errors import listed
from .plan import Plan, make_plan
from .recipe import Recipe, Source
from .sources import open_sources
from .specs import FileStamp, Header, StoredTensor, Vocabulary, contiguous_strides
from .xtts import known_tensors

# The size that a header has whose file nobody has seen.
_UNKNOWN = FileStamp(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A plan, and in words what it rests on (``basis``). ``digests``: sha256, hex, of sources by name, where known;
    ``assumed``: the sources of which nothing is known.
    """

    plan: Plan
    basis: str
    digests: Mapping[str, str]
    assumed: tuple[str, ...]


def plan_for_review(
    recipe: Recipe,
    lock: bytes | None = None,
    open_checkpoint: Callable[[Path], Header] = checkpoints.open_checkpoint,
    read_vocabulary: Callable[[Path], Vocabulary] = vocabulary.read_vocabulary,
) -> Reviewed:
    """The plan of a recipe with the headers of those checkpoints that are here, and assumed ones for the others.

    Raises CheckpointError for sources that are here and cannot be read, RecipeError where recipe and headers misfit.
    """
    here = [source for source in recipe.sources if os.path.exists(source.path)]  # noqa: PTH110 # never raises
    opened = open_sources(here, open_checkpoint, read_vocabulary)
    by_name = {source.name: header for source, header in zip(here, opened, strict=True)}
    assumed = tuple(source.name for source in recipe.sources if source.name not in by_name)
    headers = [by_name.get(source.name) or _assumed(source, opened) for source in recipe.sources]
    plan = _without_companions(recipe, headers) if assumed else make_plan(recipe, headers)
    digests = {source.name: source.sha256 for source in recipe.sources if source.sha256}
    return Reviewed(plan, _basis(assumed, [source.name for source in here]), digests, assumed)


def _basis(assumed: tuple[str, ...], here: list[str]) -> str:
    if not assumed:
        return "from the checkpoints"
    if not here:
        return "assumed: XTTS-V2"
    return f"from the checkpoints of {listed(here)}; assumed: {listed(assumed)} like them"


def _assumed(source: Source, known: list[Header]) -> Header:
    """A fine-tune like those that are known, or of XTTS-V2."""
    if known:
        like = known[0]
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
        tensors=_known(),
        training_only={},
        leftovers=(),
        entries={},
        bulk={},
        digest="",
    )


@functools.cache
def _known() -> Mapping[str, StoredTensor]:
    return {key: StoredTensor(key, spec, 0, contiguous_strides(spec.shape)) for key, spec in known_tensors().items()}


def _without_companions(recipe: Recipe, headers: list[Header]) -> Plan:
    """The plan as if the output were a file: what would lie beside a model in a directory is not known."""
    as_file = replace(recipe, output=replace(recipe.output, is_directory=False))
    return replace(make_plan(as_file, headers), recipe=recipe)
