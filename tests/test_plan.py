from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import save, trainer_state, v1_state, xtts_state
from tests.merging import (
    assert_same_bits,
    assert_weighted_sum,
    loaded,
    loaded_model,
    plan_of,
    problems_of,
    recipe_of,
    save_all,
)
from tests.samples import write_safetensors
from tests.voices import NEWS, config_of, text_state, trained
from xttsrecipe.api import inspect, load_recipe, make_plan, run
from xttsrecipe.errors import RecipeError, XttsRecipeError
from xttsrecipe.plan import Plan, rules_of
from xttsrecipe.specs import DType
from xttsrecipe.xtts import GROUPS, component_of

Tensors = dict[str, torch.Tensor]


def shrunk_state(seed: int) -> Tensors:
    return {key: tensor for key, tensor in trainer_state(seed).items() if "dvae" not in key}


def leftovers_state(seed: int) -> Tensors:
    """As saved after init_gpt_for_inference: tied copies beside the model."""
    state = xtts_state(seed)
    tied = {
        "gpt.gpt.wte.weight": state["gpt.mel_embedding.weight"],
        "gpt.gpt_inference.lm_head.1.weight": state["gpt.mel_head.weight"],
    }
    return state | tied


def old_names_state(seed: int) -> Tensors:
    """Weight norm's names before TTS 0.20.3."""
    return {
        key.replace(".parametrizations.weight.original0", ".weight_g").replace(
            ".parametrizations.weight.original1", ".weight_v"
        ): tensor
        for key, tensor in xtts_state(seed).items()
    }


