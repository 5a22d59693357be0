"""Data as JSON that every parser takes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def json_text(data: Any) -> str:
    """``data`` indented, with a line break at the end. JSON has no NaN and no infinity: they become null."""
    return json.dumps(_finite(data), indent=2, default=str, allow_nan=False) + "\n"


def whole(data: Any) -> Any:
    """The same without what is half a character (of a file's name, say): not every parser takes that."""
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, Mapping):
        return {whole(key): whole(value) for key, value in data.items()}
    return [whole(item) for item in data] if isinstance(data, (list, tuple)) else data


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items() if _is_key(key)}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _is_key(key: Any) -> bool:
    return not isinstance(key, float) or math.isfinite(key)
