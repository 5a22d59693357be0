"""vocab.json files as data, and several of them merged token by token.

Owns what a vocab.json means to the XTTS client: the id of every token, which is its row in the text tensors, the pairs
that are joined, and the file that says the same of several vocabularies at once. Never reads a tensor, never tokenizes.
"""

from __future__ import annotations

from collections.abc import Mapping

from .merging import Conflict, MergedVocabulary, differ, merge_vocabularies
from .reading import read_vocabulary

__all__ = [
    "Conflict",
    "MergedVocabulary",
    "differ",
    "merge_vocabularies",
    "read_vocabulary",
    "special_ids",
]


def special_ids(tokens: Mapping[str, int]) -> tuple[int | None, int | None]:
    """The ids of the tokens that begin and end a text, as ``Xtts.init_models`` finds them; None where absent."""
    return tokens.get("[START]"), tokens.get("[STOP]")
