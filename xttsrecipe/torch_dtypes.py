"""Our element types as torch's."""

from __future__ import annotations

import torch

from .codes import Code
from .errors import Problem, XttsRecipeError
from .specs import DType


def torch_dtype(dtype: DType) -> torch.dtype:
    """torch's type of the same name. Raises XttsRecipeError where this torch is too old to have it."""
    found = getattr(torch, dtype.label, None)
    if not isinstance(found, torch.dtype):
        raise XttsRecipeError(
            Problem(Code.UNUSABLE_TORCH, f"torch {torch.__version__} has no {dtype}", hint="install a later torch")
        )
    return found
