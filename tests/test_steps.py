from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.builders import save, xtts_state
from tests.merging import plan_of, problems_of, recipe_of
from tests.voices import AUDIOBOOK, NEWS, rows_of, text_state, write_vocabulary
from xttsrecipe.api import load_recipe, make_plan
from xttsrecipe.errors import RecipeError
from xttsrecipe.plan import Plan
from xttsrecipe.specs import DType
from xttsrecipe.steps import in_order
from xttsrecipe.xtts import TEXT_ROWS

ONES, ROW, PAIR = torch.ones(2, 3), torch.ones(3), torch.ones(2)


def test_missing_keys_are_listed_with_who_misses_them(tmp_path: Path) -> None:
    error = problems_of(tmp_path, [{"x": ROW, "p": ROW, "q": ROW}, {"x": ROW, "r": ROW}])
    found = {problem.what: problem.details for problem in error.problems}
    assert found == {"2 tensors are missing in b": ("p", "q"), "1 tensor is missing in a": ("r",)}
    assert [problem.hint for problem in error.problems] == [
        'settle it with a rule, as "p": from a',
        'settle it with a rule, as "r": from b',
    ]


def test_a_key_that_two_of_three_miss_names_both(tmp_path: Path) -> None:
    error = problems_of(tmp_path, [{"x": ROW, "p": ROW}, {"x": ROW}, {"x": ROW}])
    assert [problem.what for problem in error.problems] == ["1 tensor is missing in b and c"]


def test_unequal_shapes_are_listed_with_every_shape(tmp_path: Path) -> None:
    error = problems_of(tmp_path, [{"x": ONES, "y": ROW, "z": ROW}, {"x": ROW, "y": torch.ones(()), "z": ROW}])
    (problem,) = error.problems
    assert problem.what == "2 tensors are of unequal shape"
    assert problem.details == ("x: a 2x3, b 3", "y: a 3, b scalar")
    assert problem.hint == 'settle it with a rule, as "x": from a'


def test_unequal_text_rows_are_explained(tmp_path: Path) -> None:
    extended = xtts_state(2) | {"gpt.text_embedding.weight": torch.ones(7000, 3)}
    (problem,) = problems_of(tmp_path, [xtts_state(1), extended]).problems
    assert problem.details == ("gpt.text_embedding.weight: a 6681x3, b 7000x3",)
    assert "vocabular" in (problem.hint or "")


@pytest.mark.parametrize(
    ("one", "other"),
    [(torch.int64, torch.float32), (torch.bool, torch.int32), (torch.float32, torch.complex64)],
)
def test_unequal_kinds_of_number_are_listed_with_both(one: torch.dtype, other: torch.dtype, tmp_path: Path) -> None:
    error = problems_of(tmp_path, [{"x": ROW.to(one), "y": ROW}, {"x": ROW.to(other), "y": ROW}])
    (problem,) = error.problems
    assert problem.details == (f"x: a {str(one)[6:]}, b {str(other)[6:]}",)


@pytest.mark.parametrize("rule", ["from a", {"weights": {"a": 1, "b": 0}}, {"from": "a"}])
def test_a_rule_settles_missing_keys_shapes_and_kinds(rule: object, tmp_path: Path) -> None:
    states = [{"x": ONES, "y": ROW, "z": ROW, "w": ROW}, {"x": ROW, "y": ROW.int(), "w": ROW}]
    plan = plan_of(tmp_path, states, overrides={"{x,y,z}": rule})
    assert [(step.key, step.sources, step.spec.shape) for step in plan.steps] == [
        ("x", (0,), (2, 3)),
        ("y", (0,), (3,)),
        ("z", (0,), (3,)),
        ("w", (0, 1), (3,)),
    ]


def test_a_source_of_weight_zero_may_lack_tensors(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, [{"x": ROW}, {"x": ONES, "y": ROW}, {"x": ROW, "y": ROW}], weights=[0, 0, 1])
    assert [(step.key, step.sources, step.weights) for step in plan.steps] == [("x", (2,), (1.0,)), ("y", (2,), (1.0,))]


