"""A recipe's sources, opened: headers with the vocabularies that belong to them, and every problem together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import save
from tests.merging import recipe_of
from tests.voices import AUDIOBOOK, NEWS, text_state, voice, write_vocabulary
from xttsrecipe.errors import CheckpointError, Problem
from xttsrecipe.sources import open_sources
from xttsrecipe.specs import Header
from xttsrecipe.validation import validate


def opened(folder: Path, checkpoints: dict[str, Any], **fields: Any) -> list[Header]:
    return open_sources(recipe_of(folder, checkpoints, **fields).sources)


def problems_of(folder: Path, checkpoints: dict[str, Any], **fields: Any) -> tuple[Problem, ...]:
    with pytest.raises(CheckpointError) as caught:
        opened(folder, checkpoints, **fields)
    return caught.value.problems


def test_headers_come_in_the_recipes_order_with_vocabularies_where_they_are_known(tmp_path: Path) -> None:
    voice(tmp_path / "news", NEWS)
    save(tmp_path / "b.pth", text_state(8))
    save(tmp_path / "c.pth", text_state(8))
    write_vocabulary(tmp_path / "c.json", AUDIOBOOK)
    headers = opened(tmp_path, {"b": "b.pth", "news": "news", "c": "c.pth"}, vocabulary={"c": "c.json"})
    assert [header.place.name for header in headers] == ["b.pth", "news", "c.pth"]
    assert [header.vocabulary and dict(header.vocabulary.tokens) for header in headers] == [None, NEWS, AUDIOBOOK]
    assert headers[1].vocabulary is not None
    assert headers[1].vocabulary.path == tmp_path / "news/vocab.json"


def test_a_vocabulary_that_the_recipe_names_goes_before_the_directorys_own(tmp_path: Path) -> None:
    voice(tmp_path / "news", NEWS)
    (tmp_path / "news/vocab.json").write_bytes(b"broken")
    write_vocabulary(tmp_path / "other.json", AUDIOBOOK)
    (header,) = opened(tmp_path, {"news": "news"}, vocabulary={"news": "other.json"})
    assert header.vocabulary is not None
    assert dict(header.vocabulary.tokens) == AUDIOBOOK


def test_the_vocabulary_beside_a_file_is_not_taken_for_its_own(tmp_path: Path) -> None:
    voice(tmp_path / "news", NEWS)
    (header,) = opened(tmp_path, {"news": "news/model.pth"})
    assert header.vocabulary is None


def test_two_sources_of_one_file_may_have_vocabularies_of_their_own(tmp_path: Path) -> None:
    voice(tmp_path / "news", NEWS)
    write_vocabulary(tmp_path / "other.json", AUDIOBOOK)
    first, second = opened(tmp_path, {"a": "news", "b": "news"}, vocabulary={"b": "other.json"})
    assert first.vocabulary is not None
    assert second.vocabulary is not None
    assert (dict(first.vocabulary.tokens), dict(second.vocabulary.tokens)) == (NEWS, AUDIOBOOK)


def test_all_that_cannot_be_read_is_told_at_once_of_the_source_that_it_belongs_to(tmp_path: Path) -> None:
    voice(tmp_path / "news", NEWS)
    (tmp_path / "news/vocab.json").write_bytes(b"{}")
    voice(tmp_path / "audiobook", NEWS)
    (tmp_path / "audiobook/config.json").write_bytes(b"[]")
    (tmp_path / "empty").mkdir()
    checkpoints = {"news": "news", "audiobook": "audiobook", "empty": "empty", "gone": "gone"}
    found = problems_of(tmp_path, checkpoints)
    assert [problem.what for problem in found] == [
        "the vocabulary of 'news' is not a tokenizers file: it has no model.vocab",
        "source 'audiobook' holds no JSON object",
        "source 'empty' is a directory without a model",
        "source 'gone' cannot be read: No such file or directory",
    ]
    assert [problem.where and problem.where.file for problem in found] == [
        str(tmp_path / name) for name in ("news/vocab.json", "audiobook/config.json", "empty", "gone")
    ]
    assert all(problem.hint for problem in found)
    assert "--set checkpoints.gone=PATH" in (found[3].hint or "")


def test_a_vocabulary_that_is_not_there_is_an_error_even_where_it_is_not_needed(tmp_path: Path) -> None:
    save(tmp_path / "a.pth", text_state(8))
    (problem,) = problems_of(tmp_path, {"a": "a.pth"}, vocabulary={"a": "gone.json"})
    assert problem.what == "the vocabulary of 'a' cannot be read: No such file or directory"
    assert problem.where is not None
    assert problem.where.file == str(tmp_path / "gone.json")
    assert problem.hint is not None
    assert "relative to the recipe's folder" in problem.hint
    assert "--set vocabulary.a=PATH" in problem.hint


def test_a_vocabulary_is_not_read_of_a_source_that_cannot_be(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, {"a": "gone.pth"}, vocabulary={"a": "gone.json"})
    assert problem.where is not None
    assert problem.where.file == str(tmp_path / "gone.pth")


def test_validate_reads_the_vocabularies_of_sources_that_are_there(tmp_path: Path) -> None:
    voice(tmp_path / "news", NEWS)
    (tmp_path / "news/vocab.json").write_bytes(b"{}")
    recipe = recipe_of(tmp_path, {"news": "news", "gone": "gone"})
    (result,) = validate([recipe.file])
    assert [problem.what for problem in result.problems] == [
        "the vocabulary of 'news' is not a tokenizers file: it has no model.vocab"
    ]


def test_validate_shares_the_headers_of_directories_but_not_their_vocabularies(tmp_path: Path) -> None:
    voice(tmp_path / "news", NEWS)
    voice(tmp_path / "audiobook", AUDIOBOOK)
    write_vocabulary(tmp_path / "short.json", {"a": 0})
    base = {"checkpoints": {"news": "news", "audiobook": "audiobook"}, "output": {"path": "out/"}}
    (tmp_path / "1.yaml").write_text(json.dumps(base | {"vocabulary": {"news": "short.json"}}))
    (tmp_path / "2.yaml").write_text(json.dumps(base))
    first, second = validate([tmp_path])
    assert ["the vocabulary of news is not" in problem.what for problem in first.problems] == [True]
    assert (second.problems, second.extent) == ((), "its checkpoints' headers too")
