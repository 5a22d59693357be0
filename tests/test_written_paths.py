from __future__ import annotations

from pathlib import Path

import pytest

from .builders import write_recipe
from .commands import invoke

SECRET = "s3cr3t-of-this-machine"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe whose source is found by a variable, and cannot be read."""
    monkeypatch.setenv("VOICES", str(tmp_path / SECRET))
    (tmp_path / SECRET).mkdir()
    (tmp_path / SECRET / "news.pth").write_bytes(b"")
    return write_recipe(tmp_path, 'checkpoints: {news: "${VOICES}/news.pth"}\noutput: {path: merged.pth}\n')


@pytest.mark.parametrize("form", ["text", "github", "json", "sarif"])
def test_a_review_shows_what_the_recipe_says_and_not_what_it_stands_for(form: str, recipe: Path) -> None:
    done = invoke("validate", "--format", form, recipe)
    assert done.code == 1
    assert SECRET not in done.out + done.err
    assert "${VOICES}/news.pth" in done.out + done.err


def test_without_the_file_nothing_is_told_of_the_variable_either(recipe: Path) -> None:
    (recipe.parent / SECRET / "news.pth").unlink()
    done = invoke("validate", recipe)
    assert (done.code, SECRET in done.out + done.err) == (0, False)
