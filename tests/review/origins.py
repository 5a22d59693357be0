"""A bare origin with a pull request in it, clones of it as a runner has them, and a command that only records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .repositories import RECIPE, Repository

# In place of the command where only what it is called with counts.
RECORDER = """\
#!/bin/sh
echo "$*" >>"$RECORD"
case $* in
  *--exit-code*) echo "differs"; exit "${CHANGED:-1}" ;;
esac
echo "compared"
"""


@dataclass(frozen=True)
class Origin:
    """A bare repository with main, and a pull request's branch that left it one commit ago."""

    bare: Path
    left: str  # main, where the branch left it
    base: str  # main, now
    head: str  # the branch

    def clone(self, folder: Path, ref: str, *options: str) -> Repository:
        """A clone as actions/checkout makes it."""
        made = Repository.new(folder)
        made.git("remote", "add", "origin", self.bare.as_uri())
        made.git("fetch", "--quiet", "--no-tags", *options, "origin", ref)
        made.git("checkout", "--quiet", "FETCH_HEAD")
        return made

    def context(self, **inputs: str) -> dict[str, Any]:
        """What expressions see in a run for the pull request."""
        # The event's base is as old as the last push to the branch.
        event = {"pull_request": {"base": {"sha": self.left}, "head": {"sha": self.head}}}
        return {"github": {"event": event}, "inputs": defaults() | inputs}


def defaults() -> dict[str, str]:
    return {"paths": "recipes", "base": "", "validate": "true", "diff": "true", "python-version": "3.12"}


def make_origin(folder: Path) -> Origin:
    """The repository, made in this folder."""
    work = Repository.new(folder / "work")
    work.write("recipes/warm.yaml", RECIPE)
    work.commit()
    left = work.commit("The branch leaves main here")
    work.git("checkout", "--quiet", "-b", "topic")
    work.write("recipes/warm.yaml", RECIPE.replace("0.6", "0.7").replace("0.4", "0.3"))
    head = work.commit("Change a weight")
    work.git("checkout", "--quiet", "main")
    work.write("notes.txt", "main goes on")
    base = work.commit("Go on")
    work.git("tag", "--annotate", "--message", "the first", "v1", left)
    work.git("checkout", "--quiet", "--detach")
    work.git("merge", "--quiet", "--no-ff", "--message", "Merge", "topic")
    work.git("update-ref", "refs/pull/1/merge", "HEAD")
    bare = folder / "bare.git"
    work.git("clone", "--quiet", "--mirror", work.folder, bare)
    return Origin(bare, left, base, head)


def recorded(tmp_path: Path) -> list[str]:
    """What the recorder was called with, a line each."""
    return (tmp_path / "record").read_text("utf-8").splitlines()
