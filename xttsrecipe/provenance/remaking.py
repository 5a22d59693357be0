"""Proves what a checkpoint was made from: its recipe is read back, the merge made once more, and compared.

Writes nothing. Without the sources, what a lock has of the output is compared instead.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import checkpoints
from ..codes import Code
from ..digests.plan import plan_digest
from ..document import parse_document
from ..errors import CheckpointError, Location, Problem, RecipeError
from ..licence import digest_at
from ..metadata import provenance_of, recorded_sources
from ..plan import Plan, make_plan
from ..recipe import Recipe, parse_recipe
from ..report.layout import printable
from ..settings import Setting, apply_setting, output_setting, parse_setting, unexpanded
from ..sources import is_here, open_sources
from ..specs import Header
from ..version import __version__
from ..written_paths import naming_as_written
from ..yaml_syntax import dump
from .likeness import differences


@dataclass(frozen=True, slots=True)
class Making:
    """What a checkpoint says of how it was made. ``recipe``: the text; ``settings``: what ``--set`` changed in it."""

    header: Header
    recipe: str
    settings: tuple[str, ...]
    data: Mapping[str, Any]


def making_of(path: Path) -> Making:
    """Raises CheckpointError for what cannot be read, or was not made by xttsrecipe."""
    header = checkpoints.open_checkpoint(path)
    made = provenance_of(header.entries)
    recipe = made.get("recipe")
    if not isinstance(recipe, str):
        hint = "xttsrecipe inspect shows what it is"
        raise CheckpointError(
            Problem(Code.NO_PROVENANCE, "does not say that xttsrecipe made it", Location(str(path)), hint=hint)
        )
    settings = made.get("set", ())
    texts = tuple(text for text in settings if isinstance(text, str)) if isinstance(settings, (list, tuple)) else ()
    return Making(header, recipe, texts, made)


def recipe_text(making: Making) -> str:
    """The recipe that an output was made from, as it was run: settings are in it. Raises RecipeError."""
    document = parse_document(making.recipe, str(making.header.path))
    if not making.settings:
        return making.recipe
    for setting in _settings(making):
        document = apply_setting(document, setting)
    changes = "".join(f"# changed by --set {printable(text)}\n" for text in making.settings)
    return changes + dump(document.data)


def _settings(making: Making) -> list[Setting]:
    try:
        return [parse_setting(text) for text in making.settings]
    except ValueError as error:
        what = f"holds a setting that is none: {error}"
        raise RecipeError(Problem(Code.NO_PROVENANCE, what, Location(str(making.header.path)))) from error


def folders(header: Header, recipe: Path | None) -> list[Path]:
    """Where a recipe may have lain, whose relative paths start there: where it is said to lie, or else where one
    stands and where the checkpoint lies, and folders called ``recipes`` there.
    """
    if recipe:
        return [recipe if recipe.is_dir() else recipe.parent]
    place = Path(os.path.abspath(header.place))  # noqa: PTH100 # links are not followed
    here = [Path(), place.parent, place.parent.parent]
    return [found for folder in here for found in (folder, folder / "recipes") if found.is_dir()]


def planned_again(making: Making, recipe: Path | None, settings: Sequence[Setting]) -> Plan | Sequence[str]:
    """The plan that an output was made by, over its sources; where these are not at hand, what is not there.

    Raises XttsRecipeError for a recipe that is not valid, and for sources that cannot be read.
    """
    absent: list[str] = []
    found: list[Plan] = []
    for folder in folders(making.header, recipe):
        made = recipe_in(making, folder, settings)
        missing = [unexpanded(source.text) or str(source.path) for source in made.sources if not is_here(source)]
        absent = absent or missing
        if not missing:
            with naming_as_written(made):
                found.append(make_plan(made, open_sources(made.sources)))
            if not any(source_problems(making, found[-1])):
                return found[-1]
    return found[0] if found else absent


def recipe_in(making: Making, folder: Path, settings: Sequence[Setting]) -> Recipe:
    """The recipe that an output holds, as though it lay in a folder and wrote that output. Raises RecipeError."""
    document = parse_document(making.recipe, str(making.header.path))
    place = making.header.place
    output = output_setting(f"{place}/" if making.header.directory else str(place))
    return parse_recipe(document, folder / "recipe.yaml", [*_settings(making), *settings, output])


def source_problems(making: Making, plan: Plan) -> Iterator[Problem]:
    """The sources that are not the files that the output was made from, by what it says of them."""
    recorded = recorded_sources(making.data)
    for source, header in zip(plan.recipe.sources, plan.headers, strict=True):
        said = recorded.get(source.name, {})
        if (said.get("header_sha256"), said.get("size")) != (header.digest, header.stamp.size):
            yield Problem(
                Code.SOURCE_NOT_AS_MADE_FROM,
                f"{source.name} is not the file that the output was made from",
                Location(str(header.path)),
                found=f"header sha256 {header.digest}, {header.stamp.size:,} bytes",
                expected=f"header sha256 {said.get('header_sha256')}, {said.get('size')} bytes",
                hint=f"name the right one: --set checkpoints.{source.name}=PATH",
            )


def mismatches(making: Making, plan: Plan, with_config: bool = True) -> Iterator[str]:
    """Where an output is not what its recipe makes, as far as its header and the files beside it tell."""
    yield from differences(making.header, plan, with_config)
    yield from _differing_files(making)
    if hashlib.sha256(making.recipe.encode()).hexdigest() != making.data.get("recipe_sha256"):
        yield "recipe_sha256: is not that of the recipe that it holds"
    if making.data.get("version") == __version__ and making.data.get("plan_sha256") != plan_digest(plan):
        yield "plan_sha256: is not that of the recipe over these sources"


def _differing_files(making: Making) -> Iterator[str]:
    """The files beside a model that are not as they were written with it; one beside a file may have stayed behind."""
    files = making.data.get("files")
    for name, digest in sorted(files.items()) if isinstance(files, dict) else ():
        path = making.header.path.with_name(Path(str(name)).name)
        try:
            if digest_at(path) != digest:
                yield f"{name}: is not as it was written with the model"
        except OSError:
            if making.header.directory:
                yield f"{name}: is missing"
