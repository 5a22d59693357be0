"""What ``validate`` found as SARIF 2.1.0, for code scanning.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; section numbers below are its.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..codes import Code
from ..errors import ExitCode, Problem
from ..outcome import Validation
from ..version import __version__
from .json_text import json_text
from .problems import message_text
from .repository import path_in, repository_root

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"


def sarif_text(results: Sequence[Validation]) -> str:
    """All results as a SARIF log of one run; the rules are the codes that occur, by number."""
    root = repository_root()
    found = [("error", problem, result.file) for result in results for problem in result.problems]
    found += [("warning", problem, result.file) for result in results for problem in result.drift]
    codes = sorted({problem.code for _, problem, _ in found}, key=str)
    seen: Counter[str] = Counter()
    run = {
        "tool": {"driver": {"name": "xttsrecipe", "version": __version__, "rules": list(map(_rule, codes))}},
        "invocations": [{"executionSuccessful": True, "exitCode": _exit_code(results)}],
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The repository's root, or else the current folder."}}},
        "artifacts": [
            {"location": location, "roles": ["analysisTarget"]}
            for location in _once(_artifact(result.file, root) for result in results)
        ],
        "results": [_result(*each, root, codes, seen) for each in found],
    }
    return json_text({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(code: Code) -> dict[str, Any]:
    more = f"docs/problems.md of xttsrecipe has an example and what to do about it: {code} {code.label}."
    return {
        "id": str(code),
        "name": code.label,
        "shortDescription": {"text": code.meaning},
        "help": {"text": f"{code.meaning} {more}"},
        "defaultConfiguration": {"level": "error"},
    }


def _exit_code(results: Sequence[Validation]) -> ExitCode:
    return ExitCode.NO if any(result.problems for result in results) else ExitCode.OK


def _result(
    level: str, problem: Problem, file: Path, root: Path | None, codes: Sequence[Code], seen: Counter[str]
) -> dict[str, Any]:
    where = problem.where if problem.where and problem.where.file == str(file) else None
    # GitHub shows nothing that has no line.
    region = {"startLine": 1}
    if where and where.line:
        region = {"startLine": where.line}
        if where.column and where.end_column:
            region |= {"startColumn": where.column, "endColumn": where.end_column}
    artifact = _artifact(file, root)
    fingerprint = hashlib.sha256(
        "\0".join([artifact["uri"], str(problem.code), problem.what]).encode("utf-8", "backslashreplace")
    ).hexdigest()
    seen[fingerprint] += 1
    return {
        "ruleId": str(problem.code),
        "ruleIndex": codes.index(problem.code),
        "level": level,
        "message": {"text": _only_text(message_text(problem, str(file)))},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
        # Of what is wrong, not of the line, so that a problem stays the same when lines are added above it (3.27.17).
        "partialFingerprints": {"problem/v1": f"{fingerprint}:{seen[fingerprint]}"},
    }


def _only_text(message: str) -> str:
    """A message in which nothing that is quoted from a recipe reads as a link or a placeholder (3.11.5, 3.11.6)."""
    return re.sub(r"\{(\d+)\}", r"{{\1}}", message.replace("](", r"]\x28"))


def _artifact(file: Path, root: Path | None) -> dict[str, str]:
    """Relative to the repository where it lies in it, else absolute (3.4)."""
    path = path_in(root, str(file))
    if path is not None:
        return {"uri": _quoted(path), "uriBaseId": _ROOT}
    with contextlib.suppress(OSError):  # the current folder is gone
        return {"uri": f"file://{_quoted(file.absolute().as_posix())}"}
    return {"uri": _quoted(file.as_posix())}


def _once(locations: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    return list({location["uri"]: location for location in locations}.values())


def _quoted(path: str) -> str:
    return quote(os.fsencode(path))
