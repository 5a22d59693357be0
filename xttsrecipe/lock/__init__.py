"""Lock files: what a recipe's sources were, so that it can be reviewed without them and proved later.

``news_audiobook.lock.yaml`` lies beside ``news_audiobook.yaml``. It holds for every source its digest and header, the
plan's digest and, after a run, that of the output's tensors; nothing of a machine, no dates. ``header``, ``tensors``
and ``vocabulary`` know what it says of each, ``folding`` how it stays a page long.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..codes import Code
from ..document import Document, parse_document, read_bytes, text_of
from ..errors import Location, OutputError, Problem, RecipeError
from ..recipe import Recipe, Source
from ..recipe_files import MAX_LOCK_BYTES, lock_name
from ..specs import Header
from ..yaml_syntax import dump
from .header import header_data, read_header
from .node import Node
from .vocabulary import read_vocabulary, vocabularies_data

_VERSION = 1
_WHAT = "a lock"
_MAX_NODES = 200_000
_MAX_SOURCES = 256
# In all sources together: of tensors, of tokens, and of bytes in vocabularies.
_MAX_TENSORS, _MAX_TOKENS, _MAX_TEXT = 200_000, 1_000_000, 64 << 20
_HEAD = "# Made by 'xttsrecipe lock', for review and for proof; not to be edited. Keep it beside its recipe.\n"


@dataclass(frozen=True, slots=True)
class LockedSource:
    """What a source was: the sha256 of its model's file, hex, its header, and the paths that the recipe had for it and
    for its vocabulary (None where it named none), as they were written.
    """

    sha256: str
    header: Header
    path: str
    vocabulary_path: str | None


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file. ``plan``: the digest of the plan (see ``plan_digest``), ``output``: that of the output's tensors,
    None before a run. ``digest``: sha256, hex, of all that the lock says but of the output.
    """

    file: Path
    sources: Mapping[str, LockedSource]
    plan: str
    output: str | None
    digest: str

    def header_of(self, source: Source) -> Header | None:
        """The header that a source had, under the path that the recipe gives it now; None where it is not locked."""
        locked = self.sources.get(source.name)
        if locked is None:
            return None
        header = locked.header
        path = source.path / header.path.name if header.directory else source.path
        vocabulary = header.vocabulary
        if vocabulary and source.vocabulary:
            vocabulary = replace(vocabulary, path=source.vocabulary)
        elif locked.vocabulary_path is not None:
            vocabulary = None  # the recipe named one, and does so no more
        directory = header.directory and source.path
        return replace(header, path=path, directory=directory, vocabulary=vocabulary, from_lock=True)


def lock_path(recipe: Path) -> Path:
    """Where the lock of a recipe lies."""
    return recipe.with_name(lock_name(recipe.name))


def read_lock(path: Path) -> Lock | None:
    """The lock in a file, None where there is no such file. Raises RecipeError for anything else, and for a link that
    leads out of its folder: what it leads to would be quoted.
    """
    if not os.path.lexists(path):
        return None
    if os.path.islink(path) and Path(os.path.realpath(path)).parent != Path(os.path.realpath(path.parent)):  # noqa: PTH114
        what, expected = "is a link to somewhere else", "a lock, which lies beside its recipe"
        raise RecipeError(Problem(Code.MALFORMED_LOCK, what, Location(str(path)), expected=expected))
    return lock_of_bytes(read_bytes(path, MAX_LOCK_BYTES, _WHAT), path)


def lock_of_bytes(raw: bytes, path: Path) -> Lock:
    """The lock that a file holds. Raises RecipeError."""
    return parse_lock(text_of(raw, str(path), MAX_LOCK_BYTES, _WHAT), path)


