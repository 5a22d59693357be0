"""What can go wrong, as data: problems, the exceptions that carry them, and exit codes.

Owns the shape of an error. Never formats one for a person (``report`` does) and never ends the process (``cli`` does).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .codes import Code


class ExitCode(IntEnum):
    """What a process status of ours means."""

    OK = 0
    NO = 1  # invalid, refused, unreadable
    USAGE = 2
    BUG = 3
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Location:
    """A place a person can go to: a file, and in a text file the line and column (both from 1).

    ``text`` is that line as it stands in the file, ``length`` how many characters of it are meant.
    """

    file: str
    line: int | None = None
    column: int | None = None
    text: str | None = None
    length: int = 1

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)

    @property
    def end_column(self) -> int | None:
        """The column after the last character that is meant; None where no column is known."""
        if self.column is None:
            return None
        rest = self.length if self.text is None else min(self.length, len(self.text) - self.column + 1)
        return self.column + max(rest, 1)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: of which kind, where, what was found, what was expected, and what to do about it."""

    code: Code
    what: str
    where: Location | None = None
    found: str | None = None
    expected: str | None = None
    hint: str | None = None
    # Lines that list what is concerned (keys with both shapes, say). Whoever prints them may cut a long list short, but
    # where nothing else tells the rest.
    details: tuple[str, ...] = ()
    all_details: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what

    def with_texts(self, changed: Callable[[str], str]) -> Problem:
        """The same with every text changed so, and the name of the file; the line that is quoted stays."""
        found, expected, hint = (text and changed(text) for text in (self.found, self.expected, self.hint))
        return replace(
            self,
            what=changed(self.what),
            where=self.where and replace(self.where, file=changed(self.where.file)),
            found=found,
            expected=expected,
            hint=hint,
            details=tuple(map(changed, self.details)),
        )


class XttsRecipeError(Exception):
    """Everything that is not a bug in xttsrecipe: all the problems found, together."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[XttsRecipeError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)  # when it comes from another process


class RecipeError(XttsRecipeError):
    """The recipe is not valid, or asks for what its checkpoints cannot give."""


class CheckpointError(XttsRecipeError):
    """A checkpoint cannot be read, or is not one."""


class OutputError(XttsRecipeError):
    """The output cannot or must not be written."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'audiobook'?"`` where something known is near, else nothing."""
    near = nearest(name, known, count=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def nearest(name: str, known: Iterable[str], count: int = 3, cutoff: float = 0.6) -> list[str]:
    """The known names most like ``name`` (1: equal), best first; capitals do not matter."""
    by_folded: dict[str, list[str]] = {}
    for candidate in map(str, known):
        by_folded.setdefault(candidate.casefold(), []).append(candidate)
    hits = difflib.get_close_matches(name.casefold(), by_folded, count, cutoff)
    return [candidate for hit in hits for candidate in by_folded[hit]][:count]


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``: for sentences."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
