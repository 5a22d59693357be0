from __future__ import annotations

from pathlib import Path

import pytest

from tests.loading import load
from xttsrecipe.codes import Code
from xttsrecipe.errors import Problem
from xttsrecipe.gradients import gradient_problems
from xttsrecipe.rules import deciding_rules
from xttsrecipe.xtts import known_tensors

TWO = "checkpoints: {news: n.pth, audiobook: a.pth}\noutput: {path: out.pth}\n"
THREE = "checkpoints: {original: o.pth, news: n.pth, audiobook: a.pth}\noutput: {path: out.pth}\nbase: original\n"
LAYERS = [f"gpt.gpt.h.{layer}.ln_1.weight" for layer in range(5)]
FIVE = ["gpt.text_embedding.weight", *LAYERS, "gpt.text_head.weight"]


def problems(folder: Path, text: str, keys: list[str] | None = None) -> list[Problem]:
    recipe = load(folder, text)
    return list(gradient_problems(recipe, deciding_rules(recipe, FIVE if keys is None else keys)))


@pytest.mark.parametrize(
    "text",
    [
        "weights: {news: {layers: [1, 0.5, 0]}, audiobook: {layers: [0, 0.5, 1]}}",
        "weights: {news: {layers: [1, 0]}, audiobook: {layers: [0, 0.25, 0.5, 0.75, 1]}}",
        "weights: {news: {layers: [0.5]}, audiobook: 0.5}",
        "weights: {news: {layers: [1, 0], rest: 0.3}, audiobook: {layers: [0, 1], rest: 0.7}}",
        "normalize: true\nweights: {news: {layers: [1, 5]}, audiobook: 1}",
        "method: {name: slerp, t: {layers: [0, 1]}}",
        "method: slerp\nweights: {news: {layers: [1, 5]}, audiobook: 1}",
        "weights: {news: 0.5, audiobook: 0.5}",
        "overrides: {a: from news}",
    ],
)
def test_what_works_in_every_layer_is_no_problem(text: str, tmp_path: Path) -> None:
    assert problems(tmp_path, TWO + text) == []


def test_with_thirty_layers_and_any_anchors_sums_stay_1(tmp_path: Path) -> None:
    text = "weights: {news: {layers: [0.1, 0.7, 0.2, 0.9]}, audiobook: {layers: [0.9, 0.3, 0.8, 0.1]}}"
    assert problems(tmp_path, TWO + text, list(known_tensors())) == []


def test_layers_where_the_weights_do_not_sum_to_1_are_listed(tmp_path: Path) -> None:
    text = f"{TWO}weights: {{news: {{layers: [1, 0.6, 0]}}, audiobook: {{layers: [0, 0.5, 1]}}}}\n"
    (problem,) = problems(tmp_path, text)
    assert problem.code is Code.WEIGHTS_DO_NOT_SUM_TO_ONE
    assert problem.what == "what varies over the layers does not work in 3 layers of 5"
    assert problem.details == (
        "layer 1: the weights sum to 1.05, not to 1",
        "layer 2: the weights sum to 1.1, not to 1",
        "layer 3: the weights sum to 1.05, not to 1",
    )
    assert problem.hint == "change them, or write 'normalize: true' to have them divided by their sum"
    assert problem.where is not None
    assert (problem.where.line, problem.where.column) == (3, 1)


def test_what_is_before_and_after_the_layers_is_listed_but_not_counted(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, f"{TWO}weights: {{news: {{layers: [1]}}, audiobook: 0.1}}\n")
    assert problem.what == "what varies over the layers does not work in 5 layers of 5"
    assert problem.details[0] == "before the layers: the weights sum to 1.1, not to 1"
    assert len(problem.details) == 7


def test_it_may_be_wrong_outside_of_the_layers_only(tmp_path: Path) -> None:
    text = f"{TWO}weights: {{news: {{layers: [1, 0], rest: 0.3}}, audiobook: {{layers: [0, 1], rest: 0.3}}}}\n"
    (problem,) = problems(tmp_path, text)
    assert problem.what == "what varies over the layers does not work outside of them"
    assert problem.details == (
        "before the layers: the weights sum to 0.6, not to 1",
        "after the layers: the weights sum to 0.6, not to 1",
    )


