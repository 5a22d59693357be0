from __future__ import annotations

from pathlib import Path

import pytest

from xttsrecipe.recipe_files import is_lock_name, is_recipe, lock_name, locked_names, recipe_files, sibling_of


def test_recipes_in_a_folder_are_told_by_name(tmp_path: Path) -> None:
    names = [
        "a.yaml", "b.yml", "sub/c.yaml", "a.lock.yaml", "b.lock.yml", "d.json", ".hidden.yaml", ".github/w.yaml",
        "e.YAML",
    ]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.yaml").mkdir()
    assert [found.relative_to(tmp_path).as_posix() for found in recipe_files(tmp_path)] == [
        "a.yaml",
        "b.yml",
        "sub/c.yaml",
    ]


@pytest.mark.parametrize(
    ("recipe", "lock"), [("a.yaml", "a.lock.yaml"), ("x/a.b.yml", "x/a.b.lock.yaml"), ("a b.yaml", "a b.lock.yaml")]
)
def test_the_lock_of_a_recipe_lies_beside_it(recipe: str, lock: str) -> None:
    assert lock_name(recipe) == lock
    assert is_lock_name(lock)
    assert recipe in locked_names(lock)
    assert not is_lock_name(recipe)


def test_another_kind_of_lock_locks_nothing() -> None:
    assert is_lock_name("a.lock.yml")
    assert locked_names("a.lock.yml") == []


@pytest.mark.parametrize(
    "text",
    [
        "checkpoints: {}",
        "name: x\ncheckpoints:\n  a: b\n",
        "{checkpoints: {a: b}, output: {}}",
        '"checkpoints": 1',
        "﻿checkpoints: x",
        # What is no YAML any more says so at the beginning of a line.
        "checkpoints: {a\n",
        "name: 'x\ncheckpoints:\n",
        "'checkpoints' : [\n",
        '{"checkpoints": [}',
        "checkpoints: a\ncheckpoints: b\n",
    ],
)
def test_a_mapping_with_checkpoints_is_a_recipe(text: str) -> None:
    assert is_recipe(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- checkpoints: {}",
        "on: push\njobs:\n  x:\n    checkpoints: y\n",
        "checkpoints",
        "# checkpoints: {}\n",
        "a: 'checkpoints: x'",
        "a: |\n  checkpoints: x\n",
        "a: [\n  checkpoints: x",
        "my_checkpoints: {}",
        "--- {a: b}\n--- {c: d}\n",
        "a: &a [*a, checkpoints]",
    ],
)
def test_other_yaml_is_none(text: str) -> None:
    assert not is_recipe(text.encode())


def test_bytes_that_are_no_text_are_no_recipe_unless_they_say_so() -> None:
    assert not is_recipe(b"\xff\xfe\0c")
    assert not is_recipe(bytes(1 << 17))
    assert is_recipe(b"name: \xff\ncheckpoints: {}\n")


def test_links_in_a_folder_are_left_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.yaml").write_text("password: x\n")
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "a.yaml").touch()
    (folder / "b.yaml").symlink_to(outside / "secret.yaml")
    (folder / "more").symlink_to(outside)
    assert recipe_files(folder) == [folder / "a.yaml"]
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert recipe_files(link) == [link / "a.yaml"]


def test_two_recipes_of_one_lock_are_found(tmp_path: Path) -> None:
    recipe, other = tmp_path / "a.yaml", tmp_path / "a.yml"
    recipe.write_text("checkpoints: {}\n")
    assert sibling_of(recipe) is None
    other.write_text("on: push\n")
    assert sibling_of(recipe) is None
    other.write_text("checkpoints: {}\n")
    assert (sibling_of(recipe), sibling_of(other)) == (other, recipe)
    other.unlink()
    other.symlink_to(recipe)
    assert sibling_of(recipe) is None
