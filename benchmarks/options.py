"""The command line of ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import inputs
from .cases import all_cases, method_cases
from .children import PROJECT

_DATA = PROJECT / "benchmarks" / "data"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for. ``rounds`` None: as many as there should be; ``data`` None: a folder of the
    project's, empty before and after.
    """

    quick: bool
    rivals: bool
    rounds: int | None
    data: Path | None
    keep: bool
    only: tuple[str, ...]
    strict: bool
    methods: bool
    markdown: Path | None

    @property
    def turns(self) -> int:
        """How many everybody takes."""
        return self.rounds or (1 if self.methods else 2 if self.quick else 3)

    @property
    def divisor(self) -> int:
        """By what the widths of the checkpoints are divided."""
        return inputs.QUICK if self.quick else inputs.FULL

    @property
    def folder(self) -> Path:
        """Where the checkpoints are."""
        return self.data or _DATA / ("quick" if self.quick else "full")

    @property
    def command(self) -> str:
        """How to get such results: without where this machine has its files."""
        asked = {
            "--quick": self.quick,
            "--methods": self.methods,
            "--rivals": self.rivals,
            f"--rounds {self.rounds}": self.rounds,
            f"--only {' '.join(self.only)}": self.only,
        }
        shown = " ".join(option for option, given in asked.items() if given)
        return f"make bench ARGS='{shown}'" if shown else "make bench"


def parse(arguments: Sequence[str]) -> Options:
    """The options of a command line; exits with a message where it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed and memory.")
    parser.add_argument("--quick", action="store_true", help="small files: shows that it runs, in two minutes")
    parser.add_argument("--rivals", action="store_true", help="mergekit and sd-mecha too: 2.8 GB to install, once")
    parser.add_argument("--rounds", type=int, metavar="N", help="turns that everybody takes: 3, with --quick 2")
    parser.add_argument("--data", type=Path, metavar="DIR", help="take the checkpoints in this folder; make what lacks")
    parser.add_argument("--keep", action="store_true", help="leave the checkpoints for the next time")
    parser.add_argument("--methods", action="store_true", help="every merge method instead, once each")
    names = [case.name for choose in (all_cases, method_cases) for case in choose(Path(), Path(), inputs.FULL, False)]
    parser.add_argument("--only", nargs="+", choices=names, metavar="CASE", default=[], help=", ".join(names))
    strict = "exit with 1 where a bar does not hold or, of what was to be measured, was not"
    parser.add_argument("--strict", action="store_true", help=strict)
    parser.add_argument("--markdown", type=_new_file, metavar="FILE", help="write the tables of the README here")
    found = parser.parse_args(arguments)
    if found.rounds is not None and found.rounds < 1:
        parser.error("--rounds must be 1 or more")
    if found.quick and found.strict:
        parser.error("the bars are for full size: --strict does not go with --quick")
    return Options(
        quick=found.quick,
        rivals=found.rivals,
        rounds=found.rounds,
        data=found.data.absolute() if found.data else None,
        keep=found.keep,
        only=tuple(found.only),
        strict=found.strict,
        methods=found.methods,
        markdown=found.markdown,
    )


def _new_file(text: str) -> Path:
    """A path that can be written to, as far as can be told: half an hour later is too late."""
    path = Path(text).absolute()
    try:
        place = path if path.exists() else path.parent
        fits = path.parent.is_dir() and os.access(place, os.W_OK) and not path.is_dir()
        fits = fits and not path.is_fifo()  # which nobody may read
    except OSError:
        fits = False
    if not fits:
        raise argparse.ArgumentTypeError(f"{text!r} is no file in a folder that can be written to")
    return path
