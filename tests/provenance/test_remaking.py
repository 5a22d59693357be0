from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests import samples
from tests.builders import save
from xttsrecipe.api import load_recipe, make_plan, run
from xttsrecipe.checkpoints import open_checkpoint
from xttsrecipe.errors import CheckpointError
from xttsrecipe.options import RunOptions
from xttsrecipe.plan import Plan
from xttsrecipe.provenance import remaking
from xttsrecipe.provenance.stored import stored_digest


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_the_digest_of_a_file_is_the_one_that_its_run_had(suffix: str, tmp_path: Path) -> None:
    plan = make_plan(load_recipe(samples.pair(tmp_path), output=tmp_path / f"out{suffix}"))
    summary = run(plan)
    assert summary.digest is None
    again = run(make_plan(plan.recipe), options=RunOptions(digest=True))
    assert again.digest is None  # only what a lock asks for
    from xttsrecipe.execute import execute

    assert execute(plan, options=RunOptions(digest=True)).digest == stored_digest(open_checkpoint(summary.output))


def test_where_a_recipe_may_have_lain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("here/recipes", "models/merged", "models/recipes"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    header = open_checkpoint(samples.release(tmp_path / "models/merged/out.pth"))
    found = [folder.resolve().relative_to(tmp_path) for folder in remaking.folders(header, None)]
    assert list(map(str, found)) == ["here", "here/recipes", "models/merged", "models", "models/recipes"]
    assert remaking.folders(header, tmp_path / "here" / "x.yaml") == [tmp_path / "here"]
    assert remaking.folders(header, tmp_path) == [tmp_path]


def test_the_plan_is_made_again_over_the_sources(tmp_path: Path) -> None:
    recipe = samples.pair(tmp_path)
    run(load_recipe(recipe))
    making = remaking.making_of(tmp_path / "merged.pth")
    plan = remaking.planned_again(making, recipe, [])
    assert isinstance(plan, Plan)
    assert not list(remaking.source_problems(making, plan))
    assert not list(remaking.mismatches(making, plan))
    (tmp_path / "news.pth").unlink()
    assert remaking.planned_again(making, recipe, []) == [str(tmp_path / "news.pth")]


def test_a_tensor_that_does_not_lie_in_order_has_no_digest(tmp_path: Path) -> None:
    header = open_checkpoint(save(tmp_path / "a.pth", {"x": torch.ones(2, 3).T}))
    with pytest.raises(CheckpointError, match="row-major"):
        stored_digest(header)
