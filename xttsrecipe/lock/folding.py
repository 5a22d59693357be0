"""Many keys on a few lines: ``gpt.gpt.h.{0..29}.ln_1.weight`` for thirty that differ in one number.

A part of a key (between dots) may stand for a range; nothing else is folded.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

V = TypeVar("V", bound=Hashable)

# A whole part of a key.
_RANGE = re.compile(r"(?:(?<=\.)|^)\{(0|[1-9]\d{0,5})\.\.(0|[1-9]\d{0,5})\}(?=\.|$)")
_NUMBER = re.compile(r"0|[1-9]\d{0,5}")
# Fewer read better one by one.
_FEWEST = 3


def folded(values: Mapping[str, V]) -> dict[str, V]:
    """The same with fewer keys, sorted: those with equal values that differ in consecutive numbers as one.

    Raises ValueError for a key that ``unfolded`` would take for a range.
    """
    strange = next(filter(_RANGE.search, values), None)
    if strange is not None:
        raise ValueError(f"the key {strange!r} looks like a range of keys")
    entries = {tuple(key.split(".")): value for key, value in values.items()}
    for position in range(max(map(len, entries), default=0)):
        entries = dict(_folded_at(position, entries))
    return dict(sorted((".".join(parts), value) for parts, value in entries.items()))


def _folded_at(position: int, entries: Mapping[tuple[str, ...], V]) -> Iterator[tuple[tuple[str, ...], V]]:
    alike: dict[tuple[tuple[str, ...], tuple[str, ...], V], list[int]] = {}
    for parts, value in entries.items():
        if len(parts) > position and _NUMBER.fullmatch(parts[position]):
            alike.setdefault((parts[:position], parts[position + 1 :], value), []).append(int(parts[position]))
        else:
            yield parts, value
    for (before, after, value), numbers in alike.items():
        for first, last in ranges(numbers):
            if last - first + 1 >= _FEWEST:
                yield (*before, f"{{{first}..{last}}}", *after), value
            else:
                for number in range(first, last + 1):
                    yield (*before, str(number), *after), value


def ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of every stretch of consecutive numbers, in order."""
    for _, stretch in itertools.groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in stretch]
        yield members[0], members[-1]


def unfolded(key: str, most: int) -> list[str]:
    """The keys that a folded one stands for. Raises ValueError where they are more than ``most``."""
    literal, *rest = _RANGE.split(key)
    choices: list[list[str]] = [[literal]]
    count = 1
    for first, last, text in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        count *= max(int(last) - int(first) + 1, 0)
        if count > most:
            raise ValueError(f"{key!r} stands for more than {most:,} keys")
        choices.append([f"{number}{text}" for number in range(int(first), int(last) + 1)])
    return list(map("".join, itertools.product(*choices)))
