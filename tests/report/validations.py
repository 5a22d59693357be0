"""Recipes to validate, good and bad, in the current folder; and what GitHub's runner would make of a log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from xttsrecipe.outcome import Validation
from xttsrecipe.validation import validate

SOURCES = "checkpoints: {news: news.pth, audiobook: audiobook.pth}\n"
OUTPUT = "output: {path: merged.pth}\n"
# What tries to become a command, a line of its own, Markdown, HTML, a link, a placeholder, or to steer a terminal.
EVIL = (
    "\n::add-mask::x\n##[stop-commands]x ::error::x %0A::debug::x\r```\n# Heading\n<img src=x onerror=alert(1)>\n"
    "[click](https://example.com) {0} @team #1 | \x1b[2J \u202e \u2028"
)


def recipe(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def rule(pattern: str) -> str:
    """A recipe with this pattern, in double quotes as YAML escapes it."""
    quoted = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in pattern)
    return f'{SOURCES}overrides:\n  "{quoted}": from news\n{OUTPUT}'


def mixed() -> list[Validation]:
    """The results for a folder of recipes: valid, invalid in several ways, hostile, and with a bad checkpoint."""
    recipe("recipes/average.yaml", SOURCES + OUTPUT)
    recipe("recipes/empty.yaml", "# to be written\n")
    recipe("recipes/evil.yaml", rule(EVIL))
    recipe("recipes/für alle, 100%/a:b.yaml", f"{SOURCES}weights: {{news: 0.6, audibook: 0.5}}\n{OUTPUT}")
    recipe("recipes/quotes.yaml", f"{SOURCES}overrides:\n  *encoder*: from news\n{OUTPUT}")
    recipe("recipes/short.yaml", "checkpoints: {news: ../voices/news.pth}\noutput: {path: merged.pth}\n")
    recipe("voices/news.pth", "")
    return list(validate([Path("recipes")]))


def twelve_problems() -> list[Validation]:
    """Twelve of one recipe, in as many lines."""
    weights = "".join(f"  voice{number}: 0\n" for number in range(12))
    recipe("recipes/many.yaml", f"{SOURCES}weights:\n  news: 1\n  audiobook: 0\n{weights}{OUTPUT}")
    return list(validate([Path("recipes")]))


class Command(NamedTuple):
    """A workflow command as the runner has read it."""

    name: str
    properties: dict[str, str]
    message: str


def commands(log: str) -> list[Command]:
    """The commands that a runner finds in a log: lines that begin with ``::``, and ``##[`` anywhere in others."""
    return [found for line in re.split(r"\r\n|\n|\r", log) if (found := _command(line))]


def _command(line: str) -> Command | None:
    match = re.match(r"\s*::([\w-]+)(?: (.*?))?::(.*)", line)
    if match:
        pairs = [part.partition("=") for part in (match[2] or "").split(",") if part.strip()]
        return Command(
            match[1], {key: _unescaped(value, "%3A:", "%2C,") for key, _, value in pairs}, _unescaped(match[3])
        )
    old = re.search(r"##\[([\w-]+)[^\]]*\](.*)", line)
    return Command(old[1], {}, old[2]) if old else None


def _unescaped(text: str, *more: str) -> str:
    for escape in ("%0D\r", "%0A\n", *more, "%25%"):
        text = text.replace(escape[:3], escape[3])
    return text
