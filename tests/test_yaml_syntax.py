from __future__ import annotations

import math
import re
import unicodedata
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.codes import Code
from xttsrecipe.document import parse_document
from xttsrecipe.errors import RecipeError
from xttsrecipe.yaml_syntax import Loader, dump, explain, scalar

# Line breaks and control characters cannot stand in a one-line scalar; what is unassigned YAML does not allow.
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"]), max_size=12)


def value(text: str) -> Any:
    """The value of a scalar as it stands after ``key: ``."""
    loader = Loader(f"key: {text}")
    root = loader.get_single_node()
    loader.dispose()
    assert isinstance(root, yaml.MappingNode)
    ((_, node),) = root.value
    assert isinstance(node, yaml.ScalarNode)
    return scalar(node)


class Explanation(NamedTuple):
    """Line and column count from 1."""

    line: int
    column: int
    code: Code
    what: str
    hint: str


def explained(text: str) -> Explanation:
    """What is said of a text that is no YAML."""
    loader = Loader(text)
    with pytest.raises(yaml.MarkedYAMLError) as caught:
        loader.get_single_node()
    mark, code, what, hint = explain(caught.value, text.splitlines())
    assert mark is not None
    return Explanation(mark.line + 1, mark.column + 1, code, what, hint or "")


# --- scalars ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(text, None) for text in ("~", "null", "Null", "NULL", "")],
        *[(text, True) for text in ("true", "True", "TRUE")],
        *[(text, False) for text in ("false", "False", "FALSE")],
        *[(text, text) for text in ("no", "yes", "on", "off", "No", "y", "n", "nULL", "tRUE")],
        ("0", 0), ("-7", -7), ("+12", 12), ("0o17", 15), ("0xfF", 255),
        ("010", 10),
        ("1e-3", 0.001), ("1E3", 1000.0), ("-1.5e+2", -150.0), (".5", 0.5), ("5.", 5.0), ("+.5e1", 5.0), ("0.1", 0.1),
        (".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf),
        *[(text, text) for text in ("1_000", "0b11", "1:30", "12:30:45", "2024-01-31", "1e", "e3", "1.2.3", "0o8")],
        *[(text, text) for text in (".", "+", "-.", "inf", "nan", "1e-3x", "-_1", "0xg")],
        ("'1e-3'", "1e-3"), ('"true"', "true"), ("'~'", "~"), ("''", ""), ("'it''s'", "it's"), ('"a\\tb"', "a\tb"),
        ("|\n  1\n", "1\n"), (">-\n  a\n  b\n", "a b"),
        ("../a b.pth", "../a b.pth"), ("~/x.pth", "~/x.pth"), ("${VOICES}/x.pth", "${VOICES}/x.pth"),
        ("from news", "from news"), ("gpt.gpt.h.{0..9}.*", "gpt.gpt.h.{0..9}.*"), ("a#b", "a#b"), ("a # b", "a"),
    ],
)  # fmt: skip
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, expected: object) -> None:
    read = value(text)
    assert (read, type(read)) == (expected, type(expected))


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_nan_is_a_number(text: str) -> None:
    assert math.isnan(value(text))


@pytest.mark.parametrize("digits", [399, 400, 5000])
def test_integers_of_any_length_are_numbers(digits: int) -> None:
    assert value("9" * digits) > 1e300


@pytest.mark.parametrize("prefix", ["0x", "0o"])
def test_other_integers_are_numbers_up_to_a_length_that_no_field_wants(prefix: str) -> None:
    assert type(value(prefix + "7" * 397)) is int
    assert value(prefix + "7" * 398) == prefix + "7" * 398


@given(st.integers())
def test_an_integer_reads_back(number: int) -> None:
    read = value(str(number))
    assert (read, type(read)) == (number, int)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["{!r}", "{:e}", "{:.17g}.", "{:+.17E}"]))
def test_a_float_reads_back_in_every_spelling(number: float, spelling: str) -> None:
    text = spelling.format(number)
    if text.endswith(".") and ("." in text[:-1] or "e" in text):
        text = text[:-1]
    read = value(text)
    assert read == float(text)
    assert type(read) is (int if re.fullmatch(r"-?\d+", text) else float)


@given(st.from_regex(r"[A-Za-z_][A-Za-z_ -]*[A-Za-z_]", fullmatch=True))
def test_words_stay_text_unless_they_are_the_few_of_yaml_1_2(words: str) -> None:
    meant = {"null": None, "true": True, "false": False}
    special = words in (*meant, *map(str.title, meant), *map(str.upper, meant))
    assert value(words) == (meant[words.lower()] if special else words)


