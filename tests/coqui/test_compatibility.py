"""The README's table of compatibility says what these tests show: no more, no less."""

from __future__ import annotations

from pathlib import Path

import pytest

from .compatibility import CLAIMS, table


@pytest.fixture
def shown(request: pytest.FixtureRequest) -> set[tuple[str, str]]:
    """What all tests of this folder are evidence for."""
    by_file = request.config.stash[CLAIMS]
    missing = {path.name for path in Path(__file__).parent.glob("test_*.py")} - {path.name for path in by_file}
    if missing:
        pytest.skip(f"holds the table to all tests of this folder; not collected: {', '.join(sorted(missing))}")
    return set().union(*by_file.values())


def test_each_tick_has_a_test_and_each_test_a_tick(shown: set[tuple[str, str]]) -> None:
    ticked = {cell for cell, value in table().items() if value == "✓"}
    assert ticked - shown == set(), "ticked in the README, shown by no test"
    assert shown - ticked == set(), "shown by a test, not ticked in the README"


def test_cells_hold_a_tick_or_a_dash() -> None:
    assert set(table().values()) == {"✓", "–"}
