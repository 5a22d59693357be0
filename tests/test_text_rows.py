"""Text tensors merged token by token, checked against a plain reference in float64: a dict of rows per token."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import save
from tests.merging import (
    NAMES,
    assert_same_bits,
    assert_weighted_sum,
    loaded_model,
    recipe_of,
)
from tests.samples import write_safetensors
from tests.voices import AUDIOBOOK, NEWS, rows_of, text_state, trained, write_vocabulary
from xttsrecipe.api import make_plan, run
from xttsrecipe.errors import Problem, RecipeError, XttsRecipeError
from xttsrecipe.plan import Plan
from xttsrecipe.summary import Summary
from xttsrecipe.xtts import TEXT_ROWS

Tokens = Mapping[str, int]
State = Mapping[str, torch.Tensor]


def write(folder: Path, vocabularies: Sequence[Tokens | None], states: Sequence[State]) -> dict[str, Any]:
    """a.pth with a.json and so on: the recipe's ``checkpoints`` and ``vocabulary``; None: has no vocabulary."""
    named: dict[str, str] = {}
    for name, tokens, state in zip(NAMES, vocabularies, states, strict=False):
        save(folder / f"{name}.pth", state)
        if tokens is not None:
            named[name] = write_vocabulary(folder / f"{name}.json", tokens).name
    checkpoints = {name: f"{name}.pth" for name in NAMES[: len(states)]}
    return {"checkpoints": checkpoints, **({"vocabulary": named} if named else {})}


def states_for(vocabularies: Sequence[Tokens], **more: Any) -> list[dict[str, torch.Tensor]]:
    return [text_state(rows_of(tokens), seed, **more) for seed, tokens in enumerate(vocabularies, 1)]


def plan_of(
    folder: Path, vocabularies: Sequence[Tokens | None], states: Sequence[State], order: str | None = None, **more: Any
) -> Plan:
    fields = write(folder, vocabularies, states)
    if order:
        fields["vocabulary"]["order"] = order
    return make_plan(recipe_of(folder, **fields, **more))


def problems_of(folder: Path, *args: Any, **more: Any) -> tuple[Problem, ...]:
    with pytest.raises(RecipeError) as caught:
        plan_of(folder, *args, **more)
    return caught.value.problems


def merged_tokens(summary: Summary) -> dict[str, int]:
    """The vocabulary that was written beside the output, as any JSON reader has it."""
    text = summary.output.with_name(f"{summary.output.stem}.vocab.json").read_text("utf-8")
    tokens: dict[str, int] = json.loads(text)["model"]["vocab"]
    return tokens


def expected_ids(vocabularies: Sequence[Tokens], order: int) -> dict[str, int]:
    """The ids of ``order``, then the others' new tokens, source by source, by their ids there."""
    ids = dict(vocabularies[order])
    following = rows_of(ids)
    for tokens in [*vocabularies[:order], *vocabularies[order + 1 :]]:
        for token in sorted(tokens, key=lambda token: tokens[token]):
            if token not in ids:
                ids[token], following = following, following + 1
    return ids


def assert_rows(
    model: State,
    ids: Tokens,
    vocabularies: Sequence[Tokens],
    states: Sequence[State],
    weights: Sequence[float],
    prefix: str = "",
) -> None:
    """Every row of the three tensors is the mean of that token's rows; bit for bit where one source alone has it."""
    for key in TEXT_ROWS:
        found = model[prefix + key]
        assert found.shape[0] == rows_of(ids)
        for token, row in ids.items():
            knowing = [index for index, tokens in enumerate(vocabularies) if token in tokens]
            rows = [states[index][key][vocabularies[index][token]] for index in knowing]
            if len(rows) == 1:
                assert_same_bits(found[row], rows[0].to(found.dtype))
                continue
            total = math.fsum(weights[index] for index in knowing)
            shares = [weights[index] / total for index in knowing]
            assert_weighted_sum(found[row], rows, shares)


