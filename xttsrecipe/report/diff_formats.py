"""The formats of a change, by name."""

from __future__ import annotations

from ..changes import Review
from .diff_github import diff_github
from .diff_json import diff_json
from .diff_markdown import diff_markdown
from .diff_text import diff_text
from .markdown import LEAST, MOST
from .step_summary import add_to_step_summary


def shown(review: Review, name: str, keys: bool) -> str:
    """What is printed in the format text (with every tensor where ``keys`` says so), markdown, json or github, which
    also adds to the summary of a workflow's step. Raises ValueError for another name.
    """
    match name:
        case "text":
            return diff_text(review, keys)
        case "markdown":
            return diff_markdown(review)
        case "json":
            return diff_json(review)
        case "github":
            add_to_step_summary(lambda room: diff_markdown(review, min(room, MOST)) if room >= LEAST else "")
            return diff_github(review)
    raise ValueError(f"there is no format {name!r}")
