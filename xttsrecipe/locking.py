"""Locks and the files that they speak of: made from them, and compared with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from . import vocabulary
from .codes import Code
from .digests.plan import plan_digest
from .digests.sources import sha256_of
from .errors import Location, Problem, RecipeError, listed
from .lock import Lock, LockedSource, lock_path, lock_text, read_lock
from .lock.header import other_fields
from .lock.vocabulary import vocabularies_data
from .metadata import training_of
from .plan import Plan
from .recipe import Recipe, Source
from .recipe_files import sibling_of
from .sources import vocabulary_of
from .specs import Header, Vocabulary

_RELOCK = "bring it up to date: xttsrecipe lock RECIPE, or run with --update-lock"
_RELOCK_THERE = "bring it up to date where the checkpoints are: xttsrecipe lock RECIPE"


def lock_of(recipe: Recipe) -> Lock | None:
    """The lock beside a recipe; None where there is none. Raises RecipeError."""
    return read_lock(lock_path(recipe.file))


def new_lock(plan: Plan, old: Lock | None) -> str:
    """The lock of a plan as text. Sources that are not here stay as in the ``old`` lock; so does the output's digest
    where plan and sources are the same. Raises CheckpointError for a source that cannot be read, RecipeError.
    """
    if sibling := sibling_of(plan.recipe.file):
        raise RecipeError(_shared(plan.recipe, sibling))
    headers = dict(zip(plan.recipe.source_names, plan.headers, strict=True))
    known = old.sources if old else {}
    digests = sha256_of({name: header for name, header in headers.items() if not header.from_lock})
    locked: dict[str, LockedSource] = {}
    for source in plan.recipe.sources:
        name, header = source.name, headers[source.name]
        locked[name] = known[name] if header.from_lock else locked_source(source, header, digests[name])
        if source.sha256 and source.sha256 != locked[name].sha256:
            raise RecipeError(not_meant(source, header, locked[name].sha256))
    digest = plan_digest(plan)
    return lock_text(plan.recipe, locked, digest, old.output if old and _is_same(old, digest, locked) else None)


def _shared(recipe: Recipe, other: Path) -> Problem:
    return Problem(
        Code.ONE_LOCK_FOR_TWO,
        f"would have the same lock as {other.name}: {lock_path(recipe.file).name}",
        Location(str(recipe.file)),
        hint="give one of them another name",
    )


def _is_same(old: Lock, digest: str, locked: Mapping[str, LockedSource]) -> bool:
    """Whether a lock is of this plan over these files: the headers in a plan's digest may say nothing of the data."""
    before = {name: source.sha256 for name, source in old.sources.items()}
    return old.plan == digest and before == {name: source.sha256 for name, source in locked.items()}


def locked_source(source: Source, header: Header, sha256: str) -> LockedSource:
    """What a lock has of a source whose file is known."""
    return LockedSource(sha256, header, source.text, source.vocabulary_text)


def contradictions(recipe: Recipe, lock: Lock) -> Iterator[Problem]:
    """The sources of which recipe and lock name different files."""
    for source in recipe.sources:
        if source.sha256 and source.name in lock.sources and source.sha256 != lock.sources[source.name].sha256:
            yield Problem(
                Code.SOURCE_NOT_AS_LOCKED,
                f"{source.name} is another file in {lock.file.name} than in the recipe",
                source.where,
                found=f"sha256 {source.sha256}",
                expected=f"sha256 {lock.sources[source.name].sha256}",
                hint="lock the recipe anew where its checkpoints are: xttsrecipe lock",
            )


def changed_sources(plan: Plan, lock: Lock) -> list[str]:
    """The sources (by name) whose header, or the files beside their model, tell that they are not what was locked."""
    return [
        name
        for name, header in zip(plan.recipe.source_names, plan.headers, strict=True)
        if name in lock.sources and not header.from_lock and _facts(header) != _facts(lock.sources[name].header)
    ]


def header_problems(plan: Plan, lock: Lock, digests: Mapping[str, str] | None = None) -> Iterator[Problem]:
    """A problem for each of those. ``digests``: their sha256, hex, where someone took them."""
    headers = dict(zip(plan.recipe.source_names, plan.headers, strict=True))
    sources = dict(zip(plan.recipe.source_names, plan.recipe.sources, strict=True))
    for name in changed_sources(plan, lock):
        yield changed(sources[name], headers[name], (digests or {}).get(name), lock)


def drift(
    recipe: Recipe,
    lock: Lock,
    plan: Plan | None,
    digests: Mapping[str, str] | None = None,
    read_vocabulary: Callable[[Path], Vocabulary] = vocabulary.read_vocabulary,
) -> list[Problem]:
    """Where a lock does not speak of the recipe as it is now, or of the files that are here. No recipe is invalid for
    that; ``xttsrecipe lock`` settles it.

    ``plan``: None where not all sources are known. ``digests``: as in ``header_problems``. Raises CheckpointError for a
    vocabulary that cannot be read.
    """
    found = list(_named_otherwise(recipe, lock))
    if unlocked := [name for name in recipe.source_names if name not in lock.sources]:
        found.append(uncovered(lock, unlocked))
    if plan is None:
        return found
    found += [*header_problems(plan, lock, digests), *_changed_vocabularies(plan, lock, read_vocabulary)]
    if not found and lock.plan != plan_digest(plan):
        found.append(uncovered(lock))
    return found


