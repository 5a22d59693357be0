from __future__ import annotations

import json
import os
import re
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.checkpoints.crafted import within
from xttsrecipe.document import join_path, parse_document, parse_value, read_document
from xttsrecipe.errors import Location, Problem, RecipeError
from xttsrecipe.report.problems import problems_text

from .golden import check_golden

# Line breaks and control characters cannot stand in a one-line scalar; what is unassigned YAML does not allow.
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"]), max_size=12)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
DATA = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | st.text("\n\t\"'\\ab", max_size=6),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXTS, below, max_size=4),
    max_leaves=20,
)
TREES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    TEXTS,
    st.recursive(TEXTS, lambda below: st.dictionaries(TEXTS, below, min_size=1, max_size=3), max_leaves=8),
    min_size=1,
    max_size=4,
)


def parse(text: str) -> Any:
    return parse_document(text, "recipe.yaml").data


def problem_in(text: str) -> Problem:
    with pytest.raises(RecipeError) as caught:
        parse_document(text, "recipe.yaml")
    (problem,) = caught.value.problems
    return problem


def message(text: str) -> str:
    return problems_text([problem_in(text)])


def file_message(path: Path) -> str:
    with pytest.raises(RecipeError) as caught:
        read_document(path)
    return problems_text(caught.value.problems).replace(f"{path.parent}{os.sep}", "recipes/")


def written(folder: Path, content: bytes) -> Path:
    path = folder / "recipe.yaml"
    path.write_bytes(content)
    return path


# --- data -------------------------------------------------------------------------------------------------------


@given(DATA, st.sampled_from([None, 2]))
def test_json_reads_as_the_data_it_was_made_from(data: Any, indent: int | None) -> None:
    assert parse(json.dumps(data, ensure_ascii=False, indent=indent)) == data


@pytest.mark.parametrize("text", ["1: a", "true: a", "~: a", "1.50: a", "no: a"])
def test_keys_are_always_text_as_written(text: str) -> None:
    assert list(parse(text)) == [text.partition(":")[0]]


def test_an_anchor_may_be_used_again_where_that_stays_small() -> None:
    assert parse("a: &w {x: 0.5, y: 0.5}\nb: *w\nc: [*w, *w]") == {
        "a": {"x": 0.5, "y": 0.5},
        "b": {"x": 0.5, "y": 0.5},
        "c": [{"x": 0.5, "y": 0.5}] * 2,
    }


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfname: a\n",
        b"name: a\r\n",
        b"name: a\r",
        b"name: a",
        b"---\nname: a\n...\n",
        b"%YAML 1.2\n---\nname: a\n",
        b"\n\n# a comment\nname: a # another\n\n",
        b'{"name": "a"}',
    ],
)
def test_byte_order_marks_line_ends_and_document_marks_change_nothing(tmp_path: Path, content: bytes) -> None:
    assert read_document(written(tmp_path, content)).data == {"name": "a"}


def test_a_document_keeps_its_text_and_file_name(tmp_path: Path) -> None:
    path = written(tmp_path, "# Grüße\nname: a\n".encode())
    document = read_document(path)
    assert (document.file, document.text) == (str(path), "# Grüße\nname: a\n")


# --- places -----------------------------------------------------------------------------------------------------


def emitted(tree: dict[str, Any], indent: int = 0) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """(path, quoted key, what follows it on its line) for every key of a tree of text, in block style."""
    for key, value in tree.items():
        token = " " * indent + "'" + key.replace("'", "''") + "'"
        if isinstance(value, dict):
            yield (key,), token, ""
            yield from (((key, *path), below, rest) for path, below, rest in emitted(value, indent + 2))
        else:
            yield (key,), token, "'" + value.replace("'", "''") + "'"


@given(TREES)
def test_every_key_and_value_is_where_the_file_has_it(tree: dict[str, Any]) -> None:
    lines = list(emitted(tree))
    text = "# first line\n" + "\n".join(f"{token}: {rest}" for _, token, rest in lines)
    document = parse_document(text, "recipe.yaml")
    assert document.data == tree
    for number, (path, token, rest) in enumerate(lines, start=2):
        line = f"{token}: {rest}"
        assert document.where_key(path) == Location(
            "recipe.yaml", number, len(token) - len(token.lstrip(" ")) + 1, line, len(token.lstrip(" "))
        )
        if rest:
            assert document.where(path) == Location("recipe.yaml", number, len(token) + 3, line, len(rest))


