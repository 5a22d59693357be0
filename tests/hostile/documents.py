"""Attacks in the JSON beside a model: vocab.json and config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.hostile.attack import HARMLESS, Corpus
from tests.voices import NEWS, config_of, vocabulary, vocabulary_of_one_merged_token

MiB = 1 << 20


def said(path: Path, text: str | bytes | Mapping[str, Any]) -> Path:
    if isinstance(text, Mapping):
        text = json.dumps(text)
    path.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    return path


def words(path: Path, vocab: Any = None, merges: Any = (), **top: Any) -> Path:
    """A vocab.json of these tokens and merges."""
    data = vocabulary(NEWS, (), **top)
    data["model"] |= {"vocab": dict(NEWS) if vocab is None else vocab, "merges": list(merges)}
    return said(path, data)


def configured(path: Path, **fields: Any) -> Path:
    return said(path, config_of(NEWS) | fields)


# Whatever is said to be JSON.
JSON: Corpus = {
    "JSON a million levels deep": (lambda path: said(path, "[" * MiB), "JSON"),
    "JSON objects a million levels deep": (lambda path: said(path, '{"a":' * MiB), "JSON"),
    "JSON just too deep": (lambda path: said(path, '{"a":' * 150 + "1" + "}" * 150), "levels|nested too deeply"),
    "JSON of five million lists": (lambda path: said(path, '{"a":[' + "[]," * 5 * MiB + "[]]}"), "values"),
    "JSON of a terabyte": (lambda path: sparse(path, 1 << 40), "is larger than"),
    "JSON with a number of a million digits": (lambda path: said(path, '{"a":' + "9" * MiB + "}"), "JSON"),
    "JSON in Latin-1": (lambda path: said(path, '{"é": 1}'.encode("latin-1")), "UTF-8|JSON"),
    "JSON that is a list": (lambda path: said(path, "[1, 2]"), "no object|no JSON object"),
    "JSON that is nothing": (lambda path: said(path, "null"), "no object|no JSON object"),
    "JSON with a second beginning": (lambda path: said(path, "{}{}"), "JSON"),
    "JSON with a NUL": (lambda path: said(path, b'{"a": "\0"}'), "JSON"),
    "JSON of bytes that are none": (lambda path: said(path, b"\x80\x04\x95" + bytes(99)), "UTF-8|JSON"),
}


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


VOCABULARIES: Corpus = {
    "a token that is there twice": (
        lambda path: said(path, '{"model": {"vocab": {"a": 0, "\\u0061": 1}}}'),
        "occurs twice",
    ),
    "NaN in a vocabulary": (lambda path: said(path, '{"truncation": NaN}'), "not JSON"),
    "1e999 in a vocabulary": (lambda path: said(path, '{"truncation": 1e999}'), "out of range"),
    "half a surrogate pair in a vocabulary": (lambda path: said(path, '{"a": "\\ud800"}'), "surrogate"),
    "a vocabulary with a byte order mark": (lambda path: said(path, b"\xef\xbb\xbf{}"), "not proper JSON"),
    "an id of 2**62": (lambda path: words(path, {"a": 2**62}), "no proper id"),
    "an id below nothing": (lambda path: words(path, {"a": -1}), "no proper id"),
    "an id that is true": (lambda path: words(path, {"a": True}), "no proper id"),
    "an id that is a structure of a megabyte": (lambda path: words(path, {"a": ["x" * MiB]}), "no proper id"),
    "one id for two tokens": (lambda path: words(path, {"a": 0, "b": 0}), "two tokens each"),
    "two tokens in a million rows": (
        lambda path: words(path, {"a": 0, "b": 999_999}, added_tokens=[]),
        "not the one that it was trained with",
    ),
    "no tokens": (lambda path: words(path, {}, added_tokens=[]), "has no tokens"),
    "a vocabulary that is a list": (lambda path: words(path, []), "without an object vocab"),
    "another version": (lambda path: words(path, version="9" * 100_000), "of version"),
    "a merge of three": (lambda path: words(path, merges=["a b ab"]), "merges that the client cannot load"),
    "merges of one megabyte": (lambda path: words(path, merges=["x" * MiB + " " + "y" * MiB]), "merges of tokens"),
    "thirty thousand merges of nothing": (
        lambda path: words(path, merges=[f"x{n} y{n}" for n in range(30_000)]),
        "merges of tokens",
    ),
    "a hundred thousand tokens": (
        lambda path: words(path, {str(n): n for n in range(100_000)}, added_tokens=[]),
        "not the one that it was trained with",
    ),
    "hundreds of thousands of merges": (lambda path: words(path, merges=["a b"] * 400_000), "values"),
    "thirty thousand ways to merge one token": (
        lambda path: said(path, vocabulary_of_one_merged_token(30_000)),
        "not the one that it was trained with",
    ),
    "an added token of no form": (
        lambda path: words(path, added_tokens=[{"id": 0, "content": ["x" * MiB]}]),
        "added_tokens",
    ),
    "hundreds of thousands of added tokens of no form": (
        lambda path: words(path, added_tokens=[0] * 200_000),
        "added_tokens",
    ),
    "a prefix of a megabyte": (
        lambda path: said(path, {"model": {"vocab": NEWS, "merges": [], "continuing_subword_prefix": "x" * MiB}}),
        HARMLESS,
    ),
}

CONFIGS: Corpus = {
    "a config that is there twice": (lambda path: said(path, '{"model": "xtts", "model": {}}'), HARMLESS),
    "NaN in a config": (lambda path: said(path, '{"a": NaN, "b": [Infinity]}'), HARMLESS),
    "half a surrogate pair in a config": (lambda path: said(path, '{"\\ud800": "\\udfff"}'), HARMLESS),
    "a config in UTF-32": (lambda path: said(path, json.dumps(config_of(NEWS)).encode("utf-32")), HARMLESS),
    "escape sequences in a config": (lambda path: configured(path, run_name="\x1b[2J\x07", **{"\x1b]0;": 1}), HARMLESS),
    "model_args that are a list": (lambda path: configured(path, model_args=[1]), HARMLESS),
    "model_args of a megabyte": (
        lambda path: configured(path, model_args={"gpt_layers": ["x" * MiB]}),
        HARMLESS,
    ),
    "model_args of a number of four thousand digits": (
        lambda path: said(path, '{"model_args": {"gpt_layers": ' + "9" * 4_000 + "}}"),
        HARMLESS,
    ),
    "a config of half a million numbers": (lambda path: configured(path, languages=[0] * 500_000), "too large"),
    "a config of sixteen megabytes": (lambda path: configured(path, run_name="x" * 17 * MiB), "is larger than"),
    "a config that names programs": (
        lambda path: configured(path, model_args={"tokenizer_file": "|touch executed", "__class__": "os.system"}),
        HARMLESS,
    ),
}
