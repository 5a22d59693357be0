"""Whether what a checkpoint says of its making is what a run of its plan would have written, entry for entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..companions import Companion
from ..licence import is_card
from ..metadata import PROVENANCE, provenance_of
from ..plan import Plan
from ..specs import CompanionFile, Header
from ..version import __version__
from ..xtts import CARD_FILE, VOCABULARY_FILE
from .likeness import text_of

# What ``sealed`` adds, and what a plan without a lock does not know.
_SEALS = ("recipe_sha256", "plan_sha256", "lock_sha256", "torch")
# What is not to be proved: who wrote a file may have called it anything.
_UNPROVED = ("file",)
_FOREIGN = "is not what a run writes"


def misrecorded(header: Header, made: Mapping[str, Any], plan: Plan, from_lock: bool) -> Iterator[str]:
    """Where it is not, in words. ``made``: what the checkpoint says; ``from_lock``: the plan was made from a lock, to
    which the content of files that are made for an output is not known.
    """
    own = dict(header.entries)
    if header.directory and header.own_config is None:
        own.pop("config", None)  # that of the directory
    written = plan.metadata.entries
    yield from (f"{name}: {_FOREIGN}" for name in (*header.bulk, *own) if name not in written)
    expected = provenance_of(written)
    yield from (f"{PROVENANCE}.{name}: {_FOREIGN}" for name in made if name not in (*expected, *_SEALS, "files"))
    if made.get("recipe_name") != expected["recipe_name"]:
        yield f"recipe_name: is {made.get('recipe_name')!r}, and the recipe's is {expected['recipe_name']!r}"
    for name in ("set", "training"):
        if text_of(made.get(name)) != text_of(expected.get(name)):
            yield f"{PROVENANCE}.{name}: {_FOREIGN}"
    yield from _sources(made.get("sources"), plan)
    yield from _files(made, plan, from_lock)


def _sources(said: Any, plan: Plan) -> Iterator[str]:
    expected = provenance_of(plan.metadata.entries)["sources"]
    entries = [entry if isinstance(entry, Mapping) else {} for entry in said] if isinstance(said, (list, tuple)) else []
    names = [entry.get("name") for entry in entries]
    if names != plan.recipe.source_names:
        yield f"sources: are {', '.join(map(str, names)) or 'none'}, the recipe's {', '.join(plan.recipe.source_names)}"
        return
    for source, entry, wanted in zip(plan.recipe.sources, entries, expected, strict=True):
        if source.sha256:
            wanted = {**wanted, "sha256": source.sha256}
        for field in dict.fromkeys([*wanted, *entry]):
            free = field in _UNPROVED or (field == "sha256" and not source.sha256)
            if not free and entry.get(field) != wanted.get(field):
                yield f"sources.{source.name}.{field}: {_FOREIGN}"


def known_digest(companion: Companion, made: Mapping[str, Any], from_lock: bool) -> str | None:
    """The digest that a file beside the model must have; None where it cannot be told: of what is made for an output,
    by a lock; of a card that another version wrote.
    """
    if isinstance(companion.data, CompanionFile):
        return companion.digest
    if from_lock or (is_card(companion.name) and made.get("version") != __version__):
        return None
    return companion.digest


def recorded_files(made: Mapping[str, Any]) -> dict[str, str]:
    """The files beside a model and their digests, as its checkpoint has them; of a forged record what is of the right
    form.
    """
    files = made.get("files")
    pairs = files.items() if isinstance(files, Mapping) else ()
    return {name: digest for name, digest in pairs if isinstance(name, str) and isinstance(digest, str)}


def _files(made: Mapping[str, Any], plan: Plan, from_lock: bool) -> Iterator[str]:
    said = made.get("files", {})
    recorded = recorded_files(made)
    if not isinstance(said, Mapping) or len(said) != len(recorded):
        yield f"{PROVENANCE}.files: {_FOREIGN}"
        return
    # A file, and so those beside it, may be called otherwise by now.
    digests = {_kind(name): digest for name, digest in recorded.items()}
    wanted = {_kind(companion.name): companion for companion in plan.companions}
    for kind in dict.fromkeys([*wanted, *digests]):
        known = known_digest(wanted[kind], made, from_lock) if kind in wanted else None
        if kind not in wanted or kind not in digests or known not in (None, digests[kind]):
            yield f"{PROVENANCE}.files.{kind}: {_FOREIGN}"
    if len(digests) != len(recorded):
        yield f"{PROVENANCE}.files: {_FOREIGN}"


def _kind(name: str) -> str:
    if is_card(name):
        return CARD_FILE
    return VOCABULARY_FILE if name.endswith(f".{VOCABULARY_FILE}") else name