@pytest.mark.parametrize("breaks", ["\n", "\r\n", "\r"])
def test_places_are_the_same_whatever_ends_a_line(breaks: str) -> None:
    document = parse_document(breaks.join(["a: 1", "", "b: {c: 22}", ""]), "f")
    assert document.where(("b", "c")) == Location("f", 3, 8, "b: {c: 22}", 2)
    assert document.where_key(("b", "c")) == Location("f", 3, 5, "b: {c: 22}", 1)


def test_list_items_have_places_and_the_root_has_one() -> None:
    document = parse_document("a:\n  - x\n  - yy\n", "f")
    assert document.where(("a", 1)) == Location("f", 3, 5, "  - yy", 2)
    assert document.where_key(("a", 1)) == document.where(("a", 1))
    assert document.where(()) == Location("f", 1, 1, "a:", 1)


def test_the_place_of_what_is_not_there_is_that_of_the_nearest_above() -> None:
    document = parse_document("a:\n  b: {c: 1}\n", "f")
    assert document.where(("a", "b", "x", "y")) == document.where(("a", "b")) == Location("f", 2, 6, "  b: {c: 1}", 1)
    assert document.where_key(("z",)) == document.where(())


# --- values set from outside ------------------------------------------------------------------------------------

ORIGIN = Location("--set a.b=1")


@pytest.mark.parametrize(
    ("text", "path", "data"),
    [
        ("a: {b: 0, c: 2}", ("a", "b"), {"a": {"b": 1, "c": 2}}),
        ("a: {c: 2}", ("a", "b"), {"a": {"c": 2, "b": 1}}),
        ("z: 0", ("a", "b"), {"z": 0, "a": {"b": 1}}),
        ("a:", ("a", "b"), {"a": {"b": 1}}),
        ("a: {b: {c: 3}}", ("a", "b"), {"a": {"b": 1}}),
    ],
)
def test_a_value_is_set_and_mappings_are_made_where_they_are_missing(
    text: str, path: tuple[str, ...], data: object
) -> None:
    before = parse_document(text, "f")
    after = before.with_value(path, 1, ORIGIN)
    assert after.data == data
    assert after.where(path) == after.where_key(path) == ORIGIN
    assert before.data == parse(text), "the document itself stays as it was"


def test_what_was_there_keeps_its_place_when_a_value_beside_it_is_set() -> None:
    document = parse_document("a: {b: {c: 3}, d: 4}", "f")
    after = document.with_value(("a", "b"), 1, ORIGIN)
    assert after.where(("a", "d")) == document.where(("a", "d"))
    assert after.where(("a",)) == document.where(("a",))
    assert ("a", "b", "c") not in after.values
    assert after.text == document.text


@pytest.mark.parametrize("text", ["a: 5", "a: [1]", "a: text"])
def test_nothing_is_set_inside_what_is_no_mapping(text: str) -> None:
    with pytest.raises(RecipeError, match=r"^--set a\.b=1: cannot set 'b' in something that is not a mapping$"):
        parse_document(text, "f").with_value(("a", "b"), 1, ORIGIN)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.7", 0.7), ("true", True), ("", ""), ("  ", ""), ("'0.7'", "0.7"), ("{a: 1e-3}", {"a": 0.001}), ("x y", "x y")],
)
def test_a_value_for_the_command_line_is_yaml(text: str, value: object) -> None:
    assert parse_value(text) == value


def test_a_value_that_is_no_yaml_is_a_located_error() -> None:
    with pytest.raises(RecipeError, match=r"^--set:1:\d+: "):
        parse_value("{a: 1")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("output", "dtype"), "output.dtype"),
        (("overrides", "*encoder*", "from"), 'overrides."*encoder*".from'),
        (("checkpoints", "news.v2"), 'checkpoints."news.v2"'),
        (("weights", "news-2"), "weights.news-2"),
        (("name", ""), 'name.""'),
    ],
)
def test_a_path_is_written_as_people_write_it(path: tuple[str, ...], text: str) -> None:
    assert join_path(path) == text


