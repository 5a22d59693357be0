"""What must hold before a run: the output may be replaced and fits, the sources are those that are meant."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .checkpoints import open_checkpoint
from .errors import CheckpointError, Location, OutputError, Problem
from .metadata import PROVENANCE
from .plan import Plan

_READ_BYTES = 1 << 20


def check(plan: Plan, force: bool = False) -> None:
    """Raises OutputError with every reason not to write the output, CheckpointError for a source of another digest.

    ``force`` allows replacing a file that xttsrecipe did not make; an output that is an input is refused always.
    """
    problems = list(output_problems(plan, force))
    if problems:
        raise OutputError(problems)
    _check_digests(plan)


def output_problems(plan: Plan, force: bool = False) -> Iterator[Problem]:
    """Why this plan's output must not be written; reads headers only."""
    output = plan.recipe.output.path
    try:
        yield from _refusals(plan, output, force)
        yield from _space_problems(plan, output)
    except OSError as error:  # a name too long, a link that leads to itself
        yield _refused(output, f"cannot be written: {error.strerror or error}", hint="choose another place with -o")


def _refusals(plan: Plan, output: Path, force: bool) -> Iterator[Problem]:
    variable = re.search(r"\$\{[^}]*\}", str(output))
    if variable:
        hint = "set that environment variable, or choose the file with -o"
        yield _refused(output, f"{variable[0]} in its name stands for nothing here", hint=hint)
        return
    for source in plan.recipe.sources:
        if _same_file(source.path, output):
            yield _refused(
                output,
                f"is also the source {source.name!r}: a run never overwrites its input, not even with --force",
                hint="choose another output.path, or another file with -o",
            )
            return
    if output.is_dir():
        hint = f"write to a file in it: {output / 'model.pth'}"
        yield _refused(output, "is a directory", expected="the name of a file", hint=hint)
    elif _exists(output) and not force and not is_ours(output):
        yield _refused(
            output,
            "exists and was not made by xttsrecipe: it is not replaced",
            hint="move it away, choose another output with -o, or replace it with --force",
        )


def _exists(path: Path) -> bool:
    """Whether there is something to replace; raises OSError for what cannot be a file's name."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_ours(path: Path) -> bool:
    """Whether a file is a checkpoint whose provenance says that xttsrecipe made it."""
    try:
        return isinstance(open_checkpoint(path).entries.get(PROVENANCE), dict)
    except CheckpointError:
        return False


def _same_file(source: Path, output: Path) -> bool:
    try:
        return source.samefile(output)  # links of either kind count
    except OSError:
        return False


def _space_problems(plan: Plan, output: Path) -> Iterator[Problem]:
    folder = next((folder for folder in Path(os.path.realpath(output)).parents if folder.exists()), None)
    if folder is None:
        yield _refused(output, "is on a drive that is not there", hint="choose another place with -o")
        return
    if not os.access(folder, os.W_OK):
        yield _refused(output, f"cannot be written: no permission to write in {folder}", hint="choose another place")
        return
    free = shutil.disk_usage(folder).free
    if free < plan.disk:
        yield _refused(
            output,
            "does not fit on the disk",
            found=f"{free:,} bytes free in {folder}",
            expected=f"{plan.disk:,} (the old output stays until the new one is whole)",
            hint="make room, or choose another place with -o",
        )


def _check_digests(plan: Plan) -> None:
    problems = []
    for source in plan.recipe.sources:
        if source.sha256 and (found := _sha256(source.path)) != source.sha256:
            problems.append(
                Problem(
                    f"{source.name} is not the file that the recipe means: its sha256 differs",
                    source.where,
                    found=found,
                    expected=source.sha256,
                    hint="get the right file; or, if the new one is meant, change sha256 in the recipe",
                )
            )
    if problems:
        raise CheckpointError(problems)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_READ_BYTES))
    try:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
    except OSError as error:
        raise CheckpointError(Problem(f"cannot be read: {error.strerror or error}", Location(str(path)))) from error
    return digest.hexdigest()


def _refused(output: Path, what: str, **more: Any) -> Problem:
    return Problem(what, Location(str(output)), **more)