def test_a_rules_problem_is_told_at_the_rule(tmp_path: Path) -> None:
    text = f'{TWO}overrides:\n  a: from news\n  "*": {{weights: {{news: {{layers: [1, 0]}}, audiobook: 0.5}}}}\n'
    (problem,) = problems(tmp_path, text)
    assert problem.where is not None
    assert (problem.where.line, problem.where.text) == (5, text.splitlines()[4])
    assert "in 4 layers of 5" in problem.what


def test_weights_that_cancel_out_in_a_layer_cannot_be_normalized_there(tmp_path: Path) -> None:
    text = f"{TWO}normalize: true\nweights: {{news: {{layers: [1, -1]}}, audiobook: {{layers: [1, 1]}}}}\n"
    (problem,) = problems(tmp_path, text)
    assert problem.code is Code.WEIGHTS_SUM_TO_ZERO
    assert problem.details == (
        "layer 4: weights that sum to 0 cannot be normalized",
        "after the layers: weights that sum to 0 cannot be normalized",
    )


@pytest.mark.parametrize(
    ("text", "first", "count"),
    [
        ("method: {name: della, density: {layers: [0.5, 0.1]}, epsilon: 0.2, seed: 1}", "layer 3: density 0.2 with", 2),
        (
            "method: ties\nweights: {news: {layers: [1, -1]}, audiobook: 1}",
            "layer 3: with normalize: true no weight",
            2,
        ),
    ],
)
def test_parameters_that_do_not_work_in_a_layer_are_told_with_it(
    text: str, first: str, count: int, tmp_path: Path
) -> None:
    (problem,) = problems(tmp_path, f"{THREE}{text}\n")
    assert problem.code is Code.UNUSABLE_PARAMETER
    assert problem.what == f"what varies over the layers does not work in {count} layers of 5"
    assert problem.details[0].startswith(first)


def test_all_weights_may_be_0_in_a_layer_where_a_base_is_left(tmp_path: Path) -> None:
    text = f"{THREE}method: ties\nweights: {{news: {{layers: [0, 1]}}, audiobook: {{layers: [0, 1]}}}}\n"
    assert problems(tmp_path, text) == []


def test_the_share_of_slerp_lies_between_0_and_1_in_every_layer(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, f"{TWO}method: slerp\nweights: {{news: {{layers: [1, -0.5]}}, audiobook: 1}}\n")
    assert problem.details[0].startswith("layer 3: the second's share of the weights is 1.14286, ")
    assert problem.details[2].endswith(" is 2, and has to be between 0 and 1")


def test_without_layers_nothing_can_vary_over_them(tmp_path: Path) -> None:
    text = f"{TWO}weights: {{news: {{layers: [1, 0]}}, audiobook: {{layers: [0, 1]}}}}\n"
    (problem,) = problems(tmp_path, text, ["encoder.weight"])
    assert (problem.code, problem.hint) == (Code.GRADIENT_WITHOUT_LAYERS, "give one number for all tensors")
    assert problems(tmp_path, f"{TWO}weights: {{news: 1, audiobook: 0}}\n", ["encoder.weight"]) == []


def test_one_layer_has_the_first_anchor(tmp_path: Path) -> None:
    text = f"{TWO}weights: {{news: {{layers: [1, 7]}}, audiobook: {{layers: [0, 7]}}}}\n"
    assert problems(tmp_path, text, LAYERS[:1]) == []


def test_only_what_a_rule_decides_matters_to_it(tmp_path: Path) -> None:
    weights = "{weights: {news: {layers: [1, 0], rest: 9}, audiobook: {layers: [0, 1]}}}"
    assert problems(tmp_path, f'{TWO}overrides: {{"gpt.gpt.h.*": {weights}}}') == []
    (problem,) = problems(tmp_path, f'{TWO}overrides: {{"gpt.{{gpt,text_head}}.*": {weights}}}')
    assert problem.details == ("after the layers: the weights sum to 10, not to 1",)
    falling = "{weights: {news: {layers: [1, 1, 0]}, audiobook: 0}}"
    assert problems(tmp_path, f'{TWO}overrides: {{"gpt.gpt.h.{{0..2}}.*": {falling}}}') == []
