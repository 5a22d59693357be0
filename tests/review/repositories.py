"""Git repositories for tests: scratch ones, and one with this project as it lies in the work tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]

RECIPE = """\
name: warm
checkpoints: {news: news.pth, audiobook: audiobook.pth}
weights: {news: 0.6, audiobook: 0.4}
output: {path: warm.pth}
"""

# What would point git, pre-commit or Python at something else, or change what our command prints.
_LEFT_OUT = ("GIT_", "PRE_COMMIT", "PYTHON", "GITHUB_", "CI_", "RUNNER_")


def environment(**more: str) -> dict[str, str]:
    """The environment of this process as far as it is no test's business, with an author for commits."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
    named = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Nobody"), ("EMAIL", "nobody@example.org"))
    }
    plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "NO_COLOR": "1", "COLUMNS": "200"}
    return kept | named | plain | more


@dataclass(frozen=True)
class Repository:
    """A git repository with a work tree."""

    folder: Path

    @classmethod
    def new(cls, folder: Path) -> Repository:
        """An empty one, on the branch main."""
        folder.mkdir(parents=True)
        made = cls(folder)
        made.git("init", "--quiet", "--initial-branch=main")
        return made

    def git(self, *arguments: str | Path) -> str:
        """What git prints. Raises CalledProcessError, with what it said, if it fails."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
        return done.stdout.strip()

    def write(self, name: str, text: str) -> Path:
        """A file of the work tree, with folders as needed."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def commit(self, message: str = "Change something") -> str:
        """The id of a commit of all that is in the work tree."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")


def project_repository(folder: Path) -> Repository:
    """A repository whose one commit has this project's files, committed or not, as pre-commit and GitHub clone it."""
    copy = Repository.new(folder)
    listed = Repository(PROJECT).git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in listed.split("\0"):
        if name and (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    copy.commit("This project")
    return copy
