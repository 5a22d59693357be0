"""How YAML is read here: the core schema of YAML 1.2, no tags, and PyYAML's complaints in words for people.

In the core schema ``no`` is text and ``1e-3`` a number (https://yaml.org/spec/1.2.2/#1032-tag-resolution).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import yaml

from .codes import Code

# What YAML files are called.
SUFFIXES = (".yaml", ".yml")

_NULL = re.compile(r"(~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"[-+]?[0-9]+\Z")
_OTHER_INT = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)\Z")
_CONFLICT = re.compile(r"(<{7}(?= )|>{7}(?= )|\|{7}(?= )|={7}\Z)")
_NAN = re.compile(r"\.(nan|NaN|NAN)\Z")

# Python refuses to read longer integers, and no field of a recipe wants one.
_MAX_DIGITS = 400


class Loader(yaml.SafeLoader):
    """PyYAML's loader, for composing nodes only; a tag is an error wherever it stands."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(problem="found a tag", problem_mark=event.start_mark)
        return super().compose_node(parent, index)


def scalar(node: yaml.ScalarNode) -> Any:
    """The value of a scalar: text where it is quoted or a block, else what the core schema says."""
    text: str = node.value
    if node.style:
        # JSON's way to write a character beyond the basic plane is two escapes, which PyYAML leaves apart.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text.lower() == "true"
    if _INT.match(text) and len(text) < _MAX_DIGITS:
        return int(text)
    if _OTHER_INT.match(text) and len(text) < _MAX_DIGITS:
        return int(text, 0)
    if _FLOAT.match(text):
        return float(text)
    if _INFINITY.match(text):
        return float(text.replace(".", ""))
    if _NAN.match(text):
        return float("nan")
    return text


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _WORD.fullmatch(text) and text.lower() not in _SPECIAL_WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*( [A-Za-z0-9_.-]+)*")
_SPECIAL_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
_Dumper.add_representer(str, _quoted)


def dump(data: Any) -> str:
    """Plain data as YAML, in its order: all text is quoted that is not plainly a word, so that readers of YAML 1.1 and
    1.2 take it for the same. Characters that are not seen, and may turn the order of others around, are escaped.
    """
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=4096)
    return text if text.isascii() else "".join(map(_seen, text))  # whatever is not ASCII stands in double quotes


def _seen(character: str) -> str:
    if character.isascii() or unicodedata.category(character) != "Cf":
        return character
    number = ord(character)
    return f"\\u{number:04X}" if number < 1 << 16 else f"\\U{number:08X}"


def merge_conflict(lines: Sequence[str]) -> tuple[int, str] | None:
    """The first line, from 0, that git marked where it could not merge, and the mark; such lines are no YAML here."""
    marked = ((number, match[1]) for number, line in enumerate(lines) if (match := _CONFLICT.match(line)))
    return next(marked, None)


def explain(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> tuple[yaml.Mark | None, Code, str, str | None]:
    """Where it is, which kind, what is wrong, and what to do, for what happens to people who write recipes."""
    problem, context = error.problem or "", error.context or ""
    mark = error.problem_mark or error.context_mark
    if "alias" in context or "anchor" in context or "end of stream" in problem:
        mark = error.context_mark or mark  # where it begins, not where it went wrong
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    column = mark.column if mark else 0
    character = line[column : column + 1]

    if "alias" in context or "undefined alias" in problem:
        return (
            mark,
            Code.UNQUOTED_TEXT,
            "YAML reads a word that starts with * as an alias",
            _quote("patterns", line, column),
        )
    if problem == "found a tag" or "tag" in context:
        what = "YAML reads a word that starts with ! as a tag"
        return mark, Code.UNQUOTED_TEXT, what, "remove the tag, or quote a word that starts with !"
    if "'\\t'" in problem or "\t" in line[: len(line) - len(line.lstrip())]:
        return mark, Code.INDENTATION, "a tab where YAML wants spaces", "indent with spaces"
    if re.search(r"character '[@`%]'", problem):
        return (
            mark,
            Code.UNQUOTED_TEXT,
            f"YAML reserves {character} at the start of a word",
            _quote("words", line, column),
        )
    if "but found another document" in problem:
        return (
            mark,
            Code.SEVERAL_DOCUMENTS,
            "there are several documents in this file",
            "keep one recipe per file: remove '---' and the rest",
        )
    if "anchor" in context:
        return (
            mark,
            Code.UNQUOTED_TEXT,
            "YAML reads a word that starts with & as an anchor",
            _quote("words", line, column),
        )
    if "quoted scalar" in context and "end of stream" in problem:
        return mark, Code.QUOTATION_MARKS, "a quotation mark that is never closed", None
    if "unknown escape character" in problem:
        return (
            mark,
            Code.QUOTATION_MARKS,
            r"in double quotes \ begins an escape",
            r"use single quotes, as in 'C:\voices\news.pth'",
        )
    if "mapping values are not allowed" in problem:
        return mark, Code.UNQUOTED_TEXT, "a second ': ' in one line", "quote text that has ': ' in it"
    if "but found '<block mapping start>'" in problem:
        return (
            mark,
            Code.INDENTATION,
            "this key is indented unlike those beside it",
            "indent the keys of one mapping alike",
        )
    begins = re.search(r"(?:^|:|-)\s*([\[{])", line[: column + 1])
    if begins and problem.startswith("expected"):
        return mark, Code.UNQUOTED_TEXT, f"YAML: {problem}", f"quote patterns and text that start with {begins[1]}"
    return mark, Code.YAML_SYNTAX, f"YAML: {', '.join(part for part in (context, problem) if part)}", None


def _quote(what: str, line: str, column: int) -> str:
    """The advice to quote a word, with the line as it should have been written."""
    word = re.match(r".(?:[^\s,\[\]{}]|\{[^\s{}]*\}|\[[^\s\[\]]*\])*", line[column:])
    end = column + len(word[0].rstrip(":")) if word else column + 1
    fixed = f'{line[:column]}"{line[column:end]}"{line[end:]}'
    return f"quote {what} that start with {line[column : column + 1]}: {fixed.strip()}"
