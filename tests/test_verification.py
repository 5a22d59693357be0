"""What Python programs get; the verb's own tests are in ``test_provenance_verbs``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import samples
from tests.commands import invoke
from xttsrecipe.errors import XttsRecipeError
from xttsrecipe.options import RunOptions
from xttsrecipe.provenance import remaking
from xttsrecipe.settings import parse_setting
from xttsrecipe.verification import Proof, verify


@contextlib.contextmanager
def silent(total: int, what: str) -> Iterator[Callable[[int], None]]:
    assert (total > 0, what) == (True, "comparing")
    yield lambda count: None


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = samples.pair(tmp_path)
    assert invoke("run", "--update-lock", path).code == 0
    return path


def proof(recipe: Path, *settings: str) -> Proof:
    making = remaking.making_of(recipe.with_name("merged.pth"))
    return verify(making, recipe, [parse_setting(text) for text in settings], silent, RunOptions(1))


def test_a_proof_says_what_proved_it(recipe: Path) -> None:
    assert proof(recipe) == Proof(9)
    recipe.with_name("news.pth").rename(recipe.with_name("moved.pth"))
    assert proof(recipe) == Proof(9, recipe.with_name("recipe.lock.yaml"))
    assert proof(recipe, f"checkpoints.news={recipe.with_name('moved.pth')}") == Proof(9)


def test_a_lock_that_was_changed_since_is_told_of(recipe: Path) -> None:
    lock = recipe.with_name("recipe.lock.yaml")
    lock.write_text(lock.read_text().replace("step: 100", "step: 101"))
    recipe.with_name("news.pth").unlink()
    assert proof(recipe) == Proof(9, lock, is_current=False)


def test_what_is_not_so_is_an_error(recipe: Path) -> None:
    recipe.with_name("news.pth").unlink()
    recipe.with_name("recipe.lock.yaml").unlink()
    with pytest.raises(XttsRecipeError, match="its sources are not here, and no lock of its recipe was found"):
        proof(recipe)