# --- guards -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", ["name: b", '"name": b', "'name':", "? name\n: b", '"\\x6eame": b'])
def test_a_key_that_is_there_twice_is_refused_however_it_is_written(second: str) -> None:
    problem = problem_in(f"name: a\nother: x\n{second}\n")
    assert problem.what == "'name' is there twice: the first is in line 1"
    assert problem.where is not None
    assert problem.where.line == 3


@pytest.mark.parametrize("text", ["a: {b: 1, b: 1}", "a:\n- {c: {b: 1, b: 2}}", "1: a\n'1': b", "{a: 1, a: 1}"])
def test_keys_are_looked_at_on_every_level(text: str) -> None:
    assert "is there twice" in problem_in(text).what


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize("text", [bomb(5), bomb(9), bomb(40), bomb(9).replace("[", "{a: [").replace("]", "]}")])
def test_an_alias_bomb_is_refused_before_it_grows(text: str) -> None:
    assert problem_in(text).what.startswith("its aliases expand to far more than a recipe holds")


@pytest.mark.parametrize("text", ["a: &a\n  b: *a", "&a [*a]", "&a {x: {y: [*a]}}", "a: &a {b: &b {c: *a, d: *b}}"])
def test_an_alias_to_what_holds_it_is_refused(text: str) -> None:
    assert problem_in(text).what.startswith("its aliases expand to far more than a recipe holds")


@pytest.mark.parametrize("depth", [51, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}"), ("- ", "")])
def test_deep_nesting_is_refused(depth: int, opening: str, closing: str) -> None:
    assert "nested too deeply" in problem_in(opening * depth + "x" + closing * depth).what


def test_nesting_as_deep_as_anyone_writes_is_fine() -> None:
    data = parse("[" * 40 + "]" * 40)
    for _ in range(39):
        (data,) = data
    assert data == []


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n# comments\n", "   \n# x"])
def test_a_file_without_a_document_is_called_empty(text: str) -> None:
    problem = problem_in(text)
    assert problem.what == "is empty: there is no recipe in it"
    assert problem.hint == "xttsrecipe init CHECKPOINT… writes one to start from"


@pytest.mark.parametrize("text", ["a: &a {x: 1}\nb:\n  <<: *a\n", "a: &a {x: 1}\nb: {<<: [*a], y: 2}", "<<: {a: 1}"])
def test_merge_keys_are_refused(text: str) -> None:
    problem = problem_in(text)
    assert problem.what == "merge keys (<<) are not part of a recipe"
    assert problem.hint == "write the entries out"


def test_a_quoted_merge_key_is_a_key() -> None:
    assert parse("'<<': 1") == {"<<": 1}


@pytest.mark.parametrize(
    "text", ["{a,b}: from news", "? [a, b]\n: c", "? {a: b}\n: c", "{[a]: b}", "&a {x: *a}: y", "? - a\n: b"]
)
def test_a_key_that_is_no_text_is_refused(text: str) -> None:
    problem = problem_in(text)
    assert (problem.what, problem.hint) == ("a key must be text", "quote a key that begins with { or [")


@pytest.mark.parametrize(
    "text",
    [
        "name: 'abc\n", "name: a: b\n", 'name: "C:\\data"\n', "a:\n  b: 1\n c: 2\n", "a: {b: 1\nname: x\n",
        "a: [1, 2}\n", "name: &\n", "a: &x 1\nb: &x 2\nc: *y", "]", "%YAML 3.0\n---\na: 1\n",
        "a\nb: 1\n", "- a\nb: 1\n", "key: |x\n  a\n",
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_an_error_with_a_line(text: str) -> None:
    problem = problem_in(text)
    assert problem.where is not None
    assert problem.where.line is not None
    assert 1 <= problem.where.line <= text.count("\n") + 1


@given(st.text(st.sampled_from("ab:*&!{}[]-?|>'\"%@`,# \n\t\0~<0"), max_size=30))
def test_any_text_is_data_or_an_error_that_can_be_shown(text: str) -> None:
    files = {"recipe.yaml"}
    try:
        files |= {place.file for place in parse_document(text, "recipe.yaml").values.values()}
    except RecipeError as error:
        files |= {problems_text(error.problems)[: len("recipe.yaml")]}
    assert files == {"recipe.yaml"}


@given(st.binary(max_size=40))
def test_any_bytes_are_data_or_an_error_that_can_be_shown(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), content)
        try:
            said = read_document(path).file
        except RecipeError as error:
            said = problems_text(error.problems)
    assert said.startswith(str(path))


# --- files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("file_latin1", "name: news\ndescription: Gr\u00fc\u00dfe\n".encode("latin-1")),
        ("file_utf16", "name: news\n".encode("utf-16-le").join([b"\xff\xfe", b""])),
        ("file_utf16_big_endian", b"\xfe\xff" + "name: news\n".encode("utf-16-be")),
        ("file_too_big", b"# padding\n" * 6_554),
        ("file_zip", b"PK\x03\x04" + bytes(100)),
        ("file_pickle", b"\x80\x02}q\x00."),
        ("file_safetensors", b"\x08\0\0\0\0\0\0\0{}      "),
        ("file_cut_short", "name: Gr\u00fc".encode()[:-1]),
    ],
)  # fmt: skip
def test_a_file_that_is_no_text_is_explained(tmp_path: Path, name: str, content: bytes) -> None:
    check_golden(f"problems/{name}.txt", file_message(written(tmp_path, content)))


