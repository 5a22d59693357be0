"""Reading a lock's data: what is expected where, and one kind of error for all that is not so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from ..codes import Code
from ..document import Document, Path_, join_path
from ..errors import Problem, RecipeError

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Node:
    """A value in a lock, and where it stands. All methods raise RecipeError for what a lock does not hold."""

    def __init__(self, document: Document, path: Path_ = (), value: Any = None) -> None:
        self._document = document
        self._path = path
        self._value = value if path else document.data

    def fail(self, expected: str) -> NoReturn:
        """Raises RecipeError."""
        what = f"{join_path(self._path)}: is not what xttsrecipe lock writes" if self._path else "is not a lock"
        hint = "locks are not written by hand: make it anew with xttsrecipe lock"
        raise RecipeError(
            Problem(Code.MALFORMED_LOCK, what, self._document.where(self._path), expected=expected, hint=hint)
        )

    def __contains__(self, name: str) -> bool:
        return name in self._mapping()

    def __getitem__(self, name: str) -> Node:
        value = self._mapping()
        if name not in value:
            self.fail(f"a field {name!r}")
        return Node(self._document, (*self._path, name), value[name])

    def items(self) -> Iterator[tuple[str, Node]]:
        """The fields of a mapping."""
        for name, value in self._mapping().items():
            yield name, Node(self._document, (*self._path, name), value)

    def part(self, name: str) -> Iterator[tuple[str, Node]]:
        """The fields of the mapping called ``name``; none where there is no such mapping."""
        return self[name].items() if name in self else iter(())

    def names(self, name: str) -> list[str]:
        """The texts in the list called ``name``; none where there is no such list."""
        if name not in self:
            return []
        found = self[name]
        if not isinstance(found._value, list) or not all(isinstance(item, str) for item in found._value):
            found.fail("a list of names")
        return list(found._value)

    def _mapping(self) -> dict[str, Any]:
        if not isinstance(self._value, dict):
            self.fail("a mapping")
        return self._value

    def text(self) -> str:
        """The value, which is text."""
        if not isinstance(self._value, str):
            self.fail("text")
        return self._value

    def one_of(self, known: Sequence[str]) -> str:
        """The value, one of these texts."""
        return self.text() if self.text() in known else self.fail(f"one of {', '.join(known)}")

    def count(self) -> int:
        """The value, a whole number from 0 on."""
        if not isinstance(self._value, int) or isinstance(self._value, bool) or not 0 <= self._value < 1 << 62:
            self.fail("a whole number, 0 or more")
        return self._value

    def flag(self, name: str) -> bool:
        """Whether a field is there and true."""
        return name in self and self[name]._value is True

    def sha256(self) -> str:
        """The value, a digest in lower-case hex."""
        if not _SHA256.fullmatch(self.text()):
            self.fail("a sha256, 64 hexadecimal digits")
        return self.text()

    def plain(self) -> Any:
        """The value, whatever it is: text, numbers, lists, mappings."""
        return self._value
