"""The recipe schema in editors: completion, diagnostics and help from the real yaml-language-server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .language_server import LanguageServer, language_server
from .repositories import PROJECT, RECIPE

SCHEMA = PROJECT / "schema" / "recipe.schema.json"
MODELINE = "# yaml-language-server: $schema=../schema/recipe.schema.json\n"
HEAD = "checkpoints: {news: news.pth, audiobook: audiobook.pth}\noutput: {path: warm.pth}\n"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A team's folder with the schema in it, and recipes beside that."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "schema").mkdir()
    shutil.copy(SCHEMA, folder / "schema")
    (folder / "recipes").mkdir()
    return folder


@pytest.fixture(
    scope="module",
    params=[
        ("modeline", MODELINE, ""),
        ("modeline in short", "# $schema: ../schema/recipe.schema.json\n", ""),
        ("settings, an address", "", "file"),
        ("settings, a path in the workspace", "", "path"),
    ],
    ids=lambda param: param[0],
)
def editor(request: pytest.FixtureRequest, workspace: Path) -> Iterator[tuple[LanguageServer, str]]:
    """The server as an editor starts it, and what a recipe begins with; the schema found in one of these ways."""
    _, first, kind = request.param
    schema = workspace / "schema" / "recipe.schema.json"
    address = {"file": schema.as_uri(), "path": "schema/recipe.schema.json", "": ""}[kind]
    settings = {"schemas": {address: "recipes/*.yaml"}} if address else {}
    with language_server(workspace, settings) as server:
        yield server, first


@pytest.fixture
def recipe(workspace: Path, request: pytest.FixtureRequest) -> Path:
    """A recipe of its own for every test."""
    names = "".join(letter if letter.isalnum() else "_" for letter in request.node.name)
    return workspace / "recipes" / f"{names}.yaml"


def test_a_typo_is_marked_and_the_mark_goes_with_it(editor: tuple[LanguageServer, str], recipe: Path) -> None:
    server, first = editor
    line = first.count("\n") + 2
    address = server.open(recipe, first + RECIPE.replace("weights:", "wieghts:"))
    (found,) = server.diagnostics(address)
    assert "wieghts is not allowed" in found["message"]
    assert found["range"]["start"] == {"line": line, "character": 0}
    assert found["range"]["end"] == {"line": line, "character": len("wieghts")}
    server.change(address, first + RECIPE)
    assert server.diagnostics(address) == []


def test_fields_are_offered_with_what_they_are(editor: tuple[LanguageServer, str], recipe: Path) -> None:
    server, first = editor
    address = server.open(recipe, first + HEAD)
    offered = server.completions(address, (first + HEAD).count("\n"), 0)
    fields = set(json.loads(SCHEMA.read_text("utf-8"))["properties"])
    assert fields - {"checkpoints", "output"} <= set(offered)
    assert "checkpoints" not in offered
    assert "the last one decides" in str(offered["overrides"]["documentation"])


def test_values_are_offered(editor: tuple[LanguageServer, str], recipe: Path) -> None:
    server, first = editor
    text = first + "checkpoints: {news: news.pth}\noutput:\n  path: warm.pth\n  layout: \n"
    address = server.open(recipe, text)
    offered = server.completions(address, text.count("\n") - 1, len("  layout: "))
    assert {"preserve", "release", "trainer"} <= set(offered)


@pytest.mark.parametrize(
    ("text", "line", "character", "expected"),
    [
        ("weights: {news: 0.6, audiobook: 0.4}\n", 0, 2, "How much of each checkpoint goes into every tensor"),
        ("weights: {news: 0.6, audiobook: 0.4}\n", 0, 11, "How much of this checkpoint"),
        ("normalize: true\n", 0, 2, "Divide weights"),
        ("method: linear\n", 0, 2, "How tensors are combined"),
        ('overrides:\n  "@decoder": from news\n', 0, 2, "Rules for single tensors"),
        ('overrides:\n  "@decoder": from news\n', 1, 6, "come from this checkpoint as they are"),
        ('overrides:\n  "@decoder":\n    weights: {news: 1, audiobook: 0}\n', 1, 6, "What happens to the keys"),
        ('overrides:\n  "@decoder":\n    weights: {news: 1, audiobook: 0}\n', 2, 6, "instead of the global ones"),
        ("companions: from news\n", 0, 2, "what lies beside this checkpoint's model"),
        ("metadata: {from: news}\n", 0, 12, "whose config the output carries"),
    ],
)
def test_help_is_shown(
    text: str, line: int, character: int, expected: str, editor: tuple[LanguageServer, str], recipe: Path
) -> None:
    server, first = editor
    before = first + HEAD
    address = server.open(recipe, before + text)
    assert expected in server.hover(address, before.count("\n") + line, character)


def test_the_recipes_of_this_project_have_no_mark() -> None:
    with language_server(PROJECT, {}) as server:
        for file in sorted(PROJECT.glob("recipes/*.yaml")):
            text = file.read_text("utf-8")
            assert text.startswith(MODELINE)
            address = server.open(file, text)
            assert server.diagnostics(address) == []
            assert server.hover(address, text[: text.index("\noutput:") + 1].count("\n"), 1), "no schema was found"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--check-metaschema", SCHEMA],
        ["--schemafile", SCHEMA, *sorted(PROJECT.glob("recipes/*.yaml"))],
    ],
    ids=["schema", "recipes"],
)
def test_check_jsonschema_takes_the_schema_too(arguments: list[str | Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
