"""What is said of vocab.json files, against the real client: its VoiceBpeTokenizer on the real tokenizers library.

Runs in the client's environment, which has none of xttsrecipe's dependencies; xttsrecipe itself runs in the project's.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

from .command import PROJECT, PYTHON

READ = """
import json, pathlib, sys
from xttsrecipe import CheckpointError
from xttsrecipe.vocabulary import read_vocabulary
for path in json.load(sys.stdin):
    try:
        vocabulary = read_vocabulary(pathlib.Path(path))
        print(json.dumps({"tokens": dict(vocabulary.tokens), "rows": vocabulary.rows}))
    except CheckpointError as error:
        print(json.dumps({"refused": str(error)}))
"""

MERGE = """
import json, pathlib, sys
from xttsrecipe.vocabulary import merge_vocabularies, read_vocabulary, special_ids
paths, order, out = json.load(sys.stdin)
merged = merge_vocabularies([read_vocabulary(pathlib.Path(path)) for path in paths], order)
pathlib.Path(out).write_bytes(merged.text)
print(json.dumps({"tokens": dict(merged.tokens), "rows": merged.rows, "row_of": merged.row_of,
                  "special": special_ids(merged.tokens), "conflicts": len(merged.conflicts)}))
"""

SPECIAL = ("[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]", "[de]", "[fr]")


def ours(script: str, given: Any) -> list[dict[str, Any]]:
    done = subprocess.run(
        [PYTHON, "-c", script], cwd=PROJECT, input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def merge(paths: Sequence[Path], out: Path, order: int = 0) -> dict[str, Any]:
    (merged,) = ours(MERGE, [list(map(str, paths)), order, str(out)])
    return merged


def added(content: str, number: int = 0, **flags: bool) -> dict[str, Any]:
    usual = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": content, **usual, **flags}


def write(
    path: Path,
    vocab: Mapping[str, int],
    merges: Sequence[Any],
    added_tokens: Sequence[Any],
    top: Mapping[str, Any] | None = None,
    **model: Any,
) -> Path:
    data = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": list(added_tokens),
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "BPE", "unk_token": "[UNK]", "vocab": dict(vocab), "merges": list(merges), **model},
        **(top or {}),
    }
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    return path


def extended(path: Path, words: Sequence[str], languages: Sequence[str] = (), lists: bool = False) -> Path:
    """The base vocabulary of these tests, and ``words`` and ``languages`` as fine-tuning scripts add them."""
    letters = [*"abcdefghijklmnopqrstuvwxyzäöüß"]
    vocab = {token: number for number, token in enumerate([*SPECIAL, *letters, "th", "the"])}
    merges = ["t h", "th e"]
    for word in words:
        for end in range(2, len(word) + 1):
            left, right = word[: end - 1], word[end - 1]
            if word[:end] not in vocab:
                vocab[word[:end]] = len(vocab)
                merges.append(f"{left} {right}")
    for language in languages:
        vocab[language] = len(vocab)
    entries = [added(token, vocab[token]) for token in (*SPECIAL, *languages)]
    return write(path, vocab, [merge.split(" ") for merge in merges] if lists else merges, entries)


def encoded(tokenizer: Any, text: str, language: str) -> list[str]:
    return [tokenizer.tokenizer.id_to_token(number) for number in tokenizer.encode(text, language)]


# No word begins as another does, so that no merge of one fine-tune meets a word of another.
NEWS, BOOK, VOICE = ["politik", "rundfunk"], ["märchen", "gießen"], ["zwölf"]


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("lists", [(False, False, False), (True, True, True), (False, True, False)])
def test_the_client_gives_the_merged_ids_and_the_sources_tokens(
    tmp_path: Path, order: int, lists: tuple[bool, bool, bool]
) -> None:
    languages = [["[nds]"], ["[gsw]", "[nds]"], []]
    sources = [
        extended(tmp_path / f"{number}.json", words, tags, form)
        for number, (words, tags, form) in enumerate(zip([NEWS, BOOK, VOICE], languages, lists, strict=True))
    ]
    out = tmp_path / "merged.json"
    merged = merge(sources, out, order)
    client = VoiceBpeTokenizer(out)
    assert client.tokenizer.get_vocab() == merged["tokens"]
    assert client.get_number_tokens() == merged["rows"]
    assert [client.tokenizer.token_to_id(token) for token in ("[START]", "[STOP]")] == merged["special"]

    parents = [VoiceBpeTokenizer(path) for path in sources]
    for token in SPECIAL:
        assert client.tokenizer.token_to_id(token) == parents[order].tokenizer.token_to_id(token)
    for parent, rows, words in zip(parents, merged["row_of"], [NEWS, BOOK, VOICE], strict=True):
        for word in [*words, "the", "the other", "in the fall, word"]:
            tokens = encoded(parent, word, "de")
            assert encoded(client, word, "de") == tokens
            # And the row of each is the one that the parent learnt.
            assert [rows[number] for number in client.encode(word, "de")] == parent.encode(word, "de")
        assert all(encoded(client, word, "de") == ["[de]", word] for word in words)
    for tag in ("[nds]", "[gsw]"):
        assert client.tokenizer.encode(f"{tag}the").tokens == [tag, "the"]
    assert client.decode(client.encode("the politik", "de")) == "[de]the politik"


def test_merging_with_itself_gives_the_file(tmp_path: Path) -> None:
    source = extended(tmp_path / "one.json", NEWS)
    merge([source, source], tmp_path / "merged.json")
    assert (tmp_path / "merged.json").read_bytes() == source.read_bytes()


def test_ids_in_a_post_processor_stay_valid(tmp_path: Path) -> None:
    template = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[START]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"[START]": {"id": "[START]", "ids": [1], "tokens": ["[START]"]}},
    }
    top = {"post_processor": template}
    first = write(tmp_path / "1.json", {"[UNK]": 0, "[START]": 1, "a": 2}, [], [added("[START]", 1)], top)
    second = write(tmp_path / "2.json", {"[UNK]": 0, "z": 1, "a": 2}, [], [])
    merge([first, second], tmp_path / "merged.json")
    client = VoiceBpeTokenizer(tmp_path / "merged.json")
    assert client.tokenizer.encode("az").tokens == ["[START]", "a", "z"]


def test_added_tokens_beside_the_model_and_holes(tmp_path: Path) -> None:
    first = write(tmp_path / "1.json", {"[UNK]": 0, "a": 7}, [], [added("<x>", 99), added("[UNK]", 42)])
    second = write(tmp_path / "2.json", {"[UNK]": 5, "b": 0}, [], [added("<y>", 0), added("<x>", 1)])
    for order in (0, 1):
        merged = merge([first, second], tmp_path / "merged.json", order)
        client = VoiceBpeTokenizer(tmp_path / "merged.json")
        assert client.tokenizer.get_vocab() == merged["tokens"]
        parent = VoiceBpeTokenizer([first, second][order]).tokenizer.get_vocab()
        assert {token: merged["tokens"][token] for token in parent} == parent
        assert client.tokenizer.encode("a<y>b<x>").tokens == ["a", "<y>", "b", "<x>"]


def test_merges_that_lines_cannot_say(tmp_path: Path) -> None:
    first = write(tmp_path / "1.json", {"[UNK]": 0, "a": 1, "b": 2, "ab": 3}, ["#version: 0.2", "a b"], [])
    second = write(tmp_path / "2.json", {"a": 0, " ": 1, "a ": 2}, [["a", " "]], [], {"pre_tokenizer": None})
    for order in (0, 1):
        merged = merge([first, second], tmp_path / "merged.json", order)
        assert VoiceBpeTokenizer(tmp_path / "merged.json").tokenizer.get_vocab() == merged["tokens"]


@pytest.mark.parametrize("lists", [False, True])
def test_of_a_pair_listed_twice_the_last_rank_counts(tmp_path: Path, lists: bool) -> None:
    vocab = {"[UNK]": 0, "a": 1, "b": 2, "c": 3, "ab": 4, "bc": 5}
    merges = ["a b", "b c", "a b"]
    path = write(tmp_path / "v.json", vocab, [pair.split() for pair in merges] if lists else merges, [])
    assert VoiceBpeTokenizer(path).tokenizer.encode("abc").tokens == ["a", "bc"]


def odd_file(path: Path, chance: random.Random) -> Path:
    tokens = [*"abcdefgh", "", "é", "ab", "bc"]
    names = chance.sample(tokens, chance.randint(0, 8))
    vocab = dict(zip(names, chance.sample(range(14), len(names)), strict=True))
    entries = [
        added(
            "".join(chance.choices("abcdefghXYZ", k=chance.randint(0, 2))),
            chance.randint(0, 20),
            special=chance.random() < 0.5,
            normalized=chance.random() < 0.5,
            lstrip=chance.random() < 0.3,
        )
        for _ in range(chance.randint(0, 6))
    ]
    pairs = [["a", "b"], ["b", "c"], ["a", ""]]
    merges: list[Any] = [pair for pair in pairs if chance.random() < 0.3 and {*pair, "".join(pair)} <= vocab.keys()]
    if chance.random() < 0.5:
        merges = [" ".join(pair) for pair in merges]
    normalizer = chance.choice([None, {"type": "Lowercase"}])
    return write(path, vocab, merges, entries, {"normalizer": normalizer})


def test_ids_are_those_of_the_library_on_odd_files(tmp_path: Path) -> None:
    chance = random.Random(3)
    paths = [odd_file(tmp_path / f"{number}.json", chance) for number in range(1500)]
    read = 0
    for path, said in zip(paths, ours(READ, list(map(str, paths))), strict=True):
        tokenizer = VoiceBpeTokenizer(path)
        tokens = tokenizer.tokenizer.get_vocab()
        if "refused" in said:
            # The client loads it, with two tokens in one row, or with no token at all.
            assert len(set(tokens.values())) < len(tokens) or not tokens, said
        else:
            assert said["tokens"] == tokens
            assert said["rows"] == tokenizer.get_number_tokens()
            read += 1
    assert read > 500


MODEL = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "\ufeff" + json.dumps({"model": MODEL}),
        json.dumps({"model": MODEL, "version": "2.0"}),
        json.dumps({"model": MODEL, "version": None}),
        json.dumps({"model": MODEL, "added_tokens": None}),
        json.dumps({"model": MODEL, "added_tokens": [{"id": 0, "content": "a"}]}),
        json.dumps({"model": MODEL, "added_tokens": [added("a", -1)]}),
        json.dumps({"model": MODEL, "added_tokens": [added("a") | {"content": 1}]}),
        json.dumps({"model": MODEL, "added_tokens": [added("a") | {"special": 1}]}),
        json.dumps({"model": MODEL | {"type": None}}),
        json.dumps({"model": MODEL | {"merges": None}}),
        json.dumps({"model": MODEL | {"merges": ["a b c"]}}),
        json.dumps({"model": MODEL | {"merges": ["ab"]}}),
        json.dumps({"model": MODEL | {"merges": [["a", "b"], "a b"]}}),
        json.dumps({"model": MODEL | {"merges": [["a", "b", "c"]]}}),
        json.dumps({"model": MODEL | {"merges": ["a z"]}}),
        json.dumps({"model": MODEL | {"merges": ["b a"]}}),
        json.dumps({"model": MODEL | {"merges": ["a X"]}, "added_tokens": [added("X"), added("aX")]}),
        json.dumps({"model": MODEL | {"vocab": {"a": 0.0}}}),
        json.dumps({"model": MODEL | {"vocab": {"a": True}}}),
        json.dumps({"model": MODEL | {"vocab": {"a": -1}}}),
        json.dumps({"model": MODEL | {"continuing_subword_prefix": 3}}),
        '{"model": {"vocab": {"\\ud800": 0}, "merges": []}}',
        '{"model": {"vocab": {"a": 0}, "merges": [], "x": NaN}}',
        '{"model": {"vocab": {"a": 0}, "merges": [], "x": 1e999}}',
        '{"model": {"vocab": {"a": 0}, "merges": [], "x": ' + "[" * 126 + "]" * 126 + "}}",
    ],
    ids=lambda text: text[:60] or "empty",
)
def test_what_the_client_cannot_load_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "v.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BaseException):  # noqa: B017, PT011 - some of these end in a panic, which is no Exception
        VoiceBpeTokenizer(path)
    (said,) = ours(READ, [str(path)])
    assert "refused" in said


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"model": MODEL}),
        json.dumps({"model": {"vocab": {"a": 0}, "merges": []}, "version": "1.0"}),
        json.dumps({"model": MODEL | {"merges": ["#version: 0.2", "a b"]}}),
        '{"model": {"vocab": {"\\ud83d\\ude00": 0}, "merges": []}}',
        '{"model": {"vocab": {"a": 0}, "merges": [], "x": ' + "[" * 125 + "]" * 125 + "}}",
        json.dumps({"model": {"vocab": {"a": 0, "éb": 1, "ab": 2}, "merges": ["a éb"]}}).replace(
            '"vocab"', '"continuing_subword_prefix": "é", "vocab"'
        ),
    ],
    ids=lambda text: text[:60],
)
def test_what_the_client_loads_is_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "v.json"
    path.write_text(text, encoding="utf-8")
    (said,) = ours(READ, [str(path)])
    assert said["tokens"] == VoiceBpeTokenizer(path).tokenizer.get_vocab()
