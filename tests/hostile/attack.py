"""What an attack is: something that makes a file, and what must be said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

# What writes a hostile file at a path, and a regular expression that the refusal fits.
Attack = tuple[Callable[[Path], object], str]
Corpus = Mapping[str, Attack]

# In place of that expression: the file is read, and no harm comes of it.
HARMLESS = ""
