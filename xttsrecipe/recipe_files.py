"""Which files are recipes: by name in a folder, by content wherever they lie; and what the lock of one is called."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path, PurePosixPath

from .document import Document, document_of, read_bytes
from .errors import RecipeError
from .yaml_syntax import SUFFIXES

# A lock is a page; one of sources that have nothing in common with XTTS-V2 tells every tensor of each.
MAX_LOCK_BYTES = 8 << 20
LOCK_SUFFIX = ".lock.yaml"
_LOCK_SUFFIXES = (LOCK_SUFFIX, ".lock.yml")

# The field that every recipe has, where a text is no YAML (any more).
_CHECKPOINTS = re.compile(rb"(?m)^(?:\xef\xbb\xbf)?(?:\{\s*)?[\"']?checkpoints[\"']?\s*:")


def recipe_files(folder: Path) -> list[Path]:
    """The files below a folder that may be recipes, sorted: .yaml and .yml, neither locks nor hidden, and no links: in
    somebody's branch one may lead to any file of who looks at it.
    """
    return sorted(found for found in folder.rglob("*") if _may_be_recipe(found, folder))


def _may_be_recipe(found: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in found.relative_to(folder).parts)
    if found.suffix not in SUFFIXES or is_lock_name(found.name) or hidden:
        return False
    below = [found, *(part for part in found.parents if part.is_relative_to(folder) and part != folder)]
    return os.path.isfile(found) and not any(map(os.path.islink, below))  # noqa: PTH113


def is_lock_name(name: str) -> bool:
    """Whether a file is the lock of a recipe, by its name."""
    return name.endswith(_LOCK_SUFFIXES)


def lock_name(recipe: str) -> str:
    """Where the lock of a recipe lies: ``a/x.lock.yaml`` for ``a/x.yaml``."""
    return str(PurePosixPath(recipe).with_suffix(LOCK_SUFFIX))


def locked_names(lock: str) -> list[str]:
    """The recipes whose lock this may be: ``a/x.yaml`` and ``a/x.yml`` for ``a/x.lock.yaml``; none for .lock.yml."""
    stem = lock.removesuffix(LOCK_SUFFIX)
    return [] if stem == lock else [stem + suffix for suffix in SUFFIXES]


def sibling_of(recipe: Path) -> Path | None:
    """Another recipe whose lock would be the same file: ``x.yml`` beside ``x.yaml``; None where there is none."""
    for name in locked_names(lock_name(recipe.name)):
        other = recipe.with_name(name)
        if name != recipe.name and os.path.isfile(other):  # noqa: PTH113 # never raises
            with contextlib.suppress(RecipeError):
                if is_recipe(read_bytes(other)) and not os.path.samefile(other, recipe):  # noqa: PTH121
                    return other
    return None


def is_recipe(raw: bytes) -> bool:
    """Whether YAML is a recipe: a mapping with ``checkpoints``, whatever else is wrong with it.

    Of a text that is no YAML the beginning of a line must say so.
    """
    if b"checkpoints" not in raw:
        return False
    try:
        document: Document = document_of(raw, "")
    except RecipeError:
        return _CHECKPOINTS.search(raw) is not None
    return isinstance(document.data, dict) and "checkpoints" in document.data
