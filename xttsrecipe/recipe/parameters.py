"""A method's parameters as a recipe gives them: one number for all sources, one for each, or one that varies over
layers; and what may be wrong with them that the schema does not see.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..codes import Code
from ..depth import Gradient
from ..document import Path_
from ..errors import listed
from ..methods import MethodEntry, Parameter
from .parts import ParameterValue, Weight
from .reading import Reading


def read_parameters(
    reading: Reading, given: Mapping[str, Any], entry: MethodEntry, path: Path_, merged: Sequence[str], base: str | None
) -> dict[str, ParameterValue]:
    """All of the method's that are known, in its order, by their own names; problems are kept in the ``reading``.

    ``path``: where they stand. ``merged``: the sources that have values of their own where these differ.
    """
    found: dict[str, ParameterValue] = {}
    for parameter in entry.settings:
        called = [name for name in (parameter.name, *parameter.aliases) if name in given]
        if len(called) > 1:
            what = f"{listed(called)} are two names of one parameter"
            reading.problem(Code.UNUSABLE_PARAMETER, (*path, called[1]), what, at_key=True, hint="remove one of them")
        if called:
            where: Path_ = (*path, called[0])
            if _is_within(reading, parameter, given[called[0]], where):
                value = _value(reading, parameter, given[called[0]], where, merged, base)
                if value is not None:
                    found[parameter.name] = value
        elif parameter.default is not None:
            found[parameter.name] = parameter.default
        # The schema sees to those that are required.
    return found


def number_of(given: Any) -> Weight:
    """A number as a recipe has it, or one that varies over layers; none too large for a float."""
    if not isinstance(given, Mapping):
        return float(given)
    rest = given.get("rest")
    return Gradient(tuple(map(float, given["layers"])), None if rest is None else float(rest))


def numbers_in(given: Any, path: Path_) -> Iterator[tuple[Path_, int | float]]:
    """The numbers that a weight or parameter is made of, and where each stands."""
    if isinstance(given, Mapping):
        for name, value in given.items():
            yield from numbers_in(value, (*path, name))
    elif isinstance(given, list):
        for index, value in enumerate(given):
            yield from numbers_in(value, (*path, index))
    else:
        yield path, given


def _is_within(reading: Reading, parameter: Parameter, given: Any, path: Path_) -> bool:
    """Whether all the numbers are what the parameter takes; the schema looks at those only that stand alone."""
    faults = len(reading.problems)
    for where, number in numbers_in(given, path):
        if parameter.kind == "number" and parameter.refusal(_float(number)):
            what = f"{number!s:.30} lies outside of what is possible"
            expected = parameter.range or "a finite number"
            reading.problem(Code.OUT_OF_RANGE, where, what, expected=expected)
    return len(reading.problems) == faults


def _float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _value(
    reading: Reading, parameter: Parameter, given: Any, path: Path_, merged: Sequence[str], base: str | None
) -> ParameterValue | None:
    if parameter.kind == "boolean":
        return bool(given)
    if parameter.kind == "integer":
        return int(given)  # 7.0 is a whole number too
    if not isinstance(given, Mapping) or isinstance(given.get("layers"), list):
        return number_of(given)
    faults = len(reading.problems)
    for name in given:
        reading.source(name, (*path, name), at_key=True)
    absent = [name for name in merged if name not in given]
    if absent and len(reading.problems) == faults:
        what = f"no value for {listed(absent)}"
        reading.problem(Code.MISSING_FIELD, path, what, at_key=True, hint="name every source that is merged")
    if base is not None and base in given:
        what = f"{base} is the base: the others are measured from it"
        reading.problem(Code.BASE_WITH_WEIGHT, (*path, base), what, at_key=True, hint="remove it here")
    return None if len(reading.problems) > faults else tuple(number_of(given[name]) for name in merged)
