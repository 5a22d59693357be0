from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from tests import method_schema
from tests.golden import UPDATE
from xttsrecipe.document import parse_document
from xttsrecipe.errors import Location, Problem
from xttsrecipe.methods import METHODS
from xttsrecipe.recipe import FORMATS
from xttsrecipe.report.problems import problems_text
from xttsrecipe.schema import _DESCRIBERS, _MALFORMED, check, schema_text
from xttsrecipe.specs import DType

SCHEMA: dict[str, Any] = json.loads(schema_text())
BASE = "checkpoints: {news: n.pth, audiobook: a.pth}\noutput: {path: out.pth}\n"


def subschemas(schema: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in the schema, with its place."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for keyword in ("properties", "definitions"):
        for name, below in schema.get(keyword, {}).items():
            yield from subschemas(below, f"{path}/{keyword}/{name}")
    for keyword in ("additionalProperties", "propertyNames", "items", "then", "else"):
        yield from subschemas(schema.get(keyword), f"{path}/{keyword}")
    for keyword in ("oneOf", "allOf"):
        for number, below in enumerate(schema.get(keyword, ())):
            yield from subschemas(below, f"{path}/{keyword}/{number}")


ALL = dict(subschemas(SCHEMA))
PROPERTIES = {path: schema for path, schema in ALL.items() if path.split("/")[-2:-1] == ["properties"]}


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """With what a $ref adds; what stands beside the $ref wins, as in editors."""
    if "$ref" not in schema:
        return schema
    return {**resolved(SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]), **schema}


NAMES = f"one of {', '.join(METHODS)}"


def problems(text: str) -> list[Problem]:
    return check(parse_document(text, "recipe.yaml"))


def only_problem(text: str) -> Problem:
    (problem,) = problems(text)
    return problem


# --- the file ---------------------------------------------------------------------------------------------------


def test_the_schema_is_draft_07() -> None:
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(SCHEMA)


def test_the_fields_are_the_documented_ones() -> None:
    assert list(SCHEMA["properties"]) == [
        "name", "description", "checkpoints", "weights", "normalize", "method", "base", "overrides", "vocabulary",
        "companions", "metadata", "output",
    ]  # fmt: skip


@pytest.mark.parametrize("path", PROPERTIES)
@pytest.mark.parametrize("keyword", ["title", "description", "examples"])
def test_every_property_helps_in_an_editor(path: str, keyword: str) -> None:
    assert resolved(PROPERTIES[path])[keyword]


@pytest.mark.parametrize(
    ("path", "example"),
    [
        (path, example)
        for path, schema in ALL.items()
        for example in [*schema.get("examples", ()), *([schema["default"]] if "default" in schema else [])]
    ],
)
def test_every_example_and_default_is_allowed_by_its_own_schema(path: str, example: object) -> None:
    own = {**ALL[path], "definitions": SCHEMA["definitions"]}
    Draft7Validator(own).validate(example)


@pytest.mark.parametrize("path", [path for path, schema in ALL.items() if "properties" in schema])
def test_every_object_with_fields_refuses_others(path: str) -> None:
    # Beside vocabulary.order stand names of checkpoints, which recipe checks; beside a method's name its parameters.
    open_ones = ("#/properties/vocabulary", "#/definitions/method/oneOf/1")
    assert (ALL[path].get("additionalProperties") is False) == (path not in open_ones)
    assert set(ALL[path].get("required", ())) <= set(ALL[path]["properties"])


def test_every_reference_leads_somewhere_and_every_definition_is_used() -> None:
    references = {schema["$ref"] for schema in ALL.values() if "$ref" in schema}
    assert references == {f"#/definitions/{name}" for name in SCHEMA["definitions"]}


