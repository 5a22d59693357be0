"""The files that are written with the model: what an output directory needs to be loaded, and a merged vocabulary.

Copies, never averages. Decides from headers which files these are and whose; ``writers`` write them.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import Problem, listed
from .metadata import OutputMetadata
from .recipe import Recipe
from .specs import Header
from .steps import Step
from .text_rows import OutputVocabulary
from .text_tokens import TextTokens, with_text_tokens
from .xtts import is_listening


@dataclass(frozen=True, slots=True)
class Companion:
    """A file beside the model: a copy of ``path``, or ``content``; ``origin`` says whose it is, for people."""

    name: str
    origin: str
    nbytes: int
    path: Path | None = None
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Companions:
    """What is written with the model, what a user should know of it, and what makes it impossible."""

    files: tuple[Companion, ...]
    warnings: tuple[str, ...]
    problems: tuple[Problem, ...]


def plan_companions(
    recipe: Recipe,
    headers: Sequence[Header],
    steps: Sequence[Step],
    metadata: OutputMetadata,
    vocabulary: OutputVocabulary | None,
    tokens: Mapping[int, TextTokens],
) -> Companions:
    """The files that go with the output; ``tokens`` as in ``text_tokens``."""
    if not recipe.output.is_directory:
        return _beside_a_file(recipe, vocabulary)
    return _Directory(recipe, headers, steps, metadata, vocabulary, tokens).planned()


def vocabulary_name(output: Path) -> str:
    """What a merged vocabulary beside the file ``output`` is called: it must not take the place of a parent's."""
    return f"{output.stem}.vocab.json"


def _beside_a_file(recipe: Recipe, vocabulary: OutputVocabulary | None) -> Companions:
    warnings: list[str] = []
    files: list[Companion] = []
    if recipe.companions_from is not None:
        warnings.append("companions are written to an output directory only, and output.path names a file")
    if vocabulary and (vocabulary.by_token or vocabulary.owner is None):
        name = vocabulary_name(recipe.output.path)
        files.append(_vocabulary_file(name, recipe, vocabulary))
        warnings.append(
            f"the vocabularies differ: the model is to be loaded with the merged one, {name} (as vocab_path, or "
            "renamed to vocab.json)"
        )
    return Companions(tuple(files), tuple(warnings), ())


def _vocabulary_file(name: str, recipe: Recipe, vocabulary: OutputVocabulary) -> Companion:
    names, owner = recipe.source_names, vocabulary.owner
    text = vocabulary.merged.text
    origin = (
        f"merged from {listed([names[index] for index in vocabulary.known])}" if owner is None else f"of {names[owner]}"
    )
    return Companion(name, origin, len(text), content=text)


