"""Which sources two recipes share, whatever they call them, and what became of the others.

Two sources are one where they are the same file: by its digest where that is known, else by its path.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..changes import SourceChange, SourceFacts
from ..metadata import training_of
from ..review import Reviewed
from ..settings import unexpanded


def source_facts(reviewed: Reviewed | None) -> dict[str, SourceFacts]:
    """What is known of each source, by name, in the recipe's order."""
    if reviewed is None:
        return {}
    found = {}
    for source, header in zip(reviewed.plan.recipe.sources, reviewed.plan.headers, strict=True):
        known = source.name not in reviewed.assumed
        training = training_of(header.entries)
        found[source.name] = SourceFacts(
            path=Path(os.path.abspath(source.path)),  # noqa: PTH100 # which follows no links
            sha256=reviewed.known.stated.get(source.name) or reviewed.known.locked.get(source.name),
            is_stated=source.name in reviewed.known.stated,
            size=header.stamp.size if known else None,
            layout=header.layout if known else None,
            version=header.version if known else None,
            step=training.get("step"),
            epoch=training.get("epoch"),
            text=unexpanded(source.text),
        )
    return found


def _is_same_file(one: SourceFacts, other: SourceFacts) -> bool:
    """By digest where both are known, else by path.

    A lock says nothing of paths: where the path changed and the digest did not, the lock may only not have been made
    anew.
    """
    same_path = _place(one.path) == _place(other.path)
    if one.sha256 and other.sha256:
        return one.sha256 == other.sha256 and (same_path or one.is_stated or other.is_stated)
    return same_path


def _place(path: Path) -> str:
    return os.path.normcase(path)


def shared_files(before: Mapping[str, SourceFacts], after: Mapping[str, SourceFacts]) -> list[int]:
    """A number for each source, the old ones' first, that two share where they are one file."""
    numbers: list[int] = []
    known: list[SourceFacts] = []
    of_name = {name: index for index, name in enumerate(before)}
    for name, facts in [*before.items(), *after.items()]:
        # One of the same name first, should several fit.
        candidates = [
            index for index in (of_name.get(name), *range(len(known))) if index is not None and index < len(known)
        ]
        same = next((index for index in candidates if _is_same_file(known[index], facts)), None)
        numbers.append(len(numbers) if same is None else numbers[same])
        known.append(facts)
    return numbers


def source_changes(
    before: Mapping[str, SourceFacts], after: Mapping[str, SourceFacts], files: Sequence[int]
) -> Iterator[SourceChange]:
    """The sources that differ, in the new recipe's order, those that are gone last; ``files`` as ``shared_files`` gives
    them.
    """
    old_file = dict(zip(before, files, strict=False))
    new_file = dict(zip(after, files[len(before) :], strict=True))
    was_called = _renamed(old_file, new_file)
    for name, facts in after.items():
        old_name = name if name in before else was_called.get(name)
        if old_name is None:
            yield SourceChange(None, name, None, facts, same_file=False)
            continue
        same_file = old_file[old_name] == new_file[name]
        if old_name != name or not same_file or _changed_facts(before[old_name], facts):
            yield SourceChange(old_name, name, before[old_name], facts, same_file)
    for name, facts in before.items():
        if name not in after and name not in was_called.values():
            yield SourceChange(name, None, facts, None, same_file=False)


def _renamed(old_file: Mapping[str, int], new_file: Mapping[str, int]) -> dict[str, str]:
    """What new names were called before: those that only one side has, where they are one file."""
    gone: dict[int, list[str]] = {}
    for name, file in old_file.items():
        if name not in new_file:
            gone.setdefault(file, []).append(name)
    came = ((name, file) for name, file in new_file.items() if name not in old_file)
    return {name: gone[file].pop(0) for name, file in came if gone.get(file)}


def _changed_facts(old: SourceFacts, new: SourceFacts) -> list[str]:
    """The fields in which they differ, of those that both are known to have."""
    return [
        field.name
        for field in fields(SourceFacts)
        if field.name not in ("is_stated", "text")
        and _both_known(was := getattr(old, field.name), now := getattr(new, field.name))
        and was != now
    ]


def _both_known(was: Any, now: Any) -> bool:
    return was is not None and now is not None and was is not now
