"""Proves what a checkpoint was made from: by making it once more from its sources, or by the lock of its recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from . import api, remaking
from .codes import Code
from .errors import CheckpointError, Location, Problem, XttsRecipeError
from .lock import Lock, lock_path, read_lock
from .options import RunOptions
from .plan import Plan
from .remaking import Making
from .report.layout import counted
from .settings import Setting

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
    other = list(remaking.differences(making, plan))
    if other:
        raise _not_as_made(making, "", other)
    with progress(plan.nbytes, "comparing") as on_bytes:
        differing = api.compare(plan, making.header, on_bytes, options)
    if differing:
        count = f": {counted(len(differing), 'tensor')} of {len(plan.steps)} differ"
        raise _not_as_made(making, count, [f"{name}: from element {first:,} on" for name, first in differing.items()])
    return Proof(len(plan.steps))


def _not_as_made(making: Making, count: str, details: Sequence[str]) -> XttsRecipeError:
    what = f"is not what its recipe makes{count}"
    return XttsRecipeError(Problem(Code.NOT_AS_MADE, what, _place(making), details=tuple(details)))


def _by_lock(making: Making, recipe: Path | None, absent: Sequence[Path]) -> Proof:
    found = _lock_of(making, recipe)
    if found is None or found.output is None:
        why = "no lock was found" if found is None else f"{found.file.name} has no digest of an output"
        raise XttsRecipeError(
            Problem(
                Code.CANNOT_BE_VERIFIED,
                f"cannot be verified: its sources are not here, and {why}",
                _place(making),
                hint="--set checkpoints.NAME=PATH says where a source lies; --recipe where the recipe and its lock lie",
                details=tuple(map(str, absent)),
            )
        )
    digest = remaking.digest_of(making.header)
    if digest != found.output:
        raise XttsRecipeError(
            Problem(
                Code.OUTPUT_NOT_AS_LOCKED,
                f"is not the output that {found.file.name} has of this recipe",
                _place(making),
                found=f"tensors of sha256 {digest}",
                expected=f"sha256 {found.output}",
            )
        )
    is_current = making.data.get("lock_sha256") in (None, found.digest)
    return Proof(len(remaking.stored_tensors(making.header)), found.file, is_current)


def _lock_of(making: Making, recipe: Path | None) -> Lock | None:
    if recipe and recipe.is_file():
        return read_lock(lock_path(recipe))
    name = making.data.get("recipe_name")
    if not isinstance(name, str) or Path(name).name != name:
        return None
    paths = [lock_path(folder / f"{name}.yaml") for folder in remaking.folders(making.header, recipe)]
    return next((read_lock(path) for path in paths if path.is_file()), None)


def _place(making: Making) -> Location:
    return Location(str(making.header.path))