# --- rows of one token -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [None, "a", "b"])
@pytest.mark.parametrize("weights", [[0.5, 0.5], [0.7, 0.3], [1.25, -0.25], [-0.5, 1.5]])
def test_rows_of_as_many_tokens_in_other_places_merge_by_token(
    weights: list[float], order: str | None, tmp_path: Path
) -> None:
    vocabularies = [NEWS, AUDIOBOOK]
    states = states_for(vocabularies)
    summary = run(plan_of(tmp_path, vocabularies, states, order, weights=weights))
    ids = expected_ids(vocabularies, 1 if order == "b" else 0)
    assert merged_tokens(summary) == ids
    assert_rows(loaded_model(summary.output), ids, vocabularies, states, weights)


FIVE: list[Tokens] = [
    {"[START]": 0, "[STOP]": 1, "x": 2, "y": 3},
    {"[START]": 0, "[STOP]": 1, "y": 2, "z": 3, "w": 4},
    {"[STOP]": 0, "[START]": 1, "q": 9},
    {"x": 0, "[START]": 1, "[STOP]": 2, "y": 3, "z": 4, "v": 5},
    {"[START]": 0, "[STOP]": 1, "x": 2, "y": 3},
]


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("last", [False, True])
def test_two_to_five_sources_merge_by_token_in_the_order_of_any(count: int, last: bool, tmp_path: Path) -> None:
    vocabularies = FIVE[:count]
    states = states_for(vocabularies)
    weights = [0.4, 0.25, 0.15, 0.3, -0.1][:count]
    weights[0] += 1 - math.fsum(weights)
    order = count - 1 if last else 0
    summary = run(plan_of(tmp_path, vocabularies, states, NAMES[order], weights=weights))
    ids = expected_ids(vocabularies, order)
    assert merged_tokens(summary) == ids
    assert_rows(loaded_model(summary.output), ids, vocabularies, states, weights)


def test_rows_without_a_token_stay_as_the_source_that_gives_the_order_has_them(tmp_path: Path) -> None:
    holes = {"[START]": 1, "[STOP]": 4, "x": 7}
    vocabularies = [holes, {"[START]": 0, "[STOP]": 1, "y": 2}]
    states = states_for(vocabularies)
    summary = run(plan_of(tmp_path, vocabularies, states))
    assert merged_tokens(summary) == {"[START]": 1, "[STOP]": 4, "x": 7, "y": 8}
    model = loaded_model(summary.output)
    for key in TEXT_ROWS:
        for row in (0, 2, 3, 5, 6):
            assert_same_bits(model[key][row], states[0][key][row])
    assert_rows(model, merged_tokens(summary), vocabularies, states, [0.5, 0.5])


def test_a_vocabulary_that_is_the_beginning_of_another_gives_its_rows_to_the_same_places(tmp_path: Path) -> None:
    """As the trainer extends one: the rows that are new come behind."""
    base = {f"t{number}": number for number in range(40)}
    vocabularies = [base, base | {f"new{number}": 40 + number for number in range(9)}]
    states = states_for(vocabularies)
    plan = plan_of(tmp_path, vocabularies, states, weights=[0.25, 0.75])
    assert [len(step.segments) for step in plan.steps if step.key in TEXT_ROWS] == [2, 2, 2]
    model = loaded_model(run(plan).output)
    assert_rows(model, vocabularies[1], vocabularies, states, [0.25, 0.75])


def test_equal_rows_of_a_token_stay_bit_for_bit_whatever_the_weights(tmp_path: Path) -> None:
    """Fine-tuning leaves most of the vocabulary as it was; NaN and -0.0 included."""
    states = states_for([NEWS, AUDIOBOOK])
    odd = torch.tensor([math.nan, -0.0])
    for key in TEXT_ROWS[:2]:
        states[0][key][NEWS["[START]"]] = odd
        states[1][key][AUDIOBOOK["[START]"]] = odd
    model = loaded_model(run(plan_of(tmp_path, [NEWS, AUDIOBOOK], states, weights=[0.3, 0.7])).output)
    for key in TEXT_ROWS[:2]:
        assert_same_bits(model[key][NEWS["[START]"]], odd)


