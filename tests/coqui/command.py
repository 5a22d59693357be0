"""Runs the real command of the project, which is installed in another environment than the client.

XTTSRECIPE and XTTSRECIPE_PYTHON in the environment name another command and another interpreter.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
PYTHON = os.environ.get("XTTSRECIPE_PYTHON") or str(PROJECT / ".venv" / "bin" / "python")
_COMMAND = shlex.split(os.environ.get("XTTSRECIPE") or shlex.quote(str(PROJECT / ".venv" / "bin" / "xttsrecipe")))


def xttsrecipe(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """``xttsrecipe ARGUMENTS``, whatever it answers."""
    return subprocess.run(
        [*_COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"COLUMNS": "120", "NO_COLOR": "1", "PYTHONUTF8": "1"},
    )


def write_recipe(folder: Path, sources: Mapping[str, Path], weights: Sequence[float], to: str, **more: Any) -> Path:
    """A recipe file that merges ``sources`` by ``weights``; JSON is YAML. ``more``: further fields of the recipe."""
    text = {
        "name": "merged",
        "description": "Written by a test.",
        "checkpoints": {name: f"{path}/" if path.is_dir() else str(path) for name, path in sources.items()},
        "weights": dict(zip(sources, weights, strict=True)),
        **more,
        "output": {"path": to, **more.get("output", {})},
    }
    path = folder / f"{Path(to).stem}.yaml"
    path.write_text(json.dumps(text, indent=2, ensure_ascii=False), encoding="utf-8")
    return path


def merge(
    folder: Path, sources: Mapping[str, Path], weights: Sequence[float], to: str = "merged.pth", **more: Any
) -> Path:
    """The output, in ``folder``, of ``xttsrecipe run`` on such a recipe; the run has to succeed."""
    done = xttsrecipe("run", write_recipe(folder, sources, weights, to, **more))
    assert done.returncode == 0, f"xttsrecipe run: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return folder / to
