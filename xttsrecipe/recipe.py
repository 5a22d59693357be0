"""A recipe as the rest of the program knows it: YAML data in, frozen dataclasses out, or every problem at once.

Owns what names and numbers in a recipe mean. Never opens a checkpoint.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import schema
from .document import Document, Path_, join_path, parse_value, read_document
from .errors import Location, Problem, RecipeError, did_you_mean, listed
from .patterns import KeyTest, PatternError, compile_pattern
from .specs import DType
from .xtts import COMPONENTS

FORMATS = {".pth": "torch zip", ".pt": "torch zip", ".safetensors": "safetensors"}

# How far from 1 weights may sum: room for how decimals are stored, none for 0.33 + 0.33 + 0.33.
_SUM_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint that the recipe names; ``sha256``: the digest that the file must have, lower-case hex."""

    name: str
    path: Path
    sha256: str | None
    where: Location


@dataclass(frozen=True, slots=True)
class Method:
    """How tensors are combined: a name from the table in ``methods``, and its parameters."""

    name: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Take:
    """A decision: the tensor as this source (an index) has it."""

    source: int


@dataclass(frozen=True, slots=True)
class Merge:
    """A decision: the tensors of all sources combined. ``weights``: one per source, in the recipe's order."""

    weights: tuple[float, ...]
    method: Method


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One override: the keys that ``matches`` accepts are decided so, unless a later rule matches them too.

    Rules are told apart by identity.
    """

    pattern: str
    matches: KeyTest
    decision: Take | Merge
    where: Location


@dataclass(frozen=True, slots=True)
class Output:
    """Where the merged checkpoint goes; ``dtype`` None keeps the sources' types."""

    path: Path
    format: str
    dtype: DType | None
    where: Location


@dataclass(frozen=True, slots=True)
class Recipe:
    """A valid recipe. ``metadata_from``: the source (an index) that metadata.from names, or None for the default.

    ``text`` is the file as it stands, ``settings`` what ``--set`` changed in it, file names aside.
    """

    file: Path
    name: str
    description: str
    sources: tuple[Source, ...]
    default: Merge
    rules: tuple[Rule, ...]
    metadata_from: int | None
    output: Output
    text: str
    settings: tuple[str, ...]

    @property
    def source_names(self) -> list[str]:
        """What the recipe calls its sources, in its order."""
        return [source.name for source in self.sources]

    def decision_of(self, pattern: str | None) -> Take | Merge:
        """What the rule with this pattern says; for None, what the global weights say."""
        return next((rule.decision for rule in self.rules if rule.pattern == pattern), self.default)


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of the recipe and what it becomes; relative file names are the caller's. ``origin``: as it was given."""

    path: tuple[str, ...]
    value: Any
    text: str
    origin: str

    @property
    def names_a_file(self) -> bool:
        return self.path == ("output", "path") or (
            self.path[0] == "checkpoints" and len(self.path) > 1 and self.path[2:] in ((), ("path",))
        )


def parse_setting(text: str) -> Setting:
    """A ``--set`` argument, ``checkpoints.news=/data/x.pth``; parts with dots in them are quoted.

    Raises ValueError for another form, RecipeError for a value that is no YAML.
    """
    match = re.fullmatch(r'((?:"[^"]*"|[^."=]+)(?:\.(?:"[^"]*"|[^."=]+))*)=(.*)', text, re.DOTALL)
    if not match:
        raise ValueError(f"{text!r} is not of the form FIELD=VALUE, as in checkpoints.news=/data/news.pth")
    path = tuple(part.strip('"') for part in re.findall(r'"[^"]*"|[^."]+', match[1]))
    setting = Setting(path, match[2], text, f"--set {text}")
    return setting if setting.names_a_file else replace(setting, value=parse_value(match[2]))


def output_setting(path: Path) -> Setting:
    """What ``-o FILE`` means."""
    return Setting(("output", "path"), str(path), f"output.path={path}", f"-o {path}")


