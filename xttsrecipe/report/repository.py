"""Files as those name them who look at a repository: from its root, with forward slashes."""

from __future__ import annotations

import os
from pathlib import Path


def repository_root() -> Path | None:
    """The nearest folder that holds a repository, from the current one upwards.

    Else the one that a GitHub workflow works in, else the current one; None if that is gone.
    """
    try:
        here = Path.cwd()
    except OSError:
        return None
    found = next((folder for folder in (here, *here.parents) if os.path.lexists(folder / ".git")), None)
    return found or Path(os.environ.get("GITHUB_WORKSPACE") or here)


def path_in(root: Path | None, file: str) -> str | None:
    """How a file is called from the root; None where it is not below it."""
    if root is None:
        return None
    absolute = Path(os.path.abspath(file))  # noqa: PTH100 # links in a repository are files of it
    for path, above in ((absolute, root), (Path(os.path.realpath(absolute.parent), absolute.name), _real(root))):
        if path.is_relative_to(above):
            return path.relative_to(above).as_posix()
    return None


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
