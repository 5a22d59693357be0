"""Key patterns: globs over whole tensor keys, and what a pattern that fits nothing might have meant.

``*`` and ``?`` cross dots, ``[…]`` is a character class, ``{a,b}`` and ``{0..9}`` expand (wcmatch and bracex do the
work). ``@name`` stands for a named component, a fixed set of patterns. Knows no keys of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from wcmatch import fnmatch

from .errors import nearest

# FORCEUNIX: keys are no paths, so matching must not depend on the platform.
_FLAGS = fnmatch.BRACE | fnmatch.CASE | fnmatch.DOTMATCH | fnmatch.FORCEUNIX
_MAX_ALTERNATIVES = 1_000

KeyTest = Callable[[str], bool]


class PatternError(ValueError):
    """The pattern cannot be used; ``str()`` says why."""


def compile_pattern(pattern: str, components: Mapping[str, Sequence[str]]) -> KeyTest:
    """A test for keys. Raises PatternError for an unknown component or a pattern of over 1,000 alternatives."""
    globs = _component(pattern, components) if pattern.startswith("@") else [pattern]
    try:
        regexes, _ = fnmatch.translate(globs, flags=_FLAGS, limit=_MAX_ALTERNATIVES)
    except Exception as error:  # wcmatch has no public name for what it raises at the limit
        raise PatternError(f"the pattern {pattern!r} cannot be expanded: {error}") from error
    match = re.compile("|".join(regexes)).match
    return lambda key: match(key) is not None


def _component(pattern: str, components: Mapping[str, Sequence[str]]) -> Sequence[str]:
    name = pattern[1:]
    if name not in components:
        near = nearest(name, components, count=1)
        known = ", ".join(f"@{component}" for component in components)
        raise PatternError(
            f"no component is named {pattern!r}; " + (f"did you mean '@{near[0]}'?" if near else f"there are {known}")
        )
    return components[name]


def suggestions(pattern: str, keys: Iterable[str], count: int = 3) -> list[str]:
    """Patterns or keys near ``pattern`` that do fit some of ``keys``, best first; often there are none."""
    keys = list(keys)
    found: dict[str, None] = {}
    for candidate in _respelled(pattern, keys):
        try:
            test = compile_pattern(candidate, {})
        except PatternError:
            continue
        if any(map(test, keys)):
            found[candidate] = None
    if not found:
        found = dict.fromkeys(nearest(pattern, keys, count))
    return list(found)[:count]


def _respelled(pattern: str, keys: Sequence[str]) -> Iterable[str]:
    """The pattern with every word that no key has replaced by the nearest that one has; then anchored less."""
    segments = {segment for key in keys for segment in key.split(".") if not segment.isdigit()}
    words = segments | {word for segment in segments for word in segment.split("_")}
    folded = {word.casefold(): word for word in words}

    def respell(match: re.Match[str]) -> str:
        word = match.group()
        if word in words:
            return word
        near = folded.get(word.casefold()) or next(iter(nearest(word, words, count=1)), None)
        return near or word

    respelled = re.sub(r"[A-Za-z_][A-Za-z0-9_]*", respell, pattern)
    for candidate in (respelled, pattern, respelled.replace("/", ".")):
        yield from (
            candidate,
            f"{candidate}*",
            f"*{candidate}",
            f"*{candidate}*",
            re.sub(r"\{[^}]*\}|\d+", "*", candidate),
        )