def load_recipe(path: Path, settings: Sequence[Setting] = ()) -> Recipe:
    """The recipe in a file, with ``settings`` applied. Raises RecipeError with every problem found."""
    document = read_document(path)
    for setting in settings:
        document = _with_setting(document, setting)
    problems = schema.check(document)
    if problems:
        raise RecipeError(problems)
    return _Parser(document, path, settings).parse()


def _with_setting(document: Document, setting: Setting) -> Document:
    path, value, origin = setting.path, setting.value, Location(setting.origin)
    if setting.names_a_file:
        value = str(Path.cwd() / _expanded(value))
    known = document.data.get("checkpoints") if isinstance(document.data, dict) else None
    if path[0] == "checkpoints" and len(path) > 1 and isinstance(known, dict):
        if path[1] not in known:
            # A new source would change every weight; a typo must not do that.
            what = f"no source named {path[1]!r}{did_you_mean(path[1], known)}"
            raise RecipeError(Problem(what, origin, expected=f"one of {', '.join(map(str, known))}"))
        if len(path) == 2 and isinstance(known[path[1]], dict):
            path = (*path, "path")  # the digest beside it still holds
    return document.with_value(path, value, origin)


def _expanded(text: str) -> Path:
    """A file name with ``~`` and ``${VAR}`` replaced; a variable that is not set, or empty, stays to be reported."""
    text = re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match[1]) or match[0], text)
    return Path(os.path.expanduser(text))  # noqa: PTH111 # Path.expanduser raises where there is no such user


def _within(where: Location, name: str) -> Location:
    """The place of a name in the text at ``where``, as that of ``audiobok`` in ``from audiobok``."""
    if where.text is None or where.column is None:
        return where
    position = where.text.find(name, where.column - 1, where.column - 1 + where.length)
    return where if position < 0 else replace(where, column=position + 1, length=len(name))