def test_every_restriction_of_the_schema_is_one_that_can_be_told_of() -> None:
    said = {
        "title",
        "description",
        "examples",
        "default",
        "$schema",
        "$id",
        "$comment",
        "definitions",
        "properties",
        "propertyNames",
        "$ref",
        "items",
        "allOf",
        "if",
        "then",
        "else",
    }
    restrictions = {keyword for schema in ALL.values() for keyword in schema} - said
    assert restrictions == set(_DESCRIBERS)
    assert {resolved(part)["title"] for part in ALL.values() if "pattern" in part} == set(_MALFORMED)


def test_output_types_are_keep_and_types_that_exist() -> None:
    keep, *types = SCHEMA["properties"]["output"]["properties"]["dtype"]["enum"]
    assert keep == "keep"
    assert [DType.named(name) for name in types] == [DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16]


@given(st.sampled_from(sorted(FORMATS)), st.lists(st.booleans(), min_size=12, max_size=12))
def test_an_output_suffix_may_be_in_any_case(suffix: str, upper: list[bool]) -> None:
    mixed = "".join(letter.upper() if up else letter for letter, up in zip(suffix, upper, strict=False))
    assert problems(f"checkpoints: {{a: a.pth}}\noutput: {{path: out{mixed}}}\n") == []


# --- problems ---------------------------------------------------------------------------------------------------


def test_a_document_that_the_schema_allows_has_no_problems() -> None:
    assert problems(BASE) == []


@pytest.mark.parametrize(
    ("text", "what", "place", "expected"),
    [
        (BASE + "overides: {}", "no field named 'overides'; did you mean 'overrides'?", (3, 1, 8), "one of name, desc"),
        (BASE + "weigths: {}", "no field named 'weigths'; did you mean 'weights'?", (3, 1, 7), "one of name, desc"),
        (BASE + "zzz: 1", "no field named 'zzz'", (3, 1, 3), "one of name, description, checkpoints, weights, norm"),
        (
            "checkpoints: {news: {path: n.pth, sha265: x}}\noutput: {path: o.pth}",
            "checkpoints.news: no field named 'sha265'; did you mean 'sha256'?", (1, 35, 6), "one of path, sha256",
        ),
        (BASE + "metadata: {form: news}", "metadata: no field named 'form'; did you mean 'from'?", (3, 12, 4), "one"),
        (
            "checkpoints: {a: a.pth}\noutput: {path: o.pth, dytpe: keep}",
            "output: no field named 'dytpe'; did you mean 'dtype'?", (2, 23, 5), "one of path, layout, dtype",
        ),
        (
            BASE + "overrides:\n  '*x*': {form: news}",
            "overrides.\"*x*\": no field named 'form'; did you mean 'from'?", (4, 11, 4), "one of from, weights, meth",
        ),
        (BASE + "method: {name: linear, densit: 1}", "method: linear has no parameter 'densit'", (3, 24, 6), "one of"),
        (
            BASE + "method: {name: ties, densty: 1}",
            "method: ties has no parameter 'densty'; did you mean 'density'?", (3, 22, 6), "one of density, lambda, ",
        ),
        (BASE + "method: {name: median, beta: 1}", "method: median has no parameter 'beta'", (3, 24, 4), "no param"),
    ],
)  # fmt: skip
def test_an_unknown_field_is_named_where_it_is_with_what_was_meant(
    text: str, what: str, place: tuple[int, int, int], expected: str
) -> None:
    problem = only_problem(text)
    assert problem.what == what
    assert problem.where is not None
    assert (problem.where.line, problem.where.column, problem.where.length) == place
    assert (problem.expected or "").startswith(expected)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("output: {path: o.pth}", "'checkpoints' is missing"),
        ("checkpoints: {a: a.pth}", "'output' is missing"),
        ("checkpoints: {a: a.pth}\noutput: {}", "output: 'path' is missing"),
        ("checkpoints: {a: {}}\noutput: {path: o.pth}", "checkpoints.a: 'path' is missing"),
        (BASE + "method: {}", "method: 'name' is missing"),
    ],
)
def test_a_missing_field_is_named_where_it_belongs(text: str, what: str) -> None:
    assert only_problem(text).what == what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("- a", "expected a mapping, found a list"),
        ("hello", "expected a mapping, found 'hello'"),
        (BASE + "name: 2024", "name: expected text, found 2024"),
        (BASE + "name: true", "name: expected text, found true"),
        (BASE + "description: [a]", "description: expected text, found a list"),
        (BASE + "weights: [0.5, 0.5]", "weights: expected a mapping, found a list"),
        (BASE + "weights: {news: a, audiobook: 0}", "weights.news: expected a number, found 'a'"),
        (BASE + "weights: {news: true, audiobook: 0}", "weights.news: expected a number, found true"),
        (BASE + "weights: {news: , audiobook: 0}", "weights.news: expected a number, found nothing"),
        (BASE + "normalize: no", "normalize: expected true or false, found 'no'"),
        (BASE + "normalize: 1", "normalize: expected true or false, found 1"),
        (BASE + "method: [linear]", "method: expected text or a mapping, found a list"),
        (BASE + "overrides: [a]", "overrides: expected a mapping, found a list"),
        (BASE + "overrides:", "overrides: expected a mapping, found nothing"),
        (BASE + "overrides: {'*x*': 1}", 'overrides."*x*": expected text or a mapping, found 1'),
        (BASE + "overrides: {'*x*': }", 'overrides."*x*": expected text or a mapping, found nothing'),
        (BASE + "metadata: news", "metadata: expected a mapping, found 'news'"),
        (BASE + "metadata: {from: 1}", "metadata.from: expected text, found 1"),
        ("checkpoints: {a: 5}\noutput: {path: o.pth}", "checkpoints.a: expected text or a mapping, found 5"),
        ("checkpoints: {a: {path: 5}}\noutput: {path: o.pth}", "checkpoints.a.path: expected text, found 5"),
        ("checkpoints: {a: a.pth}\noutput: o.pth", "output: expected a mapping, found 'o.pth'"),
        (BASE + "name: {}", "name: expected text, found an empty mapping"),
        (BASE + "name: {a: 1, b: 2, c: 3}", "name: expected text, found a mapping of a, b and c"),
    ],
)
def test_a_value_of_another_kind_is_said_in_words(text: str, what: str) -> None:
    assert only_problem(text).what == what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("checkpoints: {}\noutput: {path: o.pth}", "checkpoints: must not be empty"),
        (BASE + "weights: {}", "weights: must not be empty"),
        (BASE + "name: ''", "name: must not be empty"),
        (BASE + "overrides: {'*x*': {}}", 'overrides."*x*": must not be empty'),
    ],
)
def test_what_must_not_be_empty_is_said_to_be(text: str, what: str) -> None:
    assert only_problem(text).what == what