def test_a_rule_that_takes_a_tensor_from_where_it_is_not_names_itself(tmp_path: Path) -> None:
    error = problems_of(tmp_path, [{"x": ROW, "y": ROW}, {"x": ROW}], overrides={"y": "from b"})
    (problem,) = error.problems
    assert problem.what == "1 tensor is missing in b (decided by rule 'y')"
    assert problem.hint == "take y from a with a later rule, or name another source"
    assert problem.where is not None
    assert problem.where.line == 10


@pytest.mark.parametrize("other", [{}, {"y": torch.ones(7)}, {"y": ROW.int()}])
def test_a_rule_of_weights_that_does_not_fit_names_itself(other: dict[str, torch.Tensor], tmp_path: Path) -> None:
    states = [{"x": ROW, "y": ROW}, {"x": ROW, **other}]
    error = problems_of(tmp_path, states, overrides={"y": {"weights": {"a": 0.5, "b": 0.5}}})
    (problem,) = error.problems
    assert "(decided by rule 'y')" in problem.what
    assert problem.details[0].startswith("y")


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize(
    ("dtypes", "merged"),
    [
        (["float32", "float32"], "float32"),
        (["float16", "float16"], "float16"),
        (["float16", "float32"], "float32"),
        (["float32", "float64"], "float64"),
        (["float16", "bfloat16"], "float32"),
        (["bfloat16", "float64", "float16"], "float64"),
        (["float8_e4m3fn", "float8_e5m2"], "float32"),
        (["float8_e4m3fn", "float8_e4m3fn"], "float8_e4m3fn"),
        (["complex64", "complex128"], "complex128"),
        (["complex32", "complex64"], "complex64"),
    ],
)
def test_sources_of_several_types_give_the_widest(dtypes: list[str], merged: str, tmp_path: Path) -> None:
    (step,) = plan_of(tmp_path, [{"x": ROW.to(getattr(torch, dtype))} for dtype in dtypes]).steps
    assert step.spec.dtype.label == merged


@pytest.mark.parametrize("wanted", ["float32", "float16", "bfloat16"])
def test_the_output_dtype_is_for_floats_only(wanted: str, tmp_path: Path) -> None:
    dtypes = ["float64", "float32", "float16", "bfloat16", "float8_e5m2", "int64", "uint8", "bool", "complex64"]
    state = {dtype: ROW.to(getattr(torch, dtype)) for dtype in dtypes}
    found = {step.key: step.spec.dtype.label for step in plan_of(tmp_path, [state, state], dtype=wanted).steps}
    assert found == {dtype: wanted if "float" in dtype else dtype for dtype in dtypes}


def test_the_arithmetic_is_wide_enough(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, [{"h": PAIR.half(), "f": PAIR, "d": PAIR.double()}] * 2)
    assert [step.compute for step in plan.steps] == [DType.FLOAT32, DType.FLOAT32, DType.FLOAT64]


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize(
    ("weights", "source"), [([0.3, 0.7], 1), ([0.5, 0.5], 0), ([2, -1], 0), ([-1, 2], 1), ([0.2, 0.4, 0.4], 1)]
)
def test_integers_come_from_the_heaviest_the_first_of_equals(
    weights: list[float], source: int, dtype: torch.dtype, tmp_path: Path
) -> None:
    (step,) = plan_of(tmp_path, [{"x": ROW.to(dtype)}] * len(weights), weights=weights).steps
    assert (step.method, step.sources) == ("from", (source,))


def test_equal_weights_are_the_default(tmp_path: Path) -> None:
    (step,) = plan_of(tmp_path, [{"x": ROW}] * 4).steps
    assert step.weights == (0.25,) * 4


def test_normalized_weights_are_what_the_plan_says(tmp_path: Path) -> None:
    (step,) = plan_of(tmp_path, [{"x": ROW}] * 2, weights=[3, 1], normalize=True).steps
    assert step.weights == (0.75, 0.25)


def test_one_source_is_a_plan_too(tmp_path: Path) -> None:
    (step,) = plan_of(tmp_path, [{"x": ROW}]).steps
    assert (step.method, step.weights) == ("from", (1.0,))


def by_token_plan(folder: Path, *vocabularies: dict[str, int], **fields: Any) -> Plan:
    for seed, (name, tokens) in enumerate(zip("abc", vocabularies, strict=False), 1):
        save(folder / f"{name}.pth", text_state(rows_of(tokens), seed))
        write_vocabulary(folder / f"{name}.json", tokens)
    names = "abc"[: len(vocabularies)]
    vocabulary = {name: f"{name}.json" for name in names}
    return make_plan(recipe_of(folder, {name: f"{name}.pth" for name in names}, vocabulary=vocabulary, **fields))


