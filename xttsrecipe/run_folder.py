"""The folder of a training run: which checkpoints the trainer left in it, and the last or the best of them.

Reads names and, of what is chosen or compared, headers. Never writes a recipe: ``starter`` does.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .checkpoints import open_checkpoint
from .codes import Code
from .errors import CheckpointError, Location, Problem
from .metadata import training_of
from .specs import Header

# What the trainer calls them. best_model.pth and best_model_N.pth are second copies of the same training, of steps
# that may be among these.
_NAME = re.compile(r"checkpoint_([0-9]{1,18})\.pth")

# A file that is called like a checkpoint of the run, and why it cannot be chosen.
_LeftOut = tuple[Path, str]


@dataclass(frozen=True, slots=True)
class RunCheckpoint:
    """A checkpoint of a run: the step that its file is called after, and its header."""

    step: int
    header: Header


@dataclass(frozen=True, slots=True)
class Selection:
    """Checkpoints of the run in ``folder``, oldest first. ``left_out``: which ones could not be chosen, and why."""

    folder: Path
    by: Literal["last", "best"]
    checkpoints: tuple[RunCheckpoint, ...]
    left_out: tuple[str, ...] = ()


def last_checkpoints(folder: Path, count: int) -> Selection:
    """The ``count`` newest checkpoints by the steps in their names.

    Raises CheckpointError where there are fewer, or one of these cannot be read.
    """
    found, left_out = _found(folder, count, "last")
    opened: list[RunCheckpoint] = []
    problems: list[Problem] = []
    for step, path in found[-count:]:
        try:
            opened.append(RunCheckpoint(step, open_checkpoint(path)))
        except CheckpointError as error:
            problems += error.problems
    if problems:
        raise CheckpointError(problems)
    return Selection(folder, "last", tuple(opened), _remarks(left_out))


def best_checkpoints(folder: Path, count: int) -> Selection:
    """The ``count`` checkpoints with the smallest ``model_loss.eval_loss``; of equal ones the newer.

    Those without one, or with one that is not finite, are left out. Raises CheckpointError where fewer are left, or
    any checkpoint cannot be read: it might be one of the best.
    """
    found, left_out = _found(folder, count, "best")
    without: list[_LeftOut] = []
    ranked: list[tuple[float, RunCheckpoint]] = []
    comparable = 0
    problems: list[Problem] = []
    for step, path in reversed(found):
        try:
            header = open_checkpoint(path)
        except CheckpointError as error:
            problems += error.problems
            continue
        loss = eval_loss_of(header.entries)
        if isinstance(loss, str):
            without.append((path, loss))
            continue
        comparable += 1
        # Headers take memory, and runs may have hundreds of checkpoints. Sorting keeps the newer first of equal ones.
        ranked = sorted([*ranked, (loss, RunCheckpoint(step, header))], key=lambda each: each[0])[:count]
    if problems:
        raise CheckpointError(problems)
    left_out += reversed(without)
    if comparable < count:
        raise CheckpointError(_too_few_with_loss(folder, count, comparable, left_out))
    chosen = sorted((checkpoint for _, checkpoint in ranked), key=lambda each: each.step)
    return Selection(folder, "best", tuple(chosen), _remarks(left_out))


def eval_loss_of(entries: Mapping[str, Any]) -> float | str:
    """``model_loss.eval_loss`` of a checkpoint; in words, why there is none to compare by."""
    losses = training_of(entries).get("model_loss")
    if losses is not None and not isinstance(losses, Mapping):
        return "its model_loss does not say what is its eval_loss"
    loss = losses.get("eval_loss") if losses else None
    if loss is None:
        return "it has no eval_loss"
    if isinstance(loss, bool) or not isinstance(loss, (int, float)) or not abs(loss) <= sys.float_info.max:
        return "its eval_loss is not a finite number"
    return float(loss)


def _remarks(left_out: Sequence[_LeftOut]) -> tuple[str, ...]:
    return tuple(f"{path} is left out: {why}" for path, why in left_out)


def _found(folder: Path, count: int, by: str) -> tuple[list[tuple[int, Path]], list[_LeftOut]]:
    """All of a run's checkpoints by step, and what is left out of what has such a name."""
    if count < 1:
        raise ValueError(f"{count} checkpoints cannot be chosen: at least 1")
    found: list[tuple[int, Path]] = []
    left_out: list[_LeftOut] = []
    names: dict[tuple[int, int], str] = {}
    others = []
    for path in _listed(folder):
        match = _NAME.fullmatch(path.name)
        if not match:
            others.append(path)
            continue
        try:
            status = path.stat()
        except OSError:  # told when it is opened, if it is chosen
            found.append((int(match[1]), path))
            continue
        first = names.setdefault((status.st_dev, status.st_ino), path.name)
        if stat.S_ISDIR(status.st_mode):
            left_out.append((path, "it is a folder"))
        elif first != path.name:
            left_out.append((path, f"it is {first} under another name"))
        else:
            found.append((int(match[1]), path))
    found.sort(key=lambda each: (each[0], each[1].name))
    if len(found) < count:
        raise CheckpointError(_too_few(folder, count, by, [path.name for _, path in found], left_out, others))
    return found, left_out


