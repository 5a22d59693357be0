"""Makes the inputs, lets everybody take turns, says what came out, and removes what it has made."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from xttsrecipe import interrupts
from xttsrecipe.xtts import known_tensors

from . import inputs, rivals
from .bars import INSTANT, Results, all_bars
from .cases import Case, all_cases, method_cases
from .children import run
from .machine import machine
from .measure import MeasureError, Result, Sample, available_memory, measure, settle
from .options import Options, parse
from .report import bars_text, everything, methods_table, readme


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0; 1 where something could not be measured or written or, with ``--strict``, a bar fails; 130 where
    a signal breaks it off.
    """
    options = parse(arguments)
    try:
        interrupts.raise_once()
        work = options.folder / f"work-{secrets.token_hex(8)}"  # nothing of the user's
        choose = method_cases if options.methods else all_cases
        cases = choose(options.folder, work, options.divisor, options.rivals)
        cases = [case for case in cases if not options.only or case.name in options.only]
        with prepared(options, cases, work):
            on = machine(options.folder)
            results = {case.name: take_turns(case, options, work) for case in cases}
    except (inputs.InputsError, MeasureError) as error:
        _say(str(error))
        return 1
    except OSError as error:
        _say(f"cannot measure in {options.folder}: {error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    interrupts.leave_at_once()
    return _report(options, results, {case.name: case.title for case in cases}, on)


@contextlib.contextmanager
def prepared(options: Options, cases: Sequence[Case], work: Path) -> Iterator[None]:
    """All files that the cases read; those made here are removed at the end, unless they are to be kept."""
    folder = options.folder
    names = list(dict.fromkeys(name for case in cases for name in case.files))
    made = inputs.missing(folder, names)
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        try:
            work.mkdir(parents=True)
            _make(made, [name for name in names if name not in made], options)
            for case in cases:
                for name, text in case.recipes.items():
                    (work / name).parent.mkdir(exist_ok=True)
                    (work / name).write_text(text, encoding="utf-8")
            yield
        finally:
            interrupts.ignore()  # they would break off what follows
    finally:
        shutil.rmtree(work, ignore_errors=True)
        unfinished = [inputs.unfinished(folder / name) for name in made]
        for path in (*unfinished, *(folder / name for name in made if not options.keep)):
            with contextlib.suppress(OSError):  # where it was not made, or what went wrong is the folder itself
                path.unlink()
        for path in new:
            with contextlib.suppress(OSError):  # where something is in it
                path.rmdir()


def _make(missing: Sequence[str], present: Sequence[str], options: Options) -> None:
    folder = options.folder
    # Beside the inputs there is never more than one output, of a release file's size.
    needed = sum(inputs.nbytes(name, options.divisor) for name in (*missing, inputs.RELEASE[0]))
    inputs.check(folder, present, options.divisor)
    inputs.check_space(folder, needed + needed // 50)
    if options.rivals:
        rivals.install()
    if missing:
        _say(f"making {len(missing)} checkpoints")
        inputs.make(folder, [name for name in missing if name not in inputs.FLAT], options.divisor)
        rivals.flatten(folder, [name for name in missing if name in inputs.FLAT])


def take_turns(case: Case, options: Options, work: Path) -> dict[str, Result | None]:
    """What each contender's runs gave; None where this machine has not the memory for any."""
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in case.contenders}
    for turn in range(options.turns):
        if not options.quick:
            # What fills the memory may have pushed torch itself out of the page cache.
            run([sys.executable, "-c", "import torch"], subprocess.DEVNULL)
        # What one leaves in memory, the next may have to clear away: not always the same.
        for contender in case.contenders[:: -1 if turn % 2 else 1]:
            available = available_memory()
            if available is not None and available < contender.memory:
                _say(f"{case.name}: {contender.name} is left out, it needs {contender.memory / 1e9:.1f} GB of memory")
                continue
            out = work / "out"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            settle([options.folder / name for name in contender.inputs or case.inputs], out / "scratch")
            if case.name in INSTANT:  # the inputs may have pushed Python itself out of memory; torch is not asked for
                run([sys.executable, "-m", "xttsrecipe", "schema"], subprocess.DEVNULL)
            sample = measure(contender.command)
            samples[contender.name].append(sample)
            _say(f"{case.name}, {turn + 1} of {options.turns}: {contender.name} {sample.seconds:.2f} s")
    shutil.rmtree(work / "out", ignore_errors=True)
    return {name: Result(tuple(found)) if found else None for name, found in samples.items()}


def _report(options: Options, results: Results, titles: Mapping[str, str], on: str) -> int:
    shown = methods_table(results, titles) if options.methods else everything(results, titles)
    print(f"{shown}\n{on}, rounds: {options.turns}\n")
    bars = all_bars(results, max(spec.nbytes for spec in known_tensors().values()))
    print("Small files: no bar can be told." if options.quick else bars_text(bars))
    if options.markdown:
        try:
            text = shown if options.methods else readme(results, titles, on, options.command, options.turns)
            options.markdown.write_text(text, encoding="utf-8")
        except OSError as error:
            _say(f"the tables cannot be written: {error}")
            return 1
    return 1 if options.strict and any(bar.fails for bar in bars) else 0


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that has just been closed
        print(text, file=sys.stderr, flush=True)
