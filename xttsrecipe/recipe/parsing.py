"""What names and numbers in a recipe mean: data that the schema allows to a recipe, or every problem in it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..codes import Code
from ..document import Document, Path_, join_path
from ..errors import Location, Problem, RecipeError, did_you_mean, listed
from ..patterns import PatternError, compile_patterns
from ..settings import ORDER, Setting, expanded
from ..specs import DType
from ..xtts import COMPONENTS
from .parts import Merge, Method, Output, Recipe, Rule, Source, Take

FORMATS = {".pth": "torch zip", ".pt": "torch zip", ".safetensors": "safetensors"}

# How far from 1 weights may sum: room for how decimals are stored, none for 0.33 + 0.33 + 0.33.
_SUM_TOLERANCE = 1e-9


def _within(where: Location, name: str) -> Location:
    """The place of a name in the text at ``where``, as that of ``audiobok`` in ``from audiobok``."""
    if where.text is None or where.column is None:
        return where
    position = where.text.find(name, where.column - 1, where.column - 1 + where.length)
    return where if position < 0 else replace(where, column=position + 1, length=len(name))


class Parser:
    """Reads one document that the schema allows."""

    def __init__(self, document: Document, path: Path, settings: Sequence[Setting], written: Mapping[str, Any]) -> None:
        """``written``: the data before the settings; where there are any, nobody checked its form."""
        self._document = document
        self._written = written
        self._data: dict[str, Any] = document.data
        self._file = path
        self._settings = settings
        self._names: list[str] = list(self._data["checkpoints"])
        self._problems: list[Problem] = []

    def parse(self) -> Recipe:
        """Raises RecipeError with every problem found."""
        sources = tuple(self._sources())
        default = Merge(self._weights(("weights",)), self._method(("method",)))
        rules = tuple(self._rules(default))
        metadata_from = self._chosen("metadata")
        companions_from = self._chosen("companions")
        vocabulary_order = self._vocabulary_order()
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
            companions_from=companions_from,
            vocabulary_order=vocabulary_order,
            output=output,
            text=self._document.text,
            settings=tuple(setting.text for setting in self._settings if not setting.names_a_file),
        )

    def _problem(self, code: Code, path: Path_, what: str, *, at_key: bool = False, **more: Any) -> None:
        where = self._document.where_key(path) if at_key else self._document.where(path)
        self._problems.append(Problem(code, f"{join_path(path)}: {what}", where, **more))

    def _sources(self) -> Iterator[Source]:
        vocabularies = self._data.get("vocabulary", {})
        for name, entry in self._data["checkpoints"].items():
            text, digest = (entry, None) if isinstance(entry, str) else (entry["path"], entry.get("sha256"))
            path: Path_ = ("checkpoints", name)
            vocabulary, vocabulary_text = None, None
            if name in vocabularies and name != ORDER:
                vocabulary_text = vocabularies[name]
                vocabulary = self._file_name(vocabulary_text, ("vocabulary", name))
            yield Source(
                name=name,
                path=self._file_name(text, path),
                sha256=digest and digest.lower(),
                where=self._document.where(path),
                vocabulary=vocabulary,
                text=self._as_written(("checkpoints", name), text),
                vocabulary_text=vocabulary_text and self._as_written(("vocabulary", name), vocabulary_text),
            )

    def _as_written(self, where: Path_, text: str) -> str:
        """The file name that the recipe itself has there, where a setting changed it to ``text``."""
        found: Any = self._written
        for part in where:
            found = found.get(part) if isinstance(found, dict) else None
        found = found.get("path") if isinstance(found, dict) else found
        return found if isinstance(found, str) else text

    def _file_name(self, text: str, where: Path_) -> Path:
        path = self._file.parent / expanded(text)
        try:
            os.fsencode(path)
        except UnicodeEncodeError:
            self._problem(Code.UNUSABLE_FILE_NAME, where, f"{text!r} cannot be the name of a file")
            return path
        # recipes/../merged reads better as merged, but is another folder if recipes is a symbolic link.
        tidy = Path(os.path.normpath(path))
        return tidy if os.path.realpath(tidy) == os.path.realpath(path) else path

    def _source(self, name: str, path: Path_, *, at_key: bool = False) -> int:
        """The index of a source; the name stands in the value at ``path``, or is its key."""
        if name in self._names:
            return self._names.index(name)
        what = f"{join_path(path)}: no source named {name!r}{did_you_mean(name, self._names)}"
        where = self._document.where_key(path) if at_key else _within(self._document.where(path), name)
        self._problems.append(Problem(Code.UNKNOWN_SOURCE, what, where, expected=f"one of {', '.join(self._names)}"))
        return 0

    def _chosen(self, field: str) -> int | None:
        """The source that ``field: from NAME`` or ``field: {from: NAME}`` names; None where it does not."""
        entry = self._data.get(field, {})
        if isinstance(entry, str):
            return self._source(entry.removeprefix("from "), (field,))
        return self._source(entry["from"], (field, "from")) if "from" in entry else None

    def _vocabulary_order(self) -> int | None:
        vocabularies = self._data.get("vocabulary", {})
        if vocabularies and ORDER in self._names:
            self._problem(
                Code.RESERVED_SOURCE_NAME,
                ("checkpoints", ORDER),
                f"a checkpoint cannot be called {ORDER!r} where there is a vocabulary: there the word says whose ids "
                "the merged vocabulary keeps",
                at_key=True,
                hint="give it another name",
            )
        for name in vocabularies:
            if name not in (ORDER, *self._names):
                what = f"no source named {name!r}{did_you_mean(name, (ORDER, *self._names))}"
                expected = f"{ORDER}, or one of {', '.join(self._names)}"
                self._problem(Code.UNKNOWN_SOURCE, ("vocabulary", name), what, at_key=True, expected=expected)
        return self._source(vocabularies[ORDER], ("vocabulary", ORDER)) if ORDER in vocabularies else None

    def _weights(self, path: Path_) -> tuple[float, ...]:
        count = len(self._names)
        given: Any = self._data
        for part in path:
            given = given.get(part) if given else None
        if given is None:
            return (1 / count,) * count
        faults = len(self._problems)
        for name in given:
            self._source(name, (*path, name), at_key=True)
        absent = [name for name in self._names if name not in given]
        if absent:
            hint = f"name every source; {absent[0]}: 0 leaves it out"
            self._problem(Code.MISSING_WEIGHT, path, f"no weight for {listed(absent)}", at_key=True, hint=hint)
        for name, weight in given.items():
            if not abs(weight) <= 1e6:  # nor NaN
                expected = "a finite number, seldom beyond -1 and 2"
                what = f"{weight} is not usable as a weight"
                self._problem(Code.UNUSABLE_WEIGHT, (*path, name), what, expected=expected)
        if len(self._problems) > faults:
            return (1 / count,) * count
        return self._balanced([float(given[name]) for name in self._names], path)

    def _balanced(self, weights: list[float], path: Path_) -> tuple[float, ...]:
        total = math.fsum(weights)
        if self._data.get("normalize", False):
            if abs(total) < _SUM_TOLERANCE:
                self._problem(Code.WEIGHTS_SUM_TO_ZERO, path, "weights that sum to 0 cannot be normalized", at_key=True)
                return tuple(weights)
            return tuple(weight / total for weight in weights)
        if abs(total - 1) > _SUM_TOLERANCE:
            self._problem(
                Code.WEIGHTS_DO_NOT_SUM_TO_ONE, path, f"the weights sum to {total:.10g}, not to 1", at_key=True,
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
        overrides = self._data.get("overrides", {})
        for (pattern, entry), matches in zip(overrides.items(), compile_patterns(overrides, COMPONENTS), strict=False):
            path: Path_ = ("overrides", pattern)
            if isinstance(matches, PatternError):
                self._problem(matches.code, path, str(matches), at_key=True)
                continue
            yield Rule(pattern, matches, self._decision(entry, path, default), self._document.where_key(path))

    def _decision(self, entry: str | Mapping[str, Any], path: Path_, default: Merge) -> Take | Merge:
        if isinstance(entry, str):
            return Take(self._source(entry.removeprefix("from "), path))
        if "from" in entry:
            others = [name for name in entry if name != "from"]
            if others:
                what = f"'from' takes tensors as they are; {listed(others)} cannot go with it"
                self._problem(Code.FROM_WITH_MORE, (*path, others[0]), what, at_key=True)
            return Take(self._source(entry["from"], (*path, "from")))
        weights = self._weights((*path, "weights")) if "weights" in entry else default.weights
        return Merge(weights, self._method((*path, "method")) if "method" in entry else default.method)

    def _output(self) -> Output:
        output = self._data["output"]
        is_directory = output["path"].endswith("/")
        path = self._file_name(output["path"], ("output", "path"))
        suffix = ".pth" if is_directory else path.suffix.lower()
        if suffix not in FORMATS:
            what = f"{output['path']!r} has no suffix"
            self._problem(Code.MALFORMED_PATH, ("output", "path"), what, expected=", ".join(FORMATS))
        return Output(
            path=path,
            is_directory=is_directory,
            format=FORMATS.get(suffix, ""),
            layout=output.get("layout", "preserve"),
            dtype=DType.named(output.get("dtype", "keep")),
            where=self._document.where(("output", "path")),
            text=output["path"],
        )