def test_a_real_checkpoint_given_as_recipe_is_recognised(tmp_path: Path) -> None:
    tensors = {"gpt.x": torch.zeros(2)}
    torch.save({"model": tensors}, tmp_path / "a.pth")
    torch.save({"model": tensors}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    header = json.dumps({"gpt.x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    for name in ("a.pth", "old.pth", "a.safetensors"):
        assert file_message(tmp_path / name).startswith(f"recipes/{name}: is a checkpoint, not a recipe [XR002]\n")


def test_a_file_of_just_the_allowed_size_is_read(tmp_path: Path) -> None:
    head = b"name: a\n"
    assert read_document(written(tmp_path, head + b"#" * ((1 << 16) - len(head)))).data == {"name": "a"}


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert (
        file_message(tmp_path / "x.yaml")
        == "recipes/x.yaml: the recipe cannot be read: No such file or directory [XR001]\n"
    )


def test_a_folder_in_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").mkdir()
    assert file_message(tmp_path / "x.yaml") == "recipes/x.yaml: the recipe cannot be read: Is a directory [XR001]\n"


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to("/dev/null")]
)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "x.yaml")
    with within(20):
        assert file_message(tmp_path / "x.yaml").startswith("recipes/x.yaml: is a device, pipe or socket [XR001]\n")


def test_a_name_that_no_file_can_have_is_an_error(tmp_path: Path) -> None:
    assert "the recipe cannot be read" in file_message(tmp_path / "a\0b.yaml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, b"name: a\n")
    path.chmod(0)
    assert file_message(path) == "recipes/recipe.yaml: the recipe cannot be read: Permission denied [XR001]\n"


def test_the_byte_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    text = file_message(written(tmp_path, b"a: 1\n# two\nb: \xe9\n"))
    assert (
        text == "recipes/recipe.yaml:3: is not UTF-8 [XR003]\n  found: byte 0xe9 in line 3\n  help: save it as UTF-8\n"
    )


@pytest.mark.parametrize(("character", "shown"), [("\0", "'\\x00'"), ("\x1b", "'\\x1b'"), ("\ufffe", "'\\ufffe'")])
def test_a_character_that_yaml_does_not_allow_is_named_with_its_place(character: str, shown: str) -> None:
    problem = problem_in(f"a: 1\nb: x{character}y\n")
    assert problem.what == f"YAML does not allow the character {shown}"
    assert (problem.where and (problem.where.line, problem.where.column)) == (2, 5)


@pytest.mark.parametrize("character", ["\0", "\x1b[2J", "\x9b2J"])
def test_no_control_character_of_a_file_reaches_the_terminal(character: str) -> None:
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", message(f"name: {character}\n"))
