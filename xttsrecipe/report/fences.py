"""Code spans and blocks of Markdown that hold any text as it is: what ends them is longer than what is in them."""

from __future__ import annotations

import re


def span(text: str) -> str:
    """A line of text as a code span. Not for text that begins or ends with a backtick."""
    fence = _fence(text, 1)
    return f"{fence}{text}{fence}"


def block(text: str, language: str = "text") -> str:
    """Lines, the last with its line break, as a block of code, in which nothing is Markdown or HTML."""
    fence = _fence(text, 3)
    return f"{fence}{language}\n{text}{fence}\n"


def _fence(text: str, least: int) -> str:
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(longest + 1, least)