STATES: Mapping[str, Callable[[int], Tensors]] = {
    "release": xtts_state,
    "trainer": trainer_state,
    "shrunk": shrunk_state,
    "leftovers": leftovers_state,
    "old names": old_names_state,
}


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NAME_1.pth and NAME_2.pth for every layout: two fine-tunes."""
    folder = tmp_path_factory.mktemp("layouts")
    for name, state in STATES.items():
        for seed in (1, 2):
            save(folder / f"{name} {seed}.pth", state(seed))
    for seed in (1, 2):
        torch.save(xtts_state(seed), folder / f"bare {seed}.pth")
    return folder


def plan_layouts(layouts: Path, first: str, second: str, **fields: Any) -> Plan:
    checkpoints = {"a": f"{first} 1.pth", "b": f"{second} 2.pth"}
    return make_plan(recipe_of(layouts, checkpoints, weights=[0.6, 0.4], **fields))


@contextlib.contextmanager
def removed(path: Path) -> Iterator[Path]:
    yield path
    path.unlink()


@pytest.mark.parametrize(
    ("first", "second", "layout"),
    [
        ("release", "release", "release"),
        ("trainer", "release", "release"),
        ("bare", "shrunk", "release"),
        ("leftovers", "leftovers", "release"),
        ("old names", "release", "release"),
        ("trainer", "trainer", "trainer"),
        ("shrunk", "shrunk", "shrunk"),
    ],
)
def test_the_output_has_the_layout_that_all_sources_share_else_release(
    first: str, second: str, layout: str, layouts: Path
) -> None:
    """With all keys of XTTS-V2; all pairs of layouts are below, with a few."""
    plan = plan_layouts(layouts, first, second)
    assert plan.layout == layout
    expected = set(STATES[layout](0))
    assert {step.name for step in plan.steps} == expected
    with removed(run(plan).output) as output:
        model = loaded_model(output)
    assert set(model) == expected
    prefix = "" if layout == "release" else "xtts."
    one, two = xtts_state(1), xtts_state(2)
    for key in ("gpt.text_embedding.weight", "gpt.gpt.h.7.attn.c_attn.weight", "mel_stats"):
        assert_weighted_sum(model[prefix + key], [one[key], two[key]], [0.6, 0.4])


@pytest.mark.parametrize(
    ("layout", "fields", "seed"),
    [
        ("trainer", {}, 1),
        ("shrunk", {}, 1),
        ("trainer", {"metadata": {"from": "b"}}, 2),
        ("shrunk", {"dtype": "float16"}, 1),
    ],
)
def test_training_only_tensors_are_carried_untouched(
    layout: str, fields: dict[str, object], seed: int, layouts: Path
) -> None:
    plan = plan_layouts(layouts, layout, layout, **fields)
    carried = {step.name: step for step in plan.steps if step.method == "carried"}
    expected = {key: tensor for key, tensor in STATES[layout](seed).items() if not key.startswith("xtts.")}
    assert set(carried) == set(expected)
    assert {step.sources for step in carried.values()} == {(seed - 1,)}
    with removed(run(plan).output) as output:
        model = loaded_model(output)
    for name, tensor in expected.items():
        assert_same_bits(model[name], tensor)


def test_what_a_release_output_drops_is_noted(layouts: Path) -> None:
    notes = plan_layouts(layouts, "leftovers", "trainer").notes
    assert "layouts differ (a release, b trainer): the output is release" in notes
    assert "a: 2 tied copies from inference are left out" in notes
    assert "b: 60 training-only tensors are left out" in notes


def test_bare_sources_are_noted(layouts: Path) -> None:
    assert any("bare state dicts" in note for note in plan_layouts(layouts, "bare", "bare").notes)


def test_sources_of_one_layout_need_no_note(layouts: Path) -> None:
    plan = plan_layouts(layouts, "trainer", "trainer")
    assert plan.notes == plan.metadata.notes


@pytest.mark.parametrize("layout", ["release", "trainer"])
def test_rules_are_written_against_release_names(layout: str, layouts: Path) -> None:
    plan = plan_layouts(layouts, layout, layout, overrides={"gpt.text_head.*": "from b"})
    decided = rules_of(plan)["gpt.text_head.*"]
    assert [step.key for step in decided] == ["gpt.text_head.weight", "gpt.text_head.bias"]
    assert all(step.method == "from" and step.sources == (1,) for step in decided)


def test_the_order_of_tensors_is_the_first_sources(layouts: Path) -> None:
    assert [step.key for step in plan_layouts(layouts, "release", "trainer").steps] == list(xtts_state())


def test_keys_of_another_model_stay_as_they_are(tmp_path: Path) -> None:
    states = [{"encoder.w": torch.ones(2), "dvae.x": torch.ones(1), "weight_g": torch.ones(1)}] * 2
    plan = plan_of(tmp_path, states)
    assert plan.layout == "plain"
    assert [step.name for step in plan.steps] == list(states[0])
    assert {step.method for step in plan.steps} == {"linear"}


def v11_state(seed: int) -> Tensors:
    return v1_state(seed, copies=False)


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ((v1_state, xtts_state), ["a is XTTS v1 and b is XTTS v2.0.3"]),
        ((xtts_state, v1_state), ["a is XTTS v2.0.3 and b is XTTS v1"]),
        ((v11_state, xtts_state), ["a is XTTS v1.1 and b is XTTS v2.0.3"]),
        ((xtts_state, v11_state), ["a is XTTS v2.0.3 and b is XTTS v1.1"]),
        ((v1_state, v11_state, xtts_state), ["a is XTTS v1 and c is XTTS v2.0.3"]),
        (
            (xtts_state, v11_state, v1_state),
            ["a is XTTS v2.0.3 and b is XTTS v1.1", "a is XTTS v2.0.3 and c is XTTS v1"],
        ),
        ((v11_state, trainer_state, v1_state), ["a is XTTS v1.1 and b is XTTS v2.0.3"]),
    ],
)
def test_v1_and_v2_are_refused_by_name_and_for_that_reason_only(
    tmp_path: Path, states: tuple[Callable[[int], Tensors], ...], said: list[str]
) -> None:
    error = problems_of(tmp_path, [state(seed) for seed, state in enumerate(states)])
    assert [problem.what for problem in error.problems] == [f"{text}: they cannot be merged" for text in said]
    for problem, text in zip(error.problems, said, strict=True):
        assert problem.where is not None
        assert problem.where.line == 3 + "abc".index(text.split(" and ")[1][0])
        assert problem.hint


def test_the_refusal_does_not_speak_of_vocabularies(tmp_path: Path) -> None:
    extended = xtts_state(1) | {"gpt.text_embedding.weight": torch.ones(7000, 3)}
    (problem,) = problems_of(tmp_path, [extended, v1_state(2)]).problems
    assert problem.what == "a is XTTS v2 and b is XTTS v1: they cannot be merged"


@pytest.mark.parametrize("first", [v1_state, v11_state])
@pytest.mark.parametrize("second", [v1_state, v11_state])
def test_v1_checkpoints_merge(
    tmp_path: Path, first: Callable[[int], Tensors], second: Callable[[int], Tensors]
) -> None:
    plan = plan_of(tmp_path, [first(1), second(2)])
    assert plan.layout == "release"
    assert {step.key for step in plan.steps} == set(v11_state(1))


def test_of_several_generations_each_stranger_is_named_and_nothing_else(tmp_path: Path) -> None:
    strangers = [xtts_state(1) | {"more": ROW}, v1_state(), {"x": ROW}]
    error = problems_of(tmp_path, strangers, overrides={"nothing*": "from a"})
    assert [problem.what for problem in error.problems] == [
        "a is XTTS v2.0.3 and b is XTTS v1: they cannot be merged",
        "a is XTTS v2.0.3 and c is not XTTS: they cannot be merged",
    ]


@pytest.mark.parametrize("name", GROUPS)
def test_a_rule_may_name_a_group(tmp_path: Path, name: str) -> None:
    plan = plan_of(tmp_path, [xtts_state(1), xtts_state(2)], overrides={f"@{name}": "from b"})
    leaves = {step.key for step in plan.steps if component_of(step.key) in GROUPS[name].leaves}
    assert {step.key for step in rules_of(plan)[f"@{name}"]} == leaves
    assert all(step.sources == (1,) for step in rules_of(plan)[f"@{name}"])


def test_xtts_with_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"a is XTTS v2\.0\.3 and b is not XTTS: they cannot be merged"):
        plan_of(tmp_path, [xtts_state(1), {"x": torch.ones(1)}])


ONES, ROW, PAIR = torch.ones(2, 3), torch.ones(3), torch.ones(2)


def test_all_problems_are_reported_together(tmp_path: Path) -> None:
    states = [{"x": ROW, "y": ROW, "z": ROW}, {"x": ONES, "y": ROW.int()}]
    error = problems_of(tmp_path, states, overrides={"nothing*": "from a"})
    assert len(error.problems) == 4


def test_the_last_matching_rule_decides(tmp_path: Path) -> None:
    states = [dict.fromkeys(("x.1", "x.2", "y.1"), ROW)] * 2
    rules = {"x.*": "from a", "*.1": {"weights": {"a": 0.25, "b": 0.75}}, "y.1": "from b"}
    plan = plan_of(tmp_path, states, overrides=rules)
    assert [(step.key, step.rule, step.method, step.sources) for step in plan.steps] == [
        ("x.1", "*.1", "linear", (0, 1)),
        ("x.2", "x.*", "from", (0,)),
        ("y.1", "y.1", "from", (1,)),
    ]
    swapped = {"y.1": "from b", "*.1": rules["*.1"], "x.*": "from a", "y*": "from b"}
    with pytest.raises(RecipeError, match=r"rule 'y.1' decides no key"):
        plan_of(tmp_path, states, overrides=swapped)


@pytest.mark.parametrize("pattern", ["encodr.*", "dvae.*", "xtts.gpt.text_head.*", "gpt.gpt.h.{30..40}.*"])
def test_a_rule_that_decides_no_key_is_refused(pattern: str, layouts: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        plan_layouts(layouts, "trainer", "trainer", overrides={pattern: "from a"})
    (problem,) = caught.value.problems
    assert problem.what == f"rule {pattern!r} matches no key"
    assert problem.hint


def test_steps_are_grouped_by_the_rule_that_decided(layouts: Path) -> None:
    rules = {"hifigan_decoder.*": "from a", "@text_head": "from b"}
    groups = rules_of(plan_layouts(layouts, "trainer", "trainer", overrides=rules))
    assert list(groups) == ["hifigan_decoder.*", "@text_head", None]
    assert {pattern: len(steps) for pattern, steps in groups.items()} == {
        "hifigan_decoder.*": 536,
        "@text_head": 2,
        None: 963 - 536 - 2,
    }


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("dtype", ["complex32", "complex128"])
def test_types_that_safetensors_lacks_are_refused_by_name(dtype: str, tmp_path: Path) -> None:
    state = {"x": ROW.to(getattr(torch, dtype)), "y": ROW}
    error = problems_of(tmp_path, [state], output="out.safetensors")
    (problem,) = error.problems
    assert problem.details == (f"x: 3 {dtype}",)
    assert problem.hint == "write a .pth file"


def test_the_plan_knows_every_tensor_of_the_output(layouts: Path) -> None:
    plan = plan_layouts(layouts, "trainer", "trainer", overrides={"@vocoder": "from b"}, dtype="bfloat16")
    with removed(run(plan).output) as output:
        model = loaded_model(output)
    assert [(step.name, step.spec.shape, f"torch.{step.spec.dtype}") for step in plan.steps] == [
        (name, tuple(tensor.shape), str(tensor.dtype)) for name, tensor in model.items()
    ]
    assert plan.nbytes == sum(tensor.nbytes for tensor in model.values())


DTYPES = st.sampled_from([torch.float32, torch.float16, torch.int64, torch.bool, torch.float64, torch.bfloat16])
SMALL_MODELS = st.dictionaries(
    # But for what safetensors has no place for.
    st.text(min_size=1, max_size=12).filter(lambda name: name.isprintable() and name != "__metadata__"),
    st.tuples(st.lists(st.integers(0, 40), max_size=3), DTYPES),
    min_size=1,
)


@settings(max_examples=30)
@given(SMALL_MODELS, st.sampled_from([".pth", ".safetensors"]))
def test_the_output_is_never_larger_than_planned(model: dict[str, tuple[list[int], torch.dtype]], suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = {key: torch.zeros(shape, dtype=dtype) for key, (shape, dtype) in model.items()}
        plan = plan_of(Path(folder), [state], output=f"out{suffix}")
        assert run(plan).output.stat().st_size <= plan.disk


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_large_configs_long_names_and_recipes_count_too(suffix: str, tmp_path: Path) -> None:
    save(
        tmp_path / "a.pth",
        {f"{number:x}" * 100: ROW for number in range(4096)},
        config={"characters": "é\n" * 100_000, "rate": [0.1] * 20_000},
    )
    plan = make_plan(recipe_of(tmp_path, {"a": "a.pth"}, output=f"out{suffix}", description="why\n" * 8000))
    assert run(plan).output.stat().st_size <= plan.disk


def test_headers_are_all_that_is_read(tmp_path: Path) -> None:
    """Other data of the same size give the same plan but for the digests; a hole in the file is no obstacle."""
    with (tmp_path / "a.pth").open("wb") as file, torch.serialization.skip_data():
        torch.save({"model": {"x": torch.empty(1 << 30), "y": torch.empty(1 << 28)}}, file)
    assert (tmp_path / "a.pth").stat().st_size > 5 << 30
    assert (tmp_path / "a.pth").stat().st_blocks * 512 < 1 << 20, "the file is not sparse here: the test would be slow"
    plan = make_plan(recipe_of(tmp_path, {"a": "a.pth"}))
    assert plan.nbytes == 5 << 30
    (tmp_path / "a.pth").unlink()


def test_tensor_data_do_not_change_the_plan(tmp_path: Path) -> None:
    before = plan_of(tmp_path, [xtts_state(1), xtts_state(2)])
    after = plan_of(tmp_path, [xtts_state(3), xtts_state(4)])
    assert after.steps == before.steps
    assert (after.memory, after.disk, after.notes) == (before.memory, before.disk, before.notes)


def test_planning_does_not_import_torch(layouts: Path) -> None:
    plan_layouts(layouts, "release", "trainer", overrides={"@vocoder": "from b"}, dtype="float16")
    script = (
        "import sys, xttsrecipe\n"
        "plan = xttsrecipe.make_plan(xttsrecipe.load_recipe(sys.argv[1]))\n"
        "assert len(plan.steps) == 963\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script, layouts / "recipe.yaml"], check=False).returncode == 0


def test_a_tensor_that_does_not_lie_in_one_piece_counts_as_memory(tmp_path: Path) -> None:
    flat = plan_of(tmp_path, [{"x": torch.zeros(1000, 5000)}])
    turned = plan_of(tmp_path, [{"x": torch.zeros(5000, 1000).T}])
    assert turned.memory >= flat.memory + 20_000_000


def test_memory_does_not_grow_with_the_size_of_tensors(tmp_path: Path) -> None:
    small = plan_of(tmp_path, [{"x": torch.zeros(1000)}] * 2)
    large = plan_of(tmp_path, [{"x": torch.zeros(2_000_000)}] * 2)
    assert small.memory == large.memory


@pytest.mark.parametrize("name", ["__metadata__", "k\x1f", "k\n"])
def test_names_that_safetensors_has_no_place_for_are_refused(name: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, [{name: ROW, "x": ROW}], output="out.safetensors").problems
    assert problem.what == f"safetensors has no place for {name!r}"
    assert problem.hint == "write a .pth file"
    assert [step.name for step in plan_of(tmp_path, [{name: ROW, "x": ROW}]).steps] == [name, "x"]


@pytest.mark.parametrize("output", ["out.pth", "out.safetensors"])
def test_a_key_that_is_no_text_stops_no_plan_with_a_bug(output: str, tmp_path: Path) -> None:
    """As os.fsdecode makes of bytes that are no UTF-8; torch saves and loads such names."""
    with contextlib.suppress(XttsRecipeError):
        run(plan_of(tmp_path, [{"k\udcff": ROW}], output))


def test_a_source_is_planned_under_each_of_its_names(tmp_path: Path) -> None:
    save_all(tmp_path, [{"x": ROW}])
    plan = make_plan(recipe_of(tmp_path, {"one": "a.pth", "two": "a.pth"}))
    assert plan.steps[0].sources == (0, 1)


def test_a_plan_over_a_changed_recipe_uses_the_settings(tmp_path: Path) -> None:
    plan_of(tmp_path, [{"x": ROW}] * 2)
    recipe = load_recipe(tmp_path / "recipe.yaml", ["weights={a: 0.75, b: 0.25}", "output.dtype=float16"])
    (step,) = make_plan(recipe).steps
    assert (step.weights, step.spec.dtype) == ((0.75, 0.25), DType.FLOAT16)


# --- output.layout -----------------------------------------------------------------------------------------------

TRAINING = {"step": 100, "epoch": 3, "model_loss": 0.5}
# What no merge keeps of a trainer's file.
STATE_OF_TRAINING = {
    "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1.0}]},
    "scheduler": {"gamma": 0.5, "last_epoch": 3},
    "scaler": {"scale": 2.0},
    "date": "June 01, 2024",
    "language": "en",
}
TRAINING_ONLY = ("dvae.", "torch_mel_spectrogram_")
KINDS = ("release", "trainer", "shrunk", "leftovers", "bare", "safetensors")
# Which of them have training-only tensors, and which all of those.
SOME, ALL = ("trainer", "shrunk"), ("trainer",)


def small(kind: str, seed: int) -> Tensors:
    state = text_state(8, seed)
    if kind in SOME:
        return trained(state, seed, dvae=kind in ALL)
    if kind == "leftovers":
        return state | {"gpt.gpt_inference.transformer.h.0.ln_1.weight": state["gpt.gpt.h.0.ln_1.weight"]}
    return state


def small_source(folder: Path, kind: str, seed: int, training: Mapping[str, Any] = TRAINING) -> str:
    """A small checkpoint of that kind in a folder: its file's name."""
    state = small(kind, seed)
    name = f"{kind} {seed}"
    if kind == "safetensors":
        return write_safetensors(
            folder / f"{name}.safetensors", state, {key: str(value) for key, value in training.items()}
        ).name
    if kind == "bare":
        torch.save(state, folder / f"{name}.pth")
    else:
        state_of_training = STATE_OF_TRAINING if kind in SOME else {}
        save(folder / f"{name}.pth", state, config=config_of(NEWS), **training, **state_of_training)
    return f"{name}.pth"