def test_all_else_merges_by_place(tmp_path: Path) -> None:
    states = states_for([NEWS, AUDIOBOOK])
    model = loaded_model(run(plan_of(tmp_path, [NEWS, AUDIOBOOK], states, weights=[0.3, 0.7])).output)
    for key in ("gpt.conditioning_encoder.init.bias", "gpt.gpt.h.0.ln_1.weight"):
        assert_weighted_sum(model[key], [state[key] for state in states], [0.3, 0.7])


def test_equal_vocabularies_merge_by_place_and_nothing_is_written_beside(tmp_path: Path) -> None:
    states = states_for([NEWS, NEWS])
    plan = plan_of(tmp_path, [NEWS, NEWS], states, weights=[0.3, 0.7])
    assert not any(step.by_token for step in plan.steps)
    assert plan.companions == ()
    model = loaded_model(run(plan).output)
    for key in TEXT_ROWS:
        assert_weighted_sum(model[key], [state[key] for state in states], [0.3, 0.7])


def test_a_model_merged_with_itself_is_itself(tmp_path: Path) -> None:
    (state,) = states_for([NEWS])
    model = loaded_model(run(plan_of(tmp_path, [NEWS, NEWS], [state, state], weights=[0.3, 0.7])).output)
    for key, tensor in state.items():
        assert_same_bits(model[key], tensor)


# --- types, places, layouts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_rows_are_rounded_once(dtype: torch.dtype, tmp_path: Path) -> None:
    states = states_for([NEWS, AUDIOBOOK], dtype=dtype, width=64)
    model = loaded_model(run(plan_of(tmp_path, [NEWS, AUDIOBOOK], states, weights=[0.3, 0.7])).output)
    ids = expected_ids([NEWS, AUDIOBOOK], 0)
    for key in TEXT_ROWS:
        assert model[key].dtype == dtype
        for token in NEWS.keys() & AUDIOBOOK.keys():
            rows = [states[0][key][NEWS[token]].double(), states[1][key][AUDIOBOOK[token]].double()]
            exact = 0.3 * rows[0] + 0.7 * rows[1]
            error = (model[key][ids[token]].double() - exact).abs()
            room = torch.finfo(dtype).eps / 2 * exact.abs() * 1.001 + torch.finfo(dtype).smallest_normal
            assert bool((error <= room).all())
        for token in NEWS.keys() - AUDIOBOOK.keys():
            assert_same_bits(model[key][ids[token]], states[0][key][NEWS[token]])


@pytest.mark.parametrize(
    ("first", "second", "wide"),
    [
        (torch.float16, torch.bfloat16, torch.float32),
        (torch.float32, torch.float16, torch.float32),
        (torch.float64, torch.bfloat16, torch.float64),
    ],
)
def test_rows_of_mixed_types_are_merged_in_the_widest(
    first: torch.dtype, second: torch.dtype, wide: torch.dtype, tmp_path: Path
) -> None:
    states = [text_state(8, 1, dtype=first), text_state(8, 2, dtype=second)]
    model = loaded_model(run(plan_of(tmp_path, [NEWS, AUDIOBOOK], states, weights=[0.3, 0.7])).output)
    assert {model[key].dtype for key in TEXT_ROWS} == {wide}
    assert_rows(model, expected_ids([NEWS, AUDIOBOOK], 0), [NEWS, AUDIOBOOK], states, [0.3, 0.7])


def test_the_output_type_is_the_recipes(tmp_path: Path) -> None:
    states = states_for([NEWS, AUDIOBOOK])
    model = loaded_model(run(plan_of(tmp_path, [NEWS, AUDIOBOOK], states, dtype="float16")).output)
    assert {model[key].dtype for key in TEXT_ROWS} == {torch.float16}
    assert_same_bits(model[TEXT_ROWS[0]][NEWS["n"]], states[0][TEXT_ROWS[0]][NEWS["n"]].half())


def strided(state: State) -> dict[str, torch.Tensor]:
    """The same numbers, the rows of text tensors scattered over the storage."""
    scattered = dict(state)
    for key in TEXT_ROWS[:2]:
        rows, width = state[key].shape
        scattered[key] = torch.full((width, 3 * rows), 9.0).T[::3]
        scattered[key].copy_(state[key])
    scattered[TEXT_ROWS[2]] = torch.full((state[TEXT_ROWS[2]].shape[0], 4), 9.0)[:, 1]
    scattered[TEXT_ROWS[2]].copy_(state[TEXT_ROWS[2]])
    return scattered


