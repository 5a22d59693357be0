"""What must hold before a run: the output may be replaced, and fits."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .checkpoints import open_checkpoint
from .checkpoints.model_directory import foreign_entries
from .checkpoints.unchanged import stamps_at
from .codes import Code
from .companions import vocabulary_name
from .errors import CheckpointError, Location, OutputError, Problem, listed
from .licence import digest_at, licence_at
from .metadata import provenance_of
from .plan import Plan
from .remains import recover
from .xtts import CARD_FILE


def check(plan: Plan, force: bool = False, on_note: Callable[[str], None] = lambda text: None) -> Plan:
    """The plan, to be run as long as its output is what was looked at here.

    First what runs to the same output left when they were killed is cleared, so that it takes nobody's room or place;
    ``on_note`` is told of that. ``force`` allows replacing a file that xttsrecipe did not make; an output that is an
    input is refused always. Raises OutputError with every reason not to write the output.
    """
    problems = list(_recover(plan, on_note))
    replaced = None
    with contextlib.suppress(OSError):  # which is a problem then
        replaced = stamps_at(plan.targets)
    problems += output_problems(plan, force)
    if problems:
        raise OutputError(problems)
    return dataclasses.replace(plan, replaced=replaced)


def clear(plan: Plan, on_note: Callable[[str], None]) -> None:
    """Clear what runs to the same output left when they were killed, unless one is at work: for who writes nothing."""
    for _ in _recover(plan, on_note):
        pass


def _recover(plan: Plan, on_note: Callable[[str], None]) -> Iterator[Problem]:
    output = plan.recipe.output
    # When an earlier run was killed, the vocabularies may have differed though they do not now.
    beside = [] if output.is_directory else [output.path.with_name(vocabulary_name(output.path))]
    for target in (output.path, *beside):
        try:
            for note in recover(target):
                on_note(note)
        except OutputError as error:  # a run is at work
            yield from error.problems


def output_problems(plan: Plan, force: bool = False) -> Iterator[Problem]:
    """Why this plan's output must not be written; reads headers, and what lies beside an old output."""
    output = plan.recipe.output.path
    try:
        yield from _refusals(plan, force)
        yield from _space_problems(plan, output)
    except OSError as error:  # a name too long, a link that leads to itself
        yield _refused(
            Code.UNWRITABLE,
            output,
            f"cannot be written: {error.strerror or error}",
            hint="choose another place with -o",
        )


def _refusals(plan: Plan, force: bool) -> Iterator[Problem]:
    output = plan.recipe.output.path
    variable = re.search(r"\$\{[^}]*\}", str(output))
    if variable:
        hint = "set that environment variable, or choose the file with -o"
        yield _refused(Code.UNSET_VARIABLE, output, f"{variable[0]} in its name stands for nothing here", hint=hint)
        return
    replaced = _replaced_files(plan)
    for what, path in _inputs(plan):
        found = next((target for target in replaced if _same_file(path, target)), None)
        if found:
            yield _refused(
                Code.OUTPUT_IS_INPUT,
                found,
                f"is also {what}: a run never overwrites its input, not even with --force",
                hint="choose another output.path, or another place with -o",
            )
            return
    if plan.recipe.output.is_directory:
        yield from _directory_refusals(plan, force)
    else:
        yield from _file_refusals(plan, force)


def _replaced_files(plan: Plan) -> list[Path]:
    """The files that a run would replace or remove: with a directory, everything in it."""
    output = plan.recipe.output
    if not output.is_directory:
        return plan.targets
    return list(output.path.iterdir()) if output.path.is_dir() else []


def _inputs(plan: Plan) -> Iterator[tuple[str, Path]]:
    """Every file that a run reads, and what it is."""
    for source, header in zip(plan.recipe.sources, plan.headers, strict=True):
        yield f"the source {source.name!r}", header.path
        if header.vocabulary:
            yield f"the vocabulary of {source.name!r}", header.vocabulary.path
        for file in header.companions.values():
            yield f"a file of the source {source.name!r}", file.path
    yield "the recipe", plan.recipe.file


