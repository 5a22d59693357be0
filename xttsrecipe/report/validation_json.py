"""What ``validate`` found for machines: one JSON object.

``valid``: whether all recipes are. ``files``: for each recipe in the order of the call

- ``file``: its name as the call has it, and ``valid``;
- ``extent``: what was checked, in words; null where it is invalid;
- ``warnings`` and ``notes``: sentences that make no recipe invalid; there are some only where the plan could be made;
- ``drift``: problems of a lock that does not speak of the recipe and its files as they are now; they make no recipe
  invalid;
- ``problems``: for each its ``code`` (``XR101``) and ``name`` (``unknown-source``), ``message``, the place as ``file``,
  ``line``, ``column`` and ``endColumn``, which is the first column after what is meant (all from 1, columns in
  characters), ``found``, ``expected``, ``hint``, and ``details``, a list of lines. What is not known is null.

Fields may be added; these stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import Problem
from ..outcome import Validation
from .json_text import json_text, whole


def validation_json(results: Sequence[Validation]) -> str:
    """All results as one JSON object."""
    return json_text({"valid": not any(result.problems for result in results), "files": list(map(_file, results))})


def _file(result: Validation) -> dict[str, Any]:
    return {
        "file": whole(str(result.file)),
        "valid": not result.problems,
        "extent": result.extent or None,
        "warnings": whole(result.warnings),
        "notes": whole(result.notes),
        "drift": list(map(problem_data, result.drift)),
        "problems": list(map(problem_data, result.problems)),
    }


def problem_data(problem: Problem) -> dict[str, Any]:
    """One problem as it is told everywhere."""
    where = problem.where
    return {
        "code": str(problem.code),
        "name": problem.code.label,
        "message": whole(problem.what),
        "file": where and whole(where.file),
        "line": where and where.line,
        "column": where and where.column,
        "endColumn": where and where.end_column,
        "found": whole(problem.found),
        "expected": whole(problem.expected),
        "hint": whole(problem.hint),
        "details": whole(problem.details),
    }
