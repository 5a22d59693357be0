"""Holds docs/reviewing.md to the program: the comment that it shows is what ``diff`` prints, and its tables are whole.

With XTTSRECIPE_UPDATE_GOLDEN=1 the comment in the page is written anew instead.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.commands import PROJECT, invoke
from tests.golden import UPDATE
from tests.showcase import AFTER, BEFORE, BLEND, showcase
from tests.strict_json import strictly
from xttsrecipe.changes import Kind, Status
from xttsrecipe.verbs.diff import Format

PAGE = PROJECT / "docs" / "reviewing.md"
BEGIN, END = "<!-- what it prints begins here -->\n", "<!-- and ends here -->\n"
RECIPE = "recipes/layer_blend.yaml"
CHANGED = BLEND.replace("{news: 0.8, audiobook: 0.2}", "{news: 0.6, audiobook: 0.4}").replace(
    '  "gpt.gpt.h.*.ln_{1,2}.*": from news\n',
    '  "gpt.gpt.h.*.ln_{1,2}.*": from news\n  mel_stats: from audiobook\n',
)


def page() -> str:
    return PAGE.read_text("utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="the page shows what is said on POSIX systems")
def test_the_comment_in_the_page_is_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(showcase(tmp_path / "work", {RECIPE: BLEND}, {RECIPE: CHANGED}).root)
    shown = invoke("diff", "main", "--format", "markdown")
    assert (shown.code, shown.err) == (0, "")
    before, _, rest = page().partition(BEGIN)
    comment, _, after = rest.partition(END)
    if os.environ.get(UPDATE) == "1":
        PAGE.write_text(f"{before}{BEGIN}\n{shown.out}\n{END}{after}", "utf-8")
        return
    assert comment == f"\n{shown.out}\n"


def test_every_format_is_in_the_page() -> None:
    assert re.findall(r"(?m)^\| `(\w+)` \| [^|]+ \|$", page())[:4] == ["text", "markdown", "github", "json"]
    assert {form.value for form in Format} == {"text", "markdown", "github", "json"}


def test_every_field_of_the_json_is_in_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(showcase(tmp_path / "work").root)
    data = strictly(invoke("diff", "main", "--format", "json").out)
    documented = set(re.findall(r"`(\w+)`", page().partition("## JSON")[2]))
    documented |= {kind.value for kind in Kind} | {status.value.replace(" ", "_") for status in Status}
    assert set(_fields(data)) - documented == set()
    assert BEFORE.keys() != AFTER.keys()


# Those of problems are documented where they come from; below these there are names of sources.
_ELSEWHERE = ("problems", "weights", "parameters")


def _fields(data: object, named: str = "") -> list[str]:
    if isinstance(data, list):
        return [field for item in data for field in _fields(item, named)]
    if not isinstance(data, dict) or named == "problems":
        return []
    below = [field for name, value in data.items() for field in _fields(value, name)]
    names_of_sources = named in _ELSEWHERE and "old" not in data
    return below if names_of_sources else [*data, *below]


def test_every_word_for_a_change_is_in_the_page() -> None:
    text = page()
    for kind in Kind:
        assert re.search(rf"\*{kind.value}\*|\b{kind.value}\b", text), kind
