from __future__ import annotations

import pytest

from xttsrecipe.methods import METHODS
from xttsrecipe.methods.differences import DIFFERENCES


@pytest.mark.parametrize("name", DIFFERENCES)
def test_what_differs_is_told_of_methods_there_are(name: str) -> None:
    assert name in METHODS
    assert DIFFERENCES[name]
    assert all("\n" not in text and not text.endswith(".") for text in DIFFERENCES[name])
