"""Merge Coqui XTTS-V2 checkpoints from a declarative recipe. The functions are described in ``xttsrecipe.api``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .version import __version__

if TYPE_CHECKING:
    from .api import inspect, load_recipe, make_plan, run
    from .codes import Code
    from .errors import CheckpointError, OutputError, Problem, RecipeError, XttsRecipeError

__all__ = [
    "CheckpointError",
    "Code",
    "OutputError",
    "Problem",
    "RecipeError",
    "XttsRecipeError",
    "__version__",
    "inspect",
    "load_recipe",
    "make_plan",
    "run",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    # All at once would be a tenth of a second in which the command does not yet know what to do on Ctrl-C.
    if name in ("api", "codes", "errors"):
        return importlib.import_module(f".{name}", __name__)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "api" if name.islower() else "codes" if name == "Code" else "errors"
    return getattr(importlib.import_module(f".{home}", __name__), name)
