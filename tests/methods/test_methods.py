from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from xttsrecipe.methods import METHODS
from xttsrecipe.schema import schema_text


def test_methods_are_found_by_their_own_name() -> None:
    assert {name: entry.name for name, entry in METHODS.items()} == {name: name for name in METHODS}


def test_the_schema_offers_exactly_the_methods_there_are() -> None:
    schema = json.loads(schema_text())
    assert set(schema["definitions"]["methodName"]["enum"]) == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_does_and_where_it_comes_from(name: str) -> None:
    assert METHODS[name].summary
    assert METHODS[name].paper


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if entry.elementwise])
def test_an_elementwise_method_gives_the_same_in_pieces(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(1001, generator=generator) for _ in range(3)]
    combine, weights = METHODS[name].combine, [0.5, 0.2, 0.3]
    whole = combine([row.clone() for row in rows], weights, None)
    cut = [[row[start : start + 100].clone() for row in rows] for start in range(0, 1001, 100)]
    pieces = [combine(piece, weights, None) for piece in cut]
    assert torch.equal(torch.cat(pieces), whole)


def test_reading_the_table_does_not_import_torch() -> None:
    check = "import sys, xttsrecipe.methods; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
