"""Which rule decides a key, and which rules decide nothing.

As in CODEOWNERS, the last rule that matches decides. A rule that decides no key is a mistake: a typo must never
merge silently.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from .errors import Problem
from .patterns import suggestions
from .recipe import Recipe, Rule
from .xtts import canonical_key, is_training_only


def deciding_rules(recipe: Recipe, keys: Collection[str]) -> Mapping[str, Rule | None]:
    """The rule that decides each key, None where the global weights do; keys in their order."""
    decided: dict[str, Rule | None] = dict.fromkeys(keys)
    for rule in recipe.rules:
        decided.update((key, rule) for key in filter(rule.matches, keys))
    return decided


def rule_problems(recipe: Recipe, keys: Collection[str]) -> list[Problem]:
    """One problem for every rule that decides none of ``keys``, with what it might have meant."""
    deciding = {id(rule) for rule in deciding_rules(recipe, keys).values()}
    return [_problem(rule, recipe, keys) for rule in recipe.rules if id(rule) not in deciding]


def _problem(rule: Rule, recipe: Recipe, keys: Collection[str]) -> Problem:
    matched = list(filter(rule.matches, keys))
    if matched:
        later = recipe.rules[recipe.rules.index(rule) + 1 :]
        winners = [other.pattern for other in later if any(map(other.matches, matched))]
        return Problem(
            f"rule {rule.pattern!r} decides no key: later rules decide all {len(matched)} that it matches",
            rule.where,
            found=f"decided by {', '.join(map(repr, winners))}",
            hint="the last matching rule decides: move this rule below those, or remove it",
        )
    return Problem(f"rule {rule.pattern!r} matches no key", rule.where, hint=_hint(rule.pattern, keys))


def _hint(pattern: str, keys: Collection[str]) -> str:
    if is_training_only(pattern):
        return (
            "training-only tensors (dvae, torch_mel_spectrogram) are never merged: they come whole from metadata.from"
        )
    canonical = canonical_key(pattern)
    near = suggestions(canonical, keys)
    if canonical != pattern:
        also = f": {near[0]!r}" if near else ""
        return f"rules use the names of a released model.pth, without 'xtts.' and with today's weight-norm names{also}"
    layers = _layers(pattern, keys)
    if layers:
        return layers
    if near:
        return "did you mean " + " or ".join(map(repr, near)) + "?"
    return "xttsrecipe inspect CHECKPOINT --keys '*' lists the keys"


def _layers(pattern: str, keys: Collection[str]) -> str | None:
    """Where the pattern names GPT layers that are not there."""
    layers = {int(match[1]) for key in keys if (match := re.match(r"gpt\.gpt\.h\.(\d+)\.", key))}
    if layers and re.match(r"gpt\.gpt\.h\.[{\d]", pattern):
        named = [int(number) for number in re.findall(r"\d+", pattern.removeprefix("gpt.gpt.h.").split(".*")[0])]
        if named and min(named) > max(layers):
            return f"the GPT layers are gpt.gpt.h.{min(layers)} to gpt.gpt.h.{max(layers)}"
    return None