@pytest.mark.parametrize("which", [(0,), (1,), (0, 1)])
def test_rows_that_lie_scattered_are_the_same_rows(which: tuple[int, ...], tmp_path: Path) -> None:
    states = states_for([NEWS, AUDIOBOOK])
    stored = [strided(state) if index in which else state for index, state in enumerate(states)]
    model = loaded_model(run(plan_of(tmp_path, [NEWS, AUDIOBOOK], stored, weights=[0.3, 0.7])).output)
    assert_rows(model, expected_ids([NEWS, AUDIOBOOK], 0), [NEWS, AUDIOBOOK], states, [0.3, 0.7])


@pytest.mark.parametrize("odd", [[math.nan, -0.0], [0.1, -0.0], [-0.0, 1e-45]], ids=str)
@pytest.mark.parametrize("which", [(0,), (1,), (0, 1)])
def test_scattered_rows_that_are_equal_stay_bit_for_bit(
    which: tuple[int, ...], odd: list[float], tmp_path: Path
) -> None:
    """Wherever they lie in the file, and where a plain mean would not give the same number again."""
    states = states_for([NEWS, AUDIOBOOK])
    for key in TEXT_ROWS[:2]:
        for token in ("[START]", "b"):
            states[0][key][NEWS[token]] = torch.tensor(odd)
            states[1][key][AUDIOBOOK[token]] = torch.tensor(odd)
    stored = [strided(state) if index in which else state for index, state in enumerate(states)]
    model = loaded_model(run(plan_of(tmp_path, [NEWS, AUDIOBOOK], stored, weights=[0.3, 0.7])).output)
    for key in TEXT_ROWS[:2]:
        for token in ("[START]", "b"):
            assert_same_bits(model[key][NEWS[token]], torch.tensor(odd))


def test_safetensors_merge_by_token_too(tmp_path: Path) -> None:
    states = states_for([NEWS, AUDIOBOOK])
    fields = write(tmp_path, [NEWS, AUDIOBOOK], states)
    write_safetensors(tmp_path / "b.safetensors", states[1], {})
    fields["checkpoints"]["b"] = "b.safetensors"
    summary = run(recipe_of(tmp_path, **fields, output="out.safetensors", weights=[0.3, 0.7]))
    ids = merged_tokens(summary)
    run(recipe_of(tmp_path, {"merged": "out.safetensors"}, output="again.pth"))
    assert_rows(loaded_model(tmp_path / "again.pth"), ids, [NEWS, AUDIOBOOK], states, [0.3, 0.7])


def test_trainer_files_merge_by_token_under_their_own_names(tmp_path: Path) -> None:
    states = states_for([NEWS, AUDIOBOOK])
    wrapped = [trained(state, seed) for seed, state in enumerate(states)]
    summary = run(plan_of(tmp_path, [NEWS, AUDIOBOOK], wrapped, weights=[0.3, 0.7]))
    model = loaded_model(summary.output)
    assert_rows(model, merged_tokens(summary), [NEWS, AUDIOBOOK], states, [0.3, 0.7], prefix="xtts.")


def test_tensors_of_several_pieces_merge_by_token(tmp_path: Path) -> None:
    """Rows so wide that a segment takes several reads, and a piece ends within a row."""
    first = {f"t{number}": number for number in range(40)}
    second = {f"t{number}": (number + 7) % 40 for number in range(40)}
    states = states_for([first, second], width=30_001)
    model = loaded_model(run(plan_of(tmp_path, [first, second], states, weights=[0.3, 0.7])).output)
    key = TEXT_ROWS[0]
    rows = [states[0][key], torch.roll(states[1][key], -7, 0)]
    assert (model[key].double() - 0.3 * rows[0].double() - 0.7 * rows[1].double()).abs().max() < 2e-6
    for path in tmp_path.glob("*.pth"):
        path.unlink()


