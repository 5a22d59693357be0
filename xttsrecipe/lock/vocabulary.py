"""A source's vocabulary as a lock has it, and back: how many tokens, and those by which the sources of a lock differ.

Tokens that all have under one id are not told; what stands for them carries the id only. Merges and settings are told
by a digest: that they differ is known without the files, how they differ is not.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..specs import Vocabulary
from .folding import ranges
from .node import Node

# Those that a plan looks for by name.
_IDS = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?")
_SPECIAL = ("[START]", "[STOP]")
# Private characters of Unicode, for what is not told.
_TOKEN, _MERGES = "\ue000", "\ue001"
_MAX_IDS = 1_000_000
# What vocab.json may have, of which the size is all that is kept.
_MAX_TEXT = 16 << 20


def vocabularies_data(vocabularies: Mapping[str, Vocabulary]) -> dict[str, Mapping[str, Any]]:
    """What a lock says of the vocabularies of its sources, by name. Those that are from a lock stay as they are there.

    Raises ValueError where they cannot, as another has changed since.
    """
    locked = {name: its.locked for name, its in vocabularies.items() if its.locked}
    if locked:
        return {name: locked.get(name) or _as_locked(its, locked) for name, its in vocabularies.items()}
    shared: set[tuple[str, int]] = set()
    if vocabularies:
        shared = set.intersection(*(set(vocabulary.tokens.items()) for vocabulary in vocabularies.values()))
    return {name: _data(vocabulary, shared) for name, vocabulary in vocabularies.items()}


def _data(vocabulary: Vocabulary, shared: set[tuple[str, int]]) -> dict[str, Any]:
    told = {
        token: number
        for token, number in vocabulary.tokens.items()
        if token in _SPECIAL or token.startswith((_TOKEN, _MERGES)) or (token, number) not in shared
    }
    ids = (number for token, number in vocabulary.tokens.items() if token not in told)
    others = {name: value for name, value in vocabulary.data.items() if name != "model"}
    model = {name: value for name, value in vocabulary.data["model"].items() if name not in ("vocab", "merges")}
    return {
        "sha256": vocabulary.digest,
        "size": len(vocabulary.text),
        "ids": ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges(ids)),
        "merges_sha256": _digest(vocabulary.merges),
        "settings_sha256": _digest([others, model]),
        "tokens": told,
    }


def _as_locked(vocabulary: Vocabulary, locked: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """What a lock says of this vocabulary beside those that are from it: only of the very same is it known."""
    digest = vocabulary.digest
    same = next((data for data in locked.values() if data["sha256"] == digest), None)
    if same is None:
        raise ValueError("its vocabulary must be compared with those of the other sources, which are not all here")
    return same


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def read_vocabulary(node: Node, path: Path) -> Vocabulary:
    """The vocabulary that a lock describes, with stand-ins for what it does not tell. Raises RecipeError."""
    size, _ = node["size"].count(), node["sha256"].sha256()
    tokens = {f"{_TOKEN}{number}": number for number in _ids(node["ids"])}
    for token, number in node.part("tokens"):
        tokens[token] = number.count()
        if tokens[token] >= _MAX_IDS:
            number.fail(f"an id below {_MAX_IDS:,}")
    if not tokens:
        node.fail("at least one token")
    return Vocabulary(
        path=path,
        tokens=dict(sorted(tokens.items(), key=lambda item: item[1])),
        merges=((_MERGES, node["merges_sha256"].sha256()),),
        data={"settings": node["settings_sha256"].sha256(), "model": {"merges": []}},
        text=b" " * min(size, _MAX_TEXT),
        locked=node.plain(),
    )


def _ids(node: Node) -> Iterable[int]:
    """In ascending order, so that they end."""
    least = 0
    for part in filter(None, node.text().split(", ")):
        match = _IDS.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not least <= first <= last:
            node.fail("ascending ids, as 0-6680, 6690")
        least = last + 1
        yield from range(first, least)
