"""Scratch git repositories, which depend on nothing that this machine's git is set to."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

# As in a container: nobody's settings, no questions, the same dates everywhere.
_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}
_SETTINGS = ("user.name=Test", "user.email=test@example.org", "init.defaultBranch=main", "commit.gpgSign=false")


def git(folder: Path, *arguments: str | Path) -> str:
    """What the real git says, run in a folder."""
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *settings, *map(str, arguments)],
        cwd=folder,
        env=inherited | _ENVIRONMENT,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Scratch:
    """A repository with a work tree."""

    root: Path

    @classmethod
    def made(cls, root: Path) -> Scratch:
        root.mkdir(parents=True, exist_ok=True)
        git(root, "init", "--quiet")
        return cls(root)

    def put(self, name: str, text: str | bytes) -> Path:
        """Write a file in the work tree."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def commit(self, *files: tuple[str, str | bytes]) -> str:
        """Write files and commit all that is in the work tree. Returns the commit's id."""
        for name, text in files:
            self.put(name, text)
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--allow-empty", "--message", "Change")
        return git(self.root, "rev-parse", "HEAD").strip()
