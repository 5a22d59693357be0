"""Folders that recipes are looked for in: of the work tree, or of a git revision. Names are as git has them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..codes import Code
from ..document import MAX_BYTES, read_bytes
from ..errors import Location, Problem, RecipeError
from ..recipe_files import MAX_LOCK_BYTES, is_lock_name, recipe_files
from .revisions import Repository


class Place(Protocol):
    """A folder, in the work tree or in a revision. Names are relative to it and have / between their parts."""

    def names(self) -> Iterable[str]:
        """The files that may be recipes."""

    def contents(self, names: Iterable[str], links: bool) -> Mapping[str, bytes | RecipeError]:
        """What the files hold, those that are there, cut off where they are too long; or why they cannot be read.

        Folders are no files. Links are left out, but for recipes where ``links`` says that they were asked for: then
        they are followed in the work tree, and cannot be read in a revision.
        """

    def label(self, name: str) -> str:
        """What people call a file."""

    def path(self, name: str) -> Path:
        """Where it lies or would lie in the work tree."""


def _most(name: str) -> int:
    return MAX_LOCK_BYTES if is_lock_name(name) else MAX_BYTES


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder in the work tree. ``shown``: what people call it, with the / behind which its files' names stand."""

    folder: Path
    shown: str

    def names(self) -> Iterable[str]:
        return [found.relative_to(self.folder).as_posix() for found in recipe_files(self.folder)]

    def contents(self, names: Iterable[str], links: bool) -> Mapping[str, bytes | RecipeError]:
        return {name: self._content(name) for name in names if self._is_file(name, links and not is_lock_name(name))}

    def _is_file(self, name: str, links: bool) -> bool:
        path = self.path(name)
        return os.path.lexists(path) and not os.path.isdir(path) and (links or not os.path.islink(path))  # noqa: PTH112, PTH114

    def _content(self, name: str) -> bytes | RecipeError:
        try:
            return read_bytes(self.path(name), _most(name), "a lock" if is_lock_name(name) else "a recipe")
        except RecipeError as error:
            return error

    def label(self, name: str) -> str:
        return self.shown + name

    def path(self, name: str) -> Path:
        return self.folder / name


@dataclass(frozen=True, slots=True)
class RevisionFolder:
    """The folder ``top`` (nothing for all of it) in the files of a revision, which lie under the id ``tree``."""

    repository: Repository
    revision: str
    tree: str
    top: str

    def _full(self, name: str) -> str:
        return f"{self.top}/{name}" if self.top else name

    def names(self) -> Iterable[str]:
        files = self.repository.files(self.tree)
        return [name for full in files if (name := self.within(full)) is not None and not is_lock_name(name)]

    def within(self, full: str) -> str | None:
        """The name of a file from here on; None where it lies elsewhere."""
        start = f"{self.top}/" if self.top else ""
        return full.removeprefix(start) if full.startswith(start) else None

    def contents(self, names: Iterable[str], links: bool) -> Mapping[str, bytes | RecipeError]:
        by_full = {self._full(name): name for name in names}
        entries = self.repository.entries(self.tree, list(by_full))
        found: dict[str, bytes | RecipeError] = {}
        ids: dict[int, dict[str, str]] = {}
        for full, entry in entries.items():
            name = by_full[full]
            if entry.is_file:
                ids.setdefault(_most(name), {})[name] = entry.id
            elif not entry.is_folder and not (entry.is_link and (is_lock_name(name) or not links)):
                found[name] = RecipeError(
                    Problem(
                        Code.NOT_IN_REVISION,
                        f"is {entry.what} in {self.revision}",
                        Location(self.label(name)),
                        expected="a file",
                    )
                )
        for most, by_name in ids.items():
            texts = self.repository.contents(by_name.values(), most)
            # Of what is too long nobody looks at more than its length.
            found |= {name: bytes(most + 1) if (raw := texts[id_]) is None else raw for name, id_ in by_name.items()}
        return found

    def label(self, name: str) -> str:
        return f"{self.revision}:{self._full(name)}"

    def path(self, name: str) -> Path:
        return self.repository.root / self._full(name)
