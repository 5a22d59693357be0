"""What a lock says of checkpoints, and that a plan made from it is the plan that the checkpoints give."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import samples
from tests.builders import save, write_recipe
from tests.golden import check_golden
from tests.merging import recipe_of
from tests.voices import two_voices
from xttsrecipe.api import load_recipe, make_plan
from xttsrecipe.digests.plan import plan_digest
from xttsrecipe.errors import RecipeError
from xttsrecipe.lock import lock_path, lock_text, parse_lock, read_lock, write_lock
from xttsrecipe.locking import locked_source, new_lock
from xttsrecipe.plan import Plan
from xttsrecipe.recipe import Recipe
from xttsrecipe.recipe_files import is_lock_name
from xttsrecipe.report.plan import plan_keys_text, plan_text
from xttsrecipe.report.plan_json import plan_json
from xttsrecipe.specs import Header, StoredTensor, TensorSpec, contiguous_strides
from xttsrecipe.xtts import TEXT_ROWS, known_tensors, training_only_tensors

Maker = Callable[[Path], Path]
LAYOUTS: Mapping[str, Maker] = {
    "release": samples.release,
    "trainer": samples.trainer,
    "shrunk": samples.shrunk,
    "leftovers": samples.leftovers,
    "bare": samples.bare,
    "plain": samples.plain,
}


def locked(plan: Plan) -> str:
    """The lock of a plan, put beside its recipe."""
    text = new_lock(plan, None)
    write_lock(lock_path(plan.recipe.file), text)
    return text


def without_sources(recipe: Recipe) -> Plan:
    """The plan of a recipe from its lock: its checkpoints are gone."""
    for source in recipe.sources:
        (shutil.rmtree if source.path.is_dir() else Path.unlink)(source.path)
    lock = read_lock(lock_path(recipe.file))
    assert lock
    return make_plan(load_recipe(recipe.file), lock)


def facts(plan: Plan) -> object:
    """All that a plan says to machines, but for what only the checkpoints themselves can tell."""
    data = json.loads(plan_json(plan))
    data["notes"] = [note for note in data["notes"] if "from the lock" not in note]
    del data["output"]["disk"]  # the text of a config is not in a lock
    data["keys"].sort(key=lambda step: step["key"])
    return data


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_plan_from_the_lock_is_the_plan_from_the_checkpoints(layout: str, tmp_path: Path) -> None:
    made = LAYOUTS[layout](tmp_path / "a.pth")
    shutil.copy(made, tmp_path / "b.pth")
    recipe = recipe_of(tmp_path, {"a": "a.pth", "b": "b.pth"}, weights=[0.75, 0.25])
    plan = make_plan(recipe)
    locked(plan)
    again = without_sources(recipe)
    assert facts(again) == facts(plan)
    assert plan_digest(again) == plan_digest(plan)
    assert again.notes[0] == "a and b not here: what is said of them is from the lock"
    assert sorted(plan_keys_text(again).splitlines()) == sorted(plan_keys_text(plan).splitlines())
    assert "from the lock" in plan_text(again)


def test_safetensors_and_half_precision_and_an_extended_vocabulary(tmp_path: Path) -> None:
    samples.safetensors(tmp_path / "a.safetensors")
    state = {
        key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in samples.small_state().items()
    }
    state["gpt.gpt.h.0.attn.c_attn.weight"] = state["gpt.gpt.h.0.attn.c_attn.weight"].T
    save(tmp_path / "b.pth", state, model_loss={"train_loss": 1e-9, "eval_loss": None})
    recipe = recipe_of(
        tmp_path, {"a": "a.safetensors", "b": "b.pth"}, overrides={"gpt.gpt.h.0.attn.*": "from b"}, dtype="float16"
    )
    plan = make_plan(recipe)
    text = locked(plan)
    assert "dtype: float16" in text
    again = without_sources(recipe)
    assert facts(again) == facts(plan)
    assert again.memory == plan.memory  # a tensor that does not lie in row-major order is held whole


def test_of_a_directory_only_sizes_are_not_known(tmp_path: Path) -> None:
    checkpoints = two_voices(tmp_path)
    write_recipe(tmp_path, f"checkpoints: {json.dumps(checkpoints)}\noutput: {{path: out/}}\n")
    recipe = load_recipe(tmp_path / "recipe.yaml")
    plan = make_plan(recipe)
    locked(plan)
    again = without_sources(recipe)
    told = [json.loads(plan_json(its)) for its in (plan, again)]
    for data in told:
        del data["output"]["disk"], data["notes"], data["vocabulary"]["settings_differ"]
        data["output"]["companions"] = [{**its, "bytes": 0} for its in data["output"]["companions"]]
        data["keys"].sort(key=lambda step: step["key"])
    assert told[0] == told[1]


def test_a_lock_of_xtts_is_a_page(tmp_path: Path) -> None:
    """Names, shapes and types as in the built-in table take one line; those of a like source one, too."""
    checkpoints = {name: samples.trainer(tmp_path / f"{name}.pth").name for name in ("news", "audiobook", "extended")}
    recipe = recipe_of(tmp_path, checkpoints)
    headers = {
        name: of_full_size(header, 7000 if name == "extended" else 6681)
        for name, header in zip(checkpoints, make_plan(recipe).headers, strict=True)
    }
    locked = {source.name: locked_source(source, headers[source.name], "ab" * 32) for source in recipe.sources}
    text = lock_text(recipe, locked, "cd" * 32, "ef" * 32)
    assert len(text.splitlines()) < 100
    check_golden("lock.yaml", re.sub(r"(size|header_sha256): .*", r"\1: …", text))
    lock = parse_lock(text, tmp_path / "recipe.lock.yaml")
    for name, header in headers.items():
        assert specs(lock.sources[name].header.tensors) == specs(header.tensors)
        assert specs(lock.sources[name].header.training_only) == specs(header.training_only)


def of_full_size(header: Header, rows: int) -> Header:
    """The header of a small checkpoint with the shapes of XTTS-V2, but for the rows of its vocabulary."""
    tensors = {key: StoredTensor(key, spec, 0, contiguous_strides(spec.shape)) for key, spec in known_tensors().items()}
    for key in TEXT_ROWS:
        shape = (rows, *tensors[key].spec.shape[1:])
        spec = TensorSpec(shape, tensors[key].spec.dtype)
        tensors[key] = StoredTensor(key, spec, 0, contiguous_strides(shape))
    carried = {
        key: StoredTensor(key, spec, 0, contiguous_strides(spec.shape)) for key, spec in training_only_tensors().items()
    }
    return replace(header, tensors=tensors, training_only=carried)


def specs(tensors: Mapping[str, StoredTensor]) -> dict[str, TensorSpec]:
    return {key: tensor.spec for key, tensor in tensors.items()}


def test_the_same_sources_give_the_same_text(tmp_path: Path) -> None:
    plan = make_plan(load_recipe(samples.pair(tmp_path)))
    assert new_lock(plan, None) == new_lock(plan, None)
    moved = tmp_path / "elsewhere"
    shutil.copytree(tmp_path, moved, ignore=shutil.ignore_patterns("elsewhere"))
    assert new_lock(make_plan(load_recipe(moved / "recipe.yaml")), None) == new_lock(plan, None)


@pytest.mark.parametrize("name", ["yes", "null", "e5", "on", "n", "a-b", "x_1"])
def test_any_name_of_a_source_comes_back(name: str, tmp_path: Path) -> None:
    save(tmp_path / "a.pth", {"x": torch.ones(2)})
    recipe = recipe_of(tmp_path, {name: "a.pth"})
    lock = parse_lock(locked(make_plan(recipe)), tmp_path / "x.lock.yaml")
    assert list(lock.sources) == [name]


KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=40)
@given(st.dictionaries(KEYS, st.lists(st.integers(0, 3), max_size=3), min_size=1, max_size=6))
def test_any_keys_and_shapes_come_back(tmp_path_factory: pytest.TempPathFactory, shapes: dict[str, list[int]]) -> None:
    folder = tmp_path_factory.mktemp("keys")
    save(folder / "a.pth", {key: torch.zeros(shape) for key, shape in shapes.items()})
    plan = make_plan(recipe_of(folder, {"a": "a.pth"}))
    lock = parse_lock(new_lock(plan, None), folder / "recipe.lock.yaml")
    found = lock.sources["a"].header
    assert {key: tensor.spec for key, tensor in found.tensors.items()} == {
        key: tensor.spec for key, tensor in plan.headers[0].tensors.items()
    }


# --- hostile locks ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> str:
    return new_lock(make_plan(load_recipe(samples.pair(tmp_path_factory.mktemp("pair")))), None)


def leaves(data: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(data, dict):
        return [path]
    return [path, *(leaf for name, value in data.items() for leaf in leaves(value, (*path, name)))]


WRONG: list[object] = [
    None,
    -1,
    1 << 70,
    "",
    "x",
    [],
    {},
    True,
    ["x"],
    {"x": "y"},
    float("nan"),
    "1x2 float32",
    "0-999999999",
    [[]],
]


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_whatever_stands_where_in_a_lock_is_read_or_refused(value: object, good: str) -> None:
    data = yaml.safe_load(good)
    for path in leaves(data)[1:]:
        changed = json.loads(json.dumps(data))
        place = changed
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        with contextlib.suppress(RecipeError):
            parse_lock(json.dumps(changed), Path("x.lock.yaml"))


def test_a_lock_in_which_anything_is_missing_is_read_or_refused(good: str) -> None:
    data = yaml.safe_load(good)
    for path in leaves(data)[1:]:
        changed = json.loads(json.dumps(data))
        place = changed
        for name in path[:-1]:
            place = place[name]
        del place[path[-1]]
        with contextlib.suppress(RecipeError):
            parse_lock(json.dumps(changed), Path("x.lock.yaml"))


@pytest.mark.parametrize("name", ["a/b", "", "..", "\x1b[31m", "²"])
def test_any_name_of_a_source_is_read_or_refused(name: str, good: str) -> None:
    data = yaml.safe_load(good)
    data["sources"] = {name: data["sources"]["audiobook"]}
    with contextlib.suppress(RecipeError):
        parse_lock(json.dumps(data), Path("x.lock.yaml"))


def bomb(good: str, **fields: object) -> str:
    data = yaml.safe_load(good)
    data["sources"]["audiobook"].update(fields)
    return json.dumps(data)


BOMBS: dict[str, dict[str, object]] = {
    "ranges": {"tensors": {"like": "nothing", "other": {f"k{n}.{{0..19999}}": "1 float32" for n in range(500)}}},
    "missing": {"tensors": {"like": "nothing", "missing": [f"k{n}.{{0..19999}}" for n in range(500)]}},
    "strides": {"tensors": {"like": "nothing", "strides": {f"k{n}.{{0..19999}}": "1" for n in range(500)}}},
    "ids": {
        "vocabulary": {
            "sha256": "0" * 64, "size": 1, "merges_sha256": "0" * 64, "settings_sha256": "0" * 64, "tokens": {},
            "ids": ", ".join(["0-999999"] * 1000),
        }
    },
    "digits": {
        "vocabulary": {
            "sha256": "0" * 64, "size": 1, "merges_sha256": "0" * 64, "settings_sha256": "0" * 64, "tokens": {},
            "ids": "²-³",
        }
    },
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_lock_that_stands_for_too_much_is_refused(name: str, good: str) -> None:
    with pytest.raises(RecipeError):
        parse_lock(bomb(good, **BOMBS[name]), Path("x.lock.yaml"))


def test_many_sources_that_are_like_one_large_are_refused(good: str) -> None:
    data = yaml.safe_load(good)
    large = {**data["sources"]["audiobook"], "tensors": {"like": "nothing", "other": {"k.{0..19999}": "1 float32"}}}
    others = {f"b{n}": {**large, "tensors": {"like": "a"}} for n in range(200)}
    with pytest.raises(RecipeError, match=r"sources\.b\d+: is not what xttsrecipe lock writes"):
        parse_lock(json.dumps({**data, "sources": {"a": large, **others}}), Path("x.lock.yaml"))


def test_a_lock_of_another_version_is_told_apart() -> None:
    with pytest.raises(RecipeError, match="is a lock of version 2, and this xttsrecipe knows version 1"):
        parse_lock("lock: 2\n", Path("x.lock.yaml"))


def test_what_is_no_lock_is_refused(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, "checkpoints: {a: a.pth}\n", "x.lock.yaml")
    with pytest.raises(RecipeError, match="is not a lock"):
        read_lock(path)
    assert read_lock(tmp_path / "none.lock.yaml") is None


def test_where_a_lock_lies() -> None:
    assert lock_path(Path("recipes/news.yaml")) == Path("recipes/news.lock.yaml")
    assert lock_path(Path("recipes/v1.2.yml")) == Path("recipes/v1.2.lock.yaml")
    assert is_lock_name("news.lock.yaml")
    assert not is_lock_name("lock.yaml")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("training", "step"), [1]),
        (("training", "step"), float("nan")),
        (("training", "step"), {"a": 1}),
        (("training", "model_loss"), {"train_loss": [1]}),
        (("training", "model_loss"), float("inf")),
        (("layout",), "coqui"),
        (("format",), "gguf"),
        (("version",), "v3"),
        (("model_file",), "../model.pth"),
        (("companions",), {"../config.json": {"digest": "sha256:0", "size": 1}}),
        (("config", "model_args"), {"gpt_layers": [30]}),
        (("config", "model_args"), {"gpt_layers": None}),
    ],
)
def test_a_value_that_no_source_has_is_refused(path: tuple[str, ...], value: object, good: str) -> None:
    data = yaml.safe_load(good)
    place = data["sources"]["audiobook"]
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value
    with pytest.raises(RecipeError, match="is not what xttsrecipe lock writes"):
        parse_lock(yaml.safe_dump(data), Path("x.lock.yaml"))


@pytest.mark.parametrize("loss", [2.5, None, "low", {"train_loss": 1e-9, "eval_loss": None}, {}])
def test_a_loss_comes_back_in_any_form(loss: object, good: str) -> None:
    data = yaml.safe_load(good)
    data["sources"]["audiobook"]["training"]["model_loss"] = loss
    lock = parse_lock(json.dumps(data), Path("x.lock.yaml"))
    assert lock.sources["audiobook"].header.entries["model_loss"] == loss
