"""Proves what a checkpoint was made from: by making it once more from its sources, or by the lock of its recipe."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from . import api
from .codes import Code
from .digests.plan import plan_digest
from .digests.sources import SourceDigests
from .errors import CheckpointError, Location, Problem, XttsRecipeError
from .lock import Lock, lock_path, read_lock
from .metadata import recorded_sources
from .options import RunOptions
from .plan import Plan, make_plan
from .provenance import remaking
from .provenance.remaking import Making
from .provenance.stored import stored_digest
from .recipe_files import LOCK_SUFFIX
from .report.layout import counted
from .settings import Setting

# Of those in a folder, so many are looked at.
_MOST_LOCKS = 100

_Progress = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found right. ``tensors``: how many. ``lock``: the one that proved it, None where the sources did;
    ``is_current``: whether it is the one that the output was made with.
    """

    tensors: int
    lock: Path | None = None
    is_current: bool = True


def verify(
    making: Making, recipe: Path | None, settings: Sequence[Setting], progress: _Progress, options: RunOptions
) -> Proof:
    """Prove that an output is what its recipe makes of its sources, or where they are not at hand, what the recipe's
    lock has of it. Writes nothing.

    ``recipe``: where it lies, a file or its folder; it is looked for if None. ``settings`` say where sources lie.
    ``progress`` is entered with the bytes to compare. Raises XttsRecipeError for whatever is not so, or cannot be told.
    """
    found = remaking.planned_again(making, recipe, settings)
    if isinstance(found, Plan):
        return _by_sources(making, found, progress, options)
    return _by_lock(making, recipe, found)


def _by_sources(making: Making, plan: Plan, progress: _Progress, options: RunOptions) -> Proof:
    problems = list(remaking.source_problems(making, plan))
    if problems:
        raise CheckpointError(problems)
    other = list(remaking.mismatches(making, plan))
    if other:
        raise _not_as_made(making, "", other)
    stated = remaking.stated_digests(making, plan)
    headers = dict(zip(plan.recipe.source_names, plan.headers, strict=True))
    with SourceDigests(headers[name] for name in stated) as digests:
        with progress(plan.nbytes, "comparing") as on_bytes:
            differing = api.compare(plan, making.header, on_bytes, options)
        problems = list(remaking.digest_problems(making, plan, digests.of))
    if problems:
        raise CheckpointError(problems)
    if differing:
        count = f": {counted(len(differing), 'tensor')} of {len(plan.steps)} differ"
        raise _not_as_made(making, count, [f"{name}: from element {first:,} on" for name, first in differing.items()])
    return Proof(len(plan.steps))


def _not_as_made(making: Making, count: str, details: Sequence[str]) -> XttsRecipeError:
    what = f"is not what its recipe makes{count}"
    return XttsRecipeError(Problem(Code.NOT_AS_MADE, what, _place(making), details=tuple(details)))


def _by_lock(making: Making, recipe: Path | None, absent: Sequence[str]) -> Proof:
    found = _lock_of(making, recipe)
    if found is None or found[0].output is None:
        why = f"{found[0].file.name} has no digest of an output" if found else "no lock of its recipe was found"
        raise XttsRecipeError(
            Problem(
                Code.CANNOT_BE_VERIFIED,
                f"cannot be verified: its sources are not here, and {why}",
                _place(making),
                hint="--set checkpoints.NAME=PATH says where a source lies; --recipe where the recipe and its lock lie",
                details=tuple(absent),
            )
        )
    lock, plan = found
    other = [*remaking.mismatches(making, plan, from_lock=True), *_not_of(lock, plan, making)]
    if other:
        raise _not_as_made(making, "", other)
    digest = stored_digest(making.header)
    if digest != lock.output:
        raise XttsRecipeError(
            Problem(
                Code.OUTPUT_NOT_AS_LOCKED,
                f"is not the output that {lock.file.name} has of this recipe",
                _place(making),
                found=f"tensors of sha256 {digest}",
                expected=f"sha256 {lock.output}",
            )
        )
    is_current = making.data.get("lock_sha256") in (None, lock.digest)
    return Proof(len(making.header.stored), lock.file, is_current)


def _lock_of(making: Making, recipe: Path | None) -> tuple[Lock, Plan] | None:
    """The lock beside the recipe or, where that is looked for, one that is of the recipe that the output holds and of
    the sources that it says it has, rather with the digest of an output; and the plan of that recipe over what the lock
    says of its sources.
    """
    if recipe and os.path.isfile(recipe):  # noqa: PTH113 # never raises
        return _planned_by(read_lock(lock_path(recipe)), making, recipe.parent)
    found: tuple[Lock, Plan] | None = None
    for folder in remaking.folders(making.header, recipe):
        for path in sorted(folder.glob(f"*{LOCK_SUFFIX}"))[:_MOST_LOCKS]:
            its = None
            with contextlib.suppress(XttsRecipeError):  # it is another recipe's, whatever is wrong with it
                its = _planned_by(read_lock(path), making, folder)
            if its and not any(_not_of(*its, making)):
                if its[0].output:
                    return its
                found = found or its
    return found


def _planned_by(lock: Lock | None, making: Making, folder: Path) -> tuple[Lock, Plan] | None:
    made = remaking.recipe_in(making, folder, ())
    if lock is None or not all(source.name in lock.sources for source in made.sources):
        return None
    headers = [header for source in made.sources if (header := lock.header_of(source))]
    return lock, remaking.with_its_card(making, make_plan(made, headers))


def _not_of(lock: Lock, plan: Plan, making: Making) -> Iterator[str]:
    """Why a lock is not of an output's recipe over its sources."""
    if plan_digest(plan) != lock.plan:
        yield f"recipe: is not the one that {lock.file.name} is of"
    recorded = recorded_sources(making.data)
    for name in remaking.stated_digests(making, plan):
        if recorded[name]["sha256"] != lock.sources[name].sha256:
            yield f"sources.{name}.sha256: is not the one that {lock.file.name} has"


def _place(making: Making) -> Location:
    return Location(str(making.header.path))
