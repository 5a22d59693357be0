"""Holds docs/methods.md to the method table, and its recipes to the program.

With XTTSRECIPE_UPDATE_GOLDEN=1 (and without -n) what is made from the table is written anew instead.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from tests.builders import write_recipe
from tests.commands import PROJECT, invoke
from tests.golden import UPDATE
from xttsrecipe.methods import METHODS
from xttsrecipe.report.method_facts import file_of_tests
from xttsrecipe.report.methods_page import overview, sections

PAGE = PROJECT / "docs" / "methods.md"
PARTS = {
    "overview": ("the overview begins", "and ends", overview),
    "sections": ("the sections begin", "and end", sections),
}
REST = "checkpoints: {original: original.pth, news: news.pth, audiobook: audiobook.pth}\n"


def page() -> str:
    return PAGE.read_text("utf-8")


@pytest.mark.parametrize("part", PARTS)
def test_the_page_says_what_the_table_says(part: str) -> None:
    begin, end, made = PARTS[part]
    before, mark, rest = page().partition(f"<!-- {begin} here -->\n")
    found, other, after = rest.partition(f"<!-- {end} here -->\n")
    assert mark
    assert other
    if os.environ.get(UPDATE) == "1":
        PAGE.write_text(f"{before}{mark}\n{made()}\n{other}{after}", "utf-8")
        return
    assert found == f"\n{made()}\n"


RECIPES = re.findall(r"(?m)^```yaml\n(.*?)^```$", page(), re.DOTALL)


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_a_recipe_of_the_page_is_valid(number: int, tmp_path: Path) -> None:
    """What stands there without checkpoints or output is part of a recipe."""
    text = RECIPES[number]
    text = text if "checkpoints:" in text else REST + text
    text = text if "output:" in text else text + "output: {path: merged.pth}\n"
    shown = invoke("validate", write_recipe(tmp_path, text))
    assert (shown.code, shown.err) == (0, ""), text


def test_every_method_has_a_recipe_in_the_page() -> None:
    methods = [yaml.safe_load(text).get("method", "linear") for text in RECIPES]
    assert {method if isinstance(method, str) else method["name"] for method in methods} == set(METHODS)


def test_every_link_leads_somewhere() -> None:
    text = page()
    titles = re.findall(r"(?m)^#+ (.*)$", text)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert len(titles) == len(anchors)
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors
    files = set(re.findall(r"\]\((\.\./[^)]*)\)", text))
    assert [file for file in files if not (PAGE.parent / file).is_file()] == []
    assert {f"../{file_of_tests(entry)}" for entry in METHODS.values()} <= files


def test_tables_have_as_many_cells_in_every_row() -> None:
    for table in re.findall(r"(?m)(?:^\|.*\n)+", page()):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table
