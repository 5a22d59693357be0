"""What a config says of the vocabulary, and how it follows the rows that the output has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .specs import Header
from .text_rows import OutputVocabulary
from .vocabulary import special_ids
from .xtts import model_arguments


@dataclass(frozen=True, slots=True)
class TextTokens:
    """What a config's model_args are to say of the vocabulary: rows of the text tensors, and the two ids that the GPT
    itself puts around a text (None: not known). ``is_new``: the vocabulary is another than the config's; else only what
    the config says, and says wrongly, is put right.
    """

    number: int
    start: int | None
    stop: int | None
    is_new: bool = True


def with_text_tokens(config: Any, tokens: TextTokens | None) -> Any:
    """The config with these text tokens in its model_args; the config itself where there is nothing to change."""
    arguments = model_arguments(config)
    if tokens is None or not arguments:
        return config
    fields = {
        "gpt_number_text_tokens": tokens.number,
        "gpt_start_text_token": tokens.start,
        "gpt_stop_text_token": tokens.stop,
    }
    changes = {
        name: value
        for name, value in fields.items()
        if value not in (None, arguments.get(name)) and (tokens.is_new or arguments.get(name) is not None)
    }
    return {**config, "model_args": {**arguments, **changes}} if changes else config


def text_tokens(
    headers: Sequence[Header], sources: Sequence[int], rows: int, vocabulary: OutputVocabulary | None
) -> Mapping[int, TextTokens]:
    """For each source (by index), what its config has to say for it to fit the output's text tensors.

    ``sources``: those whose rows the output has, ``rows`` of them; ``vocabulary``: what they mean, if that is known.
    """
    if vocabulary:
        start, stop = special_ids(vocabulary.merged.tokens)
        return {
            index: TextTokens(rows, start, stop, not _fits(header, vocabulary, index in sources))
            for index, header in enumerate(headers)
        }
    given = model_arguments(headers[sources[0]].entries.get("config"))
    tokens = TextTokens(rows, given.get("gpt_start_text_token"), given.get("gpt_stop_text_token"))
    return {index: tokens for index in range(len(headers)) if index not in sources}


def _fits(header: Header, vocabulary: OutputVocabulary, has_rows: bool) -> bool:
    if header.vocabulary is None:
        return has_rows
    return header.vocabulary.tokens == vocabulary.merged.tokens
