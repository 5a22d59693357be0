"""Compares recipes with what they were: texts to plans, plans to what differs, and what is wrong with either."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

from .. import checkpoints, vocabulary
from ..changes import RecipeChange, Review, Side, Status
from ..document import document_of
from ..errors import XttsRecipeError
from ..lock import Lock, lock_of_bytes
from ..recipe import Recipe, parse_recipe
from ..review import Known, Reviewed, known_of, plan_for_review
from ..written_paths import as_written
from .pairs import Pair, RecipeText, find_pairs
from .plans import diff_plans

_Open = Callable[[Recipe, "Lock | None"], Known]
_Valid = tuple[Recipe, Known]


def compare(old: str, new: str | None = None) -> Review:
    """What differs between the recipes that OLD and NEW name (see ``pairs.find_pairs``), each checkpoint read once.

    A recipe that is not valid is part of the outcome. Raises ValueError where OLD needs a NEW, XttsRecipeError where
    there is nothing of that name.
    """
    found = find_pairs(old, new)
    open_once = functools.partial(
        known_of,
        open_checkpoint=functools.cache(checkpoints.open_checkpoint),
        read_vocabulary=functools.cache(vocabulary.read_vocabulary),
    )
    return Review(found.old, found.new, tuple(_compared(pair, open_once) for pair in found.pairs))


def _compared(pair: Pair, open_once: _Open) -> RecipeChange:
    old, new = pair.old, pair.new
    if new is None:
        # What it did before does not matter any more, nor whether it was valid.
        gone = Side(old.label, old.path) if old else None
        return RecipeChange(pair.label, Status.REMOVED, gone, None, 1, text_changed=True, lock_changed=False)
    text_changed = old is None or _lines(old.raw) != _lines(new.raw)
    lock_changed = old is not None and _lines(old.lock) != _lines(new.lock)
    if old is not None and not text_changed and not lock_changed and _is_same_place(old, new):
        return RecipeChange(
            _title(old, new), Status.IDENTICAL, Side(old.label, old.path), Side(new.label, new.path), 1,
            text_changed=False, lock_changed=False,
        )  # fmt: skip
    before, after = _plans(old, new, open_once)
    if isinstance(before, XttsRecipeError) or isinstance(after, XttsRecipeError):
        status, diff = Status.INVALID, None
    else:
        diff = diff_plans(before, after)
        status = _status(diff.is_empty, before is None, text_changed or lock_changed)
    return RecipeChange(
        name=_title(old, new),
        status=status,
        old=_side(old, before) if old else None,
        new=_side(new, after),
        line=_first_difference(old, new),
        text_changed=text_changed,
        lock_changed=lock_changed,
        diff=diff if status in (Status.CHANGED, Status.ADDED) else None,
    )


def _plans(
    old: RecipeText | None, new: RecipeText, open_once: _Open
) -> tuple[Reviewed | XttsRecipeError | None, Reviewed | XttsRecipeError]:
    """Both plans, or why there is none; what is known of either's sources helps where it is not of the other's."""
    before, after = _read(old, open_once) if old else None, _read(new, open_once)
    return _planned(before, after) if before else None, _planned(after, before)


def _read(text: RecipeText, open_once: _Open) -> _Valid | XttsRecipeError:
    recipe = None
    try:
        if text.raw is None or text.problems:
            return XttsRecipeError(text.problems)
        recipe = parse_recipe(document_of(text.raw, text.label), text.path)
        lock = None if text.lock is None else lock_of_bytes(text.lock, Path(text.lock_label))
        return recipe, open_once(recipe, lock)
    except XttsRecipeError as error:
        return error if recipe is None else as_written(error, recipe)


def _planned(read: _Valid | XttsRecipeError, other: _Valid | XttsRecipeError | None) -> Reviewed | XttsRecipeError:
    if isinstance(read, XttsRecipeError):
        return read
    try:
        return plan_for_review(*read, None if other is None or isinstance(other, XttsRecipeError) else other[1])
    except XttsRecipeError as error:
        return as_written(error, read[0])


def _title(old: RecipeText | None, new: RecipeText) -> str:
    return new.label if old is None or _is_same_place(old, new) else f"{old.label} → {new.label}"


def _status(same_plan: bool, is_new: bool, text_differs: bool) -> Status:
    if is_new:
        return Status.ADDED
    if not same_plan:
        return Status.CHANGED
    return Status.SAME_PLAN if text_differs else Status.IDENTICAL


def _side(text: RecipeText, planned: Reviewed | XttsRecipeError | None) -> Side:
    if isinstance(planned, XttsRecipeError):
        return Side(text.label, text.path, problems=planned.problems)
    return Side(text.label, text.path, planned.basis if planned else None)


def _is_same_place(old: RecipeText, new: RecipeText) -> bool:
    """Whether relative file names mean the same in both."""
    return os.path.realpath(old.path) == os.path.realpath(new.path)


def _lines(raw: bytes | None) -> list[bytes] | None:
    """The lines of a text without their ends, which git may change on its way to the work tree."""
    return None if raw is None else raw.splitlines()


def _first_difference(old: RecipeText | None, new: RecipeText) -> int:
    """The first line of the new text, from 1, that the old one has not got there; its last where it is only shorter."""
    lines, before = _lines(new.raw) or [], _lines(old.raw if old else None) or []
    numbers = (number for number, (was, now) in enumerate(zip_longest(before, lines), 1) if was != now)
    return max(min(next(numbers, 1), len(lines)), 1)
