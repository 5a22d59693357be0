"""Reads and checks a vocab.json.

Of tokens and merges it refuses what the XTTS client cannot load, by the place where it fails, and what it would take
otherwise than a person who reads the file. Of all else in it (normalizer, pre_tokenizer, …) only that it is JSON is
checked. Never changes anything.
"""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..codes import Code
from ..errors import CheckpointError, Location, Problem
from ..specs import Vocabulary
from ..strict_json import check_size, unique_names
from .client import VERSION_LINE, Pair, client_ids, joined, prefix_of

MAX_BYTES = 16 * 2**20
# Tokens, merges and all else: a vocabulary of XTTS has some 14,000.
MAX_VALUES = 300_000
# Far above any vocabulary of XTTS (some 7,000 tokens), far below what makes a row count allocate without end.
MAX_IDS = 1_000_000
# The client's JSON parser gives up beyond this depth.
MAX_DEPTH = 127

_EXPECTED = "a vocab.json of an XTTS model: a tokenizers file with a BPE model"
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary in the file at ``path``, with the ids that the XTTS client gives.

    Raises CheckpointError for whatever the client cannot load, and for what it loads but takes otherwise than the file
    reads: names that occur twice, tokens that share an id.
    """
    text = _content(path)
    data = _parsed(text, path)
    model = _model(data, path)
    in_model = _model_ids(model, path)
    tokens = client_ids(in_model, _added(data, path))
    _check_unique(tokens, path)
    merges = _pairs(model["merges"], path)
    _check_merges(merges, in_model, prefix_of(model), path)
    ordered = dict(sorted(tokens.items(), key=lambda item: item[1]))
    # Of a pair that is listed twice, the client keeps the last rank.
    return Vocabulary(path, ordered, tuple(dict.fromkeys(reversed(merges)))[::-1], data, text)


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise _refused(Code.UNREADABLE_FILE, path, "is a directory, not a vocabulary", expected="a vocab.json file")
        if not stat.S_ISREG(status.st_mode):
            raise _refused(Code.UNREADABLE_FILE, path, "is a device, pipe or socket", expected="a vocab.json file")
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        code = Code.MISSING_FILE if isinstance(error, FileNotFoundError) else Code.UNREADABLE_FILE
        raise _refused(code, path, f"cannot be read: {reason}") from error
    if len(text) > MAX_BYTES:
        raise _refused(
            Code.NOT_A_VOCABULARY,
            path,
            f"is larger than {MAX_BYTES // 2**20} MiB, which no vocabulary is",
            expected=_EXPECTED,
        )
    return text


def _parsed(text: bytes, path: Path) -> dict[str, Any]:
    """The JSON, as strictly as the client's parser takes it; and every name once."""
    try:
        data = json.loads(
            check_size(text.decode("utf-8"), MAX_VALUES),
            object_pairs_hook=unique_names,
            parse_float=_finite,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError as error:
        raise _refused(
            Code.NOT_A_VOCABULARY, path, "is not UTF-8 text", found=f"byte {text[error.start]:#04x} at {error.start:,}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise _refused(
            Code.NOT_A_VOCABULARY, path, "is not proper JSON", found=str(error), expected=_EXPECTED
        ) from error
    if _is_deeper(data, MAX_DEPTH):
        raise _refused(
            Code.NOT_A_VOCABULARY, path, "is not proper JSON", found=f"more than {MAX_DEPTH} levels, one in another"
        )
    if re.search(rb"\\u[dD][89a-fA-F]", text):
        try:
            json.dumps(data, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise _refused(
                Code.NOT_A_VOCABULARY, path, "is not proper JSON", found="half of a surrogate pair, which is no text"
            ) from error
    if not isinstance(data, dict):
        raise _refused(
            Code.NOT_A_VOCABULARY, path, "is not a tokenizers file", found="JSON that is no object", expected=_EXPECTED
        )
    return data


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text} is out of range")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _is_deeper(data: Any, depth: int) -> bool:
    level = [data]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(value, (dict, list)) for value in level)


