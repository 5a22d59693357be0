"""What is measured: for each case its inputs, its recipes, and the commands that take turns on them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xttsrecipe.methods import METHODS

from . import rivals
from .inputs import FLAT, HALF, RELEASE, TRAINER, nbytes

# Who takes turns, beside the rivals.
FLOOR, FLOOR_FSYNC, TORCH, OURS = "floor", "floor, fsync", "import torch", "xttsrecipe"
NAIVE, NAIVE_MMAP = "naive", "naive, mmap"

# The names of the cases; of those that differ in the number of their inputs, by that number.
SPEED = {count: f"release-{count}" for count in (2, 4, 8)}
HALVES = {count: f"half-{count}" for count in (2, 8)}
WHOLE = {count: f"whole-{count}" for count in (2, 8)}
WITH_TRAINER, TAKEN = "trainer", "from"
PLAN, VALIDATE, VALIDATE_ABSENT = "plan", "validate", "validate-absent"

# What the cases of merge methods begin with.
METHOD = "method-"

RECIPES = 100
# What a recipe has to say of a method that has no default for it.
_GIVEN = {"density": 0.5, "beta": 0.25, "seed": 1}

_PYTHON = (sys.executable, "-m")


@dataclass(frozen=True, slots=True)
class Contender:
    """A command. ``memory``: bytes that it is known to take, about; 0 for those that take little. ``inputs``: the files
    that it reads, where those are not the case's.
    """

    name: str
    command: tuple[str | Path, ...]
    memory: int = 0
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """Commands that take turns. ``inputs``: the files they read; ``recipes``: what is written for them before, by its
    name in the work folder.
    """

    name: str
    title: str
    inputs: tuple[str, ...]
    contenders: tuple[Contender, ...]
    recipes: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """All that must be there."""
        others = [name for contender in self.contenders for name in contender.inputs]
        return [*dict.fromkeys((*self.inputs, *others))]


def all_cases(data: Path, work: Path, divisor: int, with_rivals: bool) -> list[Case]:
    """The cases over the files in ``data``. Commands write to ``work / "out"``, which is emptied for each."""
    return [*_Cases(data, work, divisor, with_rivals).all()]


def method_cases(data: Path, work: Path, divisor: int, with_rivals: bool) -> list[Case]:
    """A case for each merge method, over two sources and a base, or as many as it takes."""
    return [*_Cases(data, work, divisor, with_rivals).methods()]


class _Cases:
    def __init__(self, data: Path, work: Path, divisor: int, with_rivals: bool) -> None:
        self._data = data
        self._work = work
        self._out = work / "out"
        self._divisor = divisor
        self._with_rivals = with_rivals

    def all(self) -> Iterator[Case]:
        for count, name in SPEED.items():
            yield self._speed(name, count)
        for count, name in HALVES.items():
            yield self._merge(name, f"{count} inputs, float16", HALF[:count], _weights(count))
        yield self._merge(WITH_TRAINER, "release + trainer", (RELEASE[0], TRAINER), _weights(2))
        yield self._taken()
        for count, name in WHOLE.items():
            title = f"{count} inputs, tensors whole"
            yield self._merge(name, title, RELEASE[:count], _weights(count), "--whole-tensor")
        yield self._plan()
        yield from self._validate()

    def methods(self) -> Iterator[Case]:
        for method, entry in METHODS.items():
            has_base = entry.base == "required"
            inputs = RELEASE[: (entry.most or 2) + has_base]
            given = {"name": method, **{its.name: _GIVEN[its.name] for its in entry.settings if its.required}}
            name = f"{METHOD}{method}"
            recipe = self._recipe(inputs, None) + f"method: {json.dumps(given)}\n" + ("base: s0\n" if has_base else "")
            recipes = {f"{name}.yaml": recipe}
            contenders = [Contender(TORCH, (sys.executable, "-c", "import torch")), self._ours(f"{name}.yaml")]
            if self._with_rivals and method in rivals.METHODS:
                flat = [self._data / file for file in FLAT[: len(inputs)]]
                recipes[f"{name}.mergekit.yaml"] = rivals.mergekit_method(method, flat, has_base)
                command = rivals.mergekit_command(self._work / f"{name}.mergekit.yaml", self._out / "mergekit")
                memory = (len(inputs) + 1) * nbytes(inputs[0], self._divisor)
                contenders.append(Contender(rivals.MERGEKIT, command, memory, FLAT[: len(inputs)]))
            yield Case(name, method, inputs, tuple(contenders), recipes)

    def _speed(self, name: str, count: int) -> Case:
        """Everybody, on release files."""
        inputs, weights = RELEASE[:count], _weights(count)
        recipes = {f"{name}.yaml": self._recipe(inputs, weights)}
        given = [f"{self._data / file}={weight}" for file, weight in zip(inputs, weights, strict=True)]
        memory = (count + 1) * nbytes(inputs[0], self._divisor)
        naive = (*_PYTHON, "benchmarks.naive")
        contenders = [
            *self._yardsticks(inputs),
            self._ours(f"{name}.yaml"),
            Contender(FLOOR_FSYNC, self._floor(inputs, "--fsync")),
            Contender(NAIVE, (*naive, self._out / "naive.pth", *given), memory),
            Contender(NAIVE_MMAP, (*naive, "--mmap", self._out / "naive.pth", *given), memory),
        ]
        if self._with_rivals:
            config = f"{name}.mergekit.yaml"
            flat = {self._data / file: weight for file, weight in zip(FLAT, weights, strict=False)}
            recipes[config] = rivals.mergekit_config(flat)
            mergekit = rivals.mergekit_command(self._work / config, self._out / "mergekit")
            sd_mecha = rivals.sd_mecha_command(flat, self._out / "mecha.safetensors")
            contenders.append(Contender(rivals.MERGEKIT, mergekit, memory, FLAT[:count]))
            contenders.append(Contender(rivals.SD_MECHA, sd_mecha, inputs=FLAT[:count]))
        return Case(name, f"{count} inputs", inputs, tuple(contenders), recipes)

    def _merge(self, name: str, title: str, inputs: Sequence[str], weights: Sequence[float], *options: str) -> Case:
        """Our own work, for its memory; and the floor of as many bytes as it has to move."""
        recipes = {f"{name}.yaml": self._recipe(inputs, weights)}
        contenders = (*self._yardsticks(inputs), self._ours(f"{name}.yaml", *options))
        return Case(name, title, tuple(inputs), contenders, recipes)

    def _taken(self) -> Case:
        """Every tensor from one source or the other: nothing is computed, one byte is read for each that is written."""
        rules = 'overrides:\n  "*": from s0\n  "gpt.gpt.*": from s1\n'
        recipes = {f"{TAKEN}.yaml": self._recipe(RELEASE[:2], _weights(2)) + rules}
        contenders = (*self._yardsticks(RELEASE[:1]), self._ours(f"{TAKEN}.yaml"))
        return Case(TAKEN, "2 inputs, from rules only", RELEASE[:2], contenders, recipes)

    def _plan(self) -> Case:
        recipe = self._recipe(RELEASE, _weights(8)) + 'overrides:\n  "*encoder*": from s0\n  "@vocoder": from s1\n'
        command = (*_PYTHON, "xttsrecipe", "plan", self._work / "plan.yaml")
        return Case(PLAN, "plan, 8 checkpoints", RELEASE, (Contender(OURS, command),), {"plan.yaml": recipe})

    def _validate(self) -> Iterator[Case]:
        """A team's folder of recipes, each with a rule of its own, over the same checkpoints; at hand, and not."""
        titles = {VALIDATE: "with their checkpoints", VALIDATE_ABSENT: "without checkpoints"}
        for name, title in titles.items():
            inputs, data = (RELEASE, self._data) if name == VALIDATE else ((), Path("nowhere"))
            recipes = {}
            for number in range(RECIPES):
                pair = (RELEASE[number % 8], RELEASE[(number + 1) % 8])
                text = self._recipe(pair, _weights(2), data)
                layers = f"gpt.gpt.h.{{0..{number % 30}}}.*"
                rules = (
                    f'  "*encoder*": from s0\n  "{layers}": {{weights: {{s0: 0.8, s1: 0.2}}}}\n  "@vocoder": from s1\n'
                )
                recipes[f"{name}/{number:03}.yaml"] = f"{text}overrides:\n{rules}"
            command = (*_PYTHON, "xttsrecipe", "validate", self._work / name)
            yield Case(name, f"validate, {RECIPES} recipes {title}", inputs, (Contender(OURS, command),), recipes)

    def _recipe(self, inputs: Sequence[str], weights: Sequence[float] | None, data: Path | None = None) -> str:
        sources = "".join(f"  s{index}: {_quoted((data or self._data) / name)}\n" for index, name in enumerate(inputs))
        shares = ", ".join(f"s{index}: {weight}" for index, weight in enumerate(weights or ()))
        weighed = f"weights: {{{shares}}}\n" if weights else ""
        return f"checkpoints:\n{sources}{weighed}output: {{path: {_quoted(self._out / 'merged.pth')}}}\n"

    def _yardsticks(self, inputs: Sequence[str]) -> tuple[Contender, ...]:
        return (
            Contender(TORCH, (sys.executable, "-c", "import torch")),
            Contender(FLOOR, self._floor(inputs)),
        )

    def _floor(self, inputs: Sequence[str], *options: str) -> tuple[str | Path, ...]:
        paths = (self._data / name for name in inputs)
        return (*_PYTHON, "benchmarks.floor", *options, self._out / "floor.bin", *paths)

    def _ours(self, recipe: str, *options: str) -> Contender:
        return Contender(OURS, (*_PYTHON, "benchmarks.ours", *options, "run", self._work / recipe))


def _quoted(path: Path) -> str:
    return json.dumps(str(path))  # which is YAML too


def _weights(count: int) -> tuple[float, ...]:
    """0.6 and 0.4 for two; for more all different, in hundredths that sum to 1."""
    shares = {2: (60, 40), 4: (40, 30, 20, 10), 8: (20, 18, 15, 13, 11, 9, 8, 6)}[count]
    return tuple(share / 100 for share in shares)