def parse_lock(text: str, path: Path) -> Lock:
    """The lock that this text is. Raises RecipeError."""
    root = Node(document := _document(text, path))
    if "lock" not in root:
        root.fail("'lock: 1'")
    if root["lock"].count() != _VERSION:
        what = f"is a lock of version {root['lock'].count()}, and this xttsrecipe knows version {_VERSION}"
        raise RecipeError(
            Problem(Code.LOCK_VERSION, what, Location(str(path)), hint="update xttsrecipe, or make the lock anew")
        )
    sources: dict[str, LockedSource] = {}
    headers: dict[str, Header] = {}
    if len(list(root["sources"].items())) > _MAX_SOURCES:
        root["sources"].fail(f"at most {_MAX_SOURCES} sources, as in a recipe")
    place = path.with_name("checkpoint")
    for name, node in root["sources"].items():
        header = read_header(node, place, node["size"].count(), headers)
        if "vocabulary" in node:
            header = replace(header, vocabulary=read_vocabulary(node["vocabulary"], path.with_name("vocab.json")))
        headers[name] = header
        named = node["vocabulary_path"].text() if "vocabulary_path" in node else None
        sources[name] = LockedSource(node["sha256"].sha256(), header, node["path"].text(), named)
        _check_sizes(node, headers)
    output = root["output"]["tensors_sha256"].sha256() if "output" in root else None
    said = {name: value for name, value in document.data.items() if name != "output"}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    return Lock(path, sources, root["plan_sha256"].sha256(), output, digest)


def _document(text: str, path: Path) -> Document:
    try:
        return parse_document(text, str(path), _MAX_NODES)
    except RecipeError as error:
        if error.problems[0].code is not Code.EMPTY_RECIPE:
            raise
        hint = "make it anew with xttsrecipe lock"
        what = "is empty: there is no lock in it"
        raise RecipeError(Problem(Code.MALFORMED_LOCK, what, Location(str(path)), hint=hint)) from error


def _check_sizes(node: Node, headers: Mapping[str, Header]) -> None:
    vocabularies = [header.vocabulary for header in headers.values() if header.vocabulary]
    tensors = sum(len(header.tensors) + len(header.training_only) for header in headers.values())
    tokens = sum(len(vocabulary.tokens) for vocabulary in vocabularies)
    if tensors > _MAX_TENSORS or tokens > _MAX_TOKENS or sum(len(its.text) for its in vocabularies) > _MAX_TEXT:
        node.fail("far fewer tensors and tokens in all sources together")


def lock_text(recipe: Recipe, locked: Mapping[str, LockedSource], plan: str, output: str | None) -> str:
    """The lock of a recipe as it is written; ``locked`` by the sources' names, ``plan`` and ``output``: digests.

    Raises RecipeError for a source that has keys a lock has no form for.
    """
    try:
        known = {name: locked[name].header.vocabulary for name in sorted(locked)}
        vocabularies = vocabularies_data({name: its for name, its in known.items() if its})
    except ValueError as error:
        raise RecipeError(
            Problem(Code.CANNOT_BE_LOCKED, f"a source cannot be locked: {error}", Location(str(recipe.file)))
        ) from error
    sources: dict[str, Any] = {}
    before: dict[str, Header] = {}
    for name in sorted(locked):
        source, header = locked[name], locked[name].header
        try:
            data = header_data(header, before)
        except ValueError as error:
            where = recipe.sources[recipe.source_names.index(name)].where
            raise RecipeError(Problem(Code.CANNOT_BE_LOCKED, f"{name} cannot be locked: {error}", where)) from error
        sources[name] = {"path": source.path, "sha256": source.sha256, "size": header.stamp.size, **data}
        if source.vocabulary_path is not None:
            sources[name]["vocabulary_path"] = source.vocabulary_path
        if name in vocabularies:
            sources[name]["vocabulary"] = vocabularies[name]
        before[name] = header
    whole: dict[str, Any] = {"lock": _VERSION, "plan_sha256": plan}
    if output:
        whole["output"] = {"tensors_sha256": output}
    text = _HEAD + dump({**whole, "sources": sources})
    if len(text.encode()) > MAX_LOCK_BYTES:
        what = f"cannot be locked: its sources have {MAX_LOCK_BYTES >> 20} MiB of keys that are none of XTTS-V2"
        raise RecipeError(Problem(Code.CANNOT_BE_LOCKED, what, Location(str(recipe.file))))
    return text


def write_lock(path: Path, text: str) -> bool:
    """Put a lock in place, whole or not at all; whether it changed. Raises OutputError."""
    try:
        if path.is_file() and path.read_bytes() == text.encode():
            return False
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            Problem(Code.UNWRITABLE, f"the lock cannot be written: {error.strerror or error}", Location(str(path)))
        ) from error
    return True
