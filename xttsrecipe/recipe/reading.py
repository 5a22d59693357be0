"""What all that reads a recipe shares: its data, where each part of it stands, and the problems found so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..codes import Code
from ..document import Document, Path_, join_path
from ..errors import Location, Problem, did_you_mean


class Reading:
    """A document that the schema allows. ``problems``: what is wrong with it all the same."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.data: dict[str, Any] = document.data
        self.names: list[str] = list(self.data["checkpoints"])
        self.problems: list[Problem] = []

    def problem(self, code: Code, path: Path_, what: str, *, at_key: bool = False, **more: Any) -> None:
        """Keep a problem with what stands at ``path``, or with the key there."""
        where = self.document.where_key(path) if at_key and path else self.document.where(path)
        self.problems.append(Problem(code, f"{join_path(path)}: {what}" if path else what, where, **more))

    def source(self, name: str, path: Path_, *, at_key: bool = False, among: Sequence[str] = ()) -> int:
        """The index of a source; the name stands in the value at ``path``, or is its key. ``among``: what else may
        stand there. Keeps a problem for a name that is none.
        """
        if name in self.names:
            return self.names.index(name)
        known = (*among, *self.names)
        what = f"{join_path(path)}: no source named {name!r}{did_you_mean(name, known)}"
        where = self.document.where_key(path) if at_key else _within(self.document.where(path), name)
        expected = "".join(f"{word}, or " for word in among) + f"one of {', '.join(self.names)}"
        self.problems.append(Problem(Code.UNKNOWN_SOURCE, what, where, expected=expected))
        return 0

    def chosen(self, field: str) -> int | None:
        """The source that ``field: from NAME`` or ``field: {from: NAME}`` names; None where it does not."""
        entry = self.data.get(field, {})
        if isinstance(entry, str):
            return self.source(entry.removeprefix("from "), (field,))
        return self.source(entry["from"], (field, "from")) if "from" in entry else None


def _within(where: Location, name: str) -> Location:
    """The place of a name in the text at ``where``, as that of ``audiobok`` in ``from audiobok``."""
    if where.text is None or where.column is None:
        return where
    position = where.text.find(name, where.column - 1, where.column - 1 + where.length)
    return where if position < 0 else replace(where, column=position + 1, length=len(name))
