"""Golden files: the text that a person reads, kept below ``tests/golden/`` and compared exactly.

To write them again after a wanted change, and then read the difference before it is committed:

    XTTSRECIPE_UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"
UPDATE = "XTTSRECIPE_UPDATE_GOLDEN"


def check_golden(name: str, text: str) -> None:
    """Compare ``text`` with the file ``tests/golden/{name}``; with XTTSRECIPE_UPDATE_GOLDEN=1 write it instead."""
    path = FOLDER / name
    if os.environ.get(UPDATE) == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
        return
    assert path.is_file(), f"{path} is not there: run the tests once with {UPDATE}=1 to write it, then read it"
    assert text == path.read_bytes().decode("utf-8"), f"{path} differs: if that is meant, write it with {UPDATE}=1"
