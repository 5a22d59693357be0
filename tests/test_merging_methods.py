"""Every method through whole recipes: the vectors of the papers' formulas, gradients, bases, random numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import samples
from tests.builders import save
from tests.methods.cases import cases, name_of
from xttsrecipe.api import make_plan, run
from xttsrecipe.depth import depth_of
from xttsrecipe.errors import RecipeError
from xttsrecipe.methods import METHODS
from xttsrecipe.options import RunOptions
from xttsrecipe.plan import held_bytes
from xttsrecipe.report.plan import plan_keys_text, plan_text
from xttsrecipe.report.plan_json import plan_json

from .merging import bits, loaded_model, merge, plan_of, recipe_of

THREE = ("base", "news", "audiobook")


def made(folder: Path, tensors: Mapping[str, torch.Tensor], threads: int = 1, **fields: Any) -> torch.Tensor:
    """The merge of one tensor per source, by name."""
    for name, tensor in tensors.items():
        save(folder / f"{name}.pth", {"x": tensor})
    recipe = recipe_of(folder, {name: f"{name}.pth" for name in tensors}, **fields)
    summary = run(make_plan(recipe), force=True, options=RunOptions(threads))
    return loaded_model(summary.output)["x"]


# --- vectors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases(), ids=name_of)
def test_a_recipe_gives_what_the_formula_gives(case: dict[str, Any], tmp_path: Path) -> None:
    fields: dict[str, Any] = {"method": {"name": case["method"], **case["params"]}}
    if case["weights"]:
        fields["weights"] = case["weights"]
    if case["base"]:
        fields["base"] = case["base"]
    given = {name: torch.tensor(values, dtype=torch.float64) for name, values in case["inputs"].items()}
    expected = torch.tensor(case["expected"], dtype=torch.float64)
    torch.testing.assert_close(made(tmp_path, given, **fields), expected, rtol=1e-6, atol=1e-9)


def test_slerp_takes_its_share_from_the_weights(tmp_path: Path) -> None:
    one, two = torch.randn(2, 4, 5, dtype=torch.float64)
    by_weights = made(tmp_path, {"a": one, "b": two}, method="slerp", weights={"a": 0.7, "b": 0.3})
    by_share = made(tmp_path, {"a": one, "b": two}, method={"name": "slerp", "t": 0.3})
    assert torch.equal(by_weights, by_share)


# --- what a base is ---------------------------------------------------------------------------------------------


def tensors(*shape: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(5)
    base = torch.randn(*shape, generator=draw, dtype=torch.float64)
    news, audiobook = (base + 0.1 * torch.randn(*shape, generator=draw, dtype=torch.float64) for _ in range(2))
    return {name: tensor.to(dtype) for name, tensor in zip(THREE, (base, news, audiobook), strict=True)}


def test_a_base_has_no_weight_and_the_others_weigh_1(tmp_path: Path) -> None:
    given = tensors(6, 7, dtype=torch.float64)
    base, news, audiobook = given.values()
    result = made(tmp_path, given, method="task_arithmetic", base="base")
    assert torch.allclose(result, base + (news - base) + (audiobook - base), rtol=1e-12)
    half = made(tmp_path, given, method="task_arithmetic", base="base", weights={"news": 0.5, "audiobook": 0})
    assert torch.allclose(half, base + 0.5 * (news - base), rtol=1e-12)


def test_a_rule_may_have_a_base_of_its_own(tmp_path: Path) -> None:
    states = [{"x": tensor, "y": tensor} for tensor in tensors(4, dtype=torch.float64).values()]
    third = dict.fromkeys("abc", 1 / 3)
    model = merge(
        tmp_path,
        states,
        weights=third,
        overrides={"x": {"method": "task_arithmetic", "base": "a", "weights": {"b": 1, "c": 0}}},
    )
    assert torch.allclose(model["x"], states[1]["x"])
    assert torch.allclose(model["y"], torch.stack([state["y"] for state in states]).mean(0))


def test_with_all_weights_0_the_base_is_left(tmp_path: Path) -> None:
    given = tensors(4)
    result = made(tmp_path, given, method="task_arithmetic", base="base", weights={"news": 0, "audiobook": 0})
    assert torch.equal(result, given["base"])


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items()])
def test_what_is_equal_everywhere_stays_bit_for_bit(method: str, tmp_path: Path) -> None:
    entry = METHODS[method]
    tensor = torch.randn(33, 5)
    tensor[0] = -0.0
    tensor[1, 1] = math.nan
    names = THREE[: 1 + min(entry.most or 2, 2)] if entry.base == "required" else THREE[1:]
    fields: dict[str, Any] = {"base": "base"} if entry.base == "required" else {}
    result = made(tmp_path, dict.fromkeys(names, tensor), method=given_to(method), **fields)
    assert torch.equal(bits(result), bits(tensor))


def given_to(method: str) -> dict[str, Any]:
    """A method with what a recipe has to say of it."""
    values = {"density": 0.5, "seed": 7, "beta": 0.25}
    return {"name": method, **{its.name: values[its.name] for its in METHODS[method].settings if its.required}}


# --- half precision, threads, and how much is held ----------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_neither_threads_nor_pieces_show_in_a_result(method: str, tmp_path: Path) -> None:
    entry = METHODS[method]
    given = tensors(410, 401, dtype=torch.float16)
    names = [name for name in THREE if entry.base == "required" or name != "base"][
        : (entry.most or 2) + (entry.base == "required")
    ]
    fields: dict[str, Any] = {"base": "base"} if entry.base == "required" else {}
    chosen = {name: given[name] for name in names}
    results = [made(tmp_path, chosen, threads, method=given_to(method), **fields) for threads in (1, 2, 32)]
    assert all(torch.equal(results[0], result) for result in results[1:])
    assert results[0].dtype == torch.float16
    assert results[0].isfinite().all()


def test_the_plan_says_what_is_held_whole(tmp_path: Path) -> None:
    states = [{"x": tensor} for tensor in tensors(300, 400).values()]
    whole = plan_of(tmp_path, states, method="ties", base="a")
    streamed = plan_of(tmp_path, states, method="task_arithmetic", base="a")
    assert held_bytes(streamed.steps[0]) == 0
    assert held_bytes(whole.steps[0]) >= 4 * states[0]["x"].nbytes
    assert any("ties" in note and "whole" in note for note in whole.notes)


@pytest.mark.parametrize(
    "method", [name for name, entry in METHODS.items() if not entry.ordered and entry.most is None]
)
def test_the_order_of_sources_changes_no_bit(method: str, tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(3)
    given = {name: torch.randn(7, 9, generator=draw, dtype=torch.float64) for name in ("base", *"abcde")}
    weights = dict(zip("abcde", (0.1, 0.2, 0.3, 0.15, 0.25), strict=True))
    fields: dict[str, Any] = {"method": given_to(method)}
    if METHODS[method].base == "required":
        fields["base"] = "base"
    else:
        del given["base"]
    if METHODS[method].weighted:
        fields["weights"] = weights
    results = []
    if METHODS[method].most == 2:
        given = {name: given[name] for name in "ab"}
        weights = {"a": 0.3, "b": 0.7}
        fields["weights"] = weights
    for order in ("ab", "ba") if METHODS[method].most == 2 else ("abcde", "edcba", "cabed"):
        chosen = {name: given[name] for name in (*order, *(["base"] if "base" in given else []))}
        results.append(made(tmp_path, chosen, **fields))
    assert all(torch.equal(results[0], result) for result in results[1:])


def test_of_two_that_weigh_1_and_0_the_first_is_taken_as_it_is(tmp_path: Path) -> None:
    given = tensors(4, 5)
    for method in ("slerp", "nuslerp"):
        chosen = {name: given[name] for name in ("news", "audiobook")}
        result = made(tmp_path, chosen, method=method, weights={"news": 1, "audiobook": 0})
        assert torch.equal(result, given["news"])


def test_weights_that_are_all_0_in_a_layer_are_an_error(tmp_path: Path) -> None:
    weights = {"a": {"layers": [1, 0]}, "b": {"layers": [0, 0]}}
    with pytest.raises(RecipeError, match="does not work in 4 layers of 5"):
        plan_of(tmp_path, [layered(0.0), layered(1.0)], weights=weights)


# --- random numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if entry.random])
def test_random_numbers_depend_on_seed_and_key_only(method: str, tmp_path: Path) -> None:
    given = tensors(40, 50)
    fields: dict[str, Any] = {"base": "base", "method": given_to(method)}
    alone = made(tmp_path, given, **fields)
    swapped = made(tmp_path, {name: given[name] for name in ("audiobook", "base", "news")}, **fields)
    assert torch.allclose(alone, swapped, rtol=1e-6)
    other = made(tmp_path, given, base="base", method={**given_to(method), "seed": 8})
    assert not torch.equal(alone, other)
    for name, tensor in given.items():
        save(tmp_path / f"{name}.pth", {"w": tensor, "x": tensor})
    recipe = recipe_of(tmp_path, {name: f"{name}.pth" for name in given}, output="two.pth", **fields)
    model = loaded_model(run(make_plan(recipe)).output)
    assert torch.equal(model["x"], alone)
    assert not torch.equal(model["w"], alone)


# --- over layers ------------------------------------------------------------------------------------------------


def layered(value: float, layers: int = 5) -> dict[str, torch.Tensor]:
    state = {
        name: torch.full_like(tensor, value)
        for name, tensor in samples.small_state().items()
        if tensor.is_floating_point()
    }
    return state | {f"gpt.gpt.h.{layer}.ln_1.weight": torch.full((4,), value) for layer in range(layers)}


GRADIENT = {"a": {"layers": [1.0, 0.5, 0.0]}, "b": {"layers": [0.0, 0.5, 1.0]}}


def test_weights_vary_over_layers_linearly(tmp_path: Path) -> None:
    model = merge(tmp_path, [layered(0.0), layered(1.0)], weights=GRADIENT)
    assert [model[f"gpt.gpt.h.{layer}.ln_1.weight"][0].item() for layer in range(5)] == [0, 0.25, 0.5, 0.75, 1]
    assert model["gpt.text_embedding.weight"][0, 0] == 0
    assert model["gpt.text_head.bias"][0] == 1
    assert depth_of("hifigan_decoder.waveform_decoder.conv_pre.weight", 5) is not None


def test_what_lies_outside_of_the_layers_may_be_said(tmp_path: Path) -> None:
    weights = {name: {**gradient, "rest": 0.5} for name, gradient in GRADIENT.items()}
    model = merge(tmp_path, [layered(0.0), layered(1.0)], weights=weights)
    assert model["gpt.text_embedding.weight"][0, 0] == model["gpt.text_head.bias"][0] == 0.5
    assert model["gpt.gpt.h.0.ln_1.weight"][0] == 0


def test_parameters_vary_over_layers_and_per_source(tmp_path: Path) -> None:
    states = [layered(0.0), layered(1.0), layered(2.0)]
    method = {"name": "task_arithmetic", "lambda": {"layers": [0, 1]}}
    model = merge(tmp_path, states, base="a", method=method, weights={"b": 1, "c": 0})
    assert [model[f"gpt.gpt.h.{layer}.ln_1.weight"][0].item() for layer in range(5)] == [0, 0.25, 0.5, 0.75, 1]
    plan = plan_of(
        tmp_path,
        states,
        base="a",
        method={"name": "ties", "density": {"b": {"layers": [0.2, 0.6]}, "c": 0.5}},
        output="o.pth",
    )
    step = next(step for step in plan.steps if step.key == "gpt.gpt.h.2.ln_1.weight")
    assert step.parameters["density"] == pytest.approx((0.4, 0.5))


def test_the_sum_is_checked_in_every_layer(tmp_path: Path) -> None:
    weights = {"a": {"layers": [1.0, 0.6, 0.0]}, "b": {"layers": [0.0, 0.5, 1.0]}}
    with pytest.raises(RecipeError) as caught:
        plan_of(tmp_path, [layered(0.0), layered(1.0)], weights=weights)
    (problem,) = caught.value.problems
    assert problem.what == "what varies over the layers does not work in 3 layers of 5"
    assert problem.details[1] == "layer 2: the weights sum to 1.1, not to 1"
    normalized = merge(tmp_path, [layered(0.0), layered(1.0)], weights=weights, normalize=True)
    assert normalized["gpt.gpt.h.2.ln_1.weight"][0] == pytest.approx(0.5 / 1.1)


def test_a_model_without_layers_cannot_vary_over_them(tmp_path: Path) -> None:
    states = [{"x": tensor} for tensor in torch.randn(2, 3)]
    with pytest.raises(RecipeError, match="need layers"):
        plan_of(tmp_path, states, weights=GRADIENT)


# --- whole numbers, and text rows ---------------------------------------------------------------------------------


def test_integers_are_never_merged_by_any_method(tmp_path: Path) -> None:
    states = [{"x": torch.tensor([number] * 3)} for number in (1, 2, 3)]
    assert merge(tmp_path, states, method="median")["x"].tolist() == [1, 1, 1]
    states = [{"x": torch.tensor([number] * 3)} for number in (1, 2, 3)]
    folder = tmp_path / "two"
    folder.mkdir()
    assert merge(folder, states, method="ties", base="a", weights={"b": 0.3, "c": 0.7})["x"].tolist() == [3, 3, 3]


def test_json_and_text_of_a_plan_say_how(tmp_path: Path) -> None:
    method = {"name": "ties", "lambda": {"layers": [0, 1]}}
    plan = plan_of(tmp_path, [layered(0.0), layered(1.0), layered(2.0)], base="a", method=method)
    text = plan_text(plan)
    assert "ties (density 0.2, lambda [0 … 1], normalize true): b 1, c 1; base a" in text
    assert "layer 2               0.5" in text
    assert "ties (density 0.2, lambda 0.5, normalize true): b 1, c 1; base a" in plan_keys_text(plan)
    step = next(its for its in json.loads(plan_json(plan))["keys"] if its["key"] == "gpt.gpt.h.2.ln_1.weight")
    assert (step["method"], step["base"], step["weights"], step["parameters"]["lambda"]) == (
        "ties",
        "a",
        {"b": 1, "c": 1},
        0.5,
    )