def test_more_checkpoints_than_can_be_open_are_refused() -> None:
    text = "checkpoints:\n" + "".join(f"  a{number}: a.pth\n" for number in range(257)) + "output: {path: o.pth}"
    problem = only_problem(text)
    assert (problem.what, problem.expected) == ("checkpoints: has 257 entries", "at most 256")


@pytest.mark.parametrize(
    ("text", "what", "column"),
    [
        ("checkpoints: {2news: a.pth}\noutput: {path: o.pth}", "checkpoints: '2news' does not work as a che", 15),
        ("checkpoints: {'a b': a.pth}\noutput: {path: o.pth}", "checkpoints: 'a b' does not work as a checkp", 15),
        ("checkpoints: {'': a.pth}\noutput: {path: o.pth}", "checkpoints: '' does not work as a checkpoint n", 15),
        ("output: {path: out.bin}\ncheckpoints: {a: a.pth}", "output.path: 'out.bin' does not work as a path", 16),
        ("output: {path: pth}\ncheckpoints: {a: a.pth}", "output.path: 'pth' does not work as a path", 16),
        ("metadata: {from: 'a b'}\n" + BASE, "metadata.from: 'a b' does not work as a checkpoint name", 18),
        (
            "overrides: {'*x*': news}\n" + BASE,
            "overrides.\"*x*\": 'news' does not work as a choice of a checkpoint",
            20,
        ),
        (
            "overrides: {'*x*': from}\n" + BASE,
            "overrides.\"*x*\": 'from' does not work as a choice of a checkpoint",
            20,
        ),
        (
            "overrides: {'*x*': from a b}\n" + BASE,
            "overrides.\"*x*\": 'from a b' does not work as a choice of a checkpoint",
            20,
        ),
    ],
)
def test_text_of_another_form_says_what_form_is_meant(text: str, what: str, column: int) -> None:
    problem = only_problem(text)
    assert problem.what.startswith(what)
    assert problem.where is not None
    assert (problem.where.line, problem.where.column) == (1, column)
    assert problem.expected


