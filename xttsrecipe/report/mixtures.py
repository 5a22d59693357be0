"""How tensors are made, in words: a method with its parameters, what each source weighs, and the base."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..depth import Gradient
from ..methods import METHODS

Name = Callable[[str], str]


def made_text(
    method: str,
    parameters: Mapping[str, Any],
    shares: Sequence[tuple[str, Any]],
    base: str | None,
    by_token: bool = False,
) -> str:
    """``ties (density 0.3, lambda 1): news 1, audiobook 0.5; base original``."""
    return f"{method_text(method, parameters, by_token)}: {shares_text(method, shares)}{base_text(base)}"


def method_text(method: str, parameters: Mapping[str, Any], by_token: bool = False) -> str:
    """``ties (density 0.3, lambda 1)``, ``linear by token``; what the weights say already is left out."""
    entry = METHODS.get(method)
    said = [
        f"{parameter} {value_text(value)}"
        for parameter, value in parameters.items()
        if not entry or parameter != entry.shares_by
    ]
    return method + (f" ({', '.join(said)})" if said else "") + (" by token" if by_token else "")


def shares_text(method: str, shares: Sequence[tuple[str, Any]], digits: str = ".6g", name: Name = str) -> str:
    """``news 0.6, audiobook 0.4``; only names where the method has no use for weights. ``name`` makes them fit to be
    shown.
    """
    if uses_weights(method):
        return ", ".join(f"{name(source)} {format(weight, digits)}" for source, weight in shares)
    return ", ".join(name(source) for source, weight in shares if weight != 0)


def base_text(base: str | None, name: Name = str) -> str:
    """``; base original``."""
    return "" if base is None else f"; base {name(base)}"


def uses_weights(method: str) -> bool:
    """Whether it matters to a method how much a source weighs."""
    entry = METHODS.get(method)
    return entry is None or entry.uses_weights


def value_text(value: Any) -> str:
    """A parameter: ``0.3``, ``true``, ``0.3/0.5`` where it differs per source, ``[1 … 0]`` where over layers."""
    if isinstance(value, tuple):
        return "/".join(map(value_text, value))
    if isinstance(value, bool):
        return str(value).lower()
    return format(value, ".6g") if isinstance(value, (float, Gradient)) else str(value)


def plain_value(value: Any) -> Any:
    """A weight or parameter for machines: what varies as recipes have it, what differs per source as a list."""
    if isinstance(value, tuple):
        return list(map(plain_value, value))
    if isinstance(value, Gradient):
        return {"layers": list(value.anchors), **({} if value.rest is None else {"rest": value.rest})}
    return value