@given(TEXTS)
def test_text_in_single_quotes_reads_back(text: str) -> None:
    assert value("'" + text.replace("'", "''") + "'") == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"\\ud83d\\ude00"', "😀"),
        ('"a\\U0001f600b"', "a😀b"),
        ('"\\ud83d"', "\ud83d"),
        ('"\\ude00\\ud83d"', "\ude00\ud83d"),
    ],
)
def test_the_two_escapes_that_json_has_for_one_character_are_one_character(text: str, expected: str) -> None:
    assert value(text) == expected


# --- tags -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: !!str 5", 1), ("name: !!python/object/apply:os.system [echo]", 1), ("!!map {a: 1}", 1),
        ("a: [!x 1]", 1), ("a: ! 5", 1), ("a: !<tag:yaml.org,2002:str> 5", 1), ("a: !", 1),
        ("name: &a !!str 5", 1), ("x: 1\n!!str name: a", 2), ("x: 1\n!x name: a", 2), ("a: &a !!set {x}", 1),
        ("overrides:\n  !foo*: from news\n", 2),
    ],
)  # fmt: skip
def test_a_tag_is_refused_wherever_it_stands(text: str, line: int) -> None:
    said = explained(text)
    assert said.line == line
    assert said.what == "YAML reads a word that starts with ! as a tag"
    assert said.hint == "remove the tag, or quote a word that starts with !"


# --- words that YAML takes for something else -------------------------------------------------------------------

STAR = "YAML reads a word that starts with * as an alias"


@pytest.mark.parametrize(
    "pattern",
    [
        "*.x", "*foo", "*", "**", "*_head", "*{a,b}", "*encoder*.bias", "*-x",
        "*[ab]*",
    ],
)  # fmt: skip
def test_an_unquoted_pattern_with_a_star_is_explained_with_the_line_as_it_should_be(pattern: str) -> None:
    said = explained(f"overrides:\n  {pattern}: from news\n")
    assert (said.line, said.what) == (2, STAR)
    assert said.hint == f'quote patterns that start with *: "{pattern}": from news'


@pytest.mark.parametrize("decision", ["{from: news}", ""])
def test_whatever_follows_an_unquoted_pattern_stays_as_it_is(decision: str) -> None:
    line = f"*encoder*: {decision}".rstrip()
    said = explained(f"overrides:\n  {line}\n")
    assert (said.line, said.what) == (2, STAR)
    assert said.hint == f'quote patterns that start with *: "*encoder*":{line[len("*encoder*:") :]}'


@pytest.mark.parametrize(
    ("line", "fixed"),
    [
        ("weights: *w", 'weights: "*w"'),
        ("news: *.pth", 'news: "*.pth"'),
        ("overrides: {*encoder*: from news}", 'overrides: {"*encoder*": from news}'),
        ("overrides: {mel_stats: from news, *foo: from news}", 'overrides: {mel_stats: from news, "*foo": from news}'),
        ("[*x, *y]", '["*x", *y]'),
    ],
)
def test_a_star_further_on_in_a_line_is_explained_where_it_is(line: str, fixed: str) -> None:
    said = explained(line)
    assert (said.what, said.column) == (STAR, line.index("*") + 1)
    assert said.hint == f"quote patterns that start with *: {fixed}"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("  @vocoder: from news", "@vocoder"),
        ("  %x: from news", "%x"),
        ("  `x`: from news", "`x`"),
        ("description: @todo", "@todo"),
        ("description: `linear` mean", "`linear`"),
        ("overrides: {@vocoder: from news}", "@vocoder"),
        ("name: %x", "%x"),
    ],
)
def test_a_reserved_mark_is_explained_with_the_line_as_it_should_be(line: str, word: str) -> None:
    said = explained(f"overrides:\n{line}\n" if line.startswith(" ") else line)
    assert said.what == f"YAML reserves {word[0]} at the start of a word"
    assert said.column == line.index(word) + 1
    assert said.hint == f"quote words that start with {word[0]}: {line.strip()}".replace(word, f'"{word}"')


@pytest.mark.parametrize(
    ("line", "fixed"),
    [("name: &", 'name: "&"'), ("x: &amp; b", 'x: "&amp;" b'), ("&foo*: from news", '"&foo*": from news')],
)
def test_a_word_that_is_no_anchor_either_is_explained(line: str, fixed: str) -> None:
    said = explained(line)
    assert said.what == "YAML reads a word that starts with & as an anchor"
    assert said.hint == f"quote words that start with &: {fixed}"