def _model(data: dict[str, Any], path: Path) -> dict[str, Any]:
    model = data.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), (dict, list)):
        hint = "name the vocab.json that lies beside the model.pth"
        raise _refused(
            Code.NOT_A_VOCABULARY,
            path,
            "is not a tokenizers file: it has no model.vocab",
            expected=_EXPECTED,
            hint=hint,
        )
    if model.get("type", "BPE") != "BPE":
        raise _refused(
            Code.NOT_A_VOCABULARY,
            path,
            f"has a model of type {model['type']!r}, which XTTS does not use",
            expected="BPE",
        )
    if not isinstance(model["vocab"], dict) or not isinstance(model.get("merges"), list):
        raise _refused(
            Code.NOT_A_VOCABULARY, path, "has a model without an object vocab and a list merges", expected=_EXPECTED
        )
    if not isinstance(model.get("continuing_subword_prefix"), (str, type(None))):
        raise _refused(
            Code.NOT_A_VOCABULARY, path, "has a model whose continuing_subword_prefix is no text", expected=_EXPECTED
        )
    if data.get("version", "1.0") != "1.0":
        raise _refused(
            Code.NOT_A_VOCABULARY,
            path,
            f"is a tokenizers file of version {data['version']!r}",
            expected="version '1.0'",
        )
    return model


def _model_ids(model: Mapping[str, Any], path: Path) -> dict[str, int]:
    vocab: dict[str, int] = model["vocab"]
    wrong = [f"{token!r}: {number!r}" for token, number in vocab.items() if not _is_id(number)]
    if wrong:
        raise _refused(
            Code.VOCABULARY_IDS,
            path,
            f"gives {_count(wrong, 'token')} of model.vocab no proper id",
            found=wrong[0],
            expected=f"whole numbers from 0 to {MAX_IDS - 1:,}",
            details=wrong,
        )
    return vocab


def _is_id(number: Any) -> bool:
    return type(number) is int and 0 <= number < MAX_IDS


def _added(data: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    added = data.get("added_tokens", [])
    if not isinstance(added, list):
        raise _refused(Code.NOT_A_VOCABULARY, path, "has added_tokens that are no list", expected=_EXPECTED)
    for place, entry in enumerate(added):
        if not (
            isinstance(entry, dict)
            and isinstance(entry.get("content"), str)
            and _is_id(entry.get("id"))
            and all(isinstance(entry.get(flag), bool) for flag in _FLAGS)
        ):
            raise _refused(
                Code.NOT_A_VOCABULARY,
                path,
                f"has added_tokens[{place}] that the client cannot load",
                found=_shown(entry),
                expected=f"an id, a content, and true or false for each of {', '.join(_FLAGS)}",
            )
    return added


def _check_unique(tokens: Mapping[str, int], path: Path) -> None:
    if not tokens:
        raise _refused(Code.NOT_A_VOCABULARY, path, "has no tokens", expected=_EXPECTED)
    owner: dict[int, str] = {}
    twice = [
        f"{number}: {owner[number]!r} and {token!r}"
        for token, number in tokens.items()
        if owner.setdefault(number, token) != token
    ]
    if twice:
        raise _refused(
            Code.VOCABULARY_IDS,
            path,
            f"gives {_count(twice, 'id')} to two tokens each",
            found=twice[0],
            expected="an id of its own for every token",
            hint="added tokens that model.vocab lacks are numbered from its size on, whatever id their entry has: "
            "write them into model.vocab",
            details=twice,
        )


def _pairs(entries: list[Any], path: Path) -> list[Pair]:
    """Merges in either form, ``"a b"`` or ``["a", "b"]``; the client takes a list of one form only."""
    old_form = all(isinstance(entry, str) for entry in entries)
    if old_form:
        entries = [entry.split(" ") for entry in entries if not entry.startswith(VERSION_LINE)]
    for place, entry in enumerate(entries):
        if not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(part, str) for part in entry)):
            raise _refused(
                Code.VOCABULARY_MERGES,
                path,
                f"has merges that the client cannot load: number {place + 1}",
                found=_shown(" ".join(entry) if old_form else entry),
                expected='all merges as "a b", or all as ["a", "b"]',
            )
    return [(left, right) for left, right in entries]


def _check_merges(merges: Iterable[Pair], in_model: Mapping[str, int], prefix: str, path: Path) -> None:
    lacking = {
        f"{left!r} + {right!r}: {part!r}"
        for left, right in merges
        for part in (left, right, joined(left, right, prefix))
        if part not in in_model
    }
    if lacking:
        details = sorted(lacking)
        raise _refused(
            Code.VOCABULARY_MERGES,
            path,
            f"has merges of tokens that model.vocab lacks, {len(details):,} in all",
            found=details[0],
            expected="both parts of a merge, and what it joins them to, in model.vocab",
            details=details,
        )


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _count(things: Sequence[Any], noun: str) -> str:
    return f"{len(things):,} {noun}{'s' * (len(things) != 1)}"


def _refused(code: Code, path: Path, what: str, *, details: Iterable[str] = (), **more: Any) -> CheckpointError:
    return CheckpointError(Problem(code, what, Location(str(path)), details=tuple(details), **more))
