"""The recipe that ``init`` writes for given checkpoints: equal weights, and comments that say what can be changed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from .codes import Code
from .document import parse_value
from .errors import Location, Problem, RecipeError
from .report.layout import printable, size_text
from .report.plan import training_text, version_text
from .specs import Header

_TEMPLATE = """\
# yaml-language-server: $schema=recipe.schema.json
# (Help in your editor: xttsrecipe schema > recipe.schema.json, beside this file.)
# See what it does: xttsrecipe plan FILE. Do it: xttsrecipe run FILE.
name: {name}
description: >-
  What this merge is for, and why the numbers are what they are.

# Each checkpoint under a name of your choice; paths are relative to this file's folder.
checkpoints:
{checkpoints}

# How much of each goes into every tensor that no override decides. They sum to 1.
weights:
{weights}

# Single tensors otherwise; the last rule that matches decides. xttsrecipe inspect shows the keys.
# overrides:
#   "hifigan_decoder.*": from {first}
#   "gpt.gpt.h.{{0..9}}.*":
#     weights: {{{example}}}

# The checkpoint that the config comes from.
metadata:
  from: {first}

{companions}output:
  path: {output}
  layout: preserve  # or release, trainer
  dtype: keep  # or float32, float16, bfloat16
"""

_COMPANIONS = """\
# The checkpoint whose config.json, vocab.json and speakers_xtts.pth the output directory gets.
companions: from {first}

"""


def starter_recipe(headers: Sequence[Header], folder: Path) -> str:
    """A recipe in YAML that merges these checkpoints in equal parts; file names are relative to ``folder``.

    Raises RecipeError for a file whose name a recipe cannot say.
    """
    names = _names([header.path for header in headers])
    checkpoints, weights = [], []
    share = round(1 / len(names), 4)
    for position, (name, header) in enumerate(zip(names, headers, strict=True)):
        facts = [f"{header.layout} layout", version_text(header), size_text(header.stamp.size), training_text(header)]
        checkpoints.append(f"  # {printable(', '.join(fact for fact in facts if fact != '-'))}")
        checkpoints.append(f"  {name}: {_quoted(_relative(header.place, folder))}")
        last = position == len(names) - 1
        weights.append(f"  {name}: {round(1 - share * position, 4) if last else share:g}")
    title = "_".join(names[:3])
    return _TEMPLATE.format(
        name=title,
        # Of model directories people want one that the client loads as it is.
        output=f"{title}_merged/" if all(header.directory for header in headers) else f"{title}_merged.pth",
        companions=_COMPANIONS.format(first=names[0]) if all(header.directory for header in headers) else "",
        checkpoints="\n".join(checkpoints),
        weights="\n".join(weights),
        first=names[0],
        example=", ".join(line.strip() for line in weights),
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """A name for each file: its stem, or its folder's where the stem is what every model file is called."""
    names: list[str] = []
    for path in paths:
        stem = path.absolute().parent.name if path.stem in ("model", "best_model") else path.stem
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-") or "model"
        # A word that YAML takes for something else (true, null) or a number is no name.
        name = name if re.match(r"[A-Za-z_]", name) and parse_value(name) == name else f"model_{name}"
        base, number = name, 2
        while name in names:
            name, number = f"{base}_{number}", number + 1
        names.append(name)
    return names


def _relative(path: Path, folder: Path) -> str:
    if "${" in str(path):
        raise RecipeError(
            Problem(
                Code.UNUSABLE_FILE_NAME,
                "has ${ in its name, which recipes replace",
                Location(str(path)),
                hint="rename it",
            )
        )
    try:
        # Resolved, as the system resolves the recipe's folder when it follows a relative name from there.
        relative = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return path.absolute().as_posix()
    return f"./{relative}" if relative.startswith("~") else relative  # not somebody's home


def _quoted(text: str) -> str:
    """``text`` as a YAML value: plain where that is safe, else in double quotes."""
    if re.fullmatch(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*", text) and parse_value(text) == text:
        return text
    escapes = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(escapes.get(c, c if c.isprintable() else f"\\U{ord(c):08x}") for c in text) + '"'
