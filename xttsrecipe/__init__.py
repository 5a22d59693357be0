"""Merge Coqui XTTS-V2 checkpoints from a declarative recipe. The functions are described in ``xttsrecipe.api``."""

from .api import inspect, load_recipe, make_plan, run
from .errors import CheckpointError, OutputError, Problem, RecipeError, XttsRecipeError
from .version import __version__

__all__ = [
    "CheckpointError",
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
