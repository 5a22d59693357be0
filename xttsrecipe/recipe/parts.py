"""A recipe as the rest of the program knows it: frozen dataclasses, with sources by their index."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..depth import Depth, Gradient, varies
from ..errors import Location
from ..methods import METHODS, MethodEntry, Value
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


# A number that may vary over layers.
Weight = float | Gradient
# Of a parameter that differs per source: a value for each that is merged, in their order.
ParameterValue = bool | int | float | Gradient | tuple[float | Gradient, ...]


@dataclass(frozen=True, slots=True)
class Method:
    """How tensors are combined: a name from the table in ``methods``, and all its parameters by their names there."""

    name: str
    parameters: Mapping[str, ParameterValue]

    @property
    def entry(self) -> MethodEntry:
        """What the table says of it."""
        return METHODS[self.name]


@dataclass(frozen=True, slots=True)
class Take:
    """A decision: the tensor as this source (an index) has it."""

    source: int


@dataclass(frozen=True, slots=True)
class Merge:
    """A decision: the tensors of several sources combined. ``weights``: one per source, in the recipe's order, 0 for
    those that are left out and for the ``base`` (an index); equal where the method has no use for them.
    ``normalize``: they are divided by their sum. ``where``: what says so.
    """

    weights: tuple[Weight, ...]
    method: Method
    base: int | None = None
    normalize: bool = False
    where: Location | None = field(default=None, compare=False)

    @property
    def merged(self) -> tuple[int, ...]:
        """The sources that are merged, without the base: those that are not left out everywhere."""
        return tuple(index for index, weight in enumerate(self.weights) if weight != 0)

    @property
    def varies(self) -> bool:
        """Whether a weight or a parameter varies over layers."""
        return varies(self.weights) or any(map(varies, self.method.parameters.values()))

    def weights_at(self, depth: Depth | None) -> tuple[float, ...]:
        """The weights of all sources for a tensor; ``depth`` matters where they vary."""
        weights = tuple(self.number(weight, depth) for weight in self.weights)
        total = math.fsum(weights) if self.normalize else 1.0
        return tuple(weight / total for weight in weights) if total not in (0, 1) else weights

    def read_at(self, depth: Depth | None) -> tuple[int, ...]:
        """The sources that are read for a tensor: not those that weigh nothing there, where that changes nothing."""
        entry, weights = self.method.entry, self.weights_at(depth)
        is_sum = entry.weighted and (entry.weights_sum_to_one or entry.base == "required")
        if not is_sum and entry.shares_by is None:
            return self.merged
        return tuple(index for index in self.merged if weights[index] != 0)

    def parameters_at(self, depth: Depth | None) -> dict[str, Value]:
        """The parameters for a tensor; those that differ per source in the order of ``read_at``."""
        read = self.read_at(depth)
        found: dict[str, Value] = {}
        for name, value in self.method.parameters.items():
            number = self.number(value, depth)
            if isinstance(value, tuple):
                number = tuple(part for index, part in zip(self.merged, number, strict=True) if index in read)
            found[name] = number
        share = self.method.entry.shares_by
        if share is not None:
            weights = [self.weights_at(depth)[index] for index in self.merged]
            total = math.fsum(weights)
            second = weights[1] if len(weights) > 1 else 0.0  # of one that is left, all is the first's
            found[share] = second / total if total else math.nan
        return found

    @staticmethod
    def number(value: Any, depth: Depth | None) -> Any:
        """A weight or parameter for a tensor, whether it varies or not, or differs per source."""
        if isinstance(value, tuple):
            return tuple(Merge.number(part, depth) for part in value)
        if not isinstance(value, Gradient):
            return value
        assert depth is not None  # where there are no layers, nothing that varies is planned
        return value.at(depth)

    @property
    def shares(self) -> tuple[float, ...]:
        """How much each source weighs in all, those that vary by the mean of what is said of them."""
        means = [
            math.fsum(its.anchors) / len(its.anchors) if isinstance(its, Gradient) else its for its in self.weights
        ]
        return tuple(means)


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
