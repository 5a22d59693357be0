"""Lines in the log of a GitHub workflow: commands that make annotations, and text that is no command.

Commands, their escaping and limits: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import Location, Problem
from .layout import printable
from .repository import path_in, repository_root

# Of each kind, GitHub shows so many annotations of one step, and drops the others without a word.
MOST_ANNOTATIONS = 10

_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def workflow_command(name: str, message: str, **properties: str | int | None) -> str:
    """``::error file=a.yaml,line=3::message`` with a line break behind it. Properties that are None are left out.

    Line breaks in the message are meant; of everything else that a terminal would act on, the escape is shown.
    """
    given = {key: printable(str(value)).translate(_PROPERTY) for key, value in properties.items() if value is not None}
    head = f"{name} {','.join(f'{key}={value}' for key, value in given.items())}" if given else name
    lines = "\n".join(map(printable, message.split("\n")))
    return f"::{head}::{lines.translate(_DATA)}\n"


def problem_command(kind: str, problem: Problem, message: str, path: Path, where: Location | None) -> str:
    """The annotation of a problem (``kind``: error, warning) on a file, at the place in it where that is known."""
    return workflow_command(
        kind,
        message,
        file=workspace_path(path),
        line=where.line if where else None,
        col=where.column if where else None,
        endColumn=where.end_column if where else None,
        title=f"{problem.code} {problem.code.label}",
    )


def harmless(text: str) -> str:
    """Lines for the log that a runner takes for no command, whatever is quoted in them.

    It looks for ``::`` at the beginning of a line and, as of old, for ``##[`` anywhere.
    """
    return re.sub(r"(?m)((?:^|\r)[^\S\n]*)::", r"\1\\x3a:", text.replace("##[", r"\x23#["))


def workspace_path(path: Path) -> str:
    """A file as annotations name it: from the repository's root, or as it was given where it lies elsewhere."""
    return path_in(repository_root(), str(path)) or path.as_posix()
