"""What the method table says of a method: what it takes, what it needs, and when it cannot be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .draws import Draw
from .linear import Scratch

if TYPE_CHECKING:
    from torch import Tensor

# A parameter's value; of one that may differ per source, one for all or one for each.
Value = bool | int | float | Sequence[float]
# Why a method cannot be used with these weights and parameters, all of them given; None where it can.
Check = Callable[[Sequence[float], Mapping[str, Any]], "str | None"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A method's parameter. ``name``: as in recipes; ``aliases``: other names for it. ``default``: None where there is
    none; then ``otherwise`` says what is taken instead, empty where the parameter has to be given.

    Numbers lie between ``minimum`` and ``maximum``, None for no bound, the bounds included, but for the upper one where
    ``below`` says that it is not.
    """

    name: str
    meaning: str
    kind: Literal["number", "integer", "boolean"] = "number"
    default: bool | int | float | None = None
    minimum: float | None = None
    maximum: float | None = None
    below: bool = False
    per_source: bool = False
    aliases: tuple[str, ...] = ()
    otherwise: str = ""

    @property
    def required(self) -> bool:
        """Whether a recipe has to give it."""
        return self.default is None and not self.otherwise

    @property
    def argument(self) -> str:
        """What the method's function calls it."""
        return "lambda_" if self.name == "lambda" else self.name

    @property
    def range(self) -> str:
        """Its bounds, as ``0 ≤ density ≤ 1``; empty where there are none."""
        lower = "" if self.minimum is None else f"{self.minimum:g} ≤ "
        upper = "" if self.maximum is None else f" {'<' if self.below else '≤'} {self.maximum:g}"
        return f"{lower}{self.name}{upper}" if lower or upper else ""

    def refusal(self, value: object) -> str | None:
        """Why a value for one source cannot be; None where it can."""
        wanted = {"number": "a number", "integer": "a whole number", "boolean": "true or false"}[self.kind]
        kinds: tuple[type, ...] = {"number": (int, float), "integer": (int,), "boolean": (bool,)}[self.kind]
        if not isinstance(value, kinds) or (isinstance(value, bool) and self.kind != "boolean"):
            return f"{self.name} has to be {wanted}"
        if self.kind != "boolean" and not self._is_within(value):  # type: ignore[arg-type]
            return f"{self.name} is {value:g}, and has to be " + (self.range or "finite")
        return None

    def _is_within(self, number: float) -> bool:
        if isinstance(number, float) and not math.isfinite(number):
            return False
        low = self.minimum is None or number >= self.minimum
        return low and (self.maximum is None or number < self.maximum or (number == self.maximum and not self.below))


_SEED = Parameter("seed", "where the random numbers begin; another seed, other numbers", "integer", minimum=0)


@dataclass(frozen=True, slots=True)
class MethodEntry:
    """A method. Its function ``combine`` takes tensors of one shape and one type, those of the sources without the
    base, and leaves them as they are; ``call`` gives it what it takes.

    ``formula``: in one line. ``base``: whether a base is not used, may be given or has to be. ``least`` and ``most``:
    how many sources, without the base; None for any number. ``weighted``: whether it uses weights;
    ``weights_sum_to_one``: whether these have to sum to 1, unless a parameter ``normalize`` is true. ``ordered``:
    whether the order of the sources matters. ``random``: whether it takes random numbers, one Draw for each source, of
    which a recipe gives the ``seed``. ``shares_by``: the parameter that says what weights of two sources say too, the
    second's share.

    ``elementwise``: every element of the result depends on the same element of the sources only, so that a tensor
    may be merged in pieces; from first to last, as random numbers go on from piece to piece. ``one_by_one``: it needs
    at most two of the tensors at once, the first and one other, which may be gone when it takes the next; and the base.
    ``shaped``: it needs to know the tensors' shape, not just their elements in row-major order. ``reuses_memory``: it
    takes a Scratch, or None.
    """

    name: str
    summary: str
    paper: str
    elementwise: bool
    one_by_one: bool
    combine: Callable[..., Tensor]
    formula: str = ""
    parameters: tuple[Parameter, ...] = ()
    base: Literal["none", "optional", "required"] = "none"
    least: int = 1
    most: int | None = None
    weighted: bool = True
    weights_sum_to_one: bool = False
    ordered: bool = False
    random: bool = False
    shares_by: str | None = None
    shaped: bool = False
    reuses_memory: bool = False
    check: Check | None = None

    @property
    def uses_weights(self) -> bool:
        """Whether it matters how much a source weighs."""
        return self.weighted or self.shares_by is not None

    @property
    def takes_one_of_two(self) -> bool:
        """Whether of two sources of which one weighs nothing it gives the other as it is."""
        return self.least == 2 and self.uses_weights

    @property
    def settings(self) -> tuple[Parameter, ...]:
        """What a recipe may say beside the name."""
        return (*self.parameters, *((_SEED,) if self.random else ()))

    def complete(self, parameters: Mapping[str, Value]) -> dict[str, Value]:
        """The parameters with the defaults of those that are not among them."""
        defaults = {each.name: each.default for each in self.parameters if each.default is not None}
        return {**defaults, **parameters}

    def refusal(self, weights: Sequence[float], parameters: Mapping[str, Value]) -> str | None:
        """Why the method cannot be used with these weights and parameters, in words that follow the place where they
        stand; None where it can. Weights of methods without weights do not matter.
        """
        given = self.complete(parameters)
        for parameter in self.parameters:
            value = given.get(parameter.name)
            if value is None:
                if parameter.required:
                    return f"{parameter.name} is missing: {parameter.meaning}"
                continue
            each = value if parameter.per_source and isinstance(value, Sequence) else [value]
            found = next(filter(None, map(parameter.refusal, each)), None)
            if found:
                return found
        return self.check(weights, given) if self.check else None


def call(
    entry: MethodEntry, tensors: Sequence[Tensor], weights: Sequence[float] = (), base: Tensor | None = None,
    parameters: Mapping[str, Value] | None = None, draws: Sequence[Draw] = (), scratch: Scratch | None = None,
) -> Tensor:  # fmt: skip
    """The method's result, its function given what it takes of all this. Of a parameter that may differ per source one
    value stands for all. Raises ValueError where the method refuses its weights or parameters.
    """
    arguments: list[object] = [tensors]
    if entry.weighted:
        arguments.append(weights)
    if entry.base != "none":
        arguments.append(base)
    named: dict[str, object] = {}
    given = entry.complete(parameters or {})
    for parameter in entry.parameters:
        value = given[parameter.name]
        alone = parameter.per_source and not isinstance(value, Sequence)
        named[parameter.argument] = [value] * len(tensors) if alone else value
    if entry.random:
        named["draws"] = draws
    if entry.reuses_memory:
        named["scratch"] = scratch
    return entry.combine(*arguments, **named)
