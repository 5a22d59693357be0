"""How it looks what a run did."""

from __future__ import annotations

from collections.abc import Iterator

from ..codes import Code
from ..errors import Problem
from ..plan import Plan
from ..summary import NonFinite, Summary
from .layout import counted, size_text
from .problems import place_text, problem_text


def summary_text(plan: Plan, summary: Summary) -> str:
    """The line for stdout: which file, how much, how fast."""
    rate = size_text(int(summary.nbytes / max(summary.seconds, 1e-9)))
    amount = f"{counted(summary.tensors, 'tensor')}, {size_text(summary.nbytes)} in {summary.seconds:.1f} s ({rate}/s)"
    beside = f", with {', '.join(companion.name for companion in plan.companions)}" if plan.companions else ""
    return f"{place_text(summary.output, plan.recipe.output.is_directory)}: {amount}{beside}\n"


def nonfinite_text(summary: Summary) -> str:
    """The warning for stderr: which tensors hold NaN or infinity, and who brought it; nothing where none does."""
    if not summary.nonfinite:
        return ""
    verb = "holds" if len(summary.nonfinite) == 1 else "hold"
    what = f"warning: {counted(len(summary.nonfinite), 'tensor')} {verb} values that are NaN or infinite"
    details = tuple(f"{tensor.key}: {', '.join(_origins(tensor))}" for tensor in summary.nonfinite)
    return problem_text(Problem(Code.NOT_FINITE, what, details=details, all_details=True))


def _origins(tensor: NonFinite) -> Iterator[str]:
    for source, count in tensor.brought.items():
        yield f"{count:,} from {source}"
    if tensor.overflowed:
        yield f"{tensor.overflowed:,} too large for {tensor.dtype}"
