"""What a command line changes in a recipe: ``--set FIELD=VALUE`` and ``-o PATH``.

Relative file names in it are the caller's, those in a recipe the recipe's.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .codes import Code
from .document import Document, parse_value
from .errors import Location, Problem, RecipeError, did_you_mean

# The field beside the names of sources in ``vocabulary``.
ORDER = "order"
_MAX_DEPTH = 500

_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of the recipe and what it becomes; relative file names are the caller's. ``origin``: as it was given."""

    path: tuple[str, ...]
    value: Any
    text: str
    origin: str

    @property
    def names_a_file(self) -> bool:
        match self.path:
            case ("output", "path") | ("checkpoints", _) | ("checkpoints", _, "path"):
                return True
            case ("vocabulary", name):
                return name != ORDER
        return False


def parse_setting(text: str) -> Setting:
    """A ``--set`` argument, ``checkpoints.news=/data/x.pth``; parts with dots in them are quoted.

    Raises ValueError for another form, RecipeError for a value that is no YAML.
    """
    match = re.fullmatch(r'((?:"[^"]*"|[^."=]+)(?:\.(?:"[^"]*"|[^."=]+))*)=(.*)', text, re.DOTALL)
    if not match:
        raise ValueError(f"{text!r} is not of the form FIELD=VALUE, as in checkpoints.news=/data/news.pth")
    if match[1].count(".") > _MAX_DEPTH:
        raise ValueError("no field of a recipe lies so deep")
    path = tuple(part.strip('"') for part in re.findall(r'"[^"]*"|[^."]+', match[1]))
    setting = Setting(path, match[2], text, f"--set {text}")
    return setting if setting.names_a_file else replace(setting, value=parse_value(match[2]))


def output_setting(path: str) -> Setting:
    """What ``-o PATH`` means; the name of a folder that is there stands for that folder, with or without a / behind."""
    folder = path and os.path.isdir(expanded(path)) and not path.endswith("/")  # noqa: PTH112 # never raises
    return Setting(("output", "path"), f"{path}/" if folder else path, f"output.path={path}", f"-o {path}")


def apply_setting(document: Document, setting: Setting) -> Document:
    """The document as a setting changes it. Raises RecipeError where there is no such checkpoint, or vocabulary: a
    setting says where a file lies that the recipe names.
    """
    path, value, origin = setting.path, setting.value, Location(setting.origin)
    if setting.names_a_file:
        slash = "/" if value.endswith(("/", os.sep)) else ""  # which says that it is a folder
        value = str(Path.cwd() / expanded(value)) + slash
    data = document.data if isinstance(document.data, dict) else {}
    known = data.get("checkpoints")
    if path[0] == "checkpoints" and len(path) > 1 and isinstance(known, dict):
        if path[1] not in known:
            # A new source would change every weight; a typo must not do that.
            what = f"no source named {path[1]!r}{did_you_mean(path[1], known)}"
            raise RecipeError(
                Problem(Code.UNKNOWN_SOURCE, what, origin, expected=f"one of {', '.join(map(str, known))}")
            )
        if len(path) == 2 and isinstance(known[path[1]], dict):
            path = (*path, "path")  # the digest beside it still holds
    if setting.names_a_file and path[0] == "vocabulary":
        vocabularies = data.get("vocabulary") or {}
        if isinstance(vocabularies, dict) and path[1] not in vocabularies:
            # What only a command line names would not be in the output's record.
            named = [name for name in vocabularies if name != ORDER]
            what = f"the recipe names no vocabulary for {path[1]!r}{did_you_mean(path[1], named)}"
            expected = f"one of {', '.join(named)}" if named else None
            hint = f"name it in the recipe: vocabulary: {{{path[1]}: PATH}}"
            raise RecipeError(Problem(Code.UNKNOWN_SOURCE, what, origin, expected=expected, hint=hint))
    return document.with_value(path, value, origin)


def unexpanded(text: str) -> str | None:
    """A file name as it is written, where what it stands for is this machine's own, and may be a secret; else None."""
    return text if text.startswith("~") or _VARIABLE.search(text) else None


def expanded(text: str) -> Path:
    """A file name with ``~`` and ``${VAR}`` replaced; a variable that is not set, or empty, stays to be reported."""
    text = _VARIABLE.sub(lambda match: os.environ.get(match[1]) or match[0], text)
    return Path(os.path.expanduser(text))  # noqa: PTH111 # Path.expanduser raises where there is no such user
