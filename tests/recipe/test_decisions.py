"""What recipes say of method, base, weights and parameters: what it comes to, and all that can be wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loading import load, only_problem, problems
from xttsrecipe.codes import Code
from xttsrecipe.depth import Gradient
from xttsrecipe.errors import Problem
from xttsrecipe.methods import METHODS
from xttsrecipe.recipe import Merge

THREE = "checkpoints: {original: o.pth, news: n.pth, audiobook: a.pth}\noutput: {path: out.pth}\n"
TWO = "checkpoints: {news: n.pth, audiobook: a.pth}\noutput: {path: out.pth}\n"
BASE = "base: original\n"


def merged(folder: Path, text: str) -> Merge:
    return load(folder, text).default


def of_rule(folder: Path, text: str, number: int = 0) -> Merge:
    decision = load(folder, text).rules[number].decision
    assert isinstance(decision, Merge)
    return decision


def found(problem: Problem) -> tuple[str, str]:
    """The code, and what of the recipe the caret is under."""
    where = problem.where
    assert where is not None
    assert where.text is not None
    assert where.column is not None
    return str(problem.code), where.text[where.column - 1 : where.column - 1 + where.length]


# --- what is taken where nothing is said ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_weights_are_1_each_with_a_base_and_equal_otherwise(name: str, tmp_path: Path) -> None:
    entry = METHODS[name]
    given = {"density": 0.5, "seed": 1, "beta": 0.25}
    said = ", ".join(f", {its.name}: {given[its.name]}" for its in entry.settings if its.required)
    names = ["one", "two", "three"][: entry.most or 3]
    known = ["original", *names] if entry.base == "required" else names
    text = f"checkpoints: {{{', '.join(f'{name}: {name}.pth' for name in known)}}}\noutput: {{path: o.pth}}\n"
    text += f"method: {{name: {name}{said}}}\n".replace(", ,", ",") + (BASE if entry.base == "required" else "")
    merge = merged(tmp_path, text)
    each = 1.0 if entry.base == "required" and entry.weighted else 1 / len(names)
    assert merge.weights == ((0.0,) if entry.base == "required" else ()) + (each,) * len(names)
    assert merge.base == (0 if entry.base == "required" else None)
    defaults = {its.name: its.default for its in entry.settings if its.default is not None}
    # What linear's normalize says is what weights it leaves.
    assert {**defaults, **merge.method.parameters} == {**merge.method.parameters, **defaults}


def test_a_parameter_that_is_left_out_has_its_default(tmp_path: Path) -> None:
    merge = merged(tmp_path, f"{THREE}{BASE}method: {{name: ties, lambda: 2}}\n")
    assert dict(merge.method.parameters) == {"density": 0.2, "lambda": 2.0, "normalize": True}


def test_the_base_may_stand_anywhere_among_the_checkpoints(tmp_path: Path) -> None:
    merge = merged(tmp_path, f"{THREE}base: news\nmethod: ties\nweights: {{audiobook: 2, original: 0.5}}\n")
    assert (merge.weights, merge.base, merge.merged) == ((0.5, 0.0, 2.0), 1, (0, 2))


@pytest.mark.parametrize("method", ["ties", "task_arithmetic", "{name: della, density: 0.5, seed: 1}"])
def test_a_weight_of_0_leaves_a_source_out(method: str, tmp_path: Path) -> None:
    merge = merged(tmp_path, f"{THREE}{BASE}method: {method}\nweights: {{news: 0.5, audiobook: 0}}\n")
    assert (merge.merged, merge.read_at(None)) == ((1,), (1,))


@pytest.mark.parametrize("method", ["ties", "task_arithmetic", "{name: ties, density: {news: 0.1, audiobook: 0.2}}"])
def test_all_weights_may_be_0_where_a_base_is_left(method: str, tmp_path: Path) -> None:
    merge = merged(tmp_path, f"{THREE}{BASE}method: {method}\nweights: {{news: 0, audiobook: 0}}\n")
    assert (merge.weights, merge.read_at(None)) == ((0.0, 0.0, 0.0), ())


@pytest.mark.parametrize("weights", ["{original: 0, news: 1, audiobook: 1}", "{original: 0, news: 3, audiobook: 3}"])
def test_methods_without_weights_take_from_them_who_is_left_out(weights: str, tmp_path: Path) -> None:
    assert merged(tmp_path, f"{THREE}method: median\nweights: {weights}\n").weights == (0.0, 0.5, 0.5)


def test_another_name_of_a_parameter_is_as_good(tmp_path: Path) -> None:
    for name in ("select_topk", "tau"):
        merge = merged(tmp_path, f"{THREE}{BASE}method: {{name: sce, {name}: 0.4}}\n")
        assert dict(merge.method.parameters) == {"select_topk": 0.4}


@pytest.mark.parametrize("seed", ["7", "7.0", "0x7"])
def test_a_seed_is_a_whole_number(seed: str, tmp_path: Path) -> None:
    merge = merged(tmp_path, f"{THREE}{BASE}method: {{name: dare_linear, density: 1, seed: {seed}}}\n")
    assert merge.method.parameters["seed"] == 7
    assert isinstance(merge.method.parameters["seed"], int)


# --- normalize ------------------------------------------------------------------------------------------------------


def test_normalize_of_linear_divides_the_weights_of_all_that_take_over_the_method(tmp_path: Path) -> None:
    text = f"{TWO}method: {{name: linear, normalize: true}}\nweights: {{news: 3, audiobook: 1}}\noverrides:\n"
    text += "  a: {weights: {news: 1, audiobook: 1}}\n"
    assert merged(tmp_path, text).weights == (0.75, 0.25)
    assert of_rule(tmp_path, text).weights == (0.5, 0.5)
    problem = only_problem(tmp_path, text + "  b: {method: linear, weights: {news: 1, audiobook: 1}}\n")
    assert (problem.code, problem.what) == (
        Code.WEIGHTS_DO_NOT_SUM_TO_ONE,
        "overrides.b.weights: the weights sum to 2, not to 1",
    )


def test_the_recipes_normalize_divides_the_weights_of_every_method_that_has_some(tmp_path: Path) -> None:
    text = f"{THREE}{BASE}normalize: true\nmethod: ties\nweights: {{news: 3, audiobook: 1}}\n"
    assert merged(tmp_path, text).weights == (0.0, 0.75, 0.25)


def test_weights_over_layers_are_divided_layer_by_layer(tmp_path: Path) -> None:
    text = f"{TWO}normalize: true\nweights: {{news: {{layers: [1, 3]}}, audiobook: 1}}\n"
    merge = merged(tmp_path, text)
    assert merge.normalize
    assert merge.weights == (Gradient((1.0, 3.0)), 1.0)


# --- rules ----------------------------------------------------------------------------------------------------------


def test_a_rule_takes_over_what_it_does_not_say(tmp_path: Path) -> None:
    text = f"""{THREE}{BASE}method: {{name: ties, density: 0.3}}