class _Directory:
    """Plans the companions of an output directory."""

    def __init__(
        self, recipe: Recipe, headers: Sequence[Header], steps: Sequence[Step], metadata: OutputMetadata,
        vocabulary: OutputVocabulary | None, tokens: Mapping[int, TextTokens],
    ) -> None:  # fmt: skip
        self._recipe = recipe
        self._headers = headers
        self._names = recipe.source_names
        self._steps = steps
        self._metadata = metadata
        self._vocabulary = vocabulary
        self._tokens = tokens
        self._giver = self._whose()

    def _whose(self) -> int | None:
        """The source whose companions are copied: the one named, else the heaviest that is a model directory."""
        if self._recipe.companions_from is not None:
            return self._recipe.companions_from
        weights = self._recipe.default.weights
        having = [index for index, header in enumerate(self._headers) if header.companions]
        return max(having, key=lambda index: weights[index], default=None)  # the first of equals

    def planned(self) -> Companions:
        problems: list[Problem] = []
        files = [*self._config_file(problems), *self._vocab_file(problems), *self._copies()]
        return Companions(tuple(files), tuple(self._warnings(files)), tuple(problems))

    def _problem(self, what: str, hint: str) -> Problem:
        return Problem(what, self._recipe.output.where, hint=hint)

    def _config_file(self, problems: list[Problem]) -> Iterator[Companion]:
        giver = self._giver
        config = self._metadata.config
        if giver is not None and "config.json" in self._headers[giver].companions:
            own = self._headers[giver].entries["config"]
            adapted = with_text_tokens(own, self._tokens.get(giver))
            if adapted is own:
                yield _copy("config.json", self._names[giver], self._headers[giver].companions["config.json"])
            else:
                yield _config_of(adapted, f"of {self._names[giver]}, with the output's text tokens")
        elif config is not None:
            yield _config_of(config, "the checkpoint's")
        else:
            problems.append(
                self._problem(
                    "an output directory needs a config.json, and no source has a config",
                    "make one source a model directory with a config.json, or write to a .pth file",
                )
            )

    def _vocab_file(self, problems: list[Problem]) -> Iterator[Companion]:
        if self._vocabulary:
            yield _vocabulary_file("vocab.json", self._recipe, self._vocabulary)
            return
        rows = {name for step in self._steps for name in ([] if step.key != "gpt.text_head.bias" else step.sources)}
        owner = self._names[min(rows, default=0)]
        problems.append(
            self._problem(
                f"an output directory needs a vocab.json, and that of {owner}, whose text rows it has, is not known",
                f"name it: vocabulary: {{{owner}: PATH}}; or make {owner} a model directory, or write to a .pth file",
            )
        )

    def _copies(self) -> Iterator[Companion]:
        if self._giver is None:
            return
        for name, path in self._headers[self._giver].companions.items():
            if name not in ("config.json", "vocab.json"):
                yield _copy(name, self._names[self._giver], path)

    def _warnings(self, files: Iterable[Companion]) -> Iterator[str]:
        if self._giver is None:
            yield "no source is a model directory: the output has no speakers_xtts.pth"
        elif self._recipe.companions_from is not None and not self._headers[self._giver].companions:
            is_file = self._headers[self._giver].directory is None
            why = "is not a model directory" if is_file else "has no files beside its model"
            yield f"companions names {self._names[self._giver]}, which {why}: none are copied"
        yield from self._vocabulary_warnings()
        differing = self._differing_mel_stats()
        if differing:
            yield f"the mel_stats of {listed(differing)} differ: their models were trained on sound scaled differently"
        if any(companion.name == "speakers_xtts.pth" for companion in files) and not self._listens_as_giver():
            name = self._names[self._giver or 0]
            yield (
                f"the speaker latents in speakers_xtts.pth come from {name}'s encoders, which the output does not have "
                "as they were: compute them anew from reference recordings, or take '@encoder' and mel_stats from it"
            )

    def _vocabulary_warnings(self) -> Iterator[str]:
        if self._vocabulary:
            assumed = [self._names[i] for i in self._vocabulary.sources if i not in self._vocabulary.known]
            if assumed:
                owner = self._names[self._vocabulary.known[0]]
                yield f"the vocabulary of {listed(assumed)} is not known: its rows are taken to mean what {owner}'s do"
        known = {self._names[i]: header.vocabulary for i, header in enumerate(self._headers) if header.vocabulary}
        said = [(vocabulary.tokens, vocabulary.merges) for vocabulary in known.values()]
        vocabulary = self._vocabulary
        if vocabulary is None or said.count(said[0]) == len(said):
            return
        if vocabulary.by_token:
            what = "tokens are merged by their text"
        elif vocabulary.owner is None:
            what = "the output has the merges of all"
        else:
            what = f"the output has that of {self._names[vocabulary.owner]}"
        yield f"the vocab.json of {listed(list(known))} differ: {what}"

    def _differing_mel_stats(self) -> list[str]:
        """The sources, where they do not all have the same mel_stats: as a tensor, and as a file."""
        tensors = {index: header.mel_stats for index, header in enumerate(self._headers) if header.mel_stats}
        files = {
            index: _stored_data(header.companions["mel_stats.pth"])
            for index, header in enumerate(self._headers)
            if "mel_stats.pth" in header.companions
        }
        differing: set[int] = set()
        for found in (tensors, files):
            if len(set(found.values())) > 1:
                differing.update(found)
        return [self._names[index] for index in sorted(differing)]

    def _listens_as_giver(self) -> bool:
        """Whether everything that hears a reference voice is the giver's, untouched."""
        return all(
            step.sources == (self._giver,) or (step.key == "mel_stats" and self._are_mel_stats_equal(step))
            for step in self._steps
            if is_listening(step.key)
        )

    def _are_mel_stats_equal(self, step: Step) -> bool:
        """Whether all that the output's mel_stats are made of are the giver's, bit for bit."""
        found = {self._headers[index].mel_stats for index in (self._giver or 0, *step.sources)}
        return len(found) == 1 and None not in found


def _copy(name: str, owner: str, path: Path) -> Companion:
    return Companion(name, f"of {owner}", path.stat().st_size, path)


def _config_of(config: Mapping[str, Any], origin: str) -> Companion:
    try:
        content = json.dumps(config, indent=4, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can say
        content = json.dumps(config, indent=4).encode() + b"\n"
    return Companion("config.json", origin, len(content), content=content)


def _stored_data(path: Path) -> object:
    """Something that is equal for files of equal tensors: a torch zip's checksums, whatever its root is called."""
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(info.CRC for info in archive.infolist() if "/data/" in info.filename)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        return path.stat().st_size
