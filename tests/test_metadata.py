from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import xttsrecipe
from tests.builders import save
from tests.merging import NAMES, loaded, recipe_of
from xttsrecipe.api import inspect, make_plan, run
from xttsrecipe.errors import RecipeError
from xttsrecipe.metadata import OutputMetadata, left_behind
from xttsrecipe.plan import Plan
from xttsrecipe.provenance import sealed

MODEL = {"x": torch.ones(2)}


def plan_over(folder: Path, *entries: Mapping[str, Any], **fields: Any) -> Plan:
    """The plan of a merge of one tensor whose sources have these entries beside it."""
    for name, source in zip(NAMES, entries, strict=False):
        save(folder / f"{name}.pth", MODEL, **source)
    return make_plan(recipe_of(folder, {name: f"{name}.pth" for name in NAMES[: len(entries)]}, **fields))


def entries_of(folder: Path, *entries: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    return dict(plan_over(folder, *entries, **fields).metadata.entries)


@pytest.mark.parametrize("name", ["step", "epoch"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 17], 17),
        ([17, 3], 17),
        ([None, 3], 3),
        ([0, 0], 0),
        ([12.0, 3], 12),
        ([2.5, 1], 1),
        ([True, None], None),
        (["7", math.nan], None),
        ([None, None], None),
        ([2**40, 1], 2**40),
    ],
)
def test_step_and_epoch_are_the_largest(name: str, values: list[Any], expected: int | None, tmp_path: Path) -> None:
    found = entries_of(tmp_path, *({} if value is None else {name: value} for value in values)).get(name)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([2.0, 4.0], 2.5),
        ([2, 4], 2.5),
        ([None, 4.0], 4.0),
        ([math.nan, 4.0], 4.0),
        ([math.inf, 4.0], 4.0),
        ([None, None], None),
        ([math.nan, math.nan], None),
        (["low", True], None),
        ([{"train_loss": 2.0, "eval_loss": 1.0}, {"train_loss": 4.0, "eval_loss": 5.0}], (2.5, 2.0)),
        ([{"train_loss": 2.0, "eval_loss": None}, {"train_loss": 4.0, "eval_loss": 5.0}], (2.5, 5.0)),
        ([{"train_loss": 2.0}, {"eval_loss": 5.0}], (2.0, 5.0)),
        ([{"train_loss": 2.0}, {"train_loss": 4.0}], (2.5, None)),
        ([{"train_loss": math.nan, "eval_loss": 1.0}, {"train_loss": 4.0, "eval_loss": 5.0}], (4.0, 2.0)),
        ([{"train_loss": 2.0, "eval_loss": 1.0}, None], (2.0, 1.0)),
        # A bare number is what the trainer takes it for: the evaluation's.
        ([{"train_loss": 2.0, "eval_loss": 1.0}, 9.0], (2.0, 3.0)),
        ([9.0, {"train_loss": 2.0, "eval_loss": 1.0}], (2.0, 7.0)),
        ([{"mel": 3.0}, 4.0], (None, 4.0)),
        ([{"mel": 3.0}, {"mel": 4.0}], None),
    ],
)
def test_model_loss_is_the_weighted_mean_of_those_that_have_it(
    losses: list[Any], expected: float | tuple[float | None, ...] | None, tmp_path: Path
) -> None:
    sources = ({} if loss is None else {"model_loss": loss} for loss in losses)
    found = entries_of(tmp_path, *sources, weights=[0.75, 0.25]).get("model_loss")
    if isinstance(expected, tuple):
        assert found == pytest.approx(dict(zip(("train_loss", "eval_loss"), expected, strict=True)))
        assert {type(value) for value in found.values()} <= {float, type(None)}
    else:
        assert (found, type(found)) == (expected, type(expected))


def test_losses_are_weighed_as_the_recipes_default_says(tmp_path: Path) -> None:
    found = entries_of(tmp_path, {"model_loss": 1.0}, {"model_loss": 3.0}, weights=[2, -1])
    assert found["model_loss"] == -1.0


def test_losses_whose_weights_sum_to_nothing_have_no_mean(tmp_path: Path) -> None:
    found = entries_of(tmp_path, {}, {"model_loss": 4.0}, weights=[1.5, -0.5])
    assert "model_loss" not in found


@pytest.mark.parametrize(("loss", "weights"), [(10**400, [0.5, 0.5]), (1e308, [1000, -999])], ids=["int", "sum"])
def test_losses_beyond_any_float_have_no_mean(loss: float, weights: list[float], tmp_path: Path) -> None:
    assert "model_loss" not in entries_of(tmp_path, {"model_loss": loss}, {"model_loss": loss}, weights=weights)