class _Parser:
    def __init__(self, document: Document, path: Path, settings: Sequence[Setting]) -> None:
        self._document = document
        self._data: dict[str, Any] = document.data
        self._file = path
        self._settings = settings
        self._names: list[str] = list(self._data["checkpoints"])
        self._problems: list[Problem] = []

    def parse(self) -> Recipe:
        sources = tuple(self._sources())
        default = Merge(self._weights(("weights",)), self._method(("method",)))
        rules = tuple(self._rules(default))
        metadata = self._data.get("metadata", {})
        metadata_from = self._source(metadata["from"], ("metadata", "from")) if "from" in metadata else None
        output = self._output()
        if self._problems:
            raise RecipeError(self._problems)
        return Recipe(
            file=self._file,
            name=self._data.get("name", self._file.stem),
            description=self._data.get("description", ""),
            sources=sources,
            default=default,
            rules=rules,
            metadata_from=metadata_from,
            output=output,
            text=self._document.text,
            settings=tuple(setting.text for setting in self._settings if not setting.names_a_file),
        )

    def _problem(self, path: Path_, what: str, *, at_key: bool = False, **more: Any) -> None:
        where = self._document.where_key(path) if at_key else self._document.where(path)
        self._problems.append(Problem(f"{join_path(path)}: {what}", where, **more))

    def _sources(self) -> Iterator[Source]:
        for name, entry in self._data["checkpoints"].items():
            text, digest = (entry, None) if isinstance(entry, str) else (entry["path"], entry.get("sha256"))
            path: Path_ = ("checkpoints", name)
            yield Source(name, self._file_name(text, path), digest and digest.lower(), self._document.where(path))

    def _file_name(self, text: str, where: Path_) -> Path:
        path = self._file.parent / _expanded(text)
        try:
            os.fsencode(path)
        except UnicodeEncodeError:
            self._problem(where, f"{text!r} cannot be the name of a file")
            return path
        # recipes/../merged reads better as merged, but is another folder if recipes is a symbolic link.
        tidy = Path(os.path.normpath(path))
        return tidy if os.path.realpath(tidy) == os.path.realpath(path) else path

    def _source(self, name: str, path: Path_) -> int:
        if name in self._names:
            return self._names.index(name)
        what = f"{join_path(path)}: no source named {name!r}{did_you_mean(name, self._names)}"
        where = _within(self._document.where(path), name)
        self._problems.append(Problem(what, where, expected=f"one of {', '.join(self._names)}"))
        return 0

    def _weights(self, path: Path_) -> tuple[float, ...]:
        count = len(self._names)
        given: Any = self._data
        for part in path:
            given = given.get(part) if given else None
        if given is None:
            return (1 / count,) * count
        faults = len(self._problems)
        for name in given:
            if name not in self._names:
                self._problem(
                    (*path, name), f"no source named {name!r}{did_you_mean(name, self._names)}", at_key=True,
                    expected=f"one of {', '.join(self._names)}",
                )  # fmt: skip
        absent = [name for name in self._names if name not in given]
        if absent:
            self._problem(
                path,
                f"no weight for {listed(absent)}",
                at_key=True,
                hint=f"name every source; {absent[0]}: 0 leaves it out",
            )
        for name, weight in given.items():
            if not abs(weight) <= 1e6:  # nor NaN
                self._problem(
                    (*path, name),
                    f"{weight} is not usable as a weight",
                    expected="a finite number, seldom beyond -1 and 2",
                )
        if len(self._problems) > faults:
            return (1 / count,) * count
        return self._balanced([float(given[name]) for name in self._names], path)

    def _balanced(self, weights: list[float], path: Path_) -> tuple[float, ...]:
        total = math.fsum(weights)
        if self._data.get("normalize", False):
            if abs(total) < _SUM_TOLERANCE:
                self._problem(path, "weights that sum to 0 cannot be normalized", at_key=True)
                return tuple(weights)
            return tuple(weight / total for weight in weights)
        if abs(total - 1) > _SUM_TOLERANCE:
            self._problem(
                path, f"the weights sum to {total:.10g}, not to 1", at_key=True,
                hint="change them, or write 'normalize: true' to have them divided by their sum",
            )  # fmt: skip
        return tuple(weights)

    def _method(self, path: Path_) -> Method:
        given: Any = self._data
        for part in path:
            given = given.get(part) if given else None
        if given is None or isinstance(given, str):
            return Method(given or "linear", {})
        return Method(given["name"], {name: value for name, value in given.items() if name != "name"})

    def _rules(self, default: Merge) -> Iterator[Rule]:
        for pattern, entry in self._data.get("overrides", {}).items():
            path: Path_ = ("overrides", pattern)
            try:
                matches = compile_pattern(pattern, COMPONENTS)
            except PatternError as error:
                self._problem(path, str(error), at_key=True)
                continue
            yield Rule(pattern, matches, self._decision(entry, path, default), self._document.where_key(path))

    def _decision(self, entry: str | Mapping[str, Any], path: Path_, default: Merge) -> Take | Merge:
        if isinstance(entry, str):
            return Take(self._source(entry.removeprefix("from "), path))
        if "from" in entry:
            others = [name for name in entry if name != "from"]
            if others:
                self._problem(
                    (*path, others[0]),
                    f"'from' takes tensors as they are; {listed(others)} cannot go with it",
                    at_key=True,
                )
            return Take(self._source(entry["from"], (*path, "from")))
        weights = self._weights((*path, "weights")) if "weights" in entry else default.weights
        return Merge(weights, self._method((*path, "method")) if "method" in entry else default.method)

    def _output(self) -> Output:
        output = self._data["output"]
        path = self._file_name(output["path"], ("output", "path"))
        where = self._document.where(("output", "path"))
        if path.suffix.lower() not in FORMATS:
            self._problem(("output", "path"), f"{output['path']!r} has no suffix", expected=", ".join(FORMATS))
        dtype = DType.named(output.get("dtype", "keep"))
        return Output(path, FORMATS.get(path.suffix.lower(), ""), dtype, where)
