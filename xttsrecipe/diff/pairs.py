"""Which recipes are compared with which: what OLD and NEW name, in the work tree or in a revision, and what is there.

Reads texts; what they mean is ``reviewing``'s. A file or folder that exists is one, whatever revisions there are.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..codes import Code
from ..errors import Location, Problem, RecipeError, XttsRecipeError
from ..recipe_files import is_lock_name, is_recipe, lock_name, locked_names
from ..yaml_syntax import SUFFIXES
from .places import Folder, Place, RevisionFolder
from .revisions import Repository, repository_at

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True, slots=True)
class RecipeText:
    """A recipe's text in one place. ``label``: what people call it; ``path``: where it lies, or would lie, in the work
    tree. ``raw`` is None where it cannot be read, which ``problems`` tell. ``lock``: the text of its lock, if any, and
    ``lock_label`` what people call that.
    """

    label: str
    path: Path
    raw: bytes | None
    lock: bytes | None
    lock_label: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """A recipe before and after; None where there is none. ``label``: what people call it where it is, or would be."""

    name: str
    label: str
    old: RecipeText | None
    new: RecipeText | None


@dataclass(frozen=True, slots=True)
class Pairs:
    """All of them, by name. ``old``, ``new``: what they were looked for in; ``new`` is None for the work tree as it
    goes with a revision.
    """

    old: str
    new: str | None
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class _Operand:
    """What OLD or NEW means: a place, and in it a file (``name``) or all. ``bare``: a revision without a path."""

    text: str
    place: Folder | RevisionFolder
    name: str | None
    bare: bool = False


def find_pairs(old: str, new: str | None) -> Pairs:
    """The recipes that OLD and NEW name, which are files, folders, ``REV:PATH`` or revisions.

    Of folders and revisions those are compared that have the same name there; recipes are told by their content. NEW
    may be left out where OLD is in a revision: it is the work tree then. Where one is a revision without a path, it is
    what lies there in the place of the other; of two, and beside the work tree, only what differs is looked at. Raises
    ValueError where OLD needs a NEW, XttsRecipeError where there is no such thing.
    """
    repository = functools.cache(_repository_here)
    before = _operand(old, repository)
    if new is None:
        if not isinstance(before.place, RevisionFolder):
            raise ValueError(_needs_new(old, before.place, before.name))
        return _paired(before, _work_tree(before.place, before.name), _changed(before.place, None), None)
    after = _operand(new, repository)
    changed = None
    if before.bare and after.bare:
        assert isinstance(before.place, RevisionFolder)
        changed = _changed(before.place, after.place)
    elif before.bare:
        before = _same_place(before, after, repository())
    elif after.bare:
        after = _same_place(after, before, repository())
    return _paired(before, after, changed, new)


def _repository_here() -> Repository:
    try:
        here = Path.cwd()
    except OSError as error:
        what, hint = "the current folder is not there any more", "go to one that is: cd"
        raise XttsRecipeError(Problem(Code.NO_REPOSITORY, what, hint=hint)) from error
    return repository_at(here)


def _needs_new(old: str, folder: Folder, name: str | None) -> str:
    if name is None:
        return f"{old} is a folder here: name what to compare it with, or write {old}: for the revision of that name"
    return f"{old} is a file here: name what to compare it with, as in HEAD {old}"


def split_revision(text: str) -> tuple[str, str | None]:
    """``main`` and ``a.yaml`` of ``main:a.yaml``, as git splits it: not within braces. None where there is no path."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == ":" and depth == 0:
            return text[:position], text[position + 1 :]
    return text, None


def _operand(text: str, repository: Callable[[], Repository]) -> _Operand:
    if os.path.lexists(text):
        path = Path(text)
        if os.path.isdir(path):  # noqa: PTH112 # never raises
            return _Operand(text, Folder(path, os.path.join(path, "")), None)  # noqa: PTH118
        return _Operand(text, Folder(path.parent, str(path).removesuffix(path.name)), path.name)
    if _DRIVE.match(text):
        raise XttsRecipeError(Problem(Code.NOTHING_TO_COMPARE, "there is no such file or folder", Location(text)))
    revision, path_text = split_revision(text)
    if not revision and path_text is not None:  # which git takes for its index
        what, expected = "there is no revision before the :", "one, as in HEAD:recipes/a.yaml"
        raise XttsRecipeError(Problem(Code.UNKNOWN_REVISION, what, Location(text), expected=expected))
    try:
        found = repository()
        tree = found.tree(revision)
    except XttsRecipeError as error:
        if path_text is None:
            raise _nothing(text, error) from error
        raise
    if path_text is None:
        return _Operand(text, RevisionFolder(found, revision, tree, ""), None, bare=True)
    return _within(text, found, revision, tree, path_text)


def _nothing(text: str, error: XttsRecipeError) -> XttsRecipeError:
    """What to say of a word that is neither a file nor a revision."""
    (problem,) = error.problems
    if text.endswith(SUFFIXES):
        what = "there is no such file or folder"
        hint = "of a file that is no longer here: REV:PATH, as in HEAD:recipes/a.yaml"
        return XttsRecipeError(Problem(Code.NOTHING_TO_COMPARE, what, Location(text), hint=hint))
    if problem.code is not Code.UNKNOWN_REVISION:
        return error
    what = f"there is no file or folder {text!r} here, and no such revision in the repository"
    return XttsRecipeError(replace(problem, code=Code.NOTHING_TO_COMPARE, what=what, where=None))


