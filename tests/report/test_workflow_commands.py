from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.report.layout import printable
from xttsrecipe.report.workflow_commands import harmless, workflow_command, workspace_path

from .validations import Command, commands

TEXT = st.text(st.sampled_from("ab:,%=#[]`\n\r \t0AD23C5") | st.characters(), max_size=30)


@given(message=TEXT, file=TEXT, title=TEXT)
def test_a_runner_reads_a_command_as_it_was_meant(message: str, file: str, title: str) -> None:
    line = workflow_command("error", message, file=file, line=3, col=None, title=title)
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    lines = "\n".join(map(printable, message.split("\n")))
    assert commands(line) == [
        Command("error", {"file": printable(file), "line": "3", "title": printable(title)}, lines)
    ]


def test_a_command_without_properties_is_one_too() -> None:
    assert workflow_command("warning", "50 % of\nit") == "::warning::50 %25 of%0Ait\n"


@given(TEXT)
def test_text_for_the_log_is_no_command(text: str) -> None:
    assert commands(harmless(text)) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::x\n", "\\x3a:error::x\n"),
        ("a\r::error::x\n", "a\r\\x3a:error::x\n"),
        ("a\n \t ::debug::x\n", "a\n \t \\x3a:debug::x\n"),
        ("x ##[group]y\n", "x \\x23#[group]y\n"),
        ("###[group]y\n", "#\\x23#[group]y\n"),
        ("recipe.yaml:3:3: rule '::x' matches no key\n", "recipe.yaml:3:3: rule '::x' matches no key\n"),
    ],
)
def test_what_would_be_a_command_is_shown_with_an_escape(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_a_file_is_named_from_the_root_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "team/.git").mkdir(parents=True)
    (tmp_path / "team/recipes").mkdir()
    monkeypatch.chdir(tmp_path / "team/recipes")
    assert workspace_path(Path("a.yaml")) == workspace_path(tmp_path / "team/recipes/a.yaml") == "recipes/a.yaml"
    assert workspace_path(tmp_path / "a.yaml") == (tmp_path / "a.yaml").as_posix()