def _file_refusals(plan: Plan, force: bool) -> Iterator[Problem]:
    output = plan.recipe.output.path
    if output.is_dir():
        hint = f"end it with / to write a model directory, or write to a file in it: {output / 'model.pth'}"
        yield _refused(Code.FILE_OR_DIRECTORY, output, "is a directory", expected="the name of a file", hint=hint)
        return
    beside = {plan.path_of(companion): companion for companion in plan.companions}
    for path in beside:
        if path.is_dir():
            hint = "move it away, choose another output.path, or another place with -o"
            expected = "a file's name: the merged vocabulary goes there"
            yield _refused(Code.FILE_OR_DIRECTORY, path, "is a directory", expected=expected, hint=hint)
            return
    existing = _exists(output)
    for path in (output, *beside):
        if _exists(path) and not path.is_file():
            hint = "choose another output.path, or another place with -o"
            yield _refused(
                Code.IRREPLACEABLE_OUTPUT,
                path,
                "is a device or a pipe: it is not replaced, not even with --force",
                hint=hint,
            )
            return
    if force:
        return
    made = provenance_at(output)
    if existing and not made:
        yield _foreign(output)
        return
    others = [path for path, new in beside.items() if _exists(path) and digest_at(path) != new.digest]
    changed = _not_as_written(made, others)
    if changed:
        yield _refused(
            Code.CHANGED_SINCE_WRITTEN,
            output.with_name(changed[0]),
            "exists, and is not what xttsrecipe wrote with the model that is replaced: it is not replaced",
            hint="move it away, choose an output of another name with -o, or replace it with --force",
        )


def _directory_refusals(plan: Plan, force: bool) -> Iterator[Problem]:
    output = plan.recipe.output.path
    if not _exists(output):
        return
    if not output.is_dir():
        hint = "choose another name, or move the file away"
        yield _refused(
            Code.FILE_OR_DIRECTORY, output, "is a file", expected="the name of a directory, as it ends in /", hint=hint
        )
        return
    if os.path.ismount(output):  # never raises
        hint = f"choose a folder in it: {output / 'merged'}/"
        yield _refused(
            Code.IRREPLACEABLE_OUTPUT,
            output,
            "is where a disk is mounted, which cannot be replaced as a whole",
            hint=hint,
        )
        return
    if _same_file(output, Path(os.curdir)):
        yield _refused(
            Code.IRREPLACEABLE_OUTPUT,
            output,
            "is the folder that you stand in",
            hint="go to another folder, or choose another output",
        )
        return
    other = foreign_entries(output)
    if other:
        yield _refused(
            Code.FOREIGN_FILES,
            output,
            "holds what does not belong to a model directory: it is not replaced, not even with --force",
            found=", ".join(other[:5]),
            hint="move these away, choose another output.path, or another place with -o",
        )
        return
    if force or not any(output.iterdir()):
        return
    made = provenance_at(plan.model_path)
    if not made:
        yield _foreign(output)
        return
    changed = _not_as_written(made, (path for path in output.iterdir() if path != plan.model_path))
    card = output / CARD_FILE
    if licence_at(card) and card.name not in [companion.name for companion in plan.companions]:
        changed = sorted({*changed, card.name})  # it would go with the card
    if changed:
        yield _refused(
            Code.CHANGED_SINCE_WRITTEN,
            output,
            f"holds {listed(changed)} other than xttsrecipe wrote: it is not replaced, as that may be your work",
            hint="copy what you want to keep, then replace the directory with --force",
        )


def _not_as_written(made: Mapping[str, Any], beside: Iterable[Path]) -> list[str]:
    """Those files beside a model that do not hold what was written with it, by its provenance: new latents, say."""
    files = made.get("files")
    digests = files if isinstance(files, dict) else {}
    return sorted(path.name for path in beside if digests.get(path.name) != digest_at(path))


def _foreign(path: Path) -> Problem:
    return _refused(
        Code.NOT_MADE_BY_XTTSRECIPE,
        path,
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


def provenance_at(path: Path) -> Mapping[str, Any]:
    """What the checkpoint there says of how xttsrecipe made it; nothing where it was not, or there is none."""
    with contextlib.suppress(CheckpointError):
        return provenance_of(open_checkpoint(path).entries)
    return {}


def _same_file(source: Path, output: Path) -> bool:
    try:
        return source.samefile(output)  # links of either kind count
    except OSError:
        return False


def _space_problems(plan: Plan, output: Path) -> Iterator[Problem]:
    folder = next((folder for folder in Path(os.path.realpath(output)).parents if folder.exists()), None)
    if folder is None:
        yield _refused(Code.UNWRITABLE, output, "is on a drive that is not there", hint="choose another place with -o")
        return
    if not os.access(folder, os.W_OK):
        yield _refused(
            Code.UNWRITABLE,
            output,
            f"cannot be written: no permission to write in {folder}",
            hint="choose another place",
        )
        return
    free = shutil.disk_usage(folder).free
    if free < plan.disk:
        yield _refused(
            Code.NO_ROOM,
            output,
            "does not fit on the disk",
            found=f"{free:,} bytes free in {folder}",
            expected=f"{plan.disk:,} (the old output stays until the new one is whole)",
            hint="make room, or choose another place with -o",
        )


def _refused(code: Code, output: Path, what: str, **more: Any) -> Problem:
    return Problem(code, what, Location(str(output)), **more)
