"""The files that are written with the model: what an output directory needs to be loaded, and a merged vocabulary.

Copies, never averages. Decides from headers which files these are and whose; ``writers`` write them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checkpoints.content_digest import bytes_digest
from .codes import Code
from .errors import Problem, listed
from .licence import card_digest, is_card
from .metadata import OutputMetadata
from .recipe import Recipe
from .specs import CompanionFile, FileStamp, Header, TensorSpec
from .steps import Step, text_step
from .text_rows import OutputVocabulary, vocabularies_differ
from .text_tokens import TextTokens, with_text_tokens
from .xtts import CONFIG_FILE, VOCABULARY_FILE, size_misfits


@dataclass(frozen=True, slots=True)
class Companion:
    """A file beside the model: a copy of a file, or new bytes; ``origin`` says whose it is, for people."""

    name: str
    origin: str
    data: CompanionFile | bytes

    @property
    def digest(self) -> str:
        """Of what it holds; of a model card without the licence, which is the user's."""
        if not isinstance(self.data, bytes):
            return self.data.digest
        return card_digest(self.data) if is_card(self.name) else bytes_digest(self.data)

    @property
    def nbytes(self) -> int:
        return len(self.data) if isinstance(self.data, bytes) else self.data.stamp.size


def giver_of(recipe: Recipe, headers: Sequence[Header]) -> int | None:
    """The source whose companions are copied: the one named, else the heaviest that has any (the first of equals)."""
    if recipe.companions_from is not None:
        return recipe.companions_from
    weights = recipe.default.shares
    having = [index for index, header in enumerate(headers) if header.companions]
    return max(having, key=lambda index: weights[index], default=None)


def plan_companions(
    recipe: Recipe,
    headers: Sequence[Header],
    steps: Sequence[Step],
    metadata: OutputMetadata,
    vocabulary: OutputVocabulary | None,
    tokens: Mapping[int, TextTokens],
) -> Iterator[Companion | Problem]:
    """The files that go with the output, and what is missing for them; ``tokens`` as in ``text_tokens``."""
    names = recipe.source_names
    if not recipe.output.is_directory:
        if vocabulary and vocabularies_differ(headers):
            yield _vocabulary_file(vocabulary_name(recipe.output.path), names, headers, vocabulary)
        return
    giver = giver_of(recipe, headers)
    yield _config_file(recipe, headers, giver, metadata, tokens, {step.key: step.spec for step in steps})
    if vocabulary:
        yield _vocabulary_file(VOCABULARY_FILE, names, headers, vocabulary)
    else:
        text = text_step(steps)
        owner = names[text.sources[0] if text else 0]
        yield Problem(
            Code.DIRECTORY_WITHOUT_VOCABULARY,
            f"an output directory needs a {VOCABULARY_FILE}, and that of {owner}, whose text rows it has, is not known",
            recipe.output.where,
            hint=f"name it: vocabulary: {{{owner}: PATH}}; or make {owner} a model directory, or write to a .pth file",
        )
    if giver is not None:
        for name, file in headers[giver].companions.items():
            if name not in (CONFIG_FILE, VOCABULARY_FILE):
                yield Companion(name, f"of {names[giver]}", file)


def vocabulary_name(output: Path) -> str:
    """What a merged vocabulary beside the file ``output`` is called: it must not take the place of a parent's."""
    return f"{output.stem}.{VOCABULARY_FILE}"


def _vocabulary_file(
    name: str, names: Sequence[str], headers: Sequence[Header], vocabulary: OutputVocabulary
) -> Companion:
    if vocabulary.owner is None:
        origin = f"merged from {listed([names[index] for index in vocabulary.known])}"
    else:
        origin = f"of {names[vocabulary.owner]}"
    known = None if vocabulary.owner is None else headers[vocabulary.owner].vocabulary
    if known and known.locked:  # of which the text is not known
        stamp = FileStamp(len(known.text), 0, 0)
        return Companion(name, origin, CompanionFile(known.path, stamp, f"sha256:{known.digest}"))
    return Companion(name, origin, vocabulary.merged.text)


def _config_file(
    recipe: Recipe, headers: Sequence[Header], giver: int | None, metadata: OutputMetadata,
    tokens: Mapping[int, TextTokens], specs: Mapping[str, TensorSpec],
) -> Companion | Problem:  # fmt: skip
    """The giver's config.json, or else the config that the checkpoint itself carries."""
    if giver is not None and CONFIG_FILE in headers[giver].companions:
        own = headers[giver].entries["config"]
        config = with_text_tokens(own, tokens.get(giver))
        origin = f"of {recipe.source_names[giver]}"
        file = headers[giver].companions[CONFIG_FILE]
        companion = Companion(CONFIG_FILE, origin, file)
        if config is not own:
            companion = Companion(CONFIG_FILE, f"{origin}, with the output's text tokens", _json(config))
    elif metadata.config is not None:
        config = metadata.config
        companion = Companion(CONFIG_FILE, "the checkpoint's", _json(config))
    else:
        return Problem(
            Code.DIRECTORY_WITHOUT_CONFIG,
            f"an output directory needs a {CONFIG_FILE}, and no source has a config",
            recipe.output.where,
            hint=f"make one source a model directory with a {CONFIG_FILE}, or write to a .pth file",
        )
    misfits = size_misfits(config, specs)
    if misfits:
        return Problem(
            Code.CONFIG_OF_ANOTHER_NETWORK,
            f"the {CONFIG_FILE} for the output directory ({companion.origin}) describes another network",
            recipe.output.where,
            found="; ".join(misfits),
            hint="'companions: from NAME' takes it from another source",
        )
    return companion


def _json(config: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(config, indent=4, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can say
        return json.dumps(config, indent=4).encode() + b"\n"
