"""What ``validate`` found of a recipe, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import Problem


@dataclass(frozen=True, slots=True)
class Validation:
    """The outcome for one recipe: what is wrong, and if nothing is, what was checked (``extent``, for people).

    ``warnings`` and ``notes`` are those of the plan, where it could be made; ``drift`` is where the lock does not speak
    of the recipe and its files as they are now. None of these makes a recipe invalid.
    """

    file: Path
    problems: tuple[Problem, ...]
    extent: str
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    drift: tuple[Problem, ...] = ()
