"""How an output was made, as it says itself: written before a run, read back to see whether a run is needed at all."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

from ..checkpoints import open_checkpoint
from ..digests.cache import recalled
from ..digests.plan import plan_digest
from ..errors import CheckpointError
from ..licence import digest_at
from ..lock import Lock
from ..metadata import provenance_of, recorded_sources
from ..plan import Plan
from ..specs import Header
from .likeness import differences


def sealed(plan: Plan, lock: Lock | None) -> Plan:
    """The plan with all that is known of its making in the output's metadata: digests of recipe, plan and lock, those
    of the sources where recipe or lock name them, torch's version.
    """
    digests = known_digests(plan, lock)
    made = provenance_of(plan.metadata.entries)
    sources = [
        {**source, **({"sha256": digests[source["name"]]} if source["name"] in digests else {})}
        for source in made["sources"]
    ]
    more = {
        "recipe_sha256": hashlib.sha256(plan.recipe.text.encode()).hexdigest(),
        "plan_sha256": plan_digest(plan),
        **({"lock_sha256": lock.digest} if lock else {}),
        "torch": _torch_version(),
    }
    return dataclasses.replace(plan, metadata=plan.metadata.with_making({**made, "sources": sources, **more}))


def known_digests(plan: Plan, lock: Lock | None) -> dict[str, str]:
    """The sha256 that each source must have, by name, as far as the recipe or the lock say it."""
    locked = {name: source.sha256 for name, source in lock.sources.items()} if lock else {}
    digests = {source.name: source.sha256 or locked.get(source.name) for source in plan.recipe.sources}
    return {name: digest for name, digest in digests.items() if digest}


@functools.cache
def _torch_version() -> str:
    import importlib.metadata

    # Without importing torch itself, which takes a second.
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("torch")
    return ""


def is_up_to_date(plan: Plan, lock: Lock | None) -> bool:
    """Whether the output is there, made by this version from this plan (sealed) of the sources as they are, with the
    files beside it as they would be written.
    """
    try:
        header = open_checkpoint(plan.model_path)
        beside = {companion.name: digest_at(plan.path_of(companion)) for companion in plan.companions}
    except (CheckpointError, OSError):
        return False
    made, wanted = provenance_of(header.entries), provenance_of(plan.metadata.entries)
    if any(made.get(name) != wanted.get(name) for name in _DECIDING):
        return False
    if any(differences(header, plan)):
        return False
    files = {companion.name: companion.digest for companion in plan.companions}
    if not beside == files == made.get("files", {}):
        return False
    recorded, digests = recorded_sources(made), known_digests(plan, lock)
    sources = dict(zip(plan.recipe.source_names, plan.headers, strict=True))
    return recorded.keys() == sources.keys() and all(
        digests.get(name) in (None, recorded[name].get("sha256")) and _is_unchanged(source, recorded[name], header)
        for name, source in sources.items()
    )


def _is_unchanged(source: Header, recorded: Mapping[str, Any], output: Header) -> bool:
    """Whether a source has the data that the output was made from, its header being the same. That of torch's files has
    checksums of the data; of another the sha256 must be known.
    """
    said, known = recorded.get("sha256"), recalled(source.path, source.stamp)
    if source.format == "torch zip":
        return source.stamp.mtime_ns < output.stamp.mtime_ns and (said is None or known in (None, said))
    return said is not None and known == said


# What must be the same for an output to be what a run would make.
_DECIDING = ("plan_sha256", "version", "torch")
