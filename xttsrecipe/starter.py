"""The recipe that ``init`` writes for given checkpoints, or those of a run: weights, and comments that say what can be
changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from pathlib import Path

from .codes import Code
from .document import parse_value
from .errors import Location, Problem, RecipeError
from .report.layout import counted, printable, size_text
from .report.plan import loss_text, training_text, version_text
from .run_folder import Selection, eval_loss_of
from .specs import Header

_TEMPLATE = """\
# yaml-language-server: $schema=recipe.schema.json
# (Help in your editor: xttsrecipe schema > recipe.schema.json, beside this file.)
# See what it does: xttsrecipe plan FILE. Do it: xttsrecipe run FILE.
name: {name}
description: >-
  {description}

# Each checkpoint under a name of your choice; paths are relative to this file's folder.
checkpoints:
{checkpoints}

# How much of each goes into every tensor that no override decides. They sum to 1.
{explained}weights:
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

# Digits after the point that weights are rounded to. What is 0 with the most is far below the precision of float32.
_FEWEST_DIGITS = 4
_MOST_DIGITS = 12

# Characters of a run's name that the output is called after: a file's name has 255 at most.
_LONGEST_RUN = 100

_FADING = """\
# Exponential: {ema}^k for the one that has k newer ones, divided by the sum of all. The newest counts most.
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
    return _recipe(headers, folder, names, "_".join(names[:3]), _parts(len(names)))


def run_recipe(chosen: Selection, folder: Path, ema: float | None = None) -> str:
    """A recipe in YAML that averages checkpoints of a training run: in equal parts, or with ``ema`` in parts that from
    each to the next older one shrink to so much of it; file names are relative to ``folder``.

    Raises RecipeError as ``starter_recipe``, ValueError for an ``ema`` that is not above 0 and at most 1.
    """
    if ema is not None and not 0 < ema <= 1:
        raise ValueError(f"ema is {ema}, and has to be above 0 and at most 1")
    headers = [checkpoint.header for checkpoint in chosen.checkpoints]
    names = [re.sub("^checkpoint", "step", header.path.stem) for header in headers]
    (run,) = _names([Path(os.path.abspath(chosen.folder)) / "model.pth"])  # noqa: PTH100 # '..' is no name of a run
    count = counted(len(names), "checkpoint")
    fading = ema is not None and ema < 1
    which = f"The last {count}" if chosen.by == "last" else f"The {count} with the smallest eval_loss"
    how = "weights that fade with age" if fading else "equal weights"
    return _recipe(
        headers,
        folder,
        names,
        f"{run[:_LONGEST_RUN]}_{chosen.by}_{len(names)}",
        _parts(len(names), ema or 1),
        description=f"{which} of the training run {run},\n  averaged with {how}.",
        explained=_FADING.format(ema=Decimal(repr(ema)).normalize()) if fading else "",
        first=-1,
    )


def _recipe(
    headers: Sequence[Header],
    folder: Path,
    names: Sequence[str],
    title: str,
    parts: Sequence[Decimal],
    description: str = "What this merge is for, and why the numbers are what they are.",
    explained: str = "",
    first: int = 0,
) -> str:
    """``first``: the checkpoint that gives what only one can give."""
    checkpoints = []
    for name, header in zip(names, headers, strict=True):
        facts = [f"{header.layout} layout", version_text(header), size_text(header.stamp.size), training_text(header)]
        if isinstance(loss := eval_loss_of(header.entries), float):
            facts.append(f"eval_loss {loss_text(loss)}")
        checkpoints.append(f"  # {printable(', '.join(fact for fact in facts if fact != '-'))}")
        checkpoints.append(f"  {name}: {_quoted(_relative(header.place, folder))}")
    weights = [f"{name}: {part:f}" for name, part in zip(names, parts, strict=True)]
    directories = all(header.directory for header in headers)
    return _TEMPLATE.format(
        name=title,
        description=description,
        # Of model directories people want one that the client loads as it is.
        output=f"{title}_merged/" if directories else f"{title}_merged.pth",
        companions=_COMPANIONS.format(first=names[first]) if directories else "",
        checkpoints="\n".join(checkpoints),
        explained=explained,
        weights="\n".join(f"  {weight}" for weight in weights),
        first=names[first],
        example=", ".join(weights),
    )


def _parts(count: int, ema: float = 1) -> list[Decimal]:
    """What ``count`` checkpoints weigh, oldest first, each ``ema`` times the next: decimals that sum to 1 exactly.

    What is lost in rounding down goes to those that lost the most, of equal ones to the newer.
    """
    with localcontext(Context(prec=50)):
        powers = [Decimal(repr(ema)) ** newer for newer in reversed(range(count))]
        total = sum(powers)
        shares = [power / total for power in powers]
        digits = _FEWEST_DIGITS
        while digits < _MOST_DIGITS and min(shares).scaleb(digits) < 10:
            digits += 1
        exact = [share.scaleb(digits) for share in shares]
        units = [int(share) for share in exact]
        by_loss = sorted(range(count), key=lambda index: (exact[index] - units[index], index), reverse=True)
        for index in by_loss[: 10**digits - sum(units)]:
            units[index] += 1
        return [Decimal(unit).scaleb(-digits).normalize() for unit in units]


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
        # Resolved, as the system resolves the recipe's folder when it follows a relative name from there. A link in the
        # last place stays: what it points to may not say which step it is, and may be meant to change.
        relative = Path(os.path.relpath(path.parent.resolve() / path.name, folder.resolve())).as_posix()
    except ValueError:  # another drive
        return path.absolute().as_posix()
    return f"./{relative}" if relative.startswith("~") else relative  # not somebody's home


def _quoted(text: str) -> str:
    """``text`` as a YAML value: plain where that is safe, else in double quotes."""
    if re.fullmatch(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*", text) and parse_value(text) == text:
        return text
    escapes = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(escapes.get(c, c if c.isprintable() else f"\\U{ord(c):08x}") for c in text) + '"'
