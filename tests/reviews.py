"""Recipes compared in tests: plans without checkpoints, and what differs between them."""

from __future__ import annotations

from pathlib import Path

from tests.builders import write_recipe
from xttsrecipe.changes import Amounts, Kind, PlanDiff
from xttsrecipe.diff.plans import diff_plans
from xttsrecipe.recipe import load_recipe
from xttsrecipe.review import Reviewed, known_of, plan_for_review

TWO = "checkpoints: {news: news.pth, audiobook: audiobook.pth}\noutput: {path: out.pth}\n"


def reviewed(folder: Path, text: str) -> Reviewed:
    """The plan of a recipe in a folder, over the checkpoints that are there."""
    recipe = load_recipe(write_recipe(folder, text))
    return plan_for_review(recipe, known_of(recipe))


def differing(folder: Path, old: str, new: str) -> PlanDiff:
    """What differs between two recipes in a folder."""
    return diff_plans(reviewed(folder, old), reviewed(folder, new))


def counts(amounts: Amounts) -> dict[str, int]:
    """How many tensors change in each way, and in all."""
    return {kind.value: amount.tensors for kind, amount in amounts.of_kind.items()} | {"in all": amounts.in_all.tensors}


def kinds(diff: PlanDiff) -> dict[str, tuple[Kind, ...]]:
    """In what ways each tensor changes."""
    return {change.key: change.kinds for change in diff.tensors}
