"""Models that extended their vocabularies differently: merged token by token, loaded and spoken with by the client."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

from . import client
from .checkpoints import Checkpoints, canonical_state
from .command import merge, write_recipe, xttsrecipe

ROW_TENSORS = ("gpt.text_embedding.weight", "gpt.text_head.weight", "gpt.text_head.bias")
SPECIAL = ("[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]", "[de]", "[fr]", "[es]")

# Words that only one model has tokens for, and the language that only it knows.
OWN = {
    "news": ("world", "hu"),
    "audiobook": ("book", "nl"),
    "legal": ("law", "pl"),
}
OTHER_COUNT, SAME_COUNT = "extended + extended, other row count", "extended + extended, same row count"
PAIRS = {OTHER_COUNT: ("news", "audiobook"), SAME_COUNT: ("news", "legal")}


@dataclass(frozen=True)
class Blend:
    sources: dict[str, Path]
    weights: tuple[float, ...]
    merged: Path


def tokens_of(folder: Path) -> dict[str, int]:
    tokens: dict[str, int] = VoiceBpeTokenizer(folder / "vocab.json").tokenizer.get_vocab()
    return tokens


def spelled(vocabulary: Path, text: str, language: str = "en") -> list[str]:
    tokenizer = VoiceBpeTokenizer(vocabulary)
    return [tokenizer.tokenizer.id_to_token(index) for index in tokenizer.encode(text, language)]


def assert_rows(merged: Path, tokens: dict[str, int], sources: dict[str, Path], weights: Sequence[float]) -> None:
    """Each row of the three tensors: the mean over those who know its token, or the row of the one who does."""
    state = canonical_state(merged)
    states = {name: canonical_state(folder / "model.pth") for name, folder in sources.items()}
    known = {name: tokens_of(folder) for name, folder in sources.items()}
    assert set(tokens) == set().union(*known.values())
    for key in ROW_TENSORS:
        assert state[key].shape[0] == max(tokens.values()) + 1
        for token, index in tokens.items():
            shares = {name: weight for name, weight in zip(sources, weights, strict=True) if token in known[name]}
            rows = {name: states[name][key][known[name][token]] for name in shares}
            if len(rows) == 1:
                (only,) = rows.values()
                assert torch.equal(state[key][index], only), (key, token)
                continue
            terms = [weight / sum(shares.values()) * rows[name].double() for name, weight in shares.items()]
            error = (state[key][index].double() - sum(terms)).abs()
            assert (error <= 3e-7 * sum(term.abs() for term in terms)).all(), (key, token)


@pytest.fixture(scope="module", params=PAIRS.values(), ids=tuple(PAIRS))
def blend(
    request: pytest.FixtureRequest, checkpoints: Checkpoints, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Blend]:
    folder = tmp_path_factory.mktemp("vocabularies")
    sources = {name: checkpoints.directory(name) for name in request.param}
    yield Blend(sources, (0.6, 0.4), merge(folder, sources, (0.6, 0.4), "merged/"))
    shutil.rmtree(folder)


def test_what_is_merged_differs_as_it_should(checkpoints: Checkpoints) -> None:
    news, audiobook, legal = (tokens_of(checkpoints.directory(name)) for name in OWN)
    assert len(news) != len(audiobook)
    assert len(news) == len(legal)
    assert news.keys() != legal.keys()
    assert news["or"] != audiobook["or"]


@pytest.mark.claim("loads strictly, speaks")
def test_loads_strictly_and_speaks(blend: Blend, checkpoints: Checkpoints) -> None:
    model = client.load_folder(blend.merged)
    client.assert_speech(client.speak(model, checkpoints.reference))
    for name in blend.sources:
        word, language = OWN[name]
        client.assert_speech(client.speak(model, checkpoints.reference, f"the {word} there", language))


@pytest.mark.claim("is 0.6 a + 0.4 b")
def test_rows_are_merged_by_token(blend: Blend) -> None:
    assert_rows(blend.merged / "model.pth", tokens_of(blend.merged), blend.sources, blend.weights)


def test_texts_are_spelled_as_by_the_parents(blend: Blend) -> None:
    merged = blend.merged / "vocab.json"
    for name, folder in blend.sources.items():
        word, language = OWN[name]
        assert word in spelled(merged, f"the {word} there")
        for spoken in ("en", "de", "fr", "es", language):
            text = f"Hello, the {word} is in there; lower them."
            assert spelled(merged, text, spoken) == spelled(folder / "vocab.json", text, spoken)


def test_ids_of_the_first_stay(blend: Blend) -> None:
    merged = tokens_of(blend.merged)
    first = tokens_of(next(iter(blend.sources.values())))
    assert {token: merged[token] for token in first} == first
    assert sorted(merged.values()) == list(range(len(merged))), "no gap, no id twice"
    assert set(SPECIAL) <= set(first)


def test_the_config_follows_the_vocabulary(blend: Blend) -> None:
    tokenizer = VoiceBpeTokenizer(blend.merged / "vocab.json")
    expected = {
        "gpt_number_text_tokens": tokenizer.get_number_tokens(),
        "gpt_start_text_token": tokenizer.tokenizer.token_to_id("[START]"),
        "gpt_stop_text_token": tokenizer.tokenizer.token_to_id("[STOP]"),
    }
    in_file = json.loads((blend.merged / "config.json").read_text("utf-8"))
    in_model = torch.load(blend.merged / "model.pth", weights_only=True, mmap=True)["config"]
    for config in (in_file, in_model):
        assert {name: config["model_args"][name] for name in expected} == expected


@pytest.mark.claim("with itself: its own voice", row=SAME_COUNT)
def test_with_itself_is_its_own_voice(checkpoints: Checkpoints, scratch: Path) -> None:
    source = checkpoints.directory("news")
    merged = merge(scratch, {"one": source, "same": source}, (0.6, 0.4), "merged/")
    assert (merged / "vocab.json").read_bytes() == (source / "vocab.json").read_bytes()
    waves = [
        client.speak(client.load_folder(folder), checkpoints.reference, "the world is in there")
        for folder in (source, merged)
    ]
    client.assert_speech(waves[0])
    assert torch.equal(*waves)


def test_three_sources_and_a_token_that_two_know(checkpoints: Checkpoints, scratch: Path) -> None:
    sources = {name: checkpoints.directory(name) for name in ("a", "news", "audiobook")}
    weights = (0.5, 0.3, 0.2)
    merged = merge(scratch, sources, weights, "merged/")
    tokens = tokens_of(merged)
    assert "or" in tokens
    assert_rows(merged / "model.pth", tokens, sources, weights)
    client.assert_speech(client.speak(client.load_folder(merged), checkpoints.reference, "the world book"))


def _as_files(checkpoints: Checkpoints, names: Sequence[str]) -> tuple[dict[str, Path], dict[str, Any]]:
    """Models as plain files, and what a recipe says of their vocabularies."""
    folders = {name: checkpoints.directory(name) for name in names}
    files = {name: folder / "model.pth" for name, folder in folders.items()}
    return files, {name: str(folder / "vocab.json") for name, folder in folders.items()}


def test_plain_files_with_vocabularies_named(checkpoints: Checkpoints, scratch: Path) -> None:
    files, vocabulary = _as_files(checkpoints, ("news", "audiobook"))
    merged = merge(scratch, files, (0.6, 0.4), vocabulary=vocabulary | {"order": "audiobook"})
    beside = scratch / "merged.vocab.json"
    tokens: dict[str, int] = VoiceBpeTokenizer(beside).tokenizer.get_vocab()
    first = tokens_of(files["audiobook"].parent)
    assert {token: tokens[token] for token in first} == first
    assert_rows(merged, tokens, {name: path.parent for name, path in files.items()}, (0.6, 0.4))
    # Rows and special tokens in a config that belongs to another vocabulary do not matter to the client.
    model = client.load_file(merged, files["news"].with_name("config.json"), beside)
    client.assert_speech(client.speak(model, checkpoints.reference, "the world book"))


def test_without_vocabularies_unequal_rows_are_refused_with_advice(checkpoints: Checkpoints, scratch: Path) -> None:
    files, _ = _as_files(checkpoints, ("news", "audiobook"))
    done = xttsrecipe("run", write_recipe(scratch, files, (0.6, 0.4), "merged.pth"))
    assert done.returncode == 1
    assert "vocabulary" in done.stderr
    assert "from" in done.stderr
    assert not (scratch / "merged.pth").exists()
