"""What the XTTS client makes of a vocab.json: ids of added tokens, what a merge joins.

The client loads the file with ``Tokenizer.from_file`` of the tokenizers library; what is said of it here was seen of
its version 0.23. Never opens a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Pair = tuple[str, str]

# Lines of merges in the old form that begin so are headers from merges.txt, which the client skips.
VERSION_LINE = "#version"


def client_ids(in_model: Mapping[str, int], added: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """All tokens with the ids that the client gives them.

    It does not look at the ids of added tokens: those that the model has keep the model's, others are counted on from
    the number of the model's tokens, in the order of the file. An empty one is passed over.
    """
    tokens = dict(in_model)
    following = len(in_model)
    for entry in added:
        if entry["content"] and entry["content"] not in tokens:
            tokens[entry["content"]] = following
            following += 1
    return tokens


def prefix_of(model: Mapping[str, Any]) -> str:
    """What marks tokens that continue a word: nothing, in XTTS."""
    return model.get("continuing_subword_prefix") or ""


def joined(left: str, right: str, prefix: str) -> str | None:
    """What the client joins a pair to: it cuts the prefix's length in bytes from the right part, whatever stands there.

    None where that would cut a character in two.
    """
    if not prefix:
        return left + right
    try:
        return left + right.encode()[len(prefix.encode()) :].decode()
    except UnicodeDecodeError:
        return None
