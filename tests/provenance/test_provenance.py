from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from tests import samples
from xttsrecipe.api import load_recipe, make_plan, run
from xttsrecipe.digests.plan import plan_digest
from xttsrecipe.lock import lock_path, write_lock
from xttsrecipe.locking import lock_of, new_lock
from xttsrecipe.metadata import PROVENANCE
from xttsrecipe.provenance import is_up_to_date, known_digests, sealed

from ..merging import loaded


def test_a_plan_is_sealed_with_all_that_is_known(tmp_path: Path) -> None:
    recipe = load_recipe(samples.pair(tmp_path))
    plan = make_plan(recipe)
    made = sealed(plan, None).metadata.entries[PROVENANCE]
    assert made["recipe_sha256"] == hashlib.sha256(recipe.text.encode()).hexdigest()
    assert made["plan_sha256"] == plan_digest(plan)
    assert made["torch"] == torch.__version__
    assert "lock_sha256" not in made
    assert all("sha256" not in source for source in made["sources"])
    write_lock(lock_path(recipe.file), new_lock(plan, None))
    lock = lock_of(recipe)
    assert lock
    made = sealed(plan, lock).metadata.entries[PROVENANCE]
    assert made["lock_sha256"] == lock.digest
    assert {source["name"]: source["sha256"] for source in made["sources"]} == known_digests(plan, lock)


def test_what_is_not_there_or_forged_is_not_up_to_date(tmp_path: Path) -> None:
    plan = sealed(make_plan(load_recipe(samples.pair(tmp_path))), None)
    assert not is_up_to_date(plan, None)
    run(plan)
    assert is_up_to_date(plan, None)
    content = loaded(tmp_path / "merged.pth")
    for name, value in (("plan_sha256", "0" * 64), ("version", "0"), ("torch", "0"), ("files", 5), ("sources", None)):
        torch.save({**content, PROVENANCE: {**content[PROVENANCE], name: value}}, tmp_path / "merged.pth")
        assert not is_up_to_date(plan, None)
    (tmp_path / "merged.pth").write_bytes(b"")
    assert not is_up_to_date(plan, None)