def small_plan(folder: Path, kinds: tuple[str, ...], layout: str | None = "preserve", **fields: Any) -> Plan:
    names = [small_source(folder, kind, seed) for seed, kind in enumerate(kinds, 1)]
    output = fields.pop("output", "out.pth")
    recipe = recipe_of(folder, dict(zip("abc", names, strict=False)), output, **fields)
    text = recipe.text
    if layout:
        return make_plan(load_recipe(recipe.file, [f"output.layout={layout}"]))
    assert "layout" not in text
    return make_plan(recipe)


def expected_layout(kinds: tuple[str, ...], layout: str) -> str:
    if layout != "preserve":
        return layout
    shared = {kind if kind in SOME else "release" for kind in kinds}
    # A bare state dict is another layout than a release, though it becomes one.
    return shared.pop() if len(shared) == 1 else "release"


@pytest.mark.parametrize("layout", ["preserve", "release", "trainer"])
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_every_pair_of_layouts_gives_the_one_that_is_asked_for(
    first: str, second: str, layout: str, tmp_path: Path
) -> None:
    kinds = (first, second)
    plan = small_plan(tmp_path, kinds, layout, weights=[0.6, 0.4])
    wanted = expected_layout(kinds, layout)
    assert plan.layout == wanted
    run(plan)
    content = loaded(tmp_path / "out.pth")
    assert set(content) <= {"config", "model", "step", "epoch", "model_loss", "xttsrecipe"}
    prefix = "" if wanted == "release" else "xtts."
    states = [text_state(8, 1), text_state(8, 2)]
    carried = {name for name in content["model"] if name.startswith(TRAINING_ONLY)}
    assert set(content["model"]) - carried == {prefix + key for key in states[0]}
    for key in ("gpt.gpt.h.0.ln_1.weight", "gpt.text_head.bias"):
        assert_weighted_sum(content["model"][prefix + key], [state[key] for state in states], [0.6, 0.4])
    giver = next((kind for kind in kinds if kind in ALL), next((kind for kind in kinds if kind in SOME), None))
    expected: Tensors = {}
    if prefix and giver:
        expected = {k: v for k, v in small(giver, kinds.index(giver) + 1).items() if k.startswith(TRAINING_ONLY)}
    assert carried == set(expected)
    for name, tensor in expected.items():
        assert_same_bits(content["model"][name], tensor)
    told = inspect(tmp_path / "out.pth").layout
    assert told == ("shrunk" if wanted == "trainer" and giver not in ALL else wanted)


