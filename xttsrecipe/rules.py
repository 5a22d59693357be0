"""Which rule decides a key, and which rules decide nothing.

As in CODEOWNERS, the last rule that matches decides. A rule that decides no key is a mistake: a typo must never
merge silently.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from .codes import Code
from .errors import Problem
from .patterns import PatternError, compile_pattern, suggestions
from .recipe import Recipe, Rule
from .xtts import COMPONENTS, canonical_key, is_training_only, training_only_tensors

# What a rule might have meant is looked for among all keys; nobody reads that of more rules at once.
_MAX_HINTS = 50
_LISTED = "xttsrecipe inspect CHECKPOINT --keys '*' lists the keys"


def deciding_rules(recipe: Recipe, keys: Collection[str]) -> Mapping[str, Rule | None]:
    """The rule that decides each key, None where the global weights do; keys in their order."""
    decided: dict[str, Rule | None] = dict.fromkeys(keys)
    for rule in recipe.rules:
        decided.update(dict.fromkeys(filter(rule.matches, keys), rule))
    return decided


def rule_problems(recipe: Recipe, keys: Collection[str]) -> list[Problem]:
    """One problem for every rule that decides none of ``keys``, with what it might have meant."""
    return idle_rule_problems(recipe, deciding_rules(recipe, keys))


def idle_rule_problems(recipe: Recipe, decided: Mapping[str, Rule | None]) -> list[Problem]:
    """``rule_problems`` where it is known which rule decides each key."""
    deciding = set(decided.values())
    idle = [rule for rule in recipe.rules if rule not in deciding]
    return [_problem(rule, decided, hinted=number < _MAX_HINTS) for number, rule in enumerate(idle)]


def _problem(rule: Rule, decided: Mapping[str, Rule | None], hinted: bool) -> Problem:
    matched = list(filter(rule.matches, decided))
    if not matched:
        hint = _hint(rule.pattern, decided) if hinted else None
        return Problem(Code.RULE_MATCHES_NOTHING, f"rule {rule.pattern!r} matches no key", rule.where, hint=hint)
    winners = dict.fromkeys(winner.pattern for key in matched if (winner := decided[key]))
    return Problem(
        Code.RULE_OVERRULED,
        f"rule {rule.pattern!r} decides no key: later rules decide {_all(len(matched))} that it matches",
        rule.where,
        found=f"decided by {', '.join(map(repr, winners))}",
        hint="the last matching rule decides: move this rule below those, or remove it",
    )


def _all(count: int) -> str:
    return "the only key" if count == 1 else f"all {count} keys"


def _hint(pattern: str, keys: Collection[str]) -> str:
    canonical = canonical_key(pattern)
    try:
        test = compile_pattern(canonical, COMPONENTS)
    except PatternError:  # today's name of a very long one is longer still
        return _LISTED
    fitting = canonical != pattern and any(map(test, keys))
    if is_training_only(canonical) or (not fitting and any(map(test, training_only_tensors()))):
        return "training-only tensors (dvae, torch_mel_spectrogram) are never merged: metadata.from gives them whole"
    layers = _layers(canonical, keys)
    if layers:
        return layers
    near = suggestions(canonical, keys, COMPONENTS)
    if canonical != pattern:
        also = f": {(canonical if fitting else near[0])!r}" if fitting or near else ""
        return f"rules use the names of a released model.pth, without 'xtts.' and with today's weight-norm names{also}"
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return _LISTED


def _layers(pattern: str, keys: Collection[str]) -> str | None:
    """Where the pattern names GPT layers that are not there."""
    named = re.match(r"gpt\.gpt\.h\.([{}\d.,]+)", pattern)
    layers = [int(match[1]) for key in keys if (match := re.match(r"gpt\.gpt\.h\.(\d+)\.", key))]
    numbers = [int(number) for number in re.findall(r"\d+", named[1])] if named else []
    if layers and numbers and min(numbers) > max(layers):
        return f"the GPT layers are gpt.gpt.h.{min(layers)} to gpt.gpt.h.{max(layers)}"
    return None
