"""A team at work, with the real tools: one has the checkpoints, locks and merges; another reviews a change of a recipe
where they are not, from hook to proof.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .repositories import PROJECT, RECIPE, Repository, environment
from .test_pre_commit import commit, configure, home, pre_commit

__all__ = ["home"]

Command = Callable[..., "subprocess.CompletedProcess[str]"]

# Whoever merges has torch: it is in the environment of the project itself.
MERGING = PROJECT / ".venv" / "bin" / "xttsrecipe"
TEXT = RECIPE.replace(".pth,", ".safetensors,").replace(".pth}\nw", ".safetensors}\nw")


def checkpoint(path: Path, value: float) -> None:
    """A file with two tensors of XTTS."""
    header = {
        "gpt.mel_head.bias": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "gpt.final_norm.bias": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]},
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + struct.pack("<3f", value, -value, 1.0))


def merging(team: Repository, *arguments: str) -> None:
    done = subprocess.run(
        [MERGING, *arguments],
        cwd=team.folder / "recipes",
        env=environment(XTTSRECIPE_CACHE=""),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not MERGING.exists(), reason="run from a project without .venv")
def test_a_change_is_reviewed_and_its_model_proved_where_no_checkpoint_is(
    project: Repository, home: Path, command: Command, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.git"
    team = Repository.new(tmp_path / "team")
    team.git("init", "--quiet", "--bare", "--initial-branch=main", bare)
    team.git("remote", "add", "origin", bare.as_uri())
    configure(team, project)
    team.write(".gitignore", "*.safetensors\n*.pth\n")
    team.write("recipes/warm.yaml", TEXT)
    for name, value in (("news", 1.0), ("audiobook", 3.0)):
        checkpoint(team.folder / "recipes" / f"{name}.safetensors", value)
    merging(team, "run", "--update-lock", "warm.yaml")
    team.commit("A warm voice")
    team.git("push", "--quiet", "origin", "main")

    team.git("checkout", "--quiet", "-b", "warmer")
    team.write("recipes/warm.yaml", TEXT.replace("0.6", "0.5").replace("0.4", "0.5"))
    merging(team, "run", "--update-lock", "warm.yaml")
    team.commit("Warmer")
    team.git("push", "--quiet", "origin", "warmer")

    review = Repository.new(tmp_path / "review")
    review.git("remote", "add", "origin", bare.as_uri())
    review.git("fetch", "--quiet", "origin")
    review.git("checkout", "--quiet", "-b", "warmer", "origin/warmer")
    assert not list(review.folder.rglob("*.safetensors"))

    hook = pre_commit(review, home, "run", "--from-ref", "origin/main", "--to-ref", "HEAD")
    assert (hook.returncode, "Passed" in hook.stdout) == (0, True), hook.stdout
    validated = command("validate", "recipes", "--format", "github", cwd=review.folder)
    assert (validated.returncode, "::error" in validated.stdout) == (0, False), validated.stdout
    plan = command("plan", "recipes/warm.yaml", cwd=review.folder)
    assert "news and audiobook not here: what is said of them is from the lock" in plan.stdout
    compared = command("diff", "origin/main", "--format", "markdown", cwd=review.folder)
    assert compared.returncode == 0, compared.stderr
    assert "1 recipe changed" in compared.stdout
    assert "`news` 0.6, `audiobook` 0.4" in compared.stdout
    assert "`news` 0.5, `audiobook` 0.5" in compared.stdout
    assert "from the lock" in compared.stdout
    assert "2 of 2 tensors change" in compared.stdout

    shutil.copy(team.folder / "recipes" / "warm.pth", tmp_path / "published.pth")
    proved = command("verify", tmp_path / "published.pth", "--recipe", "recipes/warm.yaml", cwd=review.folder)
    assert (proved.returncode, "without the sources" in proved.stdout) == (0, True), proved.stderr
    shown = command("show", tmp_path / "published.pth", cwd=review.folder)
    assert shown.stdout == (review.folder / "recipes" / "warm.yaml").read_text("utf-8")
    review.git("checkout", "--quiet", "origin/main")
    other = command("verify", tmp_path / "published.pth", "--recipe", "recipes/warm.yaml", cwd=review.folder)
    assert (other.returncode, "recipe: is not the one that warm.lock.yaml is of" in other.stderr) == (1, True)

    pre_commit(review, home, "install")
    review.write("recipes/warm.yaml", TEXT.replace("weights:", "wieghts:"))
    refused = commit(review, home)
    assert (refused.returncode, "no field named 'wieghts'" in refused.stderr) == (1, True)
