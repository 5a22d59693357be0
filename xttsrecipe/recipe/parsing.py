"""What names and numbers in a recipe mean: data that the schema allows to a recipe, or every problem in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..codes import Code
from ..document import Document, Path_
from ..errors import RecipeError
from ..settings import ORDER, Setting, expanded
from ..specs import DType
from .decisions import Decisions
from .parts import Merge, Output, Recipe, Source
from .reading import Reading

FORMATS = {".pth": "torch zip", ".pt": "torch zip", ".safetensors": "safetensors"}


class Parser:
    """Reads one document that the schema allows."""

    def __init__(self, document: Document, path: Path, settings: Sequence[Setting], written: Mapping[str, Any]) -> None:
        """``written``: the data before the settings; where there are any, nobody checked its form."""
        self._reading = Reading(document)
        self._document = document
        self._written = written
        self._data = self._reading.data
        self._file = path
        self._settings = settings

    def parse(self) -> Recipe:
        """Raises RecipeError with every problem found."""
        sources = tuple(self._sources())
        decisions = Decisions(self._reading)
        default = decisions.default()
        rules = tuple(decisions.rules())
        decisions.check_base([default, *(rule.decision for rule in rules if isinstance(rule.decision, Merge))])
        metadata_from = self._reading.chosen("metadata")
        companions_from = self._reading.chosen("companions")
        vocabulary_order = self._vocabulary_order()
        output = self._output()
        if self._reading.problems:
            raise RecipeError(dict.fromkeys(self._reading.problems))  # what a rule takes over is wrong in both
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
            self._reading.problem(Code.UNUSABLE_FILE_NAME, where, f"{text!r} cannot be the name of a file")
            return path
        # recipes/../merged reads better as merged, but is another folder if recipes is a symbolic link.
        tidy = Path(os.path.normpath(path))
        return tidy if os.path.realpath(tidy) == os.path.realpath(path) else path

    def _vocabulary_order(self) -> int | None:
        vocabularies = self._data.get("vocabulary", {})
        if vocabularies and ORDER in self._reading.names:
            self._reading.problem(
                Code.RESERVED_SOURCE_NAME,
                ("checkpoints", ORDER),
                f"a checkpoint cannot be called {ORDER!r} where there is a vocabulary: there the word says whose ids "
                "the merged vocabulary keeps",
                at_key=True,
                hint="give it another name",
            )
        for name in vocabularies:
            if name != ORDER:
                self._reading.source(name, ("vocabulary", name), at_key=True, among=(ORDER,))
        return self._reading.source(vocabularies[ORDER], ("vocabulary", ORDER)) if ORDER in vocabularies else None

    def _output(self) -> Output:
        output = self._data["output"]
        is_directory = output["path"].endswith("/")
        path = self._file_name(output["path"], ("output", "path"))
        suffix = ".pth" if is_directory else path.suffix.lower()
        if suffix not in FORMATS:
            what = f"{output['path']!r} has no suffix"
            self._reading.problem(Code.MALFORMED_PATH, ("output", "path"), what, expected=", ".join(FORMATS))
        return Output(
            path=path,
            is_directory=is_directory,
            format=FORMATS.get(suffix, ""),
            layout=output.get("layout", "preserve"),
            dtype=DType.named(output.get("dtype", "keep")),
            where=self._document.where(("output", "path")),
            text=output["path"],
        )
