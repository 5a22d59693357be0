"""What a run leaves behind as one: the model's file with the files that belong to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from ..companions import Companion
from ..errors import CheckpointError, Location, Problem
from ..plan import Plan
from .atomic import atomic_directory, atomic_output, new_file, writing

_COPY_BYTES = 1 << 20


@contextlib.contextmanager
def open_output(plan: Plan) -> Iterator[BinaryIO]:
    """The empty file for the model. It and its companions appear when the block ends without an exception.

    A directory appears as one. Beside a file, companions appear right after it. Raises OutputError where the system
    refuses, CheckpointError where a companion cannot be read.
    """
    target = plan.recipe.output.path
    if plan.recipe.output.is_directory:
        with atomic_directory(target) as folder:
            for companion in plan.companions:
                with new_file(folder / companion.name, target) as file:
                    _fill(companion, file, target)
            with new_file(folder / plan.model_path.name, target) as file:
                yield file
        return
    with ExitStack() as stack:
        for companion in plan.companions:
            beside = target.with_name(companion.name)
            _fill(companion, stack.enter_context(atomic_output(beside)), beside)
        yield stack.enter_context(atomic_output(target))


def _fill(companion: Companion, file: BinaryIO, target: Path) -> None:
    for block in _blocks(companion):
        with writing(target):
            file.write(block)


def _blocks(companion: Companion) -> Iterator[bytes]:
    if companion.path is None:
        yield companion.content or b""
        return
    try:
        with companion.path.open("rb") as source:
            while block := source.read(_COPY_BYTES):
                yield block
    except OSError as error:
        raise CheckpointError(
            Problem(f"cannot be read: {error.strerror or error}", Location(str(companion.path)))
        ) from error