# --- weights and rules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [None, "b"])
@pytest.mark.parametrize(
    "fields",
    [
        {"weights": {"a": 1, "b": 0}},
        {"overrides": {"gpt.text_{embedding,head}.*": "from a"}},
        {"overrides": {"@text_embedding": "from a", "@text_head": {"weights": {"a": 1, "b": 0}}}},
        {"overrides": {"*": "from a"}},
    ],
)
def test_what_is_all_of_one_source_keeps_its_rows_and_its_vocabulary(
    fields: dict[str, Any], order: str | None, tmp_path: Path
) -> None:
    vocabularies = [NEWS, AUDIOBOOK | {"more": 11}]
    states = states_for(vocabularies)
    plan = plan_of(tmp_path, vocabularies, states, order, **fields)
    assert plan.vocabulary is not None
    assert plan.vocabulary.merged.text == (tmp_path / "a.json").read_bytes()
    assert not plan.vocabulary.by_token
    model = loaded_model(run(plan).output)
    for key in TEXT_ROWS:
        assert_same_bits(model[key], states[0][key])


def test_text_tensors_have_weights_of_their_own_where_a_rule_says_so(tmp_path: Path) -> None:
    states = states_for([NEWS, AUDIOBOOK])
    rule = {"@text_embedding": {"weights": {"a": 0.2, "b": 0.8}}}
    plan = plan_of(tmp_path, [NEWS, AUDIOBOOK], states, weights=[0.9, 0.1], overrides=rule)
    model = loaded_model(run(plan).output)
    shared, row = "b", NEWS["b"]
    for key, weights in zip(TEXT_ROWS, ([0.2, 0.8], [0.9, 0.1], [0.9, 0.1]), strict=True):
        assert_weighted_sum(model[key][row], [states[0][key][row], states[1][key][AUDIOBOOK[shared]]], weights)
        assert_same_bits(model[key][NEWS["n"]], states[0][key][NEWS["n"]])


def test_a_source_of_weight_0_gives_no_tokens(tmp_path: Path) -> None:
    vocabularies: list[Tokens] = [NEWS, AUDIOBOOK, {"[START]": 0, "mine": 1}]
    states = states_for(vocabularies)
    summary = run(plan_of(tmp_path, vocabularies, states, weights=[0.5, 0.5, 0]))
    assert "mine" not in merged_tokens(summary)
    assert_rows(loaded_model(summary.output), merged_tokens(summary), vocabularies[:2], states, [0.5, 0.5])


@pytest.mark.parametrize("weight", [1e-3, 1e-8, 1e-10, 1e-30])
def test_a_row_that_one_source_alone_knows_is_its_own_however_little_it_weighs(weight: float, tmp_path: Path) -> None:
    states = states_for([NEWS, AUDIOBOOK])
    model = loaded_model(run(plan_of(tmp_path, [NEWS, AUDIOBOOK], states, weights=[1 - weight, weight])).output)
    ids = expected_ids([NEWS, AUDIOBOOK], 0)
    for token in ("o", "u"):
        assert_same_bits(model[TEXT_ROWS[0]][ids[token]], states[1][TEXT_ROWS[0]][AUDIOBOOK[token]])


def test_the_same_recipe_gives_the_same_bytes(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, FIVE, states_for(FIVE))
    first = [path.read_bytes() for path in (run(plan).output, tmp_path / "out.vocab.json")]
    assert [path.read_bytes() for path in (run(plan).output, tmp_path / "out.vocab.json")] == first


def test_an_output_merges_again_with_its_parents(tmp_path: Path) -> None:
    states = states_for([NEWS, AUDIOBOOK])
    run(plan_of(tmp_path, [NEWS, AUDIOBOOK], states))
    recipe = recipe_of(
        tmp_path,
        {"merged": "out.pth", "b": "b.pth"},
        output="again.pth",
        vocabulary={"merged": "out.vocab.json", "b": "b.json"},
    )
    summary = run(recipe)
    merged = loaded_model(tmp_path / "out.pth")
    ids = expected_ids([NEWS, AUDIOBOOK], 0)
    assert merged_tokens(summary) == ids
    assert_rows(loaded_model(summary.output), ids, [ids, AUDIOBOOK], [merged, states[1]], [0.5, 0.5])


