from __future__ import annotations

import math

import pytest
import torch

from tests.methods.cases import draws, normals
from xttsrecipe.methods import METHODS, Parameter, call


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        (Parameter("t", "", minimum=0, maximum=1), 1.5, "t is 1.5, and has to be 0 ≤ t ≤ 1"),
        (Parameter("t", "", maximum=0.5, below=True), 0.5, "t is 0.5, and has to be t < 0.5"),
        (Parameter("t", ""), math.inf, "t is inf, and has to be finite"),
        (Parameter("t", ""), math.nan, "t is nan, and has to be finite"),
        (Parameter("t", ""), True, "t has to be a number"),
        (Parameter("t", ""), "1", "t has to be a number"),
        (Parameter("n", "", "integer"), 1.0, "n has to be a whole number"),
        (Parameter("n", "", "integer"), False, "n has to be a whole number"),
        (Parameter("b", "", "boolean"), 1, "b has to be true or false"),
        (Parameter("t", "", minimum=0, maximum=1), 0, None),
        (Parameter("t", "", minimum=0, maximum=1), 1.0, None),
        (Parameter("n", "", "integer", minimum=1), 1, None),
        (Parameter("b", "", "boolean"), False, None),
    ],
)
def test_values_out_of_bounds_are_refused(parameter: Parameter, value: object, message: str | None) -> None:
    assert parameter.refusal(value) == message


def test_only_lambda_is_called_otherwise_in_python() -> None:
    assert Parameter("lambda", "").argument == "lambda_"
    assert Parameter("density", "").argument == "density"


def test_what_is_not_given_has_its_default() -> None:
    assert METHODS["ties"].complete({"lambda": 0.5}) == {"density": 0.2, "lambda": 0.5, "normalize": True}
    assert METHODS["trimmed_mean"].complete({}) == {}


@pytest.mark.parametrize(
    ("name", "weights", "parameters", "message"),
    [
        ("trimmed_mean", [], {}, "beta is missing: the share of sources cut at each end"),
        ("trimmed_mean", [], {"beta": 0.5}, "beta is 0.5, and has to be 0 ≤ beta < 0.5"),
        ("ties", [1, 1], {"density": [0.5, 2]}, "density is 2, and has to be 0 ≤ density ≤ 1"),
        ("ties", [1, -1], {}, "with normalize: true no weight may be below 0: those that agree are divided by the sum"
         " of their weights"),
        ("ties", [1, -1], {"normalize": False}, None),
        ("task_arithmetic", [1, -1], {"normalize": True}, "with normalize: true the weights must not sum to 0: the task"
         " vectors are divided by their sum"),
        ("task_arithmetic", [1, -1], {}, None),
        ("karcher", [1, -0.5], {}, "no weight may be below 0: there is no such mean"),
        ("multislerp", [1, -1], {}, "the weights must not sum to 0: they are divided by their sum"),
        ("della", [1, 1], {"density": 0.1}, "density 0.1 with epsilon 0.15 keeps elements with probabilities from -0.05"
         " to 0.25: density - epsilon must be above 0 and density + epsilon below 1"),
        ("slerp", [], {}, None),
        ("nuslerp", [0, 0], {}, None),
    ],
)  # fmt: skip
def test_a_method_refuses_before_it_merges(
    name: str, weights: list[float], parameters: dict[str, float | list[float]], message: str | None
) -> None:
    assert METHODS[name].refusal(weights, parameters) == message


def test_one_value_stands_for_all_sources() -> None:
    base, *tensors = normals(3, 20)
    one = call(METHODS["dare_ties"], tensors, [0.5, 0.5], base, {"density": 0.4}, draws(2))
    each = call(METHODS["dare_ties"], tensors, [0.5, 0.5], base, {"density": [0.4, 0.4]}, draws(2))
    assert torch.equal(one, each)


def test_a_base_is_handed_over_only_where_it_is_used() -> None:
    base, *tensors = normals(3, 20)
    assert torch.equal(call(METHODS["median"], tensors, [], base), call(METHODS["median"], tensors))
    with_base = call(METHODS["nuslerp"], tensors, [0.5, 0.5], base)
    assert not torch.equal(with_base, call(METHODS["nuslerp"], tensors, [0.5, 0.5]))