@given(
    mixture=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=4).flatmap(
        lambda losses: st.tuples(
            st.just(losses), st.lists(st.floats(0.01, 1), min_size=len(losses), max_size=len(losses))
        )
    ),
)
def test_a_mean_lies_between_the_losses(
    mixture: tuple[list[float], list[float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    losses, weights = mixture
    folder = tmp_path_factory.mktemp("losses")
    found = entries_of(folder, *({"model_loss": loss} for loss in losses), weights=weights, normalize=True)
    slack = 1e-9 * max(map(abs, losses))
    assert min(losses) - slack <= found["model_loss"] <= max(losses) + slack


def test_the_config_is_the_first_sources(tmp_path: Path) -> None:
    plan = plan_over(tmp_path, {"config": {"run": "one"}}, {"config": {"run": "two"}})
    assert plan.metadata.entries["config"] == {"run": "one"}
    assert plan.metadata.config_from == 0


def test_the_config_is_that_of_metadata_from(tmp_path: Path) -> None:
    plan = plan_over(tmp_path, {"config": {"run": "one"}}, {"config": {"run": "two"}}, metadata={"from": "b"})
    assert plan.metadata.entries["config"] == {"run": "two"}
    assert plan.metadata.config_from == 1


def test_where_the_first_has_no_config_it_comes_from_the_next_with_a_note(tmp_path: Path) -> None:
    plan = plan_over(tmp_path, {}, {"config": {"run": "two"}}, {"config": {"run": "three"}})
    assert plan.metadata.entries["config"] == {"run": "two"}
    assert "a has no config: it comes from b" in plan.notes


@pytest.mark.parametrize("config", [None, 7, [1]])
def test_a_config_that_is_none_counts_as_missing(config: object, tmp_path: Path) -> None:
    plan = plan_over(tmp_path, {"config": config}, {"config": {"run": "two"}})
    assert plan.metadata.entries["config"] == {"run": "two"}


def test_no_other_config_stands_in_for_the_one_that_metadata_from_names(tmp_path: Path) -> None:
    plan = plan_over(tmp_path, {"config": {"run": "one"}}, {}, metadata={"from": "b"})
    assert "config" not in plan.metadata.entries
    assert any("names b, which has no config" in note for note in plan.notes)


def test_without_any_config_the_output_has_none_and_a_note_says_so(tmp_path: Path) -> None:
    plan = plan_over(tmp_path, {}, {})
    assert "config" not in plan.metadata.entries
    assert any("no source has a config" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [("gpt_layers", 30, 12), ("gpt_n_model_channels", 1024, 512), ("gpt_use_perceiver_resampler", True, False)],
)
def test_configs_of_different_networks_are_refused_with_both_values(
    field: str, one: object, other: object, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError) as caught:
        plan_over(tmp_path, {"config": {"model_args": {field: one}}}, {"config": {"model_args": {field: other}}})
    (problem,) = caught.value.problems
    assert problem.what == "the configs of a and b describe different networks"
    assert problem.found == f"model_args.{field} is {one!r} in a and {other!r} in b"
    assert problem.where is not None
    assert problem.where.line == 4


def test_every_field_and_every_source_that_disagrees_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        plan_over(
            tmp_path,
            {"config": {"model_args": {"gpt_layers": 30, "d_vector_dim": 512}}},
            {"config": {"model_args": {"gpt_layers": 12, "d_vector_dim": 256}}},
            {"config": {"model_args": {"gpt_layers": 30, "d_vector_dim": 128}}},
        )
    assert [problem.found for problem in caught.value.problems] == [
        "model_args.gpt_layers is 30 in a and 12 in b",
        "model_args.d_vector_dim is 512 in a and 256 in b",
        "model_args.d_vector_dim is 512 in a and 128 in c",
    ]


@pytest.mark.parametrize(
    "config",
    [
        {"model_args": {"gpt_layers": 30, "gpt_batch_size": 9, "tokenizer_file": "other.json"}, "lr": 5e-6},
        {"model_args": {"gpt_layers": 30, "gpt_number_text_tokens": 6153}},
        {"model_args": {"gpt_layers": None}},
        {"model_args": "gone"},
        {"languages": ["en"]},
        "a string",
    ],
)
def test_other_differences_between_configs_are_none(config: object, tmp_path: Path) -> None:
    parent = {"model_args": {"gpt_layers": 30, "gpt_batch_size": 1, "gpt_number_text_tokens": 6681}, "lr": 1e-4}
    plan = plan_over(tmp_path, {"config": parent}, {"config": config})
    assert plan.metadata.entries["config"] == parent


def test_provenance_says_how_the_output_was_made(tmp_path: Path) -> None:
    plan = plan_over(tmp_path, {}, {}, name="my voice", weights=[0.75, 0.25])
    made = plan.metadata.entries["xttsrecipe"]
    headers = [inspect(tmp_path / "a.pth"), inspect(tmp_path / "b.pth")]
    assert made == {
        "version": xttsrecipe.__version__,
        "recipe_name": "my voice",
        "recipe": (tmp_path / "recipe.yaml").read_text(encoding="utf-8"),
        "sources": [
            {
                "name": name,
                "file": f"{name}.pth",
                "size": (tmp_path / f"{name}.pth").stat().st_size,
                "header_sha256": header.digest,
            }
            for name, header in zip("ab", headers, strict=True)
        ],
    }
    assert all(len(source["header_sha256"]) == 64 for source in made["sources"])


def test_provenance_holds_no_folder_of_this_machine(tmp_path: Path) -> None:
    recipe_of(tmp_path, {"a": "a.pth"})
    save(tmp_path / "a.pth", MODEL)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    settings = [f"checkpoints.a={tmp_path / 'a.pth'}", f"output.path={folder / 'o.pth'}", "output.dtype=float16"]
    recipe = xttsrecipe.load_recipe(tmp_path / "recipe.yaml", settings)
    made = make_plan(recipe).metadata.entries["xttsrecipe"]
    assert str(tmp_path) not in json.dumps(made)
    assert made["set"] == ["output.dtype=float16"]


def test_other_data_give_another_header_digest(tmp_path: Path) -> None:
    save(tmp_path / "a.pth", MODEL)
    save(tmp_path / "b.pth", {"x": torch.zeros(2)})
    assert inspect(tmp_path / "a.pth").digest != inspect(tmp_path / "b.pth").digest


def test_a_merge_of_merges_carries_its_own_provenance_only(tmp_path: Path) -> None:
    run(plan_over(tmp_path, {"config": {"run": "one"}}, {}))
    (tmp_path / "out.pth").rename(tmp_path / "first.pth")
    plan = make_plan(recipe_of(tmp_path, {"first": "first.pth", "b": "b.pth"}))
    assert list(plan.metadata.entries) == ["config", "xttsrecipe"]
    assert [source["name"] for source in plan.metadata.entries["xttsrecipe"]["sources"]] == ["first", "b"]


def test_what_training_leaves_is_left_behind(tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([parameter])
    parameter.grad = torch.ones(3)
    optimizer.step()
    trainer = {
        "config": {"run": "one"},
        "optimizer": optimizer.state_dict(),
        "scheduler": {"last_epoch": 3},
        "scaler": None,
        "date": "2024-01-01",
        "step": 3,
        "epoch": 1,
        "model_loss": 0.5,
    }
    plan = plan_over(tmp_path, trainer, trainer)
    assert left_behind(plan.headers[0]) == ["optimizer", "scheduler", "scaler", "date"]
    output = loaded(run(plan).output)
    assert list(output) == ["config", "model", "step", "epoch", "model_loss", "xttsrecipe"]


def test_the_output_holds_plain_data_only(tmp_path: Path) -> None:
    """Path, OrderedDict and tuples come out as what every client loads."""
    config = OrderedDict(output_path=Path("/home/me"), sizes=(1, 2), nested=OrderedDict(rate=0.5, none=None, yes=True))
    output = loaded(run(plan_over(tmp_path, {"config": config, "step": 3}, {})).output)
    assert output["config"] == {
        "output_path": "/home/me",
        "sizes": [1, 2],
        "nested": {"rate": 0.5, "none": None, "yes": True},
    }
    assert type(output["config"]) is dict
    assert type(output["config"]["nested"]) is dict


def test_safetensors_carries_the_same_entries_as_text(tmp_path: Path) -> None:
    source = {"config": {"run": "öne", "rate": 0.5}, "step": 3, "epoch": 1, "model_loss": {"train_loss": 2.0}}
    plan = plan_over(tmp_path, source, {}, output="out.safetensors")
    text = plan.metadata.as_text()
    assert all(isinstance(value, str) for value in text.values())
    assert text["format"] == "pt"
    assert {name: json.loads(value) for name, value in text.items() if name != "format"} == plan.metadata.entries
    run(plan)
    assert inspect(tmp_path / "out.safetensors").entries == sealed(plan, None).metadata.entries


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_metadata_survives_a_second_merge(suffix: str, tmp_path: Path) -> None:
    source = {"config": {"run": "one", "rate": 0.1}, "step": 3, "epoch": 1, "model_loss": 0.1}
    first = plan_over(tmp_path, source, source, output=f"first{suffix}")
    run(first)
    second = make_plan(recipe_of(tmp_path, {"first": f"first{suffix}"}, output="second.pth"))
    kept = ("config", "step", "epoch", "model_loss")
    assert {name: second.metadata.entries[name] for name in kept} == source


def test_text_stays_as_it_is_in_safetensors() -> None:
    assert OutputMetadata({"config": "plain text"}, 0, (), ()).as_text() == {"format": "pt", "config": "plain text"}
