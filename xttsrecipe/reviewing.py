"""Compares recipes with what they were: texts to plans, plans to what differs, and what is wrong with either."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from itertools import zip_longest

from . import checkpoints, vocabulary
from .changes import Comparison, Review, Side, Status
from .diff import diff_plans
from .document import document_of
from .errors import XttsRecipeError
from .pairs import Pair, RecipeText, find_pairs
from .recipe import parse_recipe
from .review import Reviewed, plan_for_review

_Planner = Callable[[RecipeText], "Reviewed | XttsRecipeError"]


def compare(old: str, new: str | None = None) -> Review:
    """What differs between the recipes that OLD and NEW name (see ``pairs.find_pairs``), each checkpoint read once.

    A recipe that is not valid is part of the outcome. Raises ValueError where OLD needs a NEW, XttsRecipeError where
    there is nothing of that name.
    """
    found = find_pairs(old, new)
    open_checkpoint = functools.cache(checkpoints.open_checkpoint)
    read_vocabulary = functools.cache(vocabulary.read_vocabulary)

    def planned(text: RecipeText) -> Reviewed | XttsRecipeError:
        try:
            if text.raw is None or text.problems:
                return XttsRecipeError(text.problems)
            recipe = parse_recipe(document_of(text.raw, text.label), text.path)
            return plan_for_review(recipe, text.lock, open_checkpoint, read_vocabulary)
        except XttsRecipeError as error:
            return error

    return Review(found.old, found.new, tuple(_compared(pair, planned) for pair in found.pairs))


def _compared(pair: Pair, planned: _Planner) -> Comparison:
    old, new = pair.old, pair.new
    if new is None:
        # What it did before does not matter any more, nor whether it was valid.
        gone = Side(old.label, old.path) if old else None
        return Comparison(pair.label, Status.REMOVED, gone, None, 1, text_changed=True, lock_changed=False)
    text_changed = old is None or _lines(old.raw) != _lines(new.raw)
    lock_changed = old is not None and _lines(old.lock) != _lines(new.lock)
    if old is not None and not text_changed and not lock_changed and _is_same_place(old, new):
        return Comparison(
            _title(old, new), Status.IDENTICAL, Side(old.label, old.path), Side(new.label, new.path), 1,
            text_changed=False, lock_changed=False,
        )  # fmt: skip
    before, after = planned(old) if old else None, planned(new)
    if isinstance(before, XttsRecipeError) or isinstance(after, XttsRecipeError):
        status, diff = Status.INVALID, None
    else:
        diff = diff_plans(before, after)
        status = _status(diff.is_empty, before is None, text_changed or lock_changed)
    return Comparison(
        name=_title(old, new),
        status=status,
        old=_side(old, before) if old else None,
        new=_side(new, after),
        line=_first_difference(old, new),
        text_changed=text_changed,
        lock_changed=lock_changed,
        diff=diff if status in (Status.CHANGED, Status.ADDED) else None,
    )


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
