"""Holds docs/problems.md to the program: every code has its section, and its example prints what the page shows.

With XTTSRECIPE_UPDATE_GOLDEN=1 (and without -n) the messages in the page are written anew instead.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.commands import COMMAND, PROJECT, environment, invoke
from tests.golden import UPDATE
from tests.situations import RECIPE, situation
from xttsrecipe.codes import Code

PAGE = PROJECT / "docs" / "problems.md"
# Of an estimate, not of what goes wrong.
_ESTIMATES = {Code.NO_ROOM: r"(?<=expected: )[\d,]+"}


@dataclass(frozen=True)
class Section:
    """What the page says of a code. ``recipe`` is the shared one where the section shows none."""

    title: str
    text: str
    recipe: str
    command: str
    message: str


def _block(text: str, kind: str) -> str | None:
    found = re.search(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else None


def _section(part: str) -> Section:
    title, _, text = part.partition("\n")
    command, _, message = (_block(text, "console") or "").partition("\n")
    return Section(title, text, _block(text, "yaml") or RECIPE, command.removeprefix("$ "), message)


def sections() -> list[Section]:
    return [_section(part) for part in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]]


SECTIONS = {section.title.partition(" ")[0]: section for section in sections()}


def test_every_code_has_its_section_and_no_other_has_in_the_order_of_the_codes() -> None:
    assert [section.title for section in sections()] == [f"{code} {code.label}" for code in Code]


@pytest.mark.parametrize("code", Code, ids=str)
def test_a_section_says_what_the_code_means_and_what_to_do(code: Code) -> None:
    section = SECTIONS[str(code)]
    assert re.match(re.escape(code.meaning.removesuffix(".")) + "[.:,]", " ".join(section.text.split()))
    assert section.text.count("\n**Fix:** ") == 1
    assert len(re.findall(r"^```\w", section.text, re.MULTILINE)) == 1 + (section.recipe != RECIPE)


def test_the_shared_recipe_is_the_one_that_the_page_shows_first() -> None:
    assert _block(PAGE.read_text("utf-8"), "yaml") == RECIPE


def test_every_link_leads_to_a_section_and_the_hundreds_are_whole() -> None:
    text = PAGE.read_text("utf-8")
    anchors = {section.title.lower().replace(" ", "-") for section in sections()}
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors
    listed = re.findall(r"\[(XR\d+)\]\(#[^)]*\) to (XR\d+) \|", text)
    for number, (first, last) in enumerate(listed):
        codes = [str(code) for code in Code if str(code)[2] == str(number)]
        assert (first, last) == (codes[0], codes[-1])
    assert len(listed) == len({str(code)[2] for code in Code})


def _said(command: str, environ: Mapping[str, str]) -> str:
    """What a command of the page says of problems: stderr, but for the progress of a run."""
    program, *arguments = shlex.split(command)
    assert program == "xttsrecipe"
    if not environ:
        text = invoke(*arguments).err
    elif arguments[-2:-1] == [">"]:
        with Path(arguments[-1]).open("w") as out:
            done = subprocess.run([*COMMAND, *arguments[:-2]], stdout=out, stderr=-1, env=environment(), timeout=60)
        text = done.stderr.decode()
    else:
        done = subprocess.run([*COMMAND, *arguments], capture_output=True, env=environment(**environ), timeout=60)
        text = done.stderr.decode()
    return re.sub(r"(?m)^(merging|comparing|note|warning): .*(?<!\])\n", "", text)


@pytest.mark.skipif(sys.platform == "win32", reason="the page shows what is said on POSIX systems")
@pytest.mark.parametrize("code", Code, ids=str)
def test_the_example_says_what_the_page_shows(code: Code, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = SECTIONS[str(code)]
    monkeypatch.chdir(tmp_path)
    if section.command.endswith("> /dev/full") and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with situation(code, section.recipe, monkeypatch) as environ:
        said = _said(section.command, environ).replace(str(tmp_path), "/voices")
    assert set(re.findall(r"\[(XR\d+)\]$", said, re.MULTILINE)) == {str(code)}
    shown = section.message
    if code in _ESTIMATES:
        said, shown = (re.sub(_ESTIMATES[code], "70,000", text) for text in (said, shown))
    if os.environ.get(UPDATE) == "1":
        text = PAGE.read_text("utf-8")
        start = f"$ {section.command}\n"
        changed = section.text.replace(f"{start}{section.message}```", f"{start}{said}```")
        PAGE.write_text(text.replace(section.text, changed), "utf-8")
        return
    assert said == shown
