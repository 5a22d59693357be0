"""What a run leaves behind as one: the model's file with the files that belong to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..checkpoints.unchanged import check_unchanged
from ..codes import Code
from ..companions import Companion
from ..errors import CheckpointError, Location, Problem
from ..plan import Plan
from ..specs import CompanionFile
from .atomic import atomic_directory, atomic_outputs, new_file, writing

_COPY_BYTES = 1 << 20


@contextlib.contextmanager
def open_output(plan: Plan) -> Iterator[BinaryIO]:
    """The empty file for the model. It and its companions appear when the block ends without an exception.

    A directory appears as one. Beside a file, companions appear right before it, when all are whole. Raises OutputError
    where the system refuses, CheckpointError where a companion cannot be read or is not the one that was planned with.
    """
    target = plan.recipe.output.path
    if plan.recipe.output.is_directory:
        with atomic_directory(target, plan.replaced) as folder:
            for companion in plan.companions:
                with new_file(folder / companion.name, target, plan.path_of(companion)) as file:
                    _fill(companion, file, target)
            with new_file(folder / plan.model_path.name, target, plan.model_path) as file:
                yield file
        return
    with atomic_outputs(plan.targets, plan.replaced) as (*files, model):
        for companion, file in zip(plan.companions, files, strict=True):
            _fill(companion, file, target)
        yield model


def _fill(companion: Companion, file: BinaryIO, target: Path) -> None:
    blocks = [companion.data] if isinstance(companion.data, bytes) else _blocks(companion.data)
    for block in blocks:
        with writing(target):
            file.write(block)


def _blocks(source: CompanionFile) -> Iterator[bytes]:
    try:
        with source.path.open("rb") as file:
            check_unchanged(file.fileno(), source.stamp, source.path)
            while block := file.read(_COPY_BYTES):
                yield block
    except OSError as error:
        raise CheckpointError(
            Problem(
                Code.UNREADABLE_FILE,
                f"cannot be read: {error.strerror or error}",
                Location(str(source.path)),
                hint="check the file and its disk",
            )
        ) from error
