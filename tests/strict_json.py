"""JSON as the standard has it: no NaN, no infinity."""

from __future__ import annotations

import json
from typing import Any


def strictly(text: str) -> Any:
    """The data in a JSON text; an AssertionError where Python takes more than the standard allows."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)
