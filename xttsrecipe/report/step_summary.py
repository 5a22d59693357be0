"""The summary of a step of a GitHub workflow: Markdown in the file that the runner names in the environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from .streams import show
from .workflow_commands import workflow_command

# One that is larger is not shown at all.
_MOST_BYTES = 1 << 20


def add_to_step_summary(markdown: Callable[[int], str]) -> None:
    """Append to the summary of the step, if this is one, what ``markdown`` makes of the bytes that there is room for.

    That it cannot be written is told in the log, and is no reason to fail.
    """
    named = os.environ.get("GITHUB_STEP_SUMMARY")
    if not named:
        return
    try:
        with Path(named).open("ab") as file:
            before = file.tell()
            text = markdown(_MOST_BYTES - before - 1).encode("utf-8", "backslashreplace")
            file.write(b"\n" + text if before and text else text)
    except OSError as error:
        show(workflow_command("warning", f"the step summary cannot be written: {error.strerror or error}"))
