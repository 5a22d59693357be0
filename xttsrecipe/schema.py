"""Checks a document against the recipe schema and says what is wrong where it stands in the file.

The schema itself is ``schema/recipe.schema.json``; jsonschema applies it. What a schema cannot say (names that must
exist, weights that must sum to 1) is ``recipe``'s.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from .codes import Code
from .document import Document, Path_, join_path
from .errors import Location, Problem, did_you_mean, listed, nearest

# Titles in the schema.
_METHOD_NAME = "Method name"
_PARAMETERS = "Parameters of "
_GRADIENT = "Gradient"
# Of so few the reader is told as "a or b".
_MOST_CHOICES = 4

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "nothing",
}


@functools.cache
def schema_text() -> str:
    """The recipe schema (JSON Schema, draft-07) as shipped."""
    # A wheel carries the schema inside the package; a checkout has it at the top, where editors and reviewers look.
    here = Path(__file__).parent
    packaged, at_top = here / "data" / "recipe.schema.json", here.parent / "schema" / "recipe.schema.json"
    return (packaged if packaged.is_file() else at_top).read_text("utf-8")


@functools.cache
def _validator() -> Draft7Validator:
    return Draft7Validator(json.loads(schema_text()))


def check(document: Document) -> list[Problem]:
    """Everything in the document that the schema does not allow, in the order of the file."""
    errors = _validator().iter_errors(document.data)
    problems = dict.fromkeys(problem for error in errors for problem in _problems(error, document))
    return sorted(
        problems,
        key=lambda problem: (problem.where.line or 0, problem.where.column or 0) if problem.where else (0, 0),
    )


def _problems(error: Any, document: Document) -> Iterator[Problem]:
    meant = _meant_branch(error) if error.validator == "oneOf" else None
    if meant is not None:
        for inner in meant:
            yield from _problems(inner, document)
        return
    path: Path_ = tuple(error.absolute_path)
    prefix = f"{join_path(path)}: " if path else ""
    for problem in _DESCRIBERS[error.validator](error, path, document):
        yield replace(problem, what=prefix + problem.what)


def _meant_branch(error: Any) -> list[Any] | None:
    """The errors of the oneOf branch whose type the value has: the one that was meant. None if no branch has it."""
    for index, branch in enumerate(map(_resolved, error.validator_value)):
        if branch.get("title") == _GRADIENT and not _is_like(error.instance, branch["properties"]):
            continue
        if Draft7Validator({"type": branch["type"]}).is_valid(error.instance):
            return [inner for inner in error.context or () if inner.relative_schema_path[0] == index]
    return None


def _is_like(instance: object, properties: Mapping[str, Any]) -> bool:
    """Whether a mapping has a name that is one of these, or nearly."""
    return isinstance(instance, Mapping) and any(nearest(str(name), properties) for name in instance)


def _unknown(error: Any, path: Path_, document: Document) -> Iterator[Problem]:
    known = list(error.schema["properties"])
    method = _method_of(error.schema)
    if method:
        known.remove("name")
    for name in error.instance:
        if name not in error.schema["properties"]:
            no_such = f"{method} has no parameter" if method else "no field named"
            yield Problem(
                Code.UNKNOWN_FIELD,
                f"{no_such} {name!r}{did_you_mean(name, known)}",
                document.where_key((*path, name)),
                expected=f"one of {', '.join(known)}" if known else "no parameters",
            )


def _method_of(schema: Mapping[str, Any]) -> str:
    """The method whose parameters a schema describes; nothing for any other."""
    title = str(schema.get("title", ""))
    return title.removeprefix(_PARAMETERS) if title.startswith(_PARAMETERS) else ""


def _missing(error: Any, path: Path_, document: Document) -> Iterator[Problem]:
    method = _method_of(error.schema)
    for name in error.validator_value:
        if name not in error.instance:
            described = error.schema["properties"][name].get("description", "")
            yield Problem(
                Code.MISSING_FIELD,
                f"{method} needs {name!r}" if method else f"{name!r} is missing",
                document.where(path),
                expected=f"{name}: {described}" if described else None,
            )


def _no_branch(error: Any, path: Path_, document: Document) -> Iterator[Problem]:
    first, other = map(_resolved, error.validator_value)
    if first["type"] == "number":
        problem = _of_another_type("number", error.instance, path, document)
        if isinstance(error.instance, (list, Mapping)):
            per_source = "" if other["title"] == _GRADIENT else "one for each checkpoint, {NAME: number, …}, or "
            varying = f"a number, or {per_source}one that varies over layers, {{layers: [first, …, last]}}"
            problem = replace(problem, expected=varying)
        yield problem
        return
    expected = " or ".join(_TYPES[_resolved(branch)["type"]] for branch in error.validator_value)
    yield Problem(
        Code.WRONG_TYPE,
        f"expected {expected}, found {_shown(error.instance)}",
        document.where(path),
        hint=error.schema.get("description"),
    )


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = _validator().schema["definitions"][schema["$ref"].rpartition("/")[2]]  # type: ignore[index]
    return schema


def _type(error: Any, path: Path_, document: Document) -> Iterator[Problem]:
    yield _of_another_type(error.validator_value, error.instance, path, document)


def _of_another_type(expected: str, instance: object, path: Path_, document: Document) -> Problem:
    hint = None
    if instance is None and path:
        hint = "remove the key, or give it a value"
    elif expected == "boolean":
        hint = "write true or false"
    elif expected == "number" and isinstance(instance, str):
        hint = "write it without quotes, and with a point in a number"
    elif expected == "string" and isinstance(instance, (int, float)):
        hint = "write it in quotes"
    what = f"expected {_TYPES[expected]}, found {_shown(instance)}"
    return Problem(Code.WRONG_TYPE, what, document.where(path), hint=hint)


def _enum(error: Any, path: Path_, document: Document) -> Iterator[Problem]:
    known = [str(value) for value in error.validator_value]
    if error.schema.get("title") == _METHOD_NAME:
        known = _validator().schema["definitions"]["methodName"]["enum"]  # type: ignore[index]
        if error.instance in known:
            yield _bare(error.instance, path, document)
            return
    yield Problem(
        Code.UNKNOWN_VALUE,
        f"{_shown(error.instance)} is not known here{did_you_mean(str(error.instance), known)}",
        document.where(path),
        expected=" or ".join(known) if len(known) <= _MOST_CHOICES else f"one of {', '.join(known)}",
    )


def _bare(method: str, path: Path_, document: Document) -> Problem:
    """The problem of a method that needs parameters and has but its name."""
    _, full = _validator().schema["definitions"]["method"]["oneOf"]  # type: ignore[index]
    case = next(its["then"] for its in full["allOf"] if _method_of(its["then"]) == method)
    needed = [name for name in case["required"] if name != "name"]
    return Problem(
        Code.MISSING_FIELD,
        f"{method} needs {listed(needed)}",
        document.where(path),
        expected=f"{{name: {method}, {', '.join(f'{name}: …' for name in needed)}}}",
    )


def _out_of_range(error: Any, path: Path_, document: Document) -> Iterator[Problem]:
    low, high, below = (error.schema.get(name) for name in ("minimum", "maximum", "exclusiveMaximum"))
    lower = "" if low is None else f"{low:g} ≤ "
    upper = f" ≤ {high:g}" if high is not None else "" if below is None else f" < {below:g}"
    what = f"{_shown(error.instance)} lies outside of what is possible"
    yield Problem(Code.OUT_OF_RANGE, what, document.where(path), expected=f"{lower}{path[-1]}{upper}")


# What a pattern of the schema describes, by its title.
_MALFORMED = {
    "Checkpoint name": Code.MALFORMED_SOURCE_NAME,
    "Choice of a checkpoint": Code.MALFORMED_CHOICE,
    "Path": Code.MALFORMED_PATH,
    "SHA-256": Code.MALFORMED_DIGEST,
}


def _pattern(error: Any, path: Path_, document: Document) -> Iterator[Problem]:
    what = f"{error.instance!r} does not work as {_lowered(error.schema['title'])}"
    yield Problem(
        _MALFORMED[error.schema["title"]],
        what,
        _key_or_value(error, path, document),
        expected=error.schema.get("description"),
    )


def _lowered(title: str) -> str:
    """``a checkpoint name``; a title that begins with an abbreviation keeps its capitals."""
    return f"a {title if title[1].isupper() else title[0].lower() + title[1:]}"


def _empty(error: Any, path: Path_, document: Document) -> Iterator[Problem]:
    what = "a pattern must not be empty" if _is_key(error) else "must not be empty"
    yield Problem(
        Code.EMPTY_VALUE, what, _key_or_value(error, path, document), expected=error.schema.get("description")
    )


def _too_many(error: Any, path: Path_, document: Document) -> Iterator[Problem]:
    yield Problem(
        Code.TOO_MANY_ENTRIES,
        f"has {len(error.instance):,} entries",
        document.where(path),
        expected=f"at most {error.validator_value}",
    )


def _is_key(error: Any) -> bool:
    return "propertyNames" in error.absolute_schema_path


def _key_or_value(error: Any, path: Path_, document: Document) -> Location:
    """An error in a key carries the path of the mapping that the key is in."""
    return document.where_key((*path, error.instance)) if _is_key(error) else document.where(path)


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return f"a mapping of {listed(list(map(str, value))[:4])}" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list"
    return repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


_DESCRIBERS: Mapping[str, Callable[[Any, Path_, Document], Iterator[Problem]]] = {
    "additionalProperties": _unknown,
    "required": _missing,
    "oneOf": _no_branch,
    "type": _type,
    "enum": _enum,
    "pattern": _pattern,
    "minProperties": _empty,
    "maxProperties": _too_many,
    "minLength": _empty,
    "minItems": _empty,
    "maxItems": _too_many,
    "minimum": _out_of_range,
    "maximum": _out_of_range,
    "exclusiveMaximum": _out_of_range,
}