weights: {{news: 1, audiobook: 0.5}}
overrides:
  a: {{weights: {{news: 2, audiobook: 0}}}}
  b: {{method: {{name: ties, lambda: 0.5}}}}
  c: {{method: task_arithmetic}}
  d: {{base: news, weights: {{original: 1, audiobook: 1}}}}
"""
    recipe = load(tmp_path, text)
    made = [rule.decision for rule in recipe.rules]
    assert all(isinstance(decision, Merge) for decision in made)
    facts = [(d.method.name, d.weights, d.base) for d in made if isinstance(d, Merge)]
    assert facts == [
        ("ties", (0.0, 2.0, 0.0), 0),
        ("ties", (0.0, 1.0, 0.5), 0),
        ("task_arithmetic", (0.0, 1.0, 0.5), 0),
        ("ties", (1.0, 0.0, 1.0), 1),
    ]
    assert made[0].method.parameters["density"] == 0.3  # type: ignore[union-attr]
    assert dict(made[1].method.parameters) == {"density": 0.2, "lambda": 0.5, "normalize": True}  # type: ignore[union-attr]


def test_a_rule_with_a_base_takes_over_weights_without_it(tmp_path: Path) -> None:
    text = f"{THREE}weights: {{original: 0.2, news: 0.5, audiobook: 0.3}}\n"
    merge = of_rule(tmp_path, text + "overrides: {a: {method: ties, base: original}}\n")
    assert (merge.weights, merge.base) == ((0.0, 0.5, 0.3), 0)


def test_a_base_that_only_a_rule_uses_is_no_part_of_the_other_merges(tmp_path: Path) -> None:
    assert merged(tmp_path, f"{THREE}{BASE}overrides: {{a: {{method: ties}}}}\n").weights == (0.0, 0.5, 0.5)


def test_a_value_per_source_may_be_there_for_one_that_a_rule_leaves_out(tmp_path: Path) -> None:
    text = f"{THREE}{BASE}method: {{name: ties, density: {{audiobook: 0.1, news: 0.3}}}}\n"
    merge = of_rule(tmp_path, text + "overrides: {a: {weights: {news: 0, audiobook: 1}}}\n")
    assert merge.method.parameters["density"] == (0.1,)
    assert merged(tmp_path, text).method.parameters["density"] == (0.3, 0.1)


# --- slerp ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "weights", "t"),
    [
        ("method: slerp", (0.5, 0.5), 0.5),
        ("method: slerp\nweights: {news: 0.75, audiobook: 0.25}", (0.75, 0.25), 0.25),
        ("method: slerp\nweights: {news: 3, audiobook: 1}", (0.75, 0.25), 0.25),
        ("method: {name: slerp, t: 0.25}", (0.75, 0.25), 0.25),
        ("method: {name: slerp, t: 0}", (1.0, 0.0), 0),
        ("method: {name: slerp, t: 1}", (0.0, 1.0), None),
    ],
)
def test_t_of_slerp_and_weights_say_the_same(
    said: str, weights: tuple[float, ...], t: float | None, tmp_path: Path
) -> None:
    merge = merged(tmp_path, TWO + said)
    assert merge.weights == weights
    assert "t" not in merge.method.parameters
    if t is not None:
        assert merge.parameters_at(None)["t"] == t


def test_weights_of_0_and_1_say_which_two_of_several_slerp_merges(tmp_path: Path) -> None:
    text = f"{THREE}method: {{name: slerp, t: 0.25}}\nweights: {{original: 1, news: 0, audiobook: 1}}\n"
    assert merged(tmp_path, text).weights == (0.75, 0.0, 0.25)


@pytest.mark.parametrize(
    "weights", ["{news: 0.7, audiobook: 0.3}", "{news: 1, audiobook: 1}", "{news: {layers: [1, 0]}, audiobook: 1}"]
)
def test_t_and_weights_at_once_are_an_error(weights: str, tmp_path: Path) -> None:
    problem = only_problem(tmp_path, f"{TWO}method: {{name: slerp, t: 0.25}}\nweights: {weights}\n")
    assert found(problem) == ("XR118", "weights")
    assert problem.what == "weights: t says already how much the second counts, and weights say it too"


def test_a_rules_weights_count_more_than_a_t_that_it_takes_over(tmp_path: Path) -> None:
    text = f"{TWO}method: {{name: slerp, t: 0.25}}\noverrides: {{a: {{weights: {{news: 0.5, audiobook: 0.5}}}}}}\n"
    assert of_rule(tmp_path, text).weights == (0.5, 0.5)


def test_a_rules_t_counts_more_than_weights_that_it_takes_over(tmp_path: Path) -> None:
    text = f"{TWO}weights: {{news: 0.9, audiobook: 0.1}}\noverrides: {{a: {{method: {{name: slerp, t: 0.25}}}}}}\n"
    assert of_rule(tmp_path, text).weights == (0.75, 0.25)


def test_t_over_layers_is_weights_over_layers(tmp_path: Path) -> None:
    merge = merged(tmp_path, f"{TWO}method: {{name: slerp, t: {{layers: [0, 0.25], rest: 0.5}}}}\n")
    assert merge.weights == (Gradient((1.0, 0.75), 0.5), Gradient((0.0, 0.25), 0.5))


def test_weights_of_slerp_give_a_share_between_0_and_1(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, f"{TWO}method: slerp\nweights: {{news: 2, audiobook: -1}}\n")
    what = "method: slerp: the second's share of the weights is -1, and has to be between 0 and 1"
    assert (problem.code, problem.what) == (Code.UNUSABLE_PARAMETER, what)
    problem = only_problem(tmp_path, f"{TWO}method: slerp\nweights: {{news: 1, audiobook: -1}}\n")
    what = "weights: weights that sum to 0 cannot be normalized"
    assert (problem.code, problem.what) == (Code.WEIGHTS_SUM_TO_ZERO, what)


# --- methods, bases and sources that do not go together --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "under", "what"),
    [
        ("method: ties", "XR114", "method", "method: ties measures from a base, and there is none"),
        ("overrides: {a: {method: ties}}", "XR114", "method",
         "overrides.a.method: ties measures from a base, and there is none"),
        ("overrides: {a: {method: {name: della, density: 0.5, seed: 1}}}", "XR114", "method",
         "overrides.a.method: della measures from a base, and there is none"),
        ("base: orignal\nmethod: ties", "XR101", "orignal",
         "base: no source named 'orignal'; did you mean 'original'?"),
        ("base: orignal\nmethod: ties\nweights: {news: 1, audiobook: 1}", "XR101", "orignal",
         "base: no source named 'orignal'; did you mean 'original'?"),
        ("base: orignal\noverrides: {a: {method: ties}}", "XR101", "orignal",
         "base: no source named 'orignal'; did you mean 'original'?"),
        ("overrides: {a: {method: ties, base: nws}}", "XR101", "nws",
         "overrides.a.base: no source named 'nws'; did you mean 'news'?"),
        ("base: original", "XR116", "original",
         "base: no method here measures from a base, so original would be left out"),
        ("base: original\nmethod: median", "XR116", "original",
         "base: no method here measures from a base, so original would be left out"),
        ("base: original\noverrides: {a: from original}", "XR116", "original",
         "base: no method here measures from a base, so original would be left out"),
        ("overrides: {a: {base: news}}", "XR116", "news",
         "overrides.a.base: linear measures from no base, so news would be left out"),
        ("base: original\nmethod: ties\nweights: {original: 0, news: 1, audiobook: 1}", "XR115", "original",
         "weights.original: original is the base, which has no weight: the others are measured from it"),
        ("base: original\nmethod: ties\noverrides: {a: {weights: {original: 1, news: 1, audiobook: 1}}}", "XR115",
         "original",
         "overrides.a.weights.original: original is the base, which has no weight: the others are measured from it"),
        ("base: original\nmethod: ties\nweights: {news: 1}", "XR102", "weights",
         "weights: no weight for audiobook"),
        ("base: original\nmethod: ties\nweights: {news: 1, audiobook: 1}\noverrides: {a: {base: news}}", "XR102",
         "base",
         "overrides.a.base: no weight for original"),
        ("weights: {original: 1, news: 0}\noverrides: {a: {method: median}}", "XR102", "weights",
         "weights: no weight for audiobook"),
        ("method: slerp", "XR117", "method",
         "method: slerp merges 2 of the checkpoints, and there are 3: original, news, audiobook"),
        ("method: nuslerp\nweights: {original: 0, news: 0, audiobook: 0}", "XR117", "method",
         "method: nuslerp merges 2 of the checkpoints, and there are none"),
        ("base: original\nmethod: median\nweights: {news: 0, audiobook: 0}\noverrides: {a: {method: ties}}",
         "XR117", "method",
         "method: median merges at least 1 of the checkpoints beside the base, and there are none"),
        ("method: median\nweights: {original: 0, news: 0, audiobook: 0}", "XR117", "method",
         "method: median merges at least 1 of the checkpoints, and there are none"),
        ("base: original\nmethod: nearswap", "XR117", "method",
         "method: nearswap merges 1 of the checkpoints beside the base, and there are 2: news, audiobook"),
        ("overrides: {a: {method: slerp}}", "XR117", "method",
         "overrides.a.method: slerp merges 2 of the checkpoints, and there are 3: original, news, audiobook"),
        ("method: slerp\nweights: {original: 0, news: 1, audiobook: 1}\n"
         "overrides: {a: {weights: {original: 1, news: 1, audiobook: 1}}}", "XR117", "weights",
         "overrides.a.weights: slerp merges 2 of the checkpoints, and there are 3: original, news, audiobook"),
        ("method: median\nweights: {original: 0.2, news: 0.3, audiobook: 0.5}", "XR118", "weights",
         "weights: median has no use for weights: all count alike, and 0 leaves one out"),
        ("method: median\nweights: {original: 0, news: {layers: [0, 1]}, audiobook: {layers: [0, 1]}}", "XR118",
         "weights",
         "weights: median has no use for weights: all count alike, and 0 leaves one out"),
        ("method: median\noverrides: {a: {weights: {original: 0.2, news: 0.3, audiobook: 0.5}}}", "XR118", "weights",
         "overrides.a.weights: median has no use for weights: all count alike, and 0 leaves one out"),
        ("base: original\nmethod: add_difference\nweights: {news: 1, audiobook: 0.5}", "XR118", "weights",
         "weights: add_difference has no use for weights: all count alike, and 0 leaves one out"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_said_where_it_stands(
    text: str, code: str, under: str, what: str, tmp_path: Path
) -> None:
    problem = only_problem(tmp_path, THREE + text)
    assert problem.what == what
    assert found(problem) == (code, under)


def test_weights_that_a_rule_uses_may_be_there_though_the_global_method_has_no_use_for_them(tmp_path: Path) -> None:
    text = f"{THREE}method: median\nweights: {{original: 0.2, news: 0.3, audiobook: 0.5}}\n"
    recipe = load(tmp_path, text + "overrides: {a: {method: linear}}\n")
    assert recipe.default.weights == (1 / 3,) * 3
    assert of_rule(tmp_path, text + "overrides: {a: {method: linear}}\n").weights == (0.2, 0.3, 0.5)


# --- parameters -----------------------------------------------------------------------------------------------------

BOUNDS = "-1e+06 ≤ lambda ≤ 1e+06"
OUTSIDE = "lies outside of what is possible"


@pytest.mark.parametrize(
    ("method", "code", "under", "what", "expected"),
    [
        ("{name: ties, density: 1.5}", "XR212", "1.5", f"method.density: 1.5 {OUTSIDE}", "0 ≤ density ≤ 1"),
        ("{name: ties, density: .nan}", "XR212", ".nan", f"method.density: nan {OUTSIDE}", "0 ≤ density ≤ 1"),
        ("{name: ties, lambda: .inf}", "XR212", ".inf", f"method.lambda: inf {OUTSIDE}", BOUNDS),
        ("{name: ties, lambda: 1e999}", "XR212", "1e999", f"method.lambda: inf {OUTSIDE}", BOUNDS),
        ("{name: ties, density: {news: 0.1, audiobook: -1}}", "XR212", "-1",
         f"method.density.audiobook: -1 {OUTSIDE}", "0 ≤ density ≤ 1"),
        ("{name: ties, density: {layers: [0.1, 2]}}", "XR212", "2", f"method.density.layers.1: 2 {OUTSIDE}",
         "0 ≤ density ≤ 1"),
        ("{name: ties, density: {layers: [0.1], rest: 2}}", "XR212", "2", f"method.density.rest: 2 {OUTSIDE}",
         "0 ≤ density ≤ 1"),
        ("{name: ties, density: {news: 0, audiobook: {layers: [7]}}}", "XR212", "7",
         f"method.density.audiobook.layers.0: 7 {OUTSIDE}", "0 ≤ density ≤ 1"),
        ("{name: dare_ties, density: 0.5, seed: -1}", "XR212", "-1", f"method.seed: -1 {OUTSIDE}", "0 ≤ seed"),
        ("{name: della, density: 0.5, epsilon: 0.5, seed: 1}", "XR212", "0.5", f"method.epsilon: 0.5 {OUTSIDE}",
         "0 ≤ epsilon < 0.5"),
        ("{name: ties, density: {news: 0.1}}", "XR202", "density", "method.density: no value for audiobook", None),
        ("{name: ties, density: {news: 0.1, calm: 0.2, audiobook: 1}}", "XR101", "calm",
         "method.density.calm: no source named 'calm'", "one of original, news, audiobook"),
        ("{name: ties, density: {news: 0.1, audiobook: 0.2, original: 0.3}}", "XR115", "original",
         "method.density.original: original is the base: the others are measured from it", None),
        ("{name: sce, tau: 0.1, select_topk: 0.1}", "XR113", "tau",
         "method.tau: select_topk and tau are two names of one parameter", None),
        ("{name: della, density: 0.1, seed: 1}", "XR113", "method",
         "method: della: density 0.1 with epsilon 0.15 keeps elements with probabilities from -0.05 to 0.25: density - "
         "epsilon must be above 0 and density + epsilon below 1", None),
        ("{name: ties, densty: 0.1}", "XR201", "densty",
         "method: ties has no parameter 'densty'; did you mean 'density'?",
         "one of density, lambda, normalize"),
        ("{name: dare_ties, density: 0.1}", "XR202", "{", "method: dare_ties needs 'seed'",
         "seed: Where the random numbers begin; another seed, other numbers."),
        ("dare_ties", "XR202", "dare_ties", "method: dare_ties needs density and seed",
         "{name: dare_ties, density: …, seed: …}"),
        ("{name: ties, lambda: {news: 1, audiobook: 2}}", "XR203", "{",
         "method.lambda: expected a number, found a mapping of news and audiobook",
         "a number, or one that varies over layers, {layers: [first, …, last]}"),
        ("{name: ties, density: [0.1, 0.2]}", "XR203", "[", "method.density: expected a number, found a list",
         "a number, or one for each checkpoint, {NAME: number, …}, or one that varies over layers, "
         "{layers: [first, …, last]}"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_parameter_is_said_where_it_stands(
    method: str, code: str, under: str, what: str, expected: str | None, tmp_path: Path
) -> None:
    problem = only_problem(tmp_path, f"{THREE}{BASE}method: {method}\n")
    assert problem.what == what
    assert found(problem) == (code, under)
    assert problem.expected == expected


@pytest.mark.parametrize("where", ["lambda: %s", "density: {news: %s, audiobook: 1}", "density: {layers: [%s]}"])
def test_a_number_beyond_all_floats_is_an_error_and_no_bug(where: str, tmp_path: Path) -> None:
    problem = only_problem(tmp_path, f"{THREE}{BASE}method: {{name: ties, {where % ('1' + '0' * 400)}}}\n")
    assert problem.code is Code.OUT_OF_RANGE
    assert len(problem.what) < 100


def test_every_number_out_of_range_is_told(tmp_path: Path) -> None:
    method = "{name: ties, density: {news: {layers: [-1, 2], rest: 3}, audiobook: 4}, lambda: .nan}"
    assert len(problems(tmp_path, f"{THREE}{BASE}method: {method}\n")) == 5


def test_a_method_that_a_rule_takes_over_is_told_there_where_it_does_not_fit(tmp_path: Path) -> None:
    text = f"{THREE}{BASE}method: {{name: ties, density: {{news: 0.3, audiobook: 0.1}}}}\n"
    absent, base = problems(tmp_path, text + "overrides: {a: {base: news}}\n")
    assert (found(absent), found(base)) == (("XR202", "base"), ("XR115", "base"))
    assert absent.what == "overrides.a.base: here method.density: no value for original"


def test_what_is_wrong_with_a_method_is_not_told_again_for_rules_that_take_it_over(tmp_path: Path) -> None:
    text = f"{THREE}{BASE}method: {{name: ties, density: {{news: 0.3, audiobook: 7}}}}\n"
    only_problem(tmp_path, text + "overrides: {a: {weights: {news: 1, audiobook: 0}}, b: {base: original}}\n")


@pytest.mark.parametrize(
    ("method", "weights", "what"),
    [
        ("ties", "{news: -1, audiobook: 2}", "no weight may be below 0: those that agree are divided by the sum"),
        ("{name: task_arithmetic, normalize: true}", "{news: -1, audiobook: 1}", "the weights must not sum to 0"),
    ],
)
def test_weights_that_cannot_be_normalized_are_told_with_the_method(
    method: str, weights: str, what: str, tmp_path: Path
) -> None:
    problem = only_problem(tmp_path, f"{THREE}{BASE}method: {method}\nweights: {weights}\n")
    assert found(problem) == ("XR113", "method")
    assert what in problem.what


@pytest.mark.parametrize(
    ("method", "weights"), [("karcher", "{news: -1, audiobook: 2}"), ("multislerp", "{news: -1, audiobook: 1}")]
)
def test_means_of_directions_need_weights_that_have_a_mean(method: str, weights: str, tmp_path: Path) -> None:
    assert only_problem(tmp_path, f"{TWO}method: {method}\nweights: {weights}\n").code is Code.UNUSABLE_PARAMETER


# --- over layers ----------------------------------------------------------------------------------------------------


def test_weights_and_parameters_may_vary_over_layers(tmp_path: Path) -> None:
    method = "{name: ties, density: {news: {layers: [0.1, 0.5], rest: 0.2}, audiobook: 0.3}, lambda: {layers: [1, 0]}}"
    merge = merged(tmp_path, f"{THREE}{BASE}method: {method}\nweights: {{news: {{layers: [0, 1]}}, audiobook: 1}}\n")
    assert merge.varies
    assert merge.weights == (0.0, Gradient((0.0, 1.0)), 1.0)
    assert merge.method.parameters["density"] == (Gradient((0.1, 0.5), 0.2), 0.3)
    assert merge.method.parameters["lambda"] == Gradient((1.0, 0.0))


@pytest.mark.parametrize(
    ("weight", "code", "under", "what"),
    [
        ("{layers: []}", "XR209", "[", "weights.news.layers: must not be empty"),
        ("{layers: 1}", "XR203", "1", "weights.news.layers: expected a list, found 1"),
        ("{layers: [1, x]}", "XR203", "x", "weights.news.layers.1: expected a number, found 'x'"),
        ("{layers: [1, .inf]}", "XR105", ".inf", "weights.news: inf is not usable as a weight"),
        ("{layers: [1], rest: .nan}", "XR105", ".nan", "weights.news: nan is not usable as a weight"),
        ("{layers: [1], rst: 1}", "XR201", "rst", "weights.news: no field named 'rst'; did you mean 'rest'?"),
        ("{rest: 1}", "XR202", "{", "weights.news: 'layers' is missing"),
        ("[1, 0]", "XR203", "[", "weights.news: expected a number, found a list"),
    ],
)
def test_what_is_wrong_with_a_gradient_is_said_where_it_stands(
    weight: str, code: str, under: str, what: str, tmp_path: Path
) -> None:
    problem = only_problem(tmp_path, f"{TWO}weights: {{news: {weight}, audiobook: 1}}\n")
    assert found(problem) == (code, under)
    assert problem.what.startswith(what.partition(":")[0])
    assert problem.what.endswith(what.partition(": ")[2])
