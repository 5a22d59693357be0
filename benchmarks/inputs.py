"""The checkpoints that are merged: which there are, how large, and how they come to be.

    python -m benchmarks.inputs FOLDER DIVISOR NAME...        makes them; what the suite itself runs, in a process apart

Widths are divided by DIVISOR: 1 is full size. Every floating-point number differs between all of them, which is the
most work that a merge can be: of real fine-tunes, which share much with their parent, less is computed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xttsrecipe.xtts import known_tensors, training_only_tensors

from .children import run

COUNT = 8
RELEASE = tuple(f"release-{index}.pth" for index in range(COUNT))
HALF = tuple(f"half-{index}.pth" for index in range(COUNT))
TRAINER = "trainer.pth"
# What the rivals read, which know no {"model": …}.
FLAT = tuple(f"release-{index}.safetensors" for index in range(COUNT))

FULL, QUICK = 1, 16


class InputsError(Exception):
    """The inputs cannot be made; ``str()`` says why and what to do."""


def nbytes(name: str, divisor: int) -> int:
    """About how large a file is, in bytes; of the small ones, which are smaller still, from above."""
    tensors = known_tensors()
    model = sum(spec.nbytes for spec in tensors.values())
    if name in HALF:
        return model // 2 // divisor
    if name == TRAINER:
        trained = sum(spec.nbytes for key, spec in tensors.items() if key.startswith("gpt."))
        wrapper = sum(spec.nbytes for spec in training_only_tensors().values())
        return (model + wrapper + 2 * trained) // divisor
    return model // divisor


def missing(folder: Path, names: Iterable[str]) -> list[str]:
    """Those of the files that are not in the folder yet."""
    return [name for name in names if not (folder / name).exists()]


def check(folder: Path, names: Iterable[str], divisor: int) -> None:
    """Raises InputsError where a file that is there already is not of full size, and should be."""
    for name in names:
        size, least = (folder / name).stat().st_size, nbytes(name, divisor)
        if divisor == FULL and size < least:
            raise InputsError(f"{folder / name} has {size:,} bytes, of full size it has {least:,}: remove it")


def check_space(folder: Path, needed: int) -> None:
    """Raises InputsError where the folder's disk has less than ``needed`` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputsError(
            f"the benchmark's files need {needed / 1e9:.1f} GB of disk, and {free / 1e9:.1f} GB are free where they "
            "would lie: free some, name a folder on another disk with --data DIR, or see that it runs with --quick"
        )


def unfinished(path: Path) -> Path:
    """Where a file is made, to have its name only when it is whole: a later run takes what it finds for good."""
    return path.with_name(f"unfinished-{path.name}")


def make(folder: Path, names: Sequence[str], divisor: int) -> None:
    """Make files in the folder. Raises InputsError. Whatever breaks it off may leave an unfinished one."""
    if names and run([sys.executable, "-m", "benchmarks.inputs", folder, str(divisor), *names])[0]:
        raise InputsError("the checkpoints could not be made: see above")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make checkpoints to measure with.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("divisor", type=int)
    parser.add_argument("names", nargs="+", choices=(*RELEASE, *HALF, TRAINER))
    arguments = parser.parse_args()
    _make_all(arguments.folder, arguments.names, arguments.divisor)


def _make_all(folder: Path, names: Iterable[str], divisor: int) -> None:
    # Not at the top: whoever measures imports this module, and must stay small.
    from demo.make_checkpoints import config, fine_tuned, state_dict, trainer_checkpoint

    wanted = set(names)
    base = state_dict(known_tensors(), divisor, seed=0)
    for index in range(COUNT):
        if not wanted & {RELEASE[index], HALF[index]}:
            continue
        model = fine_tuned(base, 1 + index, prefixes=("",))
        if RELEASE[index] in wanted:
            _save(folder / RELEASE[index], {"config": config(f"release_{index}", model), "model": model})
        if HALF[index] in wanted:
            halves = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in model.items()}
            _save(folder / HALF[index], {"config": config(f"half_{index}", model), "model": halves})
    if TRAINER in wanted:
        model = fine_tuned(base, 1 + COUNT, prefixes=("",))
        _save(folder / TRAINER, trainer_checkpoint(model, divisor, seed=2 + COUNT))


def _save(path: Path, checkpoint: Mapping[str, Any]) -> None:
    import torch

    torch.save(checkpoint, unfinished(path))
    unfinished(path).replace(path)


if __name__ == "__main__":
    main()