def _listed(folder: Path) -> list[Path]:
    """What is in a folder, files before links to them, small numbers before large ones."""
    try:
        return sorted(folder.iterdir(), key=lambda path: (path.is_symlink(), len(path.name), path.name))
    except OSError as error:
        code = Code.MISSING_FILE if isinstance(error, FileNotFoundError) else Code.UNREADABLE_FILE
        what, hint = f"cannot be read: {error.strerror or error}", None
        if isinstance(error, NotADirectoryError):
            what, hint = "is a file, not the folder of a training run", f"name its folder: {folder.parent}"
        raise CheckpointError(Problem(code, what, Location(str(folder)), hint=hint)) from error


def _too_few(
    folder: Path, count: int, by: str, names: Sequence[str], left_out: Sequence[_LeftOut], others: Sequence[Path]
) -> Problem:
    expected = f"{count} or more files called checkpoint_N.pth"
    if names:
        return Problem(
            Code.TOO_FEW_CHECKPOINTS,
            f"has {len(names)} of the {count} checkpoints that are asked for",
            Location(str(folder)),
            expected=expected,
            hint=f"--{by} {len(names)} takes all of them",
            details=(*names, *_reasons(left_out)),
        )
    models = [path.name for path in others if path.suffix == ".pth"]
    runs = [path for path in others if path.is_dir() and _is_run(path)]
    hint = "name the folder that the trainer wrote its checkpoints to"
    if runs:
        hint = f"they lie further down: {', '.join(f'{run}{os.sep}' for run in runs[:5])}"
    return Problem(
        Code.TOO_FEW_CHECKPOINTS,
        "has no checkpoint of the trainer",
        Location(str(folder)),
        found=", ".join(models[:10]) or None,
        expected=expected,
        hint=hint,
        details=_reasons(left_out),
    )


def _reasons(left_out: Sequence[_LeftOut]) -> tuple[str, ...]:
    return tuple(f"{path.name}: {why}" for path, why in left_out)


def _is_run(folder: Path) -> bool:
    try:
        return any(_NAME.fullmatch(path.name) for path in folder.iterdir())
    except OSError:
        return False


def _too_few_with_loss(folder: Path, count: int, comparable: int, left_out: Sequence[_LeftOut]) -> Problem:
    details = _reasons(left_out)
    if not comparable:
        return Problem(
            Code.NO_EVAL_LOSS,
            "has no checkpoint whose eval_loss could be compared",
            Location(str(folder)),
            expected="a number at model_loss.eval_loss",
            hint=f"--last {count} goes by their steps",
            details=details,
        )
    return Problem(
        Code.TOO_FEW_CHECKPOINTS,
        f"has an eval_loss for {comparable} of the {count} checkpoints that are asked for",
        Location(str(folder)),
        hint=f"--best {comparable} takes these, --last {count} goes by their steps",
        details=details,
    )