# --- any vocabularies --------------------------------------------------------------------------------------------


@st.composite
def vocabularies_and_weights(draw: st.DrawFn) -> tuple[list[Tokens], list[float], int]:
    count = draw(st.integers(2, 4))
    vocabularies: list[Tokens] = []
    for _ in range(count):
        tokens = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True))
        ids = draw(st.lists(st.integers(0, 9), min_size=len(tokens), max_size=len(tokens), unique=True))
        vocabularies.append(dict(zip(tokens, ids, strict=True)))
    parts = draw(st.lists(st.sampled_from([-2, -1, 1, 2, 3, 5]), min_size=count, max_size=count).filter(sum))
    total = sum(parts)
    return vocabularies, [part / total for part in parts], draw(st.integers(0, count - 1))


def cancel(weights: list[float]) -> bool:
    return abs(math.fsum(weights)) < 0.1 * math.fsum(map(abs, weights))


@settings(max_examples=40)
@given(vocabularies_and_weights())
def test_any_vocabularies_in_any_order_with_any_weights(drawn: tuple[list[Tokens], list[float], int]) -> None:
    vocabularies, weights, order = drawn
    states = states_for(vocabularies)
    known = [[index for index, tokens in enumerate(vocabularies) if token in tokens] for token in "abcdefgh"]
    some = [indices for indices in known if 1 < len(indices) < len(vocabularies)]
    # Weights of which a tenth is left, or less, are too little to scale up.
    void = any(cancel([weights[index] for index in indices]) for indices in some)
    with tempfile.TemporaryDirectory() as name:
        try:
            plan = plan_of(Path(name), vocabularies, states, NAMES[order], weights=weights)
        except RecipeError as error:
            assert void, error  # noqa: PT017
            assert all("weights cancel each other" in problem.what for problem in error.problems)  # noqa: PT017
            return
        assert not void
        model = loaded_model(run(plan).output)
        if all(tokens == vocabularies[0] for tokens in vocabularies):
            assert plan.companions == ()
            return
        ids = merged_tokens(run(plan))
    assert ids == expected_ids(vocabularies, order)
    assert_rows(model, ids, vocabularies, states, weights)
    for row in range(rows_of(vocabularies[order])):
        if row not in vocabularies[order].values():
            assert_same_bits(model[TEXT_ROWS[0]][row], states[order][TEXT_ROWS[0]][row])


# --- what does not fit -------------------------------------------------------------------------------------------

LONGER = AUDIOBOOK | {"more": 11}


def test_unequal_rows_without_vocabularies_are_refused_with_both_ways_out(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, [None, None], states_for([NEWS, LONGER]))
    assert problem.what == "3 tensors are of unequal shape"
    assert problem.details[0] == "gpt.text_embedding.weight: a 8x2, b 12x2"
    assert problem.hint is not None
    assert '"vocabulary"' in problem.hint
    assert '"gpt.text_{embedding,head}.*": from a' in problem.hint


def test_unequal_rows_where_one_vocabulary_alone_is_known_are_refused_with_both_ways_out(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, [NEWS, None], states_for([NEWS, LONGER]))
    assert problem.what == "3 tensors are of unequal shape"
    assert problem.hint is not None
    assert '"vocabulary"' in problem.hint


def test_a_vocabulary_that_does_not_fit_the_rows_is_refused_once_for_each_source(tmp_path: Path) -> None:
    states = [text_state(9, 1), text_state(7, 2)]
    first, second = problems_of(tmp_path, [NEWS, AUDIOBOOK], states)
    for problem, name, rows in ((first, "a", 9), (second, "b", 7)):
        assert problem.what == f"the vocabulary of {name} is not the one that it was trained with"
        assert problem.found is not None
        assert f"8 rows in {tmp_path / f'{name}.json'}" in problem.found
        assert f"{rows} in gpt.text_embedding.weight" in problem.found
        assert problem.hint == f"name the right vocab.json: vocabulary: {{{name}: …}}"
        assert problem.where is not None
        assert problem.where.line