def test_steps_by_token_have_the_rows_of_the_merged_vocabulary(tmp_path: Path) -> None:
    plan = by_token_plan(tmp_path, NEWS, AUDIOBOOK | {"more": 20}, weights=[0.25, 0.75])
    steps = {step.key: step for step in plan.steps}
    assert {key: step.spec.shape for key, step in steps.items() if step.by_token} == {
        "gpt.text_embedding.weight": (11, 2),
        "gpt.text_head.weight": (11, 2),
        "gpt.text_head.bias": (11,),
    }
    step = steps["gpt.text_head.weight"]
    assert (step.method, step.sources, step.weights, step.compute) == ("linear", (0, 1), (0.25, 0.75), DType.FLOAT32)
    assert sum(segment.count for segment in step.segments) == step.spec.numel
    ends = [segment.start + segment.count for segment in step.segments]
    assert [segment.start for segment in step.segments] == [0, *ends[:-1]]


def test_every_segment_lies_within_its_inputs(tmp_path: Path) -> None:
    plan = by_token_plan(tmp_path, NEWS, AUDIOBOOK, {"[START]": 5, "z": 2})
    for step in plan.steps:
        for segment in step.segments:
            assert len(segment.inputs) == len(segment.starts) == len(segment.weights)
            for index, start in zip(segment.inputs, segment.starts, strict=True):
                assert 0 <= start <= start + segment.count <= step.inputs[index].spec.numel
    assert {step.compute for step in plan.steps if step.by_token} == {DType.FLOAT32}


def test_only_the_three_text_tensors_are_merged_by_token(tmp_path: Path) -> None:
    plan = by_token_plan(tmp_path, NEWS, AUDIOBOOK)
    assert [step.key for step in plan.steps if step.by_token] == list(TEXT_ROWS)
    assert all(len(step.segments) == 1 for step in plan.steps if not step.by_token)


def test_text_tensors_of_other_widths_are_of_unequal_shape_whatever_their_rows(tmp_path: Path) -> None:
    by_token_plan(tmp_path, NEWS, AUDIOBOOK)
    state = text_state(8, 2) | {"gpt.text_head.weight": torch.ones(8, 5)}
    save(tmp_path / "b.pth", state)
    with pytest.raises(RecipeError) as caught:
        make_plan(load_recipe(tmp_path / "recipe.yaml"))
    (problem,) = caught.value.problems
    assert problem.what == "1 tensor is of unequal shape"
    assert problem.details == ("gpt.text_head.weight: a 8x2, b 8x5",)


def test_sources_are_taken_in_the_order_of_their_ranks_with_all_that_belongs_to_them(tmp_path: Path) -> None:
    tensors = [{"x": torch.full((2,), float(number))} for number in range(4)]
    method = {"name": "ties", "density": {"b": 0.2, "c": 0.3, "d": 0.4}}
    plan = plan_of(tmp_path, tensors, base="a", method=method, weights={"b": 2, "c": 3, "d": 4})
    (step,) = plan.steps
    ordered = in_order(step, [("z", "a"), ("y", "b"), ("x", "c"), ("w", "d")])
    assert ordered.sources == (0, 3, 2, 1)
    assert ordered.weights == (0.0, 4.0, 3.0, 2.0)
    assert ordered.parameters["density"] == (0.4, 0.3, 0.2)
    assert ordered.inputs == tuple(step.inputs[index] for index in ordered.sources)
    assert [(part.inputs, part.starts, part.weights) for part in ordered.segments] == [
        ((0, 1, 2, 3), (0, 0, 0, 0), (0.0, 4.0, 3.0, 2.0))
    ]
    assert in_order(ordered, [("z", "a"), ("w", "b"), ("x", "c"), ("y", "d")]).sources == step.sources


def test_where_the_order_matters_it_stays(tmp_path: Path) -> None:
    tensors = [{"x": torch.full((2,), float(number))} for number in range(3)]
    (step,) = plan_of(tmp_path, tensors, base="a", method="add_difference").steps
    assert in_order(step, [("c", "a"), ("b", "b"), ("a", "c")]) is step
