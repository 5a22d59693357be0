"""Key patterns: globs over whole tensor keys, and what a pattern that fits nothing might have meant.

``*`` and ``?`` cross dots, ``[…]`` is a character class, ``{a,b}`` and ``{0..9}`` expand (wcmatch and bracex do the
work). ``@name`` stands for a named component, a fixed set of patterns; in braces too. Knows no keys of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import bracex
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
    try:
        # Components stand in braces too: {@encoder,mel_stats}, @{mlp,norms}.
        parts = bracex.expand(pattern, keep_escapes=True, limit=_MAX_ALTERNATIVES) if "@" in pattern else [pattern]
        globs = [glob for part in parts for glob in (_component(part, components) if part[:1] == "@" else [part])]
        regexes, _ = fnmatch.translate(globs, flags=_FLAGS, limit=_MAX_ALTERNATIVES)
    except Exception as error:
        # wcmatch has no public name for its exception.
        if type(error).__name__ not in ("PatternLimitException", "ExpansionLimitException"):
            raise
        raise PatternError(f"the pattern expands to more than {_MAX_ALTERNATIVES:,} alternatives") from error
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


def suggestions(pattern: str, keys: Iterable[str], components: Mapping[str, Sequence[str]]) -> list[str]:
    """Up to three patterns or keys near ``pattern`` that fit some of ``keys``, best first; often there are none."""
    keys = list(keys)
    found: dict[tuple[str, ...], str] = {}  # by what they match: two ways to say the same are one suggestion
    for candidate in _candidates(pattern, keys, components):
        try:
            matched = tuple(filter(compile_pattern(candidate, components), keys))
        except PatternError:
            continue
        if matched:
            found.setdefault(matched, candidate)
    return list(found.values())[:3] or nearest(pattern, keys)


def _candidates(pattern: str, keys: Sequence[str], components: Mapping[str, Sequence[str]]) -> Iterable[str]:
    """The pattern with every word that no key has replaced by the nearest that one has; components; less anchored."""
    segments = {segment for key in keys for segment in key.split(".") if not segment.isdigit()}
    words = sorted(segments | {word for segment in segments for word in segment.split("_")})
    folded = {word.casefold(): word for word in words}

    def respelled(match: re.Match[str]) -> str:
        word = match.group()
        near = folded.get(word.casefold()) or next(iter(nearest(word, words, count=1, cutoff=0.75)), word)
        return word if word in words else near

    # Where a pattern goes on after what keys begin with (gpt.txt_head.*), that is no component (@gpt).
    written = re.findall(r"[A-Za-z_]+", pattern)
    begun = {key.partition(".")[0] for key in keys} if len(written) > 1 else set()
    yield from (f"@{word}" for word in written if word in components and word not in begun)
    candidate = re.sub(r"[A-Za-z_][A-Za-z0-9_]*", respelled, pattern)
    stem = candidate.strip("*").rstrip(".")
    loose = (candidate, f"{stem}*", f"*{stem}*", re.sub(r"\{[^}]*\}|\d+", "*", candidate))
    yield from (re.sub(r"\*+", "*", option) for option in loose if stem)
