"""What differs between the outputs of two plans, the tensors aside: where and how they are written, and what goes with
them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..changes import OutputChange
from ..companions import Companion, giver_of
from ..metadata import training_of
from ..plan import Plan
from ..settings import unexpanded
from ..xtts import CONFIG_FILE, VOCABULARY_FILE, planned_arguments

_VOCABULARY = "vocabulary of "

# What the name of a source says: that it is another file now, the sources tell.
_WHOSE = ("config", "companions", "vocabulary.order")

# What is compared, and the text that says it.
_Fact = tuple[Any, str]


def output_changes(
    old: Plan | None, old_files: Sequence[int], new: Plan, new_files: Sequence[int], certain: bool
) -> Iterator[OutputChange]:
    """What differs. ``old_files``, ``new_files``: for each source a number that two share where they are one file;
    ``certain``: all headers are known, so that it can be told what goes with the model.
    """
    before = dict(_facts(old, old_files, certain)) if old else {}
    after = dict(_facts(new, new_files, certain))
    for field in dict.fromkeys([*after, *before]):
        was, now = before.get(field), after.get(field)
        if was is None or now is None or (was[0] != now[0] and (was[1] != now[1] or field not in _WHOSE)):
            old_text, new_text = was and was[1], now and now[1]
            if old_text == new_text:
                new_text = f"{new_text}, other content"
            yield OutputChange(field, old_text, new_text, is_place=field == "path" or field.startswith(_VOCABULARY))


def _facts(plan: Plan, files: Sequence[int], certain: bool) -> Iterator[tuple[str, _Fact]]:
    recipe, output = plan.recipe, plan.recipe.output
    names = recipe.source_names
    yield "path", _place(output.path, output.text, output.is_directory)
    yield "format", (output.format, output.format)
    layout = output.layout if not certain or output.layout == plan.layout else f"{output.layout}: {plan.layout}"
    yield "layout", (layout, layout)
    dtype = str(output.dtype or "keep")
    yield "dtype", (dtype, dtype)
    config = plan.metadata.config_from
    if config is None and not certain:
        config = recipe.metadata_from or 0
    if config is not None:
        yield "config", (files[config], f"from {names[config]}")
    giver = giver_of(recipe, plan.headers) if certain else recipe.companions_from
    if output.is_directory and giver is not None:
        yield "companions", (files[giver], f"from {names[giver]}")
    for source in recipe.sources:
        if source.vocabulary:
            yield f"{_VOCABULARY}{source.name}", _place(source.vocabulary, source.vocabulary_text or "", False)
    if recipe.vocabulary_order is not None:
        order = recipe.vocabulary_order
        yield "vocabulary.order", (files[order], names[order])
    if certain:
        yield from _with_the_model(plan)


def _with_the_model(plan: Plan) -> Iterator[tuple[str, _Fact]]:
    for name, value in training_of(plan.metadata.entries).items():
        yield name, (value, str(value))
    if plan.vocabulary:
        merged = plan.vocabulary.merged
        yield "vocabulary", (dict(merged.tokens), f"{len(merged.tokens):,} tokens in {merged.rows:,} rows")
    for companion in plan.companions:
        # Beside a file, the name is made from the output's.
        name = companion.name if plan.recipe.output.is_directory else VOCABULARY_FILE
        yield name, (_content(companion, plan), companion.origin)


def _content(companion: Companion, plan: Plan) -> Any:
    """What a file holds. Of a source's config with the output's text tokens: what the source has, and what a plan looks
    at in it, as a lock knows no more.
    """
    giver = giver_of(plan.recipe, plan.headers)
    own = plan.headers[giver].companions.get(CONFIG_FILE) if giver is not None else None
    if companion.name != CONFIG_FILE or own is None or not isinstance(companion.data, bytes):
        return companion.digest
    return own.digest, planned_arguments(json.loads(companion.data))


def _place(path: Path, written: str, is_directory: bool) -> _Fact:
    whole = os.path.abspath(path)  # noqa: PTH100 # which follows no links
    text = os.path.join(whole, "") if is_directory else whole  # noqa: PTH118
    return os.path.normcase(text), unexpanded(written) or text
