"""The table of compatibility in the README, and what the tests are evidence for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"

Claim = tuple[str, str]
"""Row and column of the table."""

CLAIMS: pytest.StashKey[dict[Path, set[Claim]]] = pytest.StashKey()


def claims(items: Iterable[pytest.Item]) -> dict[Path, set[Claim]]:
    """What the collected tests of each file are evidence for: column by their mark, row by it or by the parameter."""
    found: dict[Path, set[Claim]] = {}
    for item in items:
        file = found.setdefault(item.path, set())
        mark = item.get_closest_marker("claim")
        if mark is not None:
            assert isinstance(item, pytest.Function)
            file.add((mark.kwargs.get("row") or item.callspec.id, mark.args[0]))
    return found


def table() -> dict[Claim, str]:
    """The cells of the README's table of compatibility by row and column."""
    _, _, section = README.read_text("utf-8").partition("\n## Compatibility\n")
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    cells: dict[Claim, str] = {}
    for name, *values in rows:
        for column, value in zip(header[1:], values, strict=True):
            assert (name, column) not in cells, f"{name} is in the table twice"
            cells[name, column] = value
    return cells