def test_one_text_tensor_of_other_rows_is_a_misfit_too(tmp_path: Path) -> None:
    states = states_for([NEWS, AUDIOBOOK])
    states[1]["gpt.text_head.bias"] = torch.ones(9)
    (problem,) = problems_of(tmp_path, [NEWS, AUDIOBOOK], states)
    assert "the vocabulary of b is not" in problem.what
    assert problem.found is not None
    assert "9 in gpt.text_head.bias" in problem.found


def test_a_misfit_that_no_row_comes_from_is_none(tmp_path: Path) -> None:
    states = [text_state(8, 1), text_state(7, 2)]
    plan = plan_of(tmp_path, [NEWS, AUDIOBOOK], states, overrides={"gpt.text_{embedding,head}.*": "from a"})
    assert_same_bits(loaded_model(run(plan).output)[TEXT_ROWS[0]], states[0][TEXT_ROWS[0]])


def test_where_vocabularies_differ_each_must_be_known(tmp_path: Path) -> None:
    states = states_for([NEWS, AUDIOBOOK, NEWS, AUDIOBOOK])
    (problem,) = problems_of(tmp_path, [NEWS, AUDIOBOOK, None, None], states)
    assert problem.what == "the vocabularies of a and b differ, and that of c and d is not known"
    assert problem.hint == "name its vocab.json: vocabulary: {c: …}"


def test_where_those_that_are_known_are_equal_the_others_may_be_unknown(tmp_path: Path) -> None:
    states = states_for([NEWS, NEWS, NEWS])
    model = loaded_model(run(plan_of(tmp_path, [NEWS, None, NEWS], states)).output)
    assert_weighted_sum(model[TEXT_ROWS[0]], [state[TEXT_ROWS[0]] for state in states], [1 / 3] * 3)


@pytest.mark.parametrize(
    "overrides",
    [
        {"@text_embedding": "from a"},
        {"gpt.text_head.bias": "from b"},
        {"@text_embedding": "from a", "@text_head": "from b"},
    ],
)
@pytest.mark.parametrize("second", [AUDIOBOOK, LONGER], ids=["equal rows", "unequal rows"])
def test_text_tensors_that_would_mean_different_tokens_are_refused(
    second: Tokens, overrides: dict[str, str], tmp_path: Path
) -> None:
    (problem,) = problems_of(tmp_path, [NEWS, second], states_for([NEWS, second]), overrides=overrides)
    assert "the rows of different vocabularies" in problem.what
    assert len(problem.details) == 3
    assert problem.hint is not None
    assert "gpt.text_{embedding,head}.*" in problem.hint


def test_text_tensors_of_different_rows_are_refused_where_no_vocabulary_is_known(tmp_path: Path) -> None:
    rules = {"@text_embedding": "from a", "@text_head": "from b"}
    (problem,) = problems_of(tmp_path, [None, None], states_for([NEWS, LONGER]), overrides=rules)
    assert problem.details == (
        "gpt.text_embedding.weight: 8 rows, of a",
        "gpt.text_head.weight: 12 rows, of b",
        "gpt.text_head.bias: 12 rows, of b",
    )


def test_text_tensors_decided_unalike_over_equal_vocabularies_are_fine(tmp_path: Path) -> None:
    rules = {"@text_embedding": "from a", "@text_head": "from b"}
    states = states_for([NEWS, NEWS])
    model = loaded_model(run(plan_of(tmp_path, [NEWS, NEWS], states, overrides=rules)).output)
    assert_same_bits(model[TEXT_ROWS[2]], states[1][TEXT_ROWS[2]])


