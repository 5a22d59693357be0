"""JSON read so that nothing in it is passed over."""

from __future__ import annotations

from typing import Any


def unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object for ``json.loads(…, object_pairs_hook=…)``, which else keeps the last of equal names and says nothing.

    Raises ValueError where a name occurs twice.
    """
    entries: dict[str, Any] = {}
    for name, value in pairs:
        if name in entries:
            raise ValueError(f"the name {name!r} occurs twice in one object")
        entries[name] = value
    return entries
