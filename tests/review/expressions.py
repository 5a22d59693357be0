"""The expressions of GitHub's workflows, as far as ours use them: names, text, comparisons, ``!``, ``&&``, ``||``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"\s*(?:(?P<text>'[^']*')|(?P<name>[\w.-]+(?:\(\))?)|(?P<mark>==|!=|&&|\|\||[!()]))")
_EMBEDDED = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


def filled_in(text: str, context: Mapping[str, Any]) -> str:
    """The text with the values of its ``${{ }}``."""
    return _EMBEDDED.sub(lambda found: _shown(evaluate(found[1], context)), text)


def holds(condition: str, context: Mapping[str, Any]) -> bool:
    """Whether a step with this ``if`` is run."""
    whole = _EMBEDDED.fullmatch(condition.strip())
    return bool(evaluate(whole[1] if whole else condition, context))


def evaluate(expression: str, context: Mapping[str, Any]) -> Any:
    """The value of an expression. Raises ValueError for what this module does not know."""
    tokens = []
    rest = expression.strip()
    while rest:
        found = _TOKEN.match(rest)
        if not found:
            raise ValueError(f"not known here: {rest!r}")
        tokens.append(found[0].strip())
        rest = rest[found.end() :].strip()
    value = _either(tokens, context)
    if tokens:
        raise ValueError(f"more than an expression: {tokens}")
    return value


def _shown(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _either(tokens: list[str], context: Mapping[str, Any]) -> Any:
    value = _both(tokens, context)
    while tokens[:1] == ["||"]:
        tokens.pop(0)
        other = _both(tokens, context)
        value = value or other
    return value


def _both(tokens: list[str], context: Mapping[str, Any]) -> Any:
    value = _compared(tokens, context)
    while tokens[:1] == ["&&"]:
        tokens.pop(0)
        other = _compared(tokens, context)
        value = value and other
    return value


def _compared(tokens: list[str], context: Mapping[str, Any]) -> Any:
    value = _single(tokens, context)
    while tokens[:1] in (["=="], ["!="]):
        equal = tokens.pop(0) == "=="
        # GitHub ignores case, and takes nothing for an empty text.
        value = (_shown(value).lower() == _shown(_single(tokens, context)).lower()) == equal
    return value


def _single(tokens: list[str], context: Mapping[str, Any]) -> Any:
    token = tokens.pop(0)
    if token == "!":
        return not _single(tokens, context)
    if token == "(":
        value = _either(tokens, context)
        if tokens.pop(0) != ")":
            raise ValueError("a bracket is open")
        return value
    if token.startswith("'"):
        return token[1:-1]
    if token == "cancelled()":
        return False
    value = context
    for name in token.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
