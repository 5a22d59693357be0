"""Merge Coqui XTTS-V2 checkpoints from a declarative recipe. The functions are described in ``xttsrecipe.api``."""

__version__ = "0.1.0"

from .api import inspect, load_recipe, make_plan, run
from .errors import CheckpointError, OutputError, Problem, RecipeError, XttsRecipeError

__all__ = [
    "CheckpointError",
    "OutputError",
    "Problem",
    "RecipeError",
    "XttsRecipeError",
    "inspect",
    "load_recipe",
    "make_plan",
    "run",
]
