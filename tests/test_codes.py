from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.golden import check_golden
from xttsrecipe.codes import Code

PACKAGE = Path(__file__).parent.parent / "xttsrecipe"


def test_the_codes_are_those_that_were_given_out() -> None:
    """Lines come anew and never change, and none goes but with its kind of problem; its number is not given again."""
    check_golden("codes.txt", "".join(f"{code} {code.label}\n" for code in Code))


def test_numbers_are_in_order_and_none_is_given_twice() -> None:
    numbers = [code.number for code in Code]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("code", Code)
def test_a_code_has_a_number_and_a_name_that_can_be_searched_for_and_a_meaning(code: Code) -> None:
    assert re.fullmatch(r"XR[0-7]\d\d", str(code))
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code.label)
    assert re.fullmatch(r"[A-Z].*\.", code.meaning)


def test_every_code_is_that_of_some_problem() -> None:
    used = {
        node.attr
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code"
    }
    assert used == {code.name for code in Code}