@pytest.mark.parametrize(
    ("line", "what", "expected"),
    [
        ("output: {path: o.pth, dtype: float61}", "output.dtype: 'float61' is not known here; did you mean 'float16'?",
         "keep or float32 or float16 or bfloat16"),
        ("output: {path: o.pth, dtype: int8}", "output.dtype: 'int8' is not known here",
         "keep or float32 or float16 or bfloat16"),
        ("output: {path: o.pth}\nmethod: linar", "method: 'linar' is not known here; did you mean 'linear'?", NAMES),
        (
            "output: {path: o.pth}\nmethod: {name: tie}",
            "method.name: 'tie' is not known here; did you mean 'ties'?", NAMES,
        ),
    ],
)  # fmt: skip
def test_an_unknown_choice_lists_the_known_ones(line: str, what: str, expected: str) -> None:
    problem = only_problem(f"checkpoints: {{a: a.pth}}\n{line}")
    assert (problem.what, problem.expected) == (what, expected)


def test_the_digest_must_be_64_hex_digits() -> None:
    text = "checkpoints: {a: {path: a.pth, sha256: %s}}\noutput: {path: o.pth}\n"
    assert problems(text % ("0123456789abcdefABCDEF" * 3)[:64].join("''")) == []
    for wrong in ("abc", "g" * 64, "a" * 63, "a" * 65):
        problem = only_problem(text % wrong)
        assert problem.what.startswith(f"checkpoints.a.sha256: '{wrong}' does not work as")
        assert "digest in hex" in (problem.expected or "")


def test_a_title_of_capitals_keeps_them_in_a_sentence() -> None:
    problem = only_problem("checkpoints: {a: {path: a.pth, sha256: abc}}\noutput: {path: o.pth}\n")
    assert "SHA-256" in problem.what


def test_a_quoted_number_is_told_to_go_without_quotes() -> None:
    problem = only_problem(BASE + "weights: {news: '0.5', audiobook: 0.5}")
    assert problem.hint == "write it without quotes, and with a point in a number"


@pytest.mark.parametrize("word", ["yes", "no", "on", "off"])
def test_a_yes_that_is_text_is_told_to_be_true(word: str) -> None:
    hint = only_problem(BASE + f"normalize: {word}").hint or ""
    assert "quotes" not in hint
    assert "point" not in hint


@pytest.mark.parametrize("text", ["---\n", "null\n", "~\n"])
def test_a_document_of_nothing_is_not_told_to_remove_a_key(text: str) -> None:
    assert "key" not in (only_problem(text).hint or "")


def test_an_empty_pattern_is_told_apart_from_empty_overrides() -> None:
    assert "pattern" in only_problem(BASE + "overrides: {'': from news}").what.lower()


@pytest.mark.parametrize(
    "text", ["checkpoints: {a: ''}\noutput: {path: o.pth}", "checkpoints: {a: a.pth}\noutput: {path: ''}"]
)
def test_an_empty_path_is_one_problem(text: str) -> None:
    assert len(problems(text)) == 1


@pytest.mark.parametrize(
    "text",
    ['checkpoints: {a: "a\\0.pth"}\noutput: {path: o.pth}', 'output: {path: "a\\0.pth"}\ncheckpoints: {a: a.pth}'],
)
def test_a_path_with_a_nul_is_refused(text: str) -> None:
    assert only_problem(text).what.endswith("'a\\x00.pth' does not work as a path")