@pytest.mark.parametrize("named", ["a", "b", "c"])
def test_training_only_tensors_are_those_of_metadata_from(named: str, tmp_path: Path) -> None:
    plan = small_plan(tmp_path, ("trainer", "trainer", "trainer"), metadata={"from": named}, dtype="float16")
    model = loaded_model(run(plan).output)
    for name, tensor in small("trainer", "abc".index(named) + 1).items():
        if name.startswith(TRAINING_ONLY):
            assert_same_bits(model[name], tensor)


def test_training_only_tensors_come_from_a_source_of_weight_0_too(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, ("release", "trainer"), "trainer", weights=[1, 0])
    model = loaded_model(run(plan).output)
    assert_same_bits(model["dvae.codebook.cluster_size"], small("trainer", 2)["dvae.codebook.cluster_size"])


def test_training_only_tensors_of_unequal_shapes_do_not_matter(tmp_path: Path) -> None:
    for seed, name in enumerate("ab", 1):
        save(tmp_path / f"{name}.pth", trained(text_state(8, seed)) | {"dvae.x": torch.ones(seed)})
    run(recipe_of(tmp_path, {"a": "a.pth", "b": "b.pth"}))
    assert loaded_model(tmp_path / "out.pth")["dvae.x"].shape == (1,)


