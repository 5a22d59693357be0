from __future__ import annotations

import itertools
import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checkpoints.crafted import within
from tests.voices import vocabulary_of_one_merged_token
from xttsrecipe.errors import CheckpointError, Problem
from xttsrecipe.specs import Vocabulary
from xttsrecipe.vocabulary import (
    Conflict,
    MergedVocabulary,
    merge_vocabularies,
    read_vocabulary,
    special_ids,
)

BASE = {"[STOP]": 0, "[UNK]": 1, "[SPACE]": 2, "[START]": 3, "[en]": 4, "a": 5, "b": 6, "c": 7, "ab": 8}
SPECIAL = ("[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]")


def added(content: str, number: int = 0, **flags: bool) -> dict[str, Any]:
    usual = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": content, **usual, **flags}


def content(
    vocab: Mapping[str, Any] = BASE,
    merges: Sequence[Any] = ("a b",),
    added_tokens: Sequence[Any] | None = None,
    top: Mapping[str, Any] | None = None,
    **model: Any,
) -> dict[str, Any]:
    """A vocab.json as those of XTTS are, small."""
    if added_tokens is None:
        added_tokens = [added(token, vocab[token]) for token in SPECIAL if token in vocab]
    return {
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


class Written:
    """Writes vocab.json files, each under a name of its own, and reads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = itertools.count()

    def path(self, text: bytes | str) -> Path:
        path = self.folder / f"vocab{next(self.number)}.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return path

    def __call__(self, *args: Any, **kwargs: Any) -> Vocabulary:
        return read_vocabulary(self.path(json.dumps(content(*args, **kwargs))))


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


def problem_of(path: Path) -> Problem:
    with pytest.raises(CheckpointError) as caught:
        read_vocabulary(path)
    (problem,) = caught.value.problems
    assert str(problem.where) == str(path)
    return problem


def refusal(written: Written, *args: Any, **kwargs: Any) -> Problem:
    return problem_of(written.path(json.dumps(content(*args, **kwargs))))


def written_again(written: Written, merged: MergedVocabulary) -> Vocabulary:
    return read_vocabulary(written.path(merged.text))


# Reading


def test_reads_tokens_merges_and_the_file_as_it_stands(written: Written) -> None:
    vocabulary = written()
    assert vocabulary.tokens == BASE
    assert vocabulary.merges == (("a", "b"),)
    assert vocabulary.data == content()
    assert vocabulary.text == vocabulary.path.read_bytes()
    assert vocabulary.rows == 9


def test_rows_follow_the_largest_id_and_tokens_the_order_of_ids(written: Written) -> None:
    vocabulary = written({"c": 40, "a": 2, "b": 7}, [])
    assert list(vocabulary.tokens.items()) == [("a", 2), ("b", 7), ("c", 40)]
    assert vocabulary.rows == 41


@pytest.mark.parametrize("merges", [["a b", "b c"], [["a", "b"], ["b", "c"]]], ids=["lines", "lists"])
def test_reads_both_forms_of_merges(written: Written, merges: list[Any]) -> None:
    assert written({"a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4}, merges).merges == (("a", "b"), ("b", "c"))


def test_of_a_pair_listed_twice_the_last_rank_counts(written: Written) -> None:
    vocab = {"a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4}
    assert written(vocab, ["a b", "b c", "a b"]).merges == (("b", "c"), ("a", "b"))


def test_headers_among_old_merges_are_passed_over(written: Written) -> None:
    assert written(merges=["#version: 0.2", "a b"]).merges == (("a", "b"),)


def test_an_empty_part_and_a_space_in_a_part_are_parts(written: Written) -> None:
    assert written({"": 0, "a": 1}, ["a "]).merges == (("a", ""),)
    assert written({" ": 0, "a": 1, "a ": 2}, [["a", " "]]).merges == (("a", " "),)


def test_the_ids_of_added_tokens_are_those_the_client_gives(written: Written) -> None:
    entries = [added("X", 50), added("a", 77), added(""), added("Y", 40, special=False), added("X", 3, lstrip=True)]
    assert written({"a": 0, "b": 1, "c": 2}, [], entries).tokens == {"a": 0, "b": 1, "c": 2, "X": 3, "Y": 4}


def test_added_tokens_are_numbered_from_the_size_of_the_model_into_its_holes(written: Written) -> None:
    entries = [added("c", 9), added("X", 10)]
    assert written({"a": 0, "b": 1, "c": 9}, [], entries).tokens == {"a": 0, "b": 1, "X": 3, "c": 9}


def test_pieces_that_continue_a_word_lose_their_mark_when_joined(written: Written) -> None:
    vocab = {"a": 0, "##b": 1, "ab": 2}
    assert written(vocab, ["a ##b"], continuing_subword_prefix="##").merges == (("a", "##b"),)
    problem = refusal(written, {"a": 0, "xé": 1, "aé": 2}, ["a xé"], continuing_subword_prefix="zz")
    assert problem.found == "'a' + 'xé': None"


def test_a_file_may_leave_out_what_the_client_does_not_need(written: Written) -> None:
    path = written.path('{"model": {"vocab": {"a": 0}, "merges": []}}')
    assert read_vocabulary(path).tokens == {"a": 0}


# What is refused


def test_a_missing_file(tmp_path: Path) -> None:
    assert problem_of(tmp_path / "none.json").what == "cannot be read: No such file or directory"


def test_a_path_that_no_system_has() -> None:
    assert problem_of(Path("a\0b")).what.startswith("cannot be read: ")


def test_a_directory(tmp_path: Path) -> None:
    assert problem_of(tmp_path).what == "is a directory, not a vocabulary"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert problem_of(tmp_path / "pipe").what == "is a device, pipe or socket"


def test_a_file_that_is_too_large(written: Written) -> None:
    path = written.path("{}")
    os.truncate(path, 16 * 2**20 + 1)
    assert problem_of(path).what == "is larger than 16 MiB, which no vocabulary is"


def test_what_is_not_utf_8(written: Written) -> None:
    problem = problem_of(written.path('{"é": 1}'.encode("latin-1")))
    assert (problem.what, problem.found) == ("is not UTF-8 text", "byte 0xe9 at 2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        '{"model": {',
        "\ufeff{}",
        "{} {}",
        '{"truncation": NaN}',
        '{"truncation": -Infinity}',
        '{"truncation": 1e999}',
        '{"truncation": ' + "9" * 5000 + "}",
        '{"model": ' * 200 + "1" + "}" * 200,
        "[" * 200_000,
        '{"truncation": "\\ud800"}',
        '{"\\uDFFF": 1}',
        '{"truncation": [' + "[]," * 150_000 + "0]}",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_what_is_not_json_as_the_client_reads_it(written: Written, text: str) -> None:
    assert problem_of(written.path(text)).what == "is not proper JSON"


def test_a_pair_of_surrogates_is_a_character(written: Written) -> None:
    assert written({"😀": 0}, []).tokens == {"😀": 0}


@pytest.mark.parametrize(
    "text",
    ['{"model": 1, "model": 2}', '{"model": {"vocab": {"a": 0, "b": 1, "\\u0061": 2}}}'],
    ids=["at the top", "a token"],
)
def test_names_that_occur_twice(written: Written, text: str) -> None:
    problem = problem_of(written.path(text))
    assert problem.found is not None
    assert problem.found.endswith("occurs twice in one object")


@pytest.mark.parametrize("text", ["[]", "7", "null", '"text"', "{}", '{"a": 0}', '{"model": []}', '{"model": {}}'])
def test_json_that_is_no_tokenizers_file(written: Written, text: str) -> None:
    problem = problem_of(written.path(text))
    assert problem.what.startswith("is not a tokenizers file")
    assert problem.expected == "a vocab.json of an XTTS model: a tokenizers file with a BPE model"


@pytest.mark.parametrize("kind", ["WordPiece", "WordLevel", None, 5])
def test_another_model_is_named(written: Written, kind: Any) -> None:
    problem = refusal(written, type=kind)
    assert problem.what == f"has a model of type {kind!r}, which XTTS does not use"


def test_a_unigram_model_whose_vocabulary_is_a_list(written: Written) -> None:
    problem = problem_of(written.path('{"model": {"type": "Unigram", "vocab": [["a", 0.5]]}}'))
    assert problem.what == "has a model of type 'Unigram', which XTTS does not use"


@pytest.mark.parametrize("model", [{"vocab": []}, {"merges": None}, {"merges": {}}])
def test_a_model_of_other_parts(written: Written, model: dict[str, Any]) -> None:
    text = content()
    text["model"].update(model)
    assert problem_of(written.path(json.dumps(text))).what.startswith("has a model without")


def test_a_prefix_that_is_no_text(written: Written) -> None:
    assert refusal(written, continuing_subword_prefix=3).what.startswith("has a model whose continuing_subword_prefix")


def test_another_version_of_the_format(written: Written) -> None:
    assert refusal(written, top={"version": "2.0"}).what == "is a tokenizers file of version '2.0'"


@pytest.mark.parametrize("number", [-1, True, 1.0, "1", None, 1_000_000, 2**70, [], {}])
def test_ids_that_are_none(written: Written, number: Any) -> None:
    problem = refusal(written, {"a": 0, "b": number}, [])
    assert problem.what == "gives 1 token of model.vocab no proper id"
    assert problem.found == f"'b': {number!r}"
    assert problem.expected == "whole numbers from 0 to 999,999"


def test_no_tokens_at_all(written: Written) -> None:
    assert refusal(written, {}, []).what == "has no tokens"


def test_two_tokens_with_one_id(written: Written) -> None:
    problem = refusal(written, {"a": 0, "b": 1, "c": 0, "d": 1}, [])
    assert problem.what == "gives 2 ids to two tokens each"
    assert problem.details == ("0: 'a' and 'c'", "1: 'b' and 'd'")


def test_an_added_token_that_the_client_numbers_onto_another(written: Written) -> None:
    problem = refusal(written, {"a": 0, "b": 1, "c": 3}, [], [added("X", 4)])
    assert (problem.what, problem.found) == ("gives 1 id to two tokens each", "3: 'c' and 'X'")
    assert problem.hint is not None
    assert problem.hint.startswith("added tokens that model.vocab lacks are numbered from its size on")


@pytest.mark.parametrize(
    "entry",
    [
        5,
        [],
        {},
        {"id": 0, "content": "a"},
        added("a", -1),
        added("a") | {"content": 5},
        added("a") | {"special": 1},
        added("x" * 1000) | {"id": None},
    ],
    ids=lambda entry: repr(entry)[:24],
)
def test_added_tokens_that_the_client_cannot_load(written: Written, entry: Any) -> None:
    problem = refusal(written, added_tokens=[added("a"), entry])
    assert problem.what == "has added_tokens[1] that the client cannot load"
    assert problem.found is not None
    assert len(problem.found) <= 200


def test_added_tokens_that_are_no_list(written: Written) -> None:
    assert refusal(written, top={"added_tokens": None}).what == "has added_tokens that are no list"


@pytest.mark.parametrize(
    ("merges", "place"),
    [
        (["a b", "a b c"], 2),
        (["ab"], 1),
        ([""], 1),
        ([["a", "b"], ["a"]], 2),
        ([["a", "b", "c"]], 1),
        ([["a", 5]], 1),
        ([["a", "b"], "a b"], 2),
        (["a b", ["a", "b"]], 1),
        ([5], 1),
        ([{"a": "b", "b": "a"}], 1),
    ],
)
def test_malformed_merges(written: Written, merges: list[Any], place: int) -> None:
    assert refusal(written, merges=merges).what == f"has merges that the client cannot load: number {place}"


def test_merges_of_what_the_model_lacks(written: Written) -> None:
    problem = refusal(written, merges=["a b", "a z", "b a"], added_tokens=[added("az")])
    assert problem.what == "has merges of tokens that model.vocab lacks, 3 in all"
    assert problem.details == ("'a' + 'z': 'az'", "'a' + 'z': 'z'", "'b' + 'a': 'ba'")


# Merging


def test_new_tokens_follow_behind_the_rows_of_the_order(written: Written) -> None:
    first = written({"a": 0, "b": 1, "c": 4}, [])
    second = written({"c": 0, "z": 1, "a": 2, "y": 3}, [])
    third = written({"x": 0, "y": 1, "a": 9}, [])
    merged = merge_vocabularies([first, second, third])
    assert dict(merged.tokens) == {"a": 0, "b": 1, "c": 4, "z": 5, "y": 6, "x": 7}
    assert merged.rows == 8
    assert merged.row_of == (
        (0, 1, 2, 3, 4, None, None, None),
        (2, None, None, None, 0, 1, 3, None),
        (9, None, None, None, None, None, 1, 0),
    )
    assert merged.shared == 1
    assert merged.only == (1, 1, 1)


def test_any_source_can_give_the_order(written: Written) -> None:
    first, second = written({"a": 0, "b": 1}, []), written({"c": 0, "a": 5}, [])
    for order in (1, -1):
        merged = merge_vocabularies([first, second], order)
        assert dict(merged.tokens) == {"c": 0, "a": 5, "b": 6}
        assert merged.row_of == ((None, None, None, None, None, 0, 1), (0, 1, 2, 3, 4, 5, None))
    with pytest.raises(IndexError):
        merge_vocabularies([first, second], 2)


def test_what_says_the_same_is_the_file_byte_for_byte(written: Written) -> None:
    odd = written.path(json.dumps(content(added_tokens=[added("X", 55)]), indent=7) + "\n\n")
    first, second = read_vocabulary(odd), written()
    assert merge_vocabularies([first]).text == odd.read_bytes()
    assert merge_vocabularies([first, first, first], 2).text == odd.read_bytes()
    assert merge_vocabularies([first, written(merges=[], added_tokens=[])]).text == odd.read_bytes()
    assert merge_vocabularies([first, second]).text != odd.read_bytes(), "it has other added tokens"


def test_the_merged_file_has_the_settings_of_the_order_and_all_tokens_with_their_ids(written: Written) -> None:
    first = written(added_tokens=[added("[UNK]", 99), added("X", 77)], top={"normalizer": {"type": "Lowercase"}})
    second = written({**BASE, "ac": 9}, ["a b", "a c"], [added("[UNK]", 1, special=False), added("[xx]", 3)])
    merged = merge_vocabularies([first, second])
    data = json.loads(merged.text)
    assert list(data) == list(first.data)
    assert list(data["model"]) == list(first.data["model"])
    assert data["model"]["vocab"] == {**BASE, "X": 9, "ac": 10, "[xx]": 11}
    assert list(data["model"]["vocab"].values()) == list(range(12))
    assert data["model"]["merges"] == ["a b", "a c"]
    assert data["added_tokens"] == [added("[UNK]", 1), added("X", 9), added("[xx]", 11)]
    assert data["normalizer"] == {"type": "Lowercase"}
    assert merged.text.endswith(b"}\n")


def test_the_merged_file_is_readable_text(written: Written) -> None:
    merged = merge_vocabularies([written({"ü": 0}, []), written({"東": 0, "\u2028": 1, "\0": 2}, [])])
    assert '"東": 1'.encode() in merged.text
    assert written_again(written, merged).tokens == merged.tokens


def test_a_token_that_becomes_an_added_one_makes_a_new_file(written: Written) -> None:
    merged = merge_vocabularies([written(added_tokens=[]), written(added_tokens=[added("ab", 8)])])
    assert json.loads(merged.text)["added_tokens"] == [added("ab", 8)]


@pytest.mark.parametrize("form", ["lines", "lists"])
def test_merges_stay_in_the_form_and_order_of_the_first(written: Written, form: str) -> None:
    def formed(*lines: str) -> list[Any]:
        return list(lines) if form == "lines" else [line.split(" ") for line in lines]

    vocab = {**BASE, "bc": 9, "ca": 10}
    first = written(vocab, formed("a b", "b c", "a b"))
    second = written(vocab, [["c", "a"], ["a", "b"], ["b", "c"], ["c", "a"]])
    merged = merge_vocabularies([first, second])
    assert json.loads(merged.text)["model"]["merges"] == formed("a b", "b c", "a b", "c a")
    assert written_again(written, merged).merges == (("b", "c"), ("a", "b"), ("c", "a"))


@pytest.mark.parametrize("part", [" ", "#versions"])
def test_merges_that_lines_cannot_say_become_lists(written: Written, part: str) -> None:
    vocab = {**BASE, part: 9, f"{part}a": 10}
    first = written(vocab, ["#version: 0.2", "a b"])
    merged = merge_vocabularies([first, written(vocab, [[part, "a"]])])
    assert json.loads(merged.text)["model"]["merges"] == [["a", "b"], [part, "a"]]


def test_tokens_that_join_otherwise_are_not_merged(written: Written) -> None:
    first = written()
    second = written({"a": 0, "##b": 1, "ab": 2}, ["a ##b"], continuing_subword_prefix="##")
    with pytest.raises(CheckpointError) as caught:
        merge_vocabularies([first, second])
    (problem,) = caught.value.problems
    assert str(problem.where) == str(second.path)
    assert problem.found == "continuing_subword_prefix '##'"
    assert problem.expected == "''"


def test_no_prefix_and_an_empty_one_are_the_same(written: Written) -> None:
    assert merge_vocabularies([written(), written(continuing_subword_prefix="")]).conflicts == ()


# Conflicts and settings


def test_conflicts_of_ids_and_of_merges(written: Written) -> None:
    first = written({"a": 0, "b": 1, "c": 2, "abc": 3, "bc": 4, "xx": 5}, ["b c", "a bc"])
    second = written({"a": 0, "b": 1, "c": 2, "abc": 3, "ab": 4, "yy": 5}, ["a b", "ab c"])
    third = written({"a": 0, "b": 1, "xx": 5, "ab": 8}, [])
    assert merge_vocabularies([first, second, third]).conflicts == (
        Conflict("id", 4, (0, 1), ("bc", "ab")),
        Conflict("id", 5, (0, 1, 2), ("xx", "yy", "xx")),
        Conflict("merges", 3, (0, 1), ("abc", "abc"), ((("a", "bc"),), (("ab", "c"),))),
        Conflict("merges", 6, (1, 2), ("ab", "ab"), ((("a", "b"),), ())),
    )


def test_the_same_pairs_in_another_order_are_no_conflict(written: Written) -> None:
    vocab = {"a": 0, "aa": 1, "aaa": 2}
    first, second = written(vocab, ["a a", "a aa", "aa a"]), written(vocab, ["a a", "aa a", "a aa"])
    assert merge_vocabularies([first, second]).conflicts == ()


def test_a_token_under_another_id_is_no_conflict_of_its_own(written: Written) -> None:
    assert merge_vocabularies([written({"a": 0, "b": 1}, []), written({"b": 7}, [])]).conflicts == ()


def test_thousands_of_conflicts(written: Written) -> None:
    first = written({f"x{n}": n for n in range(5000)}, [])
    second = written({f"y{n}": n for n in range(5000)}, [])
    conflicts = merge_vocabularies([first, second]).conflicts
    assert [conflict.id for conflict in conflicts] == list(range(5000))


def test_settings_that_differ_are_named(written: Written) -> None:
    first = written()
    second = written(top={"normalizer": {"type": "Lowercase"}, "decoder": None}, unk_token=None, dropout=None)
    assert merge_vocabularies([first, second]).settings_differ == ("model.unk_token", "normalizer")
    assert merge_vocabularies([first, first]).settings_differ == ()


def test_special_ids() -> None:
    assert special_ids(BASE) == (3, 0)
    assert special_ids({"[STOP]": 7}) == (None, 7)


def test_tokens_are_equal_whatever_the_format_of_the_file(written: Written) -> None:
    second = read_vocabulary(written.path(json.dumps(content(merges=[["a", "b"]]), indent=1)))
    assert second.tokens == written().tokens


# For all vocabularies


LETTERS = "abcd"
TOKENS = ["".join(letters) for count in (1, 2, 3) for letters in itertools.product(LETTERS, repeat=count)]


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    """Whole vocab.json contents with holes, both forms of merges, added tokens in the model and not."""
    tokens = [*LETTERS, *draw(st.lists(st.sampled_from([*TOKENS[4:], "é", " ", "[x]"]), unique=True, max_size=12))]
    ids = draw(st.lists(st.integers(0, 60), min_size=len(tokens), max_size=len(tokens), unique=True))
    vocab = dict(zip(tokens, ids, strict=True))
    pairs = [(token[:cut], token[cut:]) for token in tokens for cut in range(1, len(token))]
    known = [list(pair) for pair in pairs if set(pair) <= set(tokens)]
    merges: list[Any] = draw(st.lists(st.sampled_from(known), max_size=10)) if known else []
    if draw(st.booleans()):
        merges = [" ".join(pair) for pair in merges]
    in_model = draw(st.lists(st.sampled_from(tokens), max_size=3))
    # Those that the model lacks get ids from its size on, so they need a model without holes there.
    beside = draw(st.lists(st.sampled_from(["<1>", "<2>", "<3>"]), max_size=3))
    if set(range(len(vocab), len(vocab) + 3)) & set(ids):
        beside = []
    entries = [added(token, draw(st.integers(0, 99)), special=draw(st.booleans())) for token in in_model + beside]
    return content(vocab, merges, entries)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Vocabulary]:
    files = Written(tmp_path_factory.mktemp("vocabularies"))
    return lambda data: read_vocabulary(files.path(data if isinstance(data, bytes) else json.dumps(data)))


@given(st.lists(contents(), min_size=1, max_size=4), st.data())
def test_every_token_keeps_its_row(
    read: Callable[[Any], Vocabulary], sources: list[dict[str, Any]], data: st.DataObject
) -> None:
    vocabularies = [read(source) for source in sources]
    order = data.draw(st.integers(0, len(sources) - 1))
    merged = merge_vocabularies(vocabularies, order)
    ids = list(merged.tokens.values())
    assert ids == sorted(set(ids))
    assert merged.rows == ids[-1] + 1
    first = vocabularies[order]
    assert {token: merged.tokens[token] for token in first.tokens} == first.tokens
    assert ids[len(first.tokens) :] == list(range(first.rows, merged.rows))
    for index, (vocabulary, rows) in enumerate(zip(vocabularies, merged.row_of, strict=True)):
        assert len(rows) == merged.rows
        assert all(rows[merged.tokens[token]] == number for token, number in vocabulary.tokens.items())
        used = {row for row in rows if row is not None}
        assert used == (set(range(first.rows)) if index == order else set(vocabulary.tokens.values()))


@given(st.lists(contents(), min_size=1, max_size=4))
def test_the_text_says_what_was_merged(read: Callable[[Any], Vocabulary], sources: list[dict[str, Any]]) -> None:
    vocabularies = [read(source) for source in sources]
    merged = merge_vocabularies(vocabularies)
    again = read(merged.text)
    assert list(again.tokens.items()) == list(merged.tokens.items())
    assert again.merges[: len(vocabularies[0].merges)] == vocabularies[0].merges
    assert set(again.merges) == {pair for vocabulary in vocabularies for pair in vocabulary.merges}
    special = {entry["content"] for source in sources for entry in source["added_tokens"]}
    assert {entry["content"] for entry in again.data["added_tokens"]} == special
    assert merge_vocabularies([again, *vocabularies]).text == merged.text
    assert merge_vocabularies(vocabularies).text == merged.text


@given(contents(), st.integers(1, 4))
def test_merging_with_itself_changes_nothing(
    read: Callable[[Any], Vocabulary], source: dict[str, Any], count: int
) -> None:
    vocabulary = read(source)
    merged = merge_vocabularies([vocabulary] * count, count - 1)
    assert merged.text == vocabulary.text
    assert merged.conflicts == ()
    assert merged.shared == len(vocabulary.tokens)


@given(st.lists(contents(), min_size=2, max_size=4), st.randoms())
def test_the_order_of_the_others_decides_ids_of_new_tokens_only(
    read: Callable[[Any], Vocabulary], sources: list[dict[str, Any]], shuffled: random.Random
) -> None:
    first, *others = (read(source) for source in sources)
    merged = merge_vocabularies([first, *others])
    shuffled.shuffle(others)
    other = merge_vocabularies([first, *others])
    assert other.tokens.keys() == merged.tokens.keys()
    assert {token: other.tokens[token] for token in first.tokens} == first.tokens
    assert (other.rows, other.shared, other.settings_differ) == (merged.rows, merged.shared, merged.settings_differ)
    assert sorted(other.only) == sorted(merged.only)
    assert len(other.conflicts) == len(merged.conflicts)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_the_file_holds_the_refusal_is_ours(written_once: Written, text: bytes) -> None:
    with pytest.raises(CheckpointError):
        read_vocabulary(written_once.path(text))


@pytest.fixture(scope="module")
def written_once(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("hostile"))


def test_very_many_merges_into_one_token_are_merged_in_a_time_that_grows_with_their_number(written: Written) -> None:
    """A tuple that is made anew for each of them would take hours."""
    many = read_vocabulary(written.path(json.dumps(vocabulary_of_one_merged_token(60_000))))
    few = read_vocabulary(written.path(json.dumps(vocabulary_of_one_merged_token(2))))
    with within(60):
        (conflict,) = (found for found in merge_vocabularies([many, few]).conflicts if found.kind == "merges")
    assert [len(merges) for merges in conflict.merges] == [60_000, 2]