def _within(text: str, repository: Repository, revision: str, tree: str, path: str) -> _Operand:
    name = repository.resolved(path)
    if name is None:
        raise XttsRecipeError(
            Problem(Code.NOT_IN_REVISION, "lies outside of the repository", Location(text), expected="a path in it")
        )
    if not name:
        return _Operand(text, RevisionFolder(repository, revision, tree, ""), None)
    entry = repository.entries(tree, [name]).get(name)
    if entry is None:
        near = repository.resolved(f"./{path}")
        hint = None
        if near and repository.entries(tree, [near]):
            hint = f"paths are from the top of the repository: {revision}:{near}, or {revision}:./{path}"
        raise XttsRecipeError(Problem(Code.NOT_IN_REVISION, f"is not in {revision}", Location(text), hint=hint))
    if entry.is_folder:
        return _Operand(text, RevisionFolder(repository, revision, tree, name), None)
    folder, _, last = name.rpartition("/")
    return _Operand(text, RevisionFolder(repository, revision, tree, folder), last)


def _work_tree(place: RevisionFolder, name: str | None) -> _Operand:
    """What lies in the work tree where this lies in a revision."""
    folder = place.path("")
    return _Operand("", Folder(folder, _relative(folder)), name)


def _relative(folder: Path) -> str:
    """From the current folder, with a / at its end; nothing for the current folder."""
    try:
        found = os.path.relpath(os.path.realpath(folder), os.path.realpath(os.curdir))
    except ValueError:  # on another drive
        found = str(folder)
    return "" if found == os.curdir else os.path.join(found, "")  # noqa: PTH118


def _same_place(bare: _Operand, other: _Operand, repository: Repository) -> _Operand:
    """What a revision has where ``other`` lies."""
    assert isinstance(bare.place, RevisionFolder)
    if isinstance(other.place, RevisionFolder):
        return replace(bare, place=replace(bare.place, top=other.place.top), name=other.name, bare=False)
    folder = Path(os.path.realpath(other.place.folder))
    root = Path(os.path.realpath(repository.root))
    if folder != root and root not in folder.parents:
        raise XttsRecipeError(
            Problem(
                Code.NOT_IN_REVISION,
                f"lies outside of the repository, so that {bare.text} has nothing in its place",
                Location(other.text),
            )
        )
    top = folder.relative_to(root).as_posix()
    return replace(bare, place=replace(bare.place, top="" if top == "." else top), name=other.name, bare=False)


def _changed(old: RevisionFolder, new: Folder | RevisionFolder | None) -> set[str]:
    """The names that differ, a recipe's also where its lock does."""
    files = old.repository.differing(old.tree, new.tree if isinstance(new, RevisionFolder) else None)
    names = {name for full in files if (name := old.within(full)) is not None}
    locks = set(filter(is_lock_name, names))
    return (names - locks).union(*map(locked_names, locks))


def _paired(old: _Operand, new: _Operand, changed: set[str] | None, said: str | None) -> Pairs:
    if (old.name is None) != (new.name is None):
        folder, file = (old, new) if old.name is None else (new, old)
        raise XttsRecipeError(
            Problem(
                Code.FILE_AND_FOLDER,
                f"{folder.text} is a folder and {file.text} is a file",
                expected="two files or two folders",
            )
        )
    if old.name is not None and new.name is not None:
        before, after = _text(old.place, old.name), _text(new.place, new.name)
        name = new.name if old.name == new.name else f"{old.name} → {new.name}"
        return Pairs(old.text, said, (Pair(name, new.place.label(new.name), before, after),))
    names = sorted({*old.place.names(), *new.place.names()} if changed is None else changed)
    before_all, after_all = _texts(old.place, names), _texts(new.place, names)
    pairs = (Pair(name, new.place.label(name), before_all.get(name), after_all.get(name)) for name in names)
    # Git takes files for changed that only look so from outside.
    wanted = (pair for pair in pairs if changed is None or _differs(pair))
    return Pairs(old.text, said, tuple(pair for pair in wanted if _has_recipe(pair)))


def _differs(pair: Pair) -> bool:
    old, new = pair.old, pair.new
    return old is None or new is None or (old.raw, old.lock) != (new.raw, new.lock)


def _has_recipe(pair: Pair) -> bool:
    return any(text is not None and text.raw is not None and is_recipe(text.raw) for text in (pair.old, pair.new))


def _text(place: Place, name: str) -> RecipeText | None:
    return _texts(place, [name], links=True).get(name)


def _texts(place: Place, names: Iterable[str], links: bool = False) -> dict[str, RecipeText]:
    contents = place.contents([*names, *map(lock_name, names)], links)
    found: dict[str, RecipeText] = {}
    for name in names:
        content, lock = contents.get(name), contents.get(lock_name(name))
        if content is None:
            continue
        errors = [it for it in (content, lock) if isinstance(it, RecipeError)]
        found[name] = RecipeText(
            label=place.label(name),
            path=place.path(name),
            raw=content if isinstance(content, bytes) else None,
            lock=lock if isinstance(lock, bytes) else None,
            lock_label=place.label(lock_name(name)),
            problems=tuple(problem for error in errors for problem in error.problems),
        )
    return found