@pytest.mark.parametrize("output", ["out.safetensors", "out.pth"])
def test_a_trainer_layout_may_be_safetensors_too(output: str, tmp_path: Path) -> None:
    plan = small_plan(tmp_path, ("trainer", "release"), "trainer", output=output)
    run(plan)
    header = inspect(tmp_path / output)
    assert header.layout == "trainer"
    assert len(header.training_only) == 3


@pytest.mark.parametrize("layout", ["release", "trainer"])
def test_there_is_no_layout_of_what_is_not_xtts(layout: str, tmp_path: Path) -> None:
    save(tmp_path / "a.pth", {"x": torch.ones(2)})
    recipe = recipe_of(tmp_path, {"a": "a.pth"})
    with pytest.raises(RecipeError) as caught:
        make_plan(load_recipe(recipe.file, [f"output.layout={layout}"]))
    (problem,) = caught.value.problems
    assert problem.what == f"there is no {layout} layout of a checkpoint that is not XTTS"
    assert problem.hint == "remove output.layout"
    assert make_plan(load_recipe(recipe.file, ["output.layout=preserve"])).layout == "plain"


TOP_LEVEL = "step, epoch and model_loss stay at top level of a release-layout file"


@pytest.mark.parametrize(
    ("kinds", "layout", "output", "warnings"),
    [
        (("release", "release"), "preserve", "out.pth", [TOP_LEVEL]),
        (("release", "release"), None, "out.pth", [TOP_LEVEL]),
        (("release", "trainer"), "preserve", "out.pth", [TOP_LEVEL]),
        (("trainer", "shrunk"), "preserve", "out.pth", [TOP_LEVEL]),
        (("leftovers",), "preserve", "out.pth", [TOP_LEVEL]),
        (("release", "release"), "preserve", "out.safetensors", []),
        (("bare", "bare"), "preserve", "out.pth", []),
        (("release", "trainer"), "release", "out.pth", []),
        (("trainer", "trainer"), "release", "out.pth", []),
        (("trainer", "trainer"), "preserve", "out.pth", []),
        (("shrunk", "shrunk"), "preserve", "out.pth", []),
        (("trainer", "release"), "trainer", "out.pth", []),
        (("shrunk", "trainer"), "trainer", "out.pth", []),
        (("release", "release"), "trainer", "out.pth", ["no source has training-only tensors"]),
        (("bare", "safetensors"), "trainer", "out.pth", ["no source has training-only tensors"]),
        (("shrunk", "release"), "trainer", "out.pth", ["the training-only tensors of a lack dvae"]),
    ],
)
def test_warnings_are_given_exactly_when_they_are_due(
    kinds: tuple[str, ...], layout: str | None, output: str, warnings: list[str], tmp_path: Path
) -> None:
    plan = small_plan(tmp_path, kinds, layout, output=output)
    assert len(plan.warnings) == len(warnings)
    for found, beginning in zip(plan.warnings, warnings, strict=True):
        assert found.startswith(beginning)