def test_all_problems_come_together_in_the_order_of_the_file() -> None:
    found = problems(
        "zzz: 1\ncheckpoints: {a: 1, 2b: x.pth}\nweights: {a: b}\noutput: {pth: x, dtype: y}\nnormalize: 3\n"
    )
    places = [(problem.where.line, problem.where.column) for problem in found if problem.where]
    assert places == sorted(places)
    assert [line for line, _ in places] == [1, 2, 2, 3, 4, 4, 4, 5]


def test_a_problem_in_a_value_that_is_used_twice_is_told_once() -> None:
    text = BASE + "weights: &w {news: a, audiobook: 1}\noverrides: {'*x*': {weights: *w}}"
    found = problems(text)
    assert [problem.what for problem in found] == [
        "weights.news: expected a number, found 'a'",
        "overrides.\"*x*\".weights.news: expected a number, found 'a'",
    ]
    assert found[0].where == found[1].where == Location("recipe.yaml", 3, 20, text.splitlines()[2], 1)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "news", "a.pth", "from news", "linear"]),
        lambda below: (
            st.lists(below, max_size=2)
            | st.dictionaries(
                st.sampled_from(
                    ["checkpoints", "output", "path", "news", "weights", "overrides", "method", "name", "*x*"]
                ),
                below,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_data_is_allowed_or_has_problems_that_can_be_shown(data: object) -> None:
    found = problems(json.dumps(data))
    assert (found == []) == Draft7Validator(SCHEMA).is_valid(data)
    assert all(problem.where and problem.where.file == "recipe.yaml" for problem in found)
    assert problems_text(found).count("recipe.yaml:1:") >= len(found)


# --- methods ----------------------------------------------------------------------------------------------------


def test_what_the_schema_says_of_methods_is_what_the_table_says() -> None:
    """With XTTSRECIPE_UPDATE_GOLDEN=1 the schema is written anew."""
    wanted = {**SCHEMA, "definitions": {**SCHEMA["definitions"], **method_schema.definitions()}}
    text = json.dumps(wanted, indent=2, ensure_ascii=False) + "\n"
    path = Path(__file__).parent.parent / "schema" / "recipe.schema.json"
    if os.environ.get(UPDATE) == "1":
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_allowed_with_all_its_parameters(name: str) -> None:
    given = {its.name: its.default if its.default is not None else 0.25 for its in METHODS[name].settings}
    given |= {"seed": 1} if METHODS[name].random else {}
    assert problems(BASE + f"method: {json.dumps({'name': name, **given})}") == []


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("dare_ties", "method: dare_ties needs density and seed"),
        ("{name: dare_ties, density: 0.5}", "method: dare_ties needs 'seed'"),
        ("{name: ties, density: 1.5}", "method.density: 1.5 lies outside of what is possible"),
        ("{name: trimmed_mean, beta: 0.5}", "method.beta: 0.5 lies outside of what is possible"),
        ("{name: karcher, max_iter: 1.5}", "method.max_iter: expected a whole number, found 1.5"),
        ("{name: ties, normalize: 1}", "method.normalize: expected true or false, found 1"),
        ("{name: ties, lambda: {news: 1}}", "method.lambda: expected a number, found a mapping of news"),
        ("{name: ties, lambda: {layer: [1]}}", "method.lambda: 'layers' is missing"),
        ("{name: ties, lambda: [1, 0]}", "method.lambda: expected a number, found a list"),
        ("{name: ties, lambda: {layers: []}}", "method.lambda.layers: must not be empty"),
        ("{name: ties, density: {layers: [a]}}", "method.density.layers.0: expected a number, found 'a'"),
    ],
)
def test_what_is_wrong_with_a_parameter_is_said_where_it_stands(method: str, what: str) -> None:
    assert problems(BASE + f"method: {method}")[0].what == what
