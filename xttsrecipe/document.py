"""YAML text to data, with the line and column of every key and value.

Owns the form of a recipe file: UTF-8, one document, no duplicate keys, bounded size, depth and aliases. What a scalar
means is ``yaml_syntax``'s; what a recipe means is ``recipe``'s.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from .codes import Code
from .errors import Location, Problem, RecipeError
from .yaml_syntax import Loader, explain, merge_conflict, scalar

# (key or index, …) from the root to a node.
Path_ = tuple[str | int, ...]

MAX_BYTES = 1 << 16
MAX_NODES = 20_000
_MAX_DEPTH = 50

_CHECKPOINT_MAGIC = (b"PK\x03\x04", b"\x80\x02")


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document: plain data, where each node stands, and the text it came from."""

    file: str
    text: str
    data: Any
    keys: Mapping[Path_, Location]
    values: Mapping[Path_, Location]

    def where(self, path: Path_) -> Location:
        """The place of the value at ``path``, or of the nearest node above it."""
        return self._nearest(self.values, path)

    def where_key(self, path: Path_) -> Location:
        """The place of the key at ``path``; of the value where there is no key (list items, the root)."""
        return self.keys.get(path) or self.where(path)

    def _nearest(self, places: Mapping[Path_, Location], path: Path_) -> Location:
        while path and path not in places:
            path = path[:-1]
        return places[path]

    def with_value(self, path: Path_, value: Any, origin: Location) -> Document:
        """A copy with ``value`` at ``path``, missing mappings made; what is new stands at ``origin``."""
        made = {path[:length]: origin for length in range(1, len(path) + 1)}

        def placed(known: Mapping[Path_, Location]) -> Mapping[Path_, Location]:
            return made | {place: where for place, where in known.items() if place[: len(path)] != path}

        return replace(
            self,
            data=_put(self.data, path, value, origin),
            keys=placed(self.keys),
            values=placed(self.values),
        )


def _put(data: Any, path: Path_, value: Any, origin: Location) -> Any:
    if not path:
        return value
    if data is not None and not isinstance(data, dict):
        raise RecipeError(
            Problem(Code.IMPOSSIBLE_SETTING, f"cannot set {path[0]!r} in something that is not a mapping", origin)
        )
    return {**(data or {}), path[0]: _put((data or {}).get(path[0]), path[1:], value, origin)}


def read_document(path: Path) -> Document:
    """The YAML document in a recipe's file. Raises RecipeError."""
    return document_of(read_bytes(path), str(path))


def document_of(raw: bytes, file: str) -> Document:
    """The YAML document that a recipe's file holds; ``file`` is what errors call it. Raises RecipeError."""
    return parse_document(text_of(raw, file), file)