@pytest.mark.parametrize("weight", [-0.5, -0.45])
def test_weights_of_those_that_know_a_token_must_not_cancel_each_other(weight: float, tmp_path: Path) -> None:
    vocabularies: list[Tokens] = [{"s": 0, "x": 1}, {"s": 0, "x": 1}, {"s": 0, "y": 1}]
    (problem,) = problems_of(tmp_path, vocabularies, states_for(vocabularies), weights=[0.5, weight, 0.5 - weight])
    assert problem.what == "there are tokens that only a and b know, and their weights cancel each other"
    assert problem.found == f"a 0.5, b {weight}"
    assert problem.hint is not None
    assert "gpt.text_{embedding,head}.*" in problem.hint
    settled = {"gpt.text_{embedding,head}.*": {"weights": {"a": 0.25, "b": 0.25, "c": 0.5}}}
    plan = plan_of(tmp_path, vocabularies, states_for(vocabularies), weights=[0.5, -0.5, 1], overrides=settled)
    assert plan.vocabulary is not None


@pytest.mark.parametrize("weights", [[0.5, 0.5, 0], [0.5, 0.5, None]])
def test_the_order_of_a_source_that_gives_no_rows_is_refused(weights: list[float | None], tmp_path: Path) -> None:
    fields: dict[str, Any] = {"weights": [0.5, 0.5, 0]}
    if weights[2] is None:
        fields = {"overrides": {"gpt.text_{embedding,head}.*": {"weights": {"a": 0.5, "b": 0.5, "c": 0}}}}
    vocabularies: list[Tokens] = [NEWS, AUDIOBOOK, NEWS]
    (problem,) = problems_of(tmp_path, vocabularies, states_for(vocabularies), "c", **fields)
    assert problem.what == "vocabulary.order names c, of which the text tensors have no rows"
    assert problem.expected == "one of a, b"


def test_vocabularies_that_join_tokens_otherwise_are_an_error_and_no_bug(tmp_path: Path) -> None:
    fields = write(tmp_path, [NEWS, AUDIOBOOK], states_for([NEWS, AUDIOBOOK]))
    content = json.loads((tmp_path / "b.json").read_text("utf-8"))
    content["model"] |= {"continuing_subword_prefix": "##", "merges": ["a ##b"]}
    content["model"]["vocab"] |= {"##b": 8, "ab": 9}
    (tmp_path / "b.json").write_text(json.dumps(content), encoding="utf-8")
    save(tmp_path / "b.pth", text_state(10, 2))
    with pytest.raises(XttsRecipeError, match="joins tokens otherwise"):
        make_plan(recipe_of(tmp_path, **fields))


@pytest.mark.parametrize("bias", [torch.tensor(1.0), torch.ones(0)], ids=["scalar", "empty"])
@pytest.mark.parametrize("tokens", [NEWS, None])
def test_a_text_tensor_without_rows_is_an_error_and_no_bug(
    tokens: Tokens | None, bias: torch.Tensor, tmp_path: Path
) -> None:
    states = states_for([NEWS, NEWS])
    for state in states:
        state["gpt.text_head.bias"] = bias
    with pytest.raises(XttsRecipeError):
        plan_of(tmp_path, [tokens, tokens], states)


def test_text_tensors_without_any_rows_are_no_bug(tmp_path: Path) -> None:
    states = states_for([NEWS, NEWS])
    for state in states:
        state.update((key, torch.tensor(1.0)) for key in TEXT_ROWS)
    assert loaded_model(run(plan_of(tmp_path, [None, None], states)).output)[TEXT_ROWS[0]] == 1


def test_text_tensors_of_integers_are_taken_whole(tmp_path: Path) -> None:
    """Nobody has such a file; it must not be averaged, nor be a bug."""
    states = states_for([NEWS, NEWS])
    for state in states:
        state["gpt.text_head.bias"] = torch.arange(8)
    model = loaded_model(run(plan_of(tmp_path, [NEWS, NEWS], states)).output)
    assert_same_bits(model["gpt.text_head.bias"], torch.arange(8))


def test_a_plan_keeps_its_promises_of_disk_and_tensors(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, [NEWS, LONGER], states_for([NEWS, LONGER]))
    summary = run(plan)
    written = summary.size + (tmp_path / "out.vocab.json").stat().st_size
    assert written <= plan.disk
    model = loaded_model(summary.output)
    assert {step.name: step.spec.shape for step in plan.steps} == {
        name: tuple(tensor.shape) for name, tensor in model.items()
    }
    assert plan.nbytes == sum(tensor.nbytes for tensor in model.values())