def test_a_source_named_for_metadata_that_has_nothing_for_training_is_warned_of(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, ("trainer", "release", "trainer"), "trainer", metadata={"from": "b"})
    assert plan.warnings == (
        "metadata.from names b, which has no training-only tensors: the output has none; a and c would give them",
    )
    assert not any(name.startswith(TRAINING_ONLY) for name in loaded_model(run(plan).output))


def test_a_source_named_for_metadata_that_lacks_dvae_is_warned_of(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, ("trainer", "shrunk"), "trainer", metadata={"from": "b"})
    (warning,) = plan.warnings
    assert warning.startswith("the training-only tensors of b lack dvae")
    assert warning.endswith("a would give it")


def test_models_without_training_need_no_warning(tmp_path: Path) -> None:
    name = small_source(tmp_path, "release", 1, {})
    assert make_plan(recipe_of(tmp_path, {"a": name})).warnings == ()


def test_an_explicit_release_keeps_training_where_no_trainer_takes_it_for_its_own(tmp_path: Path) -> None:
    run(small_plan(tmp_path, ("release", "trainer"), "release"))
    content = loaded(tmp_path / "out.pth")
    assert set(content) == {"config", "model", "xttsrecipe"}
    assert content["xttsrecipe"]["training"] == TRAINING