def read_bytes(path: Path, most: int = MAX_BYTES, what: str = "a recipe") -> bytes:
    """What a file holds, of a longer one a byte more than ``most``. Raises RecipeError."""
    file = str(path)
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # of which reading might never end, or never begin
            raise RecipeError(
                Problem(
                    Code.UNREADABLE_RECIPE,
                    "is a device, pipe or socket",
                    Location(file),
                    expected=f"{what}, a YAML file",
                )
            )
        with path.open("rb") as handle:
            return handle.read(most + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise RecipeError(
            Problem(Code.UNREADABLE_RECIPE, f"{what.replace('a ', 'the ', 1)} cannot be read: {reason}", Location(file))
        ) from error


def text_of(raw: bytes, file: str, most: int = MAX_BYTES, what: str = "a recipe") -> str:
    """The text that a file holds, of which ``read_bytes`` gave no more than it had to. Raises RecipeError."""
    if raw.startswith(_CHECKPOINT_MAGIC) or (raw[8:9] == b"{" and b"\0" in raw[:8]):
        raise RecipeError(
            Problem(
                Code.NOT_A_RECIPE,
                f"is a checkpoint, not {what}",
                Location(file),
                hint="xttsrecipe inspect shows a checkpoint; xttsrecipe init writes a recipe for it",
            )
        )
    if len(raw) > most:
        raise RecipeError(
            Problem(
                Code.NOT_A_RECIPE,
                f"is too big for {what}",
                Location(file),
                found=f"more than {most >> 10:,} KiB",
                expected="a YAML file of a page or two",
            )
        )
    return _decode(raw, file)


def _decode(raw: bytes, file: str) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RecipeError(
            Problem(Code.NOT_UTF_8, "is not UTF-8 but UTF-16", Location(file, 1), hint="save it as UTF-8")
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RecipeError(
            Problem(
                Code.NOT_UTF_8,
                "is not UTF-8",
                Location(file, line),
                found=f"byte 0x{raw[error.start]:02x} in line {line}",
                hint="save it as UTF-8",
            )
        ) from error


def parse_document(text: str, file: str, most_nodes: int = MAX_NODES) -> Document:
    """The one YAML document in ``text``; ``file`` is what errors call it. Raises RecipeError."""
    return _Builder(text, file, most_nodes).build()


def parse_value(text: str) -> Any:
    """One YAML value without position, as for a command line. Raises RecipeError."""
    return parse_document(text, "--set").data if text.strip() else ""


class _Builder:
    def __init__(self, text: str, file: str, most_nodes: int) -> None:
        self._most_nodes = most_nodes
        self._text = text
        self._file = file
        self._lines = text.splitlines()
        self._keys: dict[Path_, Location] = {}
        self._values: dict[Path_, Location] = {}
        self._nodes = 0

    def build(self) -> Document:
        root = self._compose()
        if root is None:
            raise self._error(
                Code.EMPTY_RECIPE,
                "is empty: there is no recipe in it",
                None,
                hint="xttsrecipe init CHECKPOINT… writes one to start from",
            )
        return Document(self._file, self._text, self._data(root, (), 0), self._keys, self._values)

    def _compose(self) -> yaml.Node | None:
        if conflict := merge_conflict(self._lines):
            line, mark = conflict
            what, hint = "has the marks of a merge conflict", "resolve it: keep what is right, and remove the marks"
            raise RecipeError(Problem(Code.MERGE_CONFLICT, what, self._at(line, 0, len(mark)), hint=hint))
        loader = None
        try:
            loader = Loader(self._text)
            return loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            raise self._syntax_error(error) from error
        except yaml.YAMLError as error:  # the reader's: a character that YAML does not allow
            position = getattr(error, "position", 0)
            line = self._text.count("\n", 0, position)
            column = position - self._text.rfind("\n", 0, position) - 1
            character = self._text[position : position + 1]
            raise RecipeError(
                Problem(
                    Code.FORBIDDEN_CHARACTER, f"YAML does not allow the character {character!r}", self._at(line, column)
                )
            ) from error
        except RecursionError as error:
            raise self._error(Code.EXPANDS_TOO_FAR, "is nested too deeply", None) from error
        finally:
            if loader is not None:
                loader.dispose()

    def _data(self, node: yaml.Node, path: Path_, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > self._most_nodes or depth > _MAX_DEPTH:
            raise self._error(
                Code.EXPANDS_TOO_FAR,
                "its aliases expand to far more than a recipe holds, or it is nested too deeply",
                node,
            )
        self._values.setdefault(path, self._where(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self._data(item, (*path, index), depth + 1) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path_, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(
                    Code.UNQUOTED_TEXT, "a key must be text", key_node, hint="quote a key that begins with { or ["
                )
            key = str(key_node.value)
            if key == "<<" and key_node.style is None:
                raise self._error(
                    Code.MERGE_KEY, "merge keys (<<) are not part of a recipe", key_node, hint="write the entries out"
                )
            below = (*path, key)
            if key in mapping:
                raise self._error(
                    Code.DUPLICATE_KEY,
                    f"{key!r} is there twice: the first is in line {self._keys[below].line}",
                    key_node,
                    hint="remove one of them",
                )
            self._keys[below] = self._where(key_node)
            mapping[key] = self._data(value_node, below, depth + 1)
        return mapping

    def _where(self, node: yaml.Node) -> Location:
        start, end = node.start_mark, node.end_mark
        same_line = isinstance(node, yaml.ScalarNode) and end.line == start.line
        return self._at(start.line, start.column, end.column - start.column if same_line else 1)

    def _at(self, line: int, column: int, length: int = 1) -> Location:
        """A place from PyYAML's line and column, which count from 0."""
        text = self._lines[line] if line < len(self._lines) else None
        return Location(self._file, line + 1, column + 1, text, max(length, 1))

    def _error(self, code: Code, what: str, node: yaml.Node | None, hint: str | None = None) -> RecipeError:
        return RecipeError(Problem(code, what, self._where(node) if node else Location(self._file), hint=hint))

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> RecipeError:
        mark, code, what, hint = explain(error, self._lines)
        where = self._at(mark.line, mark.column) if mark else Location(self._file)
        return RecipeError(Problem(code, what, where, hint=hint))


def join_path(path: Sequence[str | int]) -> str:
    """A path as people write it: ``output.dtype``, ``overrides."*encoder*".from``."""
    parts = []
    for part in path:
        parts.append(str(part) if isinstance(part, int) or re.fullmatch(r"[\w-]+", part) else f'"{part}"')
    return ".".join(parts)
