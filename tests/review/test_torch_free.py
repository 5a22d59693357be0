"""The command as hooks and reviews install it: without torch. What works there, and what run says."""

from __future__ import annotations

import json
import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .repositories import PROJECT, RECIPE, environment

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two small checkpoints and a recipe for them."""
    for name in ("news", "audiobook"):
        header = json.dumps({"gpt.w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
        (tmp_path / f"{name}.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    recipe = RECIPE.replace("news.pth", "news.safetensors").replace("audiobook.pth", "audiobook.safetensors")
    (tmp_path / "recipe.yaml").write_text(recipe, "utf-8")
    return tmp_path


def test_nothing_of_torch_is_installed_and_nothing_else_is_missing(bin_folder: Path) -> None:
    done = subprocess.run(
        [bin_folder / "python", "-m", "pip", "--disable-pip-version-check", "check"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.stdout
    assert re.fullmatch(r"xttsrecipe \S+ requires torch, which is not installed\.", lines[0])
    names = {path.name for path in bin_folder.parent.rglob("site-packages/*")}
    assert {name for name in names if re.match("torch|nvidia|triton", name, re.IGNORECASE)} == set()


# Every verb but run, with arguments with which it works here.
VERBS = {
    "plan": ("recipe.yaml",),
    "validate": (".",),
    "lock": ("recipe.yaml",),
    "diff": ("recipe.yaml", "recipe.yaml"),
    "inspect": ("news.safetensors",),
    "components": (),
    "methods": (),
    "init": ("news.safetensors", "audiobook.safetensors"),
    "schema": (),
}

# They read what a run has written.
AFTER_A_RUN = {"verify", "show"}


@pytest.fixture(scope="session")
def verbs(command: Command) -> set[str]:
    """The verbs that the command's help lists."""
    listed = command("--help").stdout.partition("Commands")[2]
    return set(re.findall(r"^[│|] (\w[\w-]*) +\S", listed, re.MULTILINE))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_works_without_torch(verb: str, command: Command, folder: Path) -> None:
    done = command(verb, *VERBS[verb], cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr


def test_no_verb_is_left_out_here(verbs: set[str]) -> None:
    assert {"run", "validate"} <= verbs
    assert verbs - AFTER_A_RUN <= {"run", *VERBS}


def test_run_says_what_is_missing_and_writes_nothing(command: Command, folder: Path) -> None:
    before = sorted(folder.iterdir())
    done = command("run", "recipe.yaml", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "a run needs torch, which is not installed" in done.stderr
    assert "pip install torch" in done.stderr
    assert sorted(folder.iterdir()) == before


def test_the_recipes_of_this_project_validate(command: Command) -> None:
    done = command("validate", PROJECT / "recipes")
    assert (done.returncode, done.stderr) == (0, "")
