"""``python -m benchmarks``: makes the inputs, lets everybody take turns, says what came out."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xttsrecipe.xtts import known_tensors

from . import inputs, rivals
from .bars import all_bars
from .cases import Case, all_cases
from .machine import machine
from .measure import PROJECT, MeasureError, Result, Sample, available_memory, measure, settle
from .report import bars_text, everything, readme

_DATA = PROJECT / "benchmarks" / "data"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for. ``data`` None: a folder of the project's, empty before and after."""

    quick: bool
    rivals: bool
    rounds: int
    data: Path | None
    keep: bool
    only: tuple[str, ...]
    strict: bool
    markdown: Path | None

    @property
    def divisor(self) -> int:
        """By what the widths of the checkpoints are divided."""
        return inputs.QUICK if self.quick else inputs.FULL

    @property
    def folder(self) -> Path:
        """Where the checkpoints are."""
        return self.data or _DATA / ("quick" if self.quick else "full")


def parse(arguments: Sequence[str]) -> Options:
    """The options of a command line; exits with a message where it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed and memory.")
    parser.add_argument("--quick", action="store_true", help="small files: shows that it runs, in two minutes")
    parser.add_argument("--rivals", action="store_true", help="mergekit and sd-mecha too: 2.8 GB to install, once")
    parser.add_argument("--rounds", type=int, metavar="N", help="turns that everybody takes: 3, with --quick 2")
    parser.add_argument("--data", type=Path, metavar="DIR", help="take the checkpoints in this folder; make what lacks")
    parser.add_argument("--keep", action="store_true", help="leave the checkpoints for the next time")
    names = [case.name for case in all_cases(Path(), Path(), inputs.FULL, False)]
    parser.add_argument("--only", nargs="+", choices=names, metavar="CASE", default=[], help=", ".join(names))
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 where a bar does not hold, or was not measured"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables of the README here")
    found = parser.parse_args(arguments)
    if found.rounds is not None and found.rounds < 1:
        parser.error("--rounds must be 1 or more")
    if found.quick and found.strict:
        parser.error("the bars are for full size: --strict does not go with --quick")
    return Options(
        quick=found.quick,
        rivals=found.rivals,
        rounds=found.rounds or (2 if found.quick else 3),
        data=found.data.absolute() if found.data else None,
        keep=found.keep,
        only=tuple(found.only),
        strict=found.strict,
        markdown=found.markdown,
    )


@contextlib.contextmanager
def prepared(options: Options, cases: Sequence[Case], work: Path) -> Iterator[None]:
    """All files that the cases read; those made here are removed at the end, unless they are to be kept."""
    names = list(dict.fromkeys(name for case in cases for name in case.inputs))
    folder = options.folder
    new = [path for path in (folder, folder.parent) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    made = inputs.missing(folder, names)
    try:
        # Beside the inputs there is never more than one output, of a release file's size.
        needed = sum(inputs.nbytes(name, options.divisor) for name in (*made, inputs.RELEASE[0]))
        inputs.check(folder, set(names) - set(made), options.divisor)
        inputs.check_space(folder, needed + needed // 50)
        if options.rivals:
            rivals.install()
        if made:
            _say(f"making {len(made)} checkpoints")
            torch_files = [name for name in made if name not in inputs.FLAT]
            if torch_files:
                inputs.make(folder, torch_files, options.divisor)
            rivals.flatten(folder, [name for name in made if name in inputs.FLAT])
        for case in cases:
            for name, text in case.recipes.items():
                (work / name).parent.mkdir(parents=True, exist_ok=True)
                (work / name).write_text(text, encoding="utf-8")
        yield
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if not options.keep:
            for name in made:
                (folder / name).unlink(missing_ok=True)
        for path in new:
            with contextlib.suppress(OSError):  # where something is in it
                path.rmdir()


def take_turns(case: Case, options: Options, work: Path) -> dict[str, Result | None]:
    """What each contender's runs gave; None where this machine has not the memory for any."""
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in case.contenders}
    for turn in range(options.rounds):
        if not options.quick:
            # What fills the memory may have pushed torch itself out of the page cache.
            subprocess.run([sys.executable, "-c", "import torch"], check=False, stderr=subprocess.DEVNULL)
        for contender in case.contenders:
            available = available_memory()
            if available is not None and available < contender.memory:
                _say(f"{case.name}: {contender.name} is left out, it needs {contender.memory / 1e9:.1f} GB of memory")
                continue
            out = work / "out"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            settle([options.folder / name for name in case.inputs], out / "scratch")
            sample = measure(contender.command)
            samples[contender.name].append(sample)
            _say(f"{case.name}, {turn + 1} of {options.rounds}: {contender.name} {sample.seconds:.2f} s")
    shutil.rmtree(work / "out", ignore_errors=True)
    return {name: Result(tuple(found)) if found else None for name, found in samples.items()}


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0, or 1 where something could not be measured or, with ``--strict``, a bar does not hold."""
    options = parse(arguments)
    work = options.folder / f"work-{secrets.token_hex(8)}"  # nothing of the user's
    cases = all_cases(options.folder, work, options.divisor, options.rivals)
    cases = [case for case in cases if not options.only or case.name in options.only]
    try:
        with prepared(options, cases, work):
            on = machine(options.folder)
            results = {case.name: take_turns(case, options, work) for case in cases}
    except (inputs.InputsError, MeasureError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    titles = {case.name: case.title for case in cases}
    print(f"{everything(results, titles)}\n{on}, rounds: {options.rounds}\n")
    bars = all_bars(results, max(spec.nbytes for spec in known_tensors().values()))
    print("Small files: no bar can be told." if options.quick else bars_text(bars))
    if options.markdown:
        options.markdown.write_text(readme(results, titles, on, _command(arguments), options.rounds), encoding="utf-8")
    return 1 if options.strict and any(bar.fails for bar in bars) else 0


def _command(arguments: Sequence[str]) -> str:
    """How to get such a table: without where this machine has its files."""
    shown = [name for name in ("--quick", "--rivals") if name in arguments]
    return f"make bench ARGS='{' '.join(shown)}'" if shown else "make bench"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
