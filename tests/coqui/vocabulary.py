"""Small vocabularies that the client's VoiceBpeTokenizer reads: the published vocab.json's structure, few tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Ids in this order. As in the published file, what ends a text comes first, and [START] between the languages.
_LETTERS = tuple("!'(),-.:;?abcdefghijklmnopqrstuvwxyz")
_BASE = ("[STOP]", "[UNK]", "[SPACE]", *_LETTERS, "[en]", "[de]", "[START]", "[fr]", "[es]")
_MERGES = (("t", "h"), ("h", "e"), ("th", "e"), ("i", "n"), ("l", "o"), ("e", "r"))


def vocabulary(
    merges: Sequence[tuple[str, str]] = (), special: Sequence[str] = (), *, pairs: bool = False
) -> dict[str, Any]:
    """vocab.json with ``merges`` and their tokens, then ``special`` ones, added to what all models here share.

    ``pairs``: whether merges are written as lists of two, as newer tokenizers do, or as text with a space.
    """
    all_merges = [*_MERGES, *merges]
    tokens = [*_BASE]
    for left, right in _MERGES:
        tokens.append(left + right)
    for left, right in merges:
        tokens += [token for token in (left, right, left + right) if token not in tokens]
    tokens += special
    ids = {token: index for index, token in enumerate(tokens)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(token, index) for token, index in ids.items() if token.startswith("[")],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "[UNK]",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "vocab": ids,
            "merges": [[left, right] if pairs else f"{left} {right}" for left, right in all_merges],
        },
    }


def _added(token: str, index: int) -> dict[str, Any]:
    return {
        "id": index,
        "special": True,
        "content": token,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
    }


def write_vocabulary(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    return path
