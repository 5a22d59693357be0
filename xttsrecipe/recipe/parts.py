"""A recipe as the rest of the program knows it: frozen dataclasses, with sources by their index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import Location
from ..patterns import KeyTest
from ..specs import DType


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint that the recipe names: a file, or a model directory.

    ``sha256``: the digest that the model's file must have, lower-case hex. ``vocabulary``: the vocab.json that the
    recipe names for it. ``text``, ``vocabulary_text``: the paths as the file has them, nothing expanded, no ``--set``.
    """

    name: str
    path: Path
    sha256: str | None
    where: Location
    vocabulary: Path | None
    text: str
    vocabulary_text: str | None


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
    """Where the merged checkpoint goes: a file, or a model directory (``is_directory``).

    ``layout``: preserve, release or trainer. ``dtype`` None keeps the sources' types. ``text``: the path as written.
    """

    path: Path
    is_directory: bool
    format: str
    layout: str
    dtype: DType | None
    where: Location
    text: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """A valid recipe. ``metadata_from``, ``companions_from`` and ``vocabulary_order``: the sources (indices) that
    metadata.from, companions and vocabulary.order name, or None for the default.

    ``text`` is the file as it stands, ``settings`` what ``--set`` changed in it, file names aside.
    """

    file: Path
    name: str
    description: str
    sources: tuple[Source, ...]
    default: Merge
    rules: tuple[Rule, ...]
    metadata_from: int | None
    companions_from: int | None
    vocabulary_order: int | None
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