@pytest.mark.parametrize("layout", ["preserve", "trainer"])
def test_any_other_layout_keeps_training_at_top_level(layout: str, tmp_path: Path) -> None:
    run(small_plan(tmp_path, ("release", "trainer"), layout))
    content = loaded(tmp_path / "out.pth")
    assert {name: content[name] for name in TRAINING} == TRAINING
    assert "training" not in content["xttsrecipe"]


def test_an_explicit_release_without_training_says_nothing_of_it(tmp_path: Path) -> None:
    name = small_source(tmp_path, "release", 1, {})
    run(make_plan(load_recipe(recipe_of(tmp_path, {"a": name}).file, ["output.layout=release"])))
    assert "training" not in loaded(tmp_path / "out.pth")["xttsrecipe"]


@pytest.mark.parametrize("output", ["first.pth", "first.safetensors"])
@pytest.mark.parametrize("layout", ["preserve", "release", "trainer"])
def test_training_that_was_moved_aside_is_found_again_by_the_next_merge(
    layout: str, output: str, tmp_path: Path
) -> None:
    run(small_plan(tmp_path, ("release", "trainer"), "release", output=output))
    newer = small_source(tmp_path, "release", 9, {"step": 7, "epoch": 11, "model_loss": 1.5})
    recipe = recipe_of(tmp_path, {"first": output, "newer": newer}, "second.pth")
    run(make_plan(load_recipe(recipe.file, [f"output.layout={layout}"])))
    content = loaded(tmp_path / "second.pth")
    expected = {"step": 100, "epoch": 11, "model_loss": 1.0}
    if layout == "release":
        assert content["xttsrecipe"]["training"] == expected
        assert not set(content) & set(expected)
    else:
        assert {name: content[name] for name in expected} == expected


