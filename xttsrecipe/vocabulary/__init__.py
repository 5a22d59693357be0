"""vocab.json files as data, and several of them merged token by token.

Owns what a vocab.json means to the XTTS client: the id of every token, which is its row in the text tensors, the pairs
that are joined, and the file that says the same of several vocabularies at once. Never reads a tensor, never tokenizes.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..specs import Vocabulary
from .merging import Conflict, MergedVocabulary, merge_vocabularies
from .reading import read_vocabulary

__all__ = [
    "Conflict",
    "MergedVocabulary",
    "merge_vocabularies",
    "read_vocabulary",
    "same_tokens",
    "special_ids",
]


def special_ids(tokens: Mapping[str, int]) -> tuple[int | None, int | None]:
    """The ids of the tokens that begin and end a text, as ``Xtts.init_models`` finds them; None where absent."""
    return tokens.get("[START]"), tokens.get("[STOP]")


def same_tokens(one: Vocabulary, other: Vocabulary) -> bool:
    """Whether both give the same ids to the same tokens, so that rows of tensors need no mapping.

    Merges and settings may differ: they decide how text becomes tokens, not which row a token has.
    """
    return one.tokens == other.tokens