@pytest.mark.parametrize("pattern", ["{a,b}.x", "{0..9}.*", "[ab].x"])
def test_an_unquoted_pattern_with_a_bracket_is_told_to_be_quoted(pattern: str) -> None:
    said = explained(f"overrides:\n  {pattern}: from news\n")
    assert said.line == 2
    assert said.hint == f"quote patterns and text that start with {pattern[0]}"


# --- other mistakes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "weights:\n\tnews: 0.5\n",
        "weights:\n  news: 0.5\n\taudiobook: 0.5\n",
        "\tname: a\n",
        "weights:\n \tnews: 0.5\n  audiobook: 0.5\n",
        "overrides:\n\t'*encoder*': from news\n",
    ],
)
def test_a_tab_as_indentation_is_explained(text: str) -> None:
    said = explained(text)
    assert (said.what, said.hint) == ("a tab where YAML wants spaces", "indent with spaces")


@pytest.mark.parametrize("text", ["name: a\n---\nname: b\n", "---\na: 1\n---\nb: 2\n", "a: 1\n...\n---\nb: 2\n"])
def test_several_documents_are_refused_at_the_second(text: str) -> None:
    said = explained(text)
    assert said.what == "there are several documents in this file"
    assert said.line == text[: text.rindex("---")].count("\n") + 1
    assert said.hint == "keep one recipe per file: remove '---' and the rest"


@pytest.mark.parametrize(
    ("text", "line"),
    [("name: 'news\n", 1), ("a: 1\nname: 'x\noutput:\n  path: out.pth\n", 2), ('name: "a\nb: 1\n', 1)],
)
def test_a_quote_that_is_never_closed_is_shown_where_it_opens(text: str, line: int) -> None:
    said = explained(text)
    assert (said.line, said.column, said.what) == (line, 7, "a quotation mark that is never closed")


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("name: Two: news and so on", "a second ': ' in one line", "quote text that has ': ' in it"),
        ("name: [a]: b", "a second ': ' in one line", "quote text that has ': ' in it"),
        (
            'news: "C:\\data\\news.pth"',
            "in double quotes \\ begins an escape",
            "use single quotes, as in 'C:\\voices\\news.pth'",
        ),
    ],
)
def test_common_mistakes_in_text_say_what_to_do(text: str, what: str, hint: str) -> None:
    said = explained(text)
    assert (said.what, said.hint) == (what, hint)


@pytest.mark.parametrize("text", ["weights:\n    a: 1\n  b: 1\n", "a:\n  b: 1\n c: 2\n"])
def test_a_key_that_is_indented_unlike_those_beside_it_is_told_so(text: str) -> None:
    assert "indent" in explained(text).hint


def test_what_nobody_foresaw_is_told_in_the_words_of_yaml() -> None:
    said = explained("key: |x\n  a\n")
    assert said[3:] == (
        "YAML: while scanning a block scalar, expected chomping or indentation indicators, but found 'x'",
        "",
    )


@given(st.text(st.sampled_from("ab:*&!{}[]-?|>'\"%@`,# \n\t~<0"), max_size=30))
def test_every_error_of_the_loader_can_be_explained(text: str) -> None:
    loader = Loader(text)
    try:
        loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark, _, what, _ = explain(error, text.splitlines())
        assert what
        assert mark is None or 0 <= mark.line <= text.count("\n")
    finally:
        loader.dispose()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x\n", 1),
        ("a: 1\r\n<<<<<<< HEAD\r\n", 2),
        ("a: 1\n=======\n", 2),
        ("a: 1\n>>>>>>> topic: b\n", 2),
        ("a: 1\n||||||| base\n", 2),
    ],
)
def test_the_marks_of_a_merge_conflict_are_told_as_such(text: str, line: int) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_document(text, "a.yaml")
    (problem,) = caught.value.problems
    assert (problem.code, problem.where and problem.where.line) == (Code.MERGE_CONFLICT, line)


@pytest.mark.parametrize("text", ["a: |\n  <<<<<<< HEAD\n  =======\n", "# =======\na: 1\n", 'a: "======="\n'])
def test_text_that_looks_like_them_is_text(text: str) -> None:
    assert "a" in parse_document(text, "a.yaml").data


@pytest.mark.parametrize(
    "text", ["\u202egnp.htp", "a\u2066b\u2069", "x\u200d", "\ufeff", "\U000e0041", "müde \u200f 声"]
)
def test_what_turns_text_around_is_written_as_an_escape(text: str) -> None:
    written = dump({text: [text]})
    assert not {character for character in written if unicodedata.category(character) == "Cf"}
    assert parse_document(written, "x").data == {text: [text]}
    assert "müde" in dump(["müde \u200f"])