def test_training_that_lies_aside_in_all_sources_stays_aside(tmp_path: Path) -> None:
    run(small_plan(tmp_path, ("release", "trainer"), "release", output="first.pth"))
    bare = small_source(tmp_path, "bare", 5)
    plan = make_plan(recipe_of(tmp_path, {"first": "first.pth", "bare": bare}, "second.pth"))
    run(plan)
    content = loaded(tmp_path / "second.pth")
    assert set(content) == {"config", "model", "xttsrecipe"}
    assert content["xttsrecipe"]["training"] == TRAINING
    assert plan.warnings == ()


def test_a_trainer_layout_has_the_step_without_which_the_trainer_does_not_resume(tmp_path: Path) -> None:
    name = small_source(tmp_path, "release", 1, {})
    run(make_plan(load_recipe(recipe_of(tmp_path, {"a": name}).file, ["output.layout=trainer"])))
    content = loaded(tmp_path / "out.pth")
    assert (content["step"], content["epoch"]) == (0, 0)


@pytest.mark.parametrize("training", [None, 7, "text", [], {"step": "many"}, {"optimizer": 1}])
def test_what_a_stranger_wrote_under_our_name_is_no_bug(training: object, tmp_path: Path) -> None:
    save(tmp_path / "a.pth", text_state(8), xttsrecipe={"training": training})
    plan = make_plan(load_recipe(recipe_of(tmp_path, {"a": "a.pth"}).file, ["output.layout=release"]))
    assert "training" not in plan.metadata.entries["xttsrecipe"]
