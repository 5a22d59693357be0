"""Key patterns: globs over whole tensor keys, and what a pattern that fits nothing might have meant.

``*`` and ``?`` cross dots, ``[…]`` is a character class, ``\\`` takes the meaning of the next character, ``{a,b}`` and
``{0..9}`` expand (bracex does that). ``@name`` stands for a named component, a fixed set of patterns; in braces too.
Knows no keys of its own.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

import bracex

from .codes import Code
from .errors import nearest

_MAX_ALTERNATIVES = 1_000
# What the patterns of one recipe may have together: five times the keys of XTTS-V2.
_MAX_TOGETHER = 5_000
# Ten times what anyone writes; and what all alternatives together may have. Longer patterns, of nothing but braces,
# take bracex minutes, and longer alternatives a regular expression that takes as long to compile.
_MAX_LENGTH = 1_000
_MAX_EXPANDED_LENGTH = 20_000
# A class, in which fnmatch has no escapes; or an escaped character.
_CLASS_OR_ESCAPE = re.compile(r"\[[!^]?\]?[^\]]*\]|\\(.?)", re.DOTALL)

KeyTest = Callable[[str], bool]


class PatternError(ValueError):
    """The pattern cannot be used; ``str()`` says why, ``code`` which kind of problem that is."""

    def __init__(self, code: Code, why: str) -> None:
        super().__init__(why)
        self.code = code


def compile_pattern(pattern: str, components: Mapping[str, Sequence[str]]) -> KeyTest:
    """A test for keys. Raises PatternError for an unknown component or a pattern of over 1,000 alternatives."""
    return _test(_expanded(pattern, components))


def compile_patterns(
    patterns: Iterable[str], components: Mapping[str, Sequence[str]]
) -> Iterator[KeyTest | PatternError]:
    """A test for each pattern, or why it cannot be used. Ends where all together have over 5,000 alternatives."""
    count = 0
    for pattern in patterns:
        try:
            globs = _expanded(pattern, components)
            count += len(globs)
            if count > _MAX_TOGETHER:
                yield PatternError(
                    Code.PATTERN_TOO_LARGE,
                    f"the patterns up to here expand to more than {_MAX_TOGETHER:,} alternatives",
                )
                return
            yield _test(globs)
        except PatternError as error:
            yield error


def _expanded(pattern: str, components: Mapping[str, Sequence[str]]) -> list[str]:
    """The globs that a pattern stands for, without braces and components. Raises as ``compile_pattern`` does."""
    if len(pattern) > _MAX_LENGTH:
        raise PatternError(
            Code.PATTERN_TOO_LARGE, f"the pattern has {len(pattern):,} characters, more than {_MAX_LENGTH:,}"
        )
    globs: list[str] = []
    for part in _without_braces(pattern):  # in which components stand too: {@encoder,mel_stats}, @{mlp,norms}
        globs += [part] if part[:1] != "@" else chain.from_iterable(map(_without_braces, _component(part, components)))
    if len(globs) > _MAX_ALTERNATIVES:
        raise PatternError(Code.PATTERN_TOO_LARGE, _TOO_MANY)
    if sum(map(len, globs)) > _MAX_EXPANDED_LENGTH:
        raise PatternError(
            Code.PATTERN_TOO_LARGE, f"the pattern expands to more than {_MAX_EXPANDED_LENGTH:,} characters"
        )
    return globs


_TOO_MANY = f"the pattern expands to more than {_MAX_ALTERNATIVES:,} alternatives"


def _without_braces(pattern: str) -> list[str]:
    try:
        return bracex.expand(pattern, keep_escapes=True, limit=_MAX_ALTERNATIVES) or [""]
    except bracex.ExpansionLimitException as error:
        raise PatternError(Code.PATTERN_TOO_LARGE, _TOO_MANY) from error
    except RecursionError as error:
        raise PatternError(Code.PATTERN_TOO_LARGE, "the pattern has braces within braces beyond reason") from error


def _test(globs: Iterable[str]) -> KeyTest:
    """A test for keys that any of these globs fits, in a time that is bounded by the length of key and glob."""
    # fnmatch lets no star try again what an earlier one has found, so that no number of them searches without end.
    regexes = [fnmatch.translate(_CLASS_OR_ESCAPE.sub(_as_fnmatch, glob)) for glob in globs]
    match = re.compile("|".join(regexes)).match
    return lambda key: match(key) is not None


def _as_fnmatch(found: re.Match[str]) -> str:
    escaped: str | None = found[1]
    if escaped is None:
        return found[0].replace("[^", "[!", 1)
    return f"[{escaped}]" if escaped in ("*", "?", "[") else escaped


def _component(pattern: str, components: Mapping[str, Sequence[str]]) -> Sequence[str]:
    name = pattern[1:]
    if name not in components:
        near = nearest(name, components, count=1)
        known = ", ".join(f"@{component}" for component in components)
        raise PatternError(
            Code.UNKNOWN_COMPONENT,
            f"no component is named {pattern!r}; " + (f"did you mean '@{near[0]}'?" if near else f"there are {known}"),
        )
    return components[name]


def suggestions(pattern: str, keys: Iterable[str], components: Mapping[str, Sequence[str]]) -> list[str]:
    """Up to three patterns or keys near ``pattern``, which fits none of ``keys``, that do, best first; often none."""
    keys = list(keys)
    found: dict[tuple[str, ...], str] = {}  # by what they match: two ways to say the same are one suggestion
    for candidate in dict.fromkeys(_candidates(pattern, keys, components)):
        if candidate == pattern:
            continue
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
