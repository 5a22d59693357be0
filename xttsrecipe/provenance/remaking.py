"""Proves what a checkpoint was made from: its recipe is read back, the merge made once more, and compared.

Writes nothing. Without the sources, what a lock has of the output is compared instead.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import checkpoints
from ..codes import Code
from ..digests.plan import plan_digest
from ..document import parse_document
from ..errors import CheckpointError, Location, Problem, RecipeError
from ..licence import digest_at, is_card
from ..metadata import provenance_of, recorded_sources
from ..plan import Plan, make_plan
from ..recipe import Recipe, parse_recipe
from ..report.layout import printable
from ..settings import Setting, apply_setting, output_setting, parse_setting, unexpanded
from ..sources import is_here, open_sources
from ..specs import Header
from ..version import __version__
from ..written_paths import naming_as_written
from ..xtts import CONFIG_FILE, MODEL_FILES
from ..yaml_syntax import dump
from .likeness import differences
from .model_card import card_name, is_our_card, with_card
from .record import known_digest, misrecorded, recorded_files

# As many as nobody sets.
_MAX_SETTINGS = 1_000


@dataclass(frozen=True, slots=True)
class Making:
    """What a checkpoint says of how it was made. ``recipe``: the text; ``settings``: what ``--set`` changed in it."""

    header: Header
    recipe: str
    settings: tuple[str, ...]
    data: Mapping[str, Any]


def making_of(path: Path) -> Making:
    """Raises CheckpointError for what cannot be read, or was not made by xttsrecipe.

    The model of an output directory stands for that directory.
    """
    header = checkpoints.open_checkpoint(path)
    made = provenance_of(header.entries)
    if header.path.name == MODEL_FILES[0] and CONFIG_FILE in recorded_files(made):
        folder = header.path.parent
        header = checkpoints.open_checkpoint(folder) if (folder / CONFIG_FILE).is_file() else header
    recipe = made.get("recipe")
    if not isinstance(recipe, str):
        hint = "xttsrecipe inspect shows what it is"
        raise CheckpointError(
            Problem(Code.NO_PROVENANCE, "does not say that xttsrecipe made it", Location(str(path)), hint=hint)
        )
    settings = made.get("set", ())
    if isinstance(settings, (list, tuple)) and len(settings) > _MAX_SETTINGS:
        what = f"says that {len(settings):,} settings changed its recipe, and at most {_MAX_SETTINGS:,} are read"
        raise CheckpointError(Problem(Code.NO_PROVENANCE, what, Location(str(path))))
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
    """What was set in the recipe; as its origin each has the checkpoint, which says so."""
    path = making.header.path
    found = []
    for text in making.settings:
        try:
            setting = parse_setting(text)
        except (ValueError, RecipeError) as error:
            what = f"holds a setting that is none: {error}"
            raise RecipeError(Problem(Code.NO_PROVENANCE, what, Location(str(path)), found=text)) from error
        found.append(replace(setting, origin=f"{path}: {setting.origin}"))
    return found


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
                found.append(with_its_card(making, make_plan(made, open_sources(made.sources))))
            if not any(source_problems(making, found[-1])):
                return found[-1]
    return found[0] if found else absent


def recipe_in(making: Making, folder: Path, settings: Sequence[Setting]) -> Recipe:
    """The recipe that an output holds, as though it lay in a folder and wrote that output. Raises RecipeError."""
    header = making.header
    document = parse_document(making.recipe, str(header.path))
    data = document.data
    if not isinstance(data, dict) or not isinstance(data.get("output"), (dict, type(None))):
        raise RecipeError(Problem(Code.NO_PROVENANCE, "holds a recipe that is none", Location(str(header.path))))
    place = header.place
    if not header.directory and CONFIG_FILE in recorded_files(making.data):
        place = place.parent  # a directory's model that was taken out of it
    is_directory = header.directory or place != header.place
    output = replace(output_setting(f"{place}/" if is_directory else str(place)), origin=str(header.path))
    changes = [*_settings(making), *settings, output]
    recipe = parse_recipe(document, folder / "recipe.yaml", changes)
    name = making.data.get("recipe_name")
    is_named = "name" in data or any(setting.path == ("name",) for setting in changes)
    # One that has no name in it has that of its file.
    return recipe if is_named or not isinstance(name, str) else replace(recipe, name=name)


def with_its_card(making: Making, plan: Plan) -> Plan:
    """The plan with a model card where the output has one, in which sources' files are called as the output says: what
    they are called elsewhere is another matter.
    """
    card = making.header.path.with_name(card_name(plan))
    if not any(map(is_card, recorded_files(making.data))) and not is_our_card(card):
        return plan
    recorded = recorded_sources(making.data)
    made = provenance_of(plan.metadata.entries)
    sources = [
        {**source, "file": file} if isinstance(file := recorded.get(source["name"], {}).get("file"), str) else source
        for source in made["sources"]
    ]
    return with_card(replace(plan, metadata=plan.metadata.with_making({**made, "sources": sources})))


def source_problems(making: Making, plan: Plan) -> Iterator[Problem]:
    """The sources that are not the files that the output was made from, by what it says of them."""
    recorded = recorded_sources(making.data)
    for source, header in zip(plan.recipe.sources, plan.headers, strict=True):
        said = recorded.get(source.name, {})
        if (said.get("header_sha256"), said.get("size")) != (header.digest, header.stamp.size):
            yield _another_file(
                f"{source.name} is not the file that the output was made from",
                source.name,
                header,
                found=f"header sha256 {header.digest}, {header.stamp.size:,} bytes",
                expected=f"header sha256 {said.get('header_sha256')}, {said.get('size')} bytes",
            )


def digest_problems(making: Making, plan: Plan, digest_of: Callable[[Header], str]) -> Iterator[Problem]:
    """The same by their sha256 where it says them, which ``digest_of`` gives. Raises what that raises."""
    for name in stated_digests(making, plan):
        said = recorded_sources(making.data)[name]["sha256"]
        header = plan.headers[plan.recipe.source_names.index(name)]
        found = digest_of(header)
        if found != said:
            what = f"{name} is not the file that the output says that it was made from"
            yield _another_file(what, name, header, found=f"sha256 {found}", expected=f"sha256 {said}")


def _another_file(what: str, name: str, header: Header, found: str, expected: str) -> Problem:
    hint = f"name the right one: --set checkpoints.{name}=PATH"
    where = Location(str(header.path))
    return Problem(Code.SOURCE_NOT_AS_MADE_FROM, what, where, found=found, expected=expected, hint=hint)


def stated_digests(making: Making, plan: Plan) -> list[str]:
    """The sources whose sha256 the output says, as recipe or lock had it when it was made."""
    recorded = recorded_sources(making.data)
    return [name for name in plan.recipe.source_names if "sha256" in recorded.get(name, {})]


def mismatches(making: Making, plan: Plan, from_lock: bool = False) -> Iterator[str]:
    """Where an output is not what its recipe makes, as far as its header and the files beside it tell.

    ``from_lock``: the plan was made from a lock, which knows neither configs nor what is made for an output.
    """
    yield from differences(making.header, plan, with_config=not from_lock)
    yield from misrecorded(making.header, making.data, plan, from_lock)
    yield from _differing_files(making, plan, from_lock)
    if hashlib.sha256(making.recipe.encode()).hexdigest() != making.data.get("recipe_sha256"):
        yield "recipe_sha256: is not that of the recipe that it holds"
    if making.data.get("version") == __version__ and making.data.get("plan_sha256") != plan_digest(plan):
        yield "plan_sha256: is not that of the recipe over these sources"


def _differing_files(making: Making, plan: Plan, from_lock: bool) -> Iterator[str]:
    """The files beside a model that are not as they were written with it; one beside a file may have stayed behind."""
    header = making.header
    if plan.recipe.output.is_directory and not header.directory:
        return  # out of its directory, what lies beside it may be another's
    wanted = {companion.name: known_digest(companion, making.data, from_lock) for companion in plan.companions}
    recorded = {Path(name).name: digest for name, digest in recorded_files(making.data).items()}
    for name in sorted({*wanted, *recorded} - {""}):
        try:
            digest = digest_at(header.path.with_name(name))
        except (OSError, ValueError):
            if header.directory:
                yield f"{name}: is missing"
            continue
        if {recorded.get(name, digest), wanted.get(name) or digest} != {digest}:
            yield f"{name}: is not as it was written with the model"