def misstatements(plan: Plan, lock: Lock) -> Iterator[Problem]:
    """Where a lock says other things of sources than their files do, which by all digests are those that were locked.

    That does not touch a run, which does not read them; it does whatever rests on the lock alone.
    """
    headers = dict(zip(plan.recipe.source_names, plan.headers, strict=True))
    changed = changed_sources(plan, lock)
    vocabularies = _other_vocabularies(headers, lock)
    for source in plan.recipe.sources:
        header = headers[source.name]
        if source.name not in lock.sources or header.from_lock or source.name in changed:
            continue
        fields = other_fields(header, lock.sources[source.name].header)
        if source.name in vocabularies:
            fields.append("vocabulary")
        if fields:
            yield Problem(
                Code.SOURCE_NOT_AS_LOCKED,
                f"{lock.file.name} says of {source.name} what its file does not: {listed(fields)}",
                source.where,
                hint="by its digests it is the file that was locked, so the lock was edited: xttsrecipe lock RECIPE",
            )


def _other_vocabularies(headers: Mapping[str, Header], lock: Lock) -> set[str]:
    """The sources of which the lock tells other tokens than their vocabularies have, where all of these are here."""
    here = {name: its.vocabulary for name, its in headers.items() if its.vocabulary and not its.vocabulary.locked}
    said = {name: its.header.vocabulary.locked for name, its in lock.sources.items() if its.header.vocabulary}
    if here.keys() != said.keys():
        return set()
    told = vocabularies_data(here)
    return {name for name in here if told[name] != said[name]}


def _named_otherwise(recipe: Recipe, lock: Lock) -> Iterator[Problem]:
    for source in recipe.sources:
        locked = lock.sources.get(source.name)
        if locked and (source.text, source.vocabulary_text) != (locked.path, locked.vocabulary_path):
            what = "file" if source.text != locked.path else "vocabulary"
            yield Problem(
                Code.LOCK_OF_ANOTHER_PLAN,
                f"the recipe names another {what} for {source.name} than {lock.file.name}",
                source.where,
                found=source.text if what == "file" else source.vocabulary_text or "none",
                expected=locked.path if what == "file" else locked.vocabulary_path or "none",
                hint=_RELOCK_THERE,
            )


def _changed_vocabularies(plan: Plan, lock: Lock, read_vocabulary: Callable[[Path], Vocabulary]) -> Iterator[Problem]:
    """Of those that are here while their checkpoint is not."""
    for source, header in zip(plan.recipe.sources, plan.headers, strict=True):
        locked = header.vocabulary
        if not header.from_lock or locked is None or source.vocabulary is None or not os.path.exists(source.vocabulary):  # noqa: PTH110
            continue
        found = vocabulary_of(source, source.vocabulary, read_vocabulary).digest
        if found != locked.digest:
            yield Problem(
                Code.SOURCE_NOT_AS_LOCKED,
                f"the vocabulary of {source.name} is not the one that was locked in {lock.file.name}",
                source.where,
                found=f"{source.vocabulary_text}: sha256 {found}",
                expected=f"sha256 {locked.digest}",
                hint=_RELOCK_THERE,
            )


def uncovered(lock: Lock, unlocked: Sequence[str] = ()) -> Problem:
    """The problem of a lock that does not cover a recipe: for these sources, or else for its plan."""
    what = "is of another plan: the recipe was changed since, or --set changes it"
    if unlocked:
        what = f"knows nothing of {listed(unlocked)}"
    return Problem(Code.LOCK_OF_ANOTHER_PLAN, what, Location(str(lock.file)), hint=_RELOCK)


def _facts(header: Header) -> tuple[object, ...]:
    files = {name: file.digest for name, file in header.companions.items()}
    return header.stamp.size, header.digest, files, header.vocabulary and header.vocabulary.digest


def changed(source: Source, header: Header, digest: str | None, lock: Lock) -> Problem:
    """The problem of a source that is not what was locked; ``digest``: its sha256, hex, where that is known."""
    locked = lock.sources[source.name]
    found, expected = _identity(digest, header), _identity(locked.sha256, locked.header)
    what = f"{source.name} is not the file that was locked in {lock.file.name}"
    if _is_same_model(digest, header, locked):
        vocabularies = [its.vocabulary and its.vocabulary.digest for its in (header, locked.header)]
        if vocabularies[0] != vocabularies[1]:
            what = f"the vocabulary of {source.name} is not the one that was locked in {lock.file.name}"
            found, expected = (f"sha256 {digest}" if digest else "none" for digest in vocabularies)
        now, before = ({name: file.digest for name, file in its.companions.items()} for its in (header, locked.header))
        if files := [name for name in sorted({*now, *before}) if now.get(name) != before.get(name)]:
            found += f"; beside the model differ: {', '.join(files)}"
    return Problem(
        Code.SOURCE_NOT_AS_LOCKED,
        what,
        source.where,
        found=found,
        expected=expected,
        hint="get the right file; or, if this one is meant, lock it anew: xttsrecipe run --update-lock",
    )


def _is_same_model(digest: str | None, header: Header, locked: LockedSource) -> bool:
    """Whether the model's own file is the one that was locked, as far as is known."""
    if digest is not None:
        return digest == locked.sha256
    return (header.digest, header.stamp.size) == (locked.header.digest, locked.header.stamp.size)


def _identity(digest: str | None, header: Header) -> str:
    training = training_of(header.entries)
    said = [f"{name} {training[name]}" for name in ("step", "epoch") if name in training]
    known = f"sha256 {digest}" if digest else f"header sha256 {header.digest}"
    return ", ".join([known, f"{header.stamp.size:,} bytes", *said])


def not_meant(source: Source, header: Header, found: str) -> Problem:
    """The problem of a source that has another sha256, hex, than the recipe names."""
    return Problem(
        Code.DIGEST_DIFFERS,
        f"{source.name} is not the file that the recipe means: its sha256 differs",
        source.where,
        found=_identity(found, header),
        expected=f"sha256 {source.sha256}",
        hint="get the right file; or, if the new one is meant, change sha256 in the recipe",
    )
