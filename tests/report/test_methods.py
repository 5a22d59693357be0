from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.builders import write_recipe
from tests.commands import PROJECT, invoke
from tests.golden import check_golden
from tests.strict_json import strictly
from xttsrecipe.methods import METHODS, MethodEntry
from xttsrecipe.methods.explanations import EXPLANATIONS
from xttsrecipe.methods.rivals import MERGEKIT, SD_MECHA
from xttsrecipe.recipe import load_recipe
from xttsrecipe.report.method_facts import file_of_tests, snippet, symbols
from xttsrecipe.report.methods import method_text, methods_json, methods_text, unknown_method


def test_the_list_looks_as_agreed() -> None:
    check_golden("report/methods.txt", methods_text())


@pytest.mark.parametrize("name", ["linear", "slerp", "ties", "della", "sce"])
def test_a_method_explained_looks_as_agreed(name: str) -> None:
    check_golden(f"report/method_{name}.txt", method_text(name))


@pytest.mark.parametrize("entry", METHODS.values(), ids=lambda entry: entry.name)
def test_the_list_has_all_that_is_to_be_known_at_a_glance(entry: MethodEntry) -> None:
    block = next(block for block in methods_text().split("\n\n") if block.startswith(f"  {entry.name} "))
    assert entry.summary in block
    assert entry.formula in block
    assert entry.paper in block
    assert all(parameter.name in block for parameter in entry.settings)
    assert ("needs a base" in block) == (entry.base == "required")
    assert ("streams" in block) == entry.elementwise
    assert ("needs tensors whole" in block) != entry.elementwise


@pytest.mark.parametrize("entry", METHODS.values(), ids=lambda entry: entry.name)
def test_one_method_is_explained_with_all_that_it_takes(entry: MethodEntry) -> None:
    text = method_text(entry.name)
    assert text.startswith(f"{entry.name}: {entry.summary}\n")
    assert " ".join(EXPLANATIONS[entry.name].split()) in " ".join(text.split())
    for parameter in entry.settings:
        assert parameter.meaning in text
        assert all(alias in text for alias in parameter.aliases)
    assert all(len(line) <= 105 or line.startswith(f"{entry.name}: ") for line in text.splitlines())


def test_every_method_is_explained_and_nothing_else_is() -> None:
    assert list(EXPLANATIONS) == [name for name in METHODS if name in EXPLANATIONS]
    assert set(EXPLANATIONS) == set(METHODS)
    assert all(text.endswith(".") and "\n" not in text for text in EXPLANATIONS.values())
    assert {*MERGEKIT, *SD_MECHA} <= set(METHODS)


@pytest.mark.parametrize("entry", METHODS.values(), ids=lambda entry: entry.name)
def test_letters_of_a_formula_are_explained(entry: MethodEntry) -> None:
    told = f"{symbols(entry)} {entry.formula}"
    for letter, words in (("xᵢ", "xᵢ the sources"), ("δ", "xᵢ − base"), ("λ", "λ lambda"), ("N", "N how many")):
        assert letter not in entry.formula or words in told or entry.name == "add_difference"


@pytest.mark.parametrize("entry", METHODS.values(), ids=lambda entry: entry.name)
def test_the_recipe_of_a_method_is_valid_and_uses_it(entry: MethodEntry, tmp_path: Path) -> None:
    path = write_recipe(tmp_path, snippet(entry))
    assert invoke("validate", path).code == 0
    merge = load_recipe(path).default
    assert merge.method.name == entry.name
    assert (merge.base is not None) == (entry.base == "required")
    said = yaml.safe_load(snippet(entry))["method"]
    shown = said if isinstance(said, dict) else {}
    assert {its.name for its in entry.settings if its.required} <= shown.keys()


@pytest.mark.parametrize("entry", METHODS.values(), ids=lambda entry: entry.name)
def test_a_method_has_a_file_of_tests(entry: MethodEntry) -> None:
    assert (PROJECT / file_of_tests(entry)).is_file()


# --- for machines -------------------------------------------------------------------------------------------------


def test_the_list_for_machines_has_what_the_table_has() -> None:
    methods = strictly(methods_json(None))["methods"]
    assert [its["name"] for its in methods] == list(METHODS)
    ties = next(its for its in methods if its["name"] == "ties")
    assert (ties["base"], ties["streams"], ties["weighted"], ties["most_sources"]) == ("required", False, True, None)
    density = ties["parameters"][0]
    assert (density["name"], density["default"], density["minimum"], density["maximum"]) == ("density", 0.2, 0, 1)
    assert (density["per_source"], density["over_layers"], density["required"]) == (True, True, False)
    assert ties["elsewhere"]["mergekit 0.1.4"]["name"] == "ties"
    median = next(its for its in methods if its["name"] == "median")
    assert median["elsewhere"] == {"mergekit 0.1.4": None, "sd-mecha 1.1.5": None}


def test_one_method_for_machines_is_its_entry_of_the_list() -> None:
    assert json.loads(methods_json("della")) == next(
        its for its in json.loads(methods_json(None))["methods"] if its["name"] == "della"
    )


# --- the verb -----------------------------------------------------------------------------------------------------


def test_the_verb_shows_list_and_method_as_text_and_json() -> None:
    assert invoke("methods").out == methods_text()
    assert invoke("methods", "ties").out == method_text("ties")
    assert invoke("methods", "--json").out == methods_json(None)
    assert invoke("methods", "ties", "--json").out == methods_json("ties")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("slrep", "no method named 'slrep'; did you mean 'slerp'?"),
        ("TIES", "no method named 'TIES'; did you mean 'ties'?"),
        ("", "no method named ''; xttsrecipe methods lists them"),
        ("passthrough", "no method named 'passthrough': a rule that says 'from NAME' takes tensors as they are"),
        ("n_model_stock", "no method named 'n_model_stock': what others call so is model_stock here"),
        ("\x1b[31m", "no method named '\\x1b[31m'; xttsrecipe methods lists them"),
    ],
)
def test_an_unknown_name_is_wrong_usage_and_told_what_it_might_be(name: str, what: str) -> None:
    assert unknown_method(name) == what
    shown = invoke("methods", name)
    assert (shown.code, shown.out) == (2, "")
    assert what.split("'; ")[0] in " ".join(shown.err.replace("│", " ").split())


@pytest.mark.parametrize("name", METHODS)
def test_known_names_are_known(name: str) -> None:
    assert unknown_method(name) is None


def test_nothing_of_it_imports_torch() -> None:
    code = "import sys; from xttsrecipe.report import methods, methods_page; methods.methods_text(); " \
        "methods_page.sections(); sys.exit('torch' in sys.modules)"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, timeout=60).returncode == 0
