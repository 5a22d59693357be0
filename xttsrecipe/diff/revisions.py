"""Files as they are in revisions of a git repository, read by the ``git`` command.

Changes nothing in the repository, runs none of its hooks, and hands git no text that it could take for an option.
Knows nothing of recipes but that their names end in .yaml or .yml.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..codes import Code
from ..errors import Location, Problem, XttsRecipeError, nearest
from ..yaml_syntax import SUFFIXES

# What would have git read patterns otherwise, or show differences its own way.
_MEDDLING = (
    "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)  # fmt: skip
# No locks for what is only read, no questions, no pager, and messages that can be recognised.
_MANNERS = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat", "LC_ALL": "C", "LANGUAGE": "C"}
_SETTINGS = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}", "diff.relative=false", "diff.renames=false")
_PATTERNS = tuple(f":(top)*{suffix}" for suffix in SUFFIXES)
# Names that go on one command line.
_NAMES_AT_ONCE = 500
_MOST_SUGGESTED = 2_000

_LINK, _SUBMODULE = "120000", "160000"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a revision has under a name: its mode and its object's id, both as git writes them."""

    mode: str
    id: str

    @property
    def is_file(self) -> bool:
        """Whether this is a regular file: no folder, link or submodule."""
        return self.mode.startswith("100")

    @property
    def is_link(self) -> bool:
        return self.mode == _LINK

    @property
    def is_folder(self) -> bool:
        return self.mode == "040000"

    @property
    def what(self) -> str:
        """In words."""
        kinds = {_LINK: "a symbolic link", _SUBMODULE: "a submodule", "040000": "a folder"}
        return kinds.get(self.mode, "a file")


class GitError(XttsRecipeError):
    """Git is not there, there is no repository, or it does not have what was asked for."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository: ``root`` is the top of its work tree, ``prefix`` the way from there to ``folder``, with a / at
    its end, or nothing. Names of files are relative to the root and have / between their parts.
    """

    root: Path
    folder: Path
    prefix: str

    def tree(self, revision: str) -> str:
        """The id of the files of a revision. Raises GitError where there is no such revision."""
        if revision and not revision.startswith("-") and "\0" not in revision:
            found = _git(self.folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{tree}}", fine=(0, 1, 128))
            if found:
                return found.decode("ascii").strip()
        raise GitError(self._unknown(revision))

    def _unknown(self, revision: str) -> Problem:
        what, where = f"there is no revision {revision!r} in the repository", Location(str(self.root))
        if ".." in revision:
            old, new = re.split(r"\.{2,3}", revision, maxsplit=1)
            apart = f"name both apart: xttsrecipe diff {old or 'HEAD'} {new or 'HEAD'}"
            return Problem(Code.UNKNOWN_REVISION, what, where, expected="one revision, not a range", hint=apart)
        names = _git(self.folder, "for-each-ref", f"--count={_MOST_SUGGESTED}", "--format=%(refname:short)")
        known = names.decode("utf-8", "replace").split("\n")[:-1]
        near = [name for name in known if name.endswith(f"/{revision}")] or nearest(revision, known)
        hint = None
        if revision.startswith("-"):
            hint = f"of a branch that is called so: refs/heads/{revision}"
        elif near:
            hint = f"did you mean {' or '.join(map(repr, near[:3]))}?"
        elif _git(self.folder, "rev-parse", "--is-shallow-repository").strip() == b"true":
            hint = "a shallow clone has few: git fetch"
        return Problem(Code.UNKNOWN_REVISION, what, where, expected="a branch, tag or commit", hint=hint)

    def resolved(self, path: str) -> str | None:
        """The name that ``path`` after ``REV:`` means: from the root, or with ``./`` or ``../`` from the folder.

        Nothing for the root itself; None for what lies outside.
        """
        relative = path.split("/", 1)[0] in (".", "..")
        name = posixpath.normpath(posixpath.join(self.prefix if relative else "", path or "."))
        if name == ".." or name.startswith(("../", "/")):
            return None
        return "" if name == "." else name

    def entries(self, tree: str, names: Sequence[str]) -> dict[str, Entry]:
        """What the files of a revision have under these names, those that are there."""
        found: dict[str, Entry] = {}
        for start in range(0, len(names), _NAMES_AT_ONCE):
            some = names[start : start + _NAMES_AT_ONCE]
            found.update(
                _entries(_git(self.folder, "--literal-pathspecs", "ls-tree", "-z", "--full-tree", tree, "--", *some))
            )
        return {name: entry for name in names if (entry := found.get(name))}

    def files(self, tree: str) -> dict[str, Entry]:
        """All .yaml and .yml files of a tree, by their names from its top."""
        found = _entries(_git(self.folder, "ls-tree", "-r", "-z", "--full-tree", tree))
        return {name: entry for name, entry in found if name.endswith(SUFFIXES) and entry.is_file}

    def differing(self, tree: str, other: str | None) -> set[str]:
        """The .yaml and .yml files that are not the same in another tree; for None in the work tree, where those count
        that git does not know yet, but for ignored ones.
        """
        if other is not None:
            raw = _git(self.folder, "diff-tree", "-r", "-z", "--no-ext-diff", tree, other, "--", *_PATTERNS)
            return set(_differing(raw))
        raw = _git(self.folder, "diff-index", "-z", "--no-ext-diff", tree, "--", *_PATTERNS)
        new = _git(self.folder, "ls-files", "-z", "--others", "--exclude-standard", "--full-name", "--", *_PATTERNS)
        return {*_differing(raw), *map(os.fsdecode, new.split(b"\0")[:-1])}

    def contents(self, ids: Iterable[str], most: int) -> dict[str, bytes | None]:
        """The bytes of files by the ids of their objects; None for those of more than ``most`` bytes."""
        wanted = dict.fromkeys(ids)
        sizes = self._asked("--batch-check", wanted)
        small = [id_ for id_, line in zip(wanted, sizes.split(b"\n"), strict=False) if _size(line) <= most]
        found: dict[str, bytes | None] = dict(wanted)
        answer, position = self._asked("--batch", small), 0
        for id_ in small:
            start = answer.find(b"\n", position) + 1
            end = start + _size(answer[position : start - 1])
            found[id_], position = answer[start:end], end + 1
        return found

    def _asked(self, how: str, ids: Iterable[str]) -> bytes:
        question = "".join(f"{id_}\n" for id_ in ids)
        return _git(self.folder, "cat-file", how, given=question.encode("ascii")) if question else b""


def _size(line: bytes) -> int:
    """The size in an answer of cat-file, as ``ID blob SIZE``; raises GitError where git has lost the object."""
    match = re.fullmatch(rb"[0-9a-f]+ \w+ (\d+)", line)
    if match is None:
        raise GitError(
            Problem(Code.GIT_FAILED, f"git cannot read an object: {line.decode('utf-8', 'replace')}", hint="git fsck")
        )
    return int(match[1])


def repository_at(folder: Path) -> Repository:
    """The repository that a folder lies in. Raises GitError where there is none, or no git."""
    root = os.fsdecode(_git(folder, "rev-parse", "--show-toplevel").removesuffix(b"\n"))
    prefix = os.fsdecode(_git(folder, "rev-parse", "--show-prefix").removesuffix(b"\n"))
    return Repository(Path(root), folder, prefix)


def _entries(raw: bytes) -> Iterator[tuple[str, Entry]]:
    """From ``MODE TYPE ID\\tNAME\\0…``."""
    for record in raw.split(b"\0")[:-1]:
        facts, _, name = record.partition(b"\t")
        mode, _, id_ = facts.decode("ascii").split(" ")
        yield os.fsdecode(name), Entry(mode, id_)


def _differing(raw: bytes) -> Iterator[str]:
    """From ``:MODE MODE ID ID STATUS\\0NAME\\0…``."""
    return map(os.fsdecode, raw.split(b"\0")[1::2])


def _git(folder: Path, *arguments: str, given: bytes = b"", fine: Sequence[int] = (0,)) -> bytes:
    git = shutil.which("git")
    if git is None:
        hint = "install it, or compare two files: xttsrecipe diff OLD.yaml NEW.yaml"
        raise GitError(Problem(Code.GIT_MISSING, "reading revisions needs git, which is not installed", hint=hint))
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    try:
        done = subprocess.run(
            [git, "--no-pager", *settings, *arguments],
            input=given,
            capture_output=True,
            cwd=folder,
            env=_environment(os.environ),
            check=False,
        )
    except OSError as error:
        raise GitError(
            Problem(Code.GIT_MISSING, f"git cannot be started: {error.strerror or error}", Location(git))
        ) from error
    if done.returncode not in fine:
        raise GitError(_refusal(folder, arguments[0], done.stderr.decode("utf-8", "replace")))
    return done.stdout if done.returncode == 0 else b""


def _environment(inherited: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in inherited.items() if name not in _MEDDLING} | _MANNERS


def _refusal(folder: Path, command: str, said: str) -> Problem:
    where = Location(str(folder))
    if "not a git repository" in said:
        hint = "go to a folder of the repository, or compare two files: xttsrecipe diff OLD.yaml NEW.yaml"
        return Problem(Code.NO_REPOSITORY, "is not in a git repository", where, hint=hint)
    if "must be run in a work tree" in said:
        return Problem(
            Code.NO_REPOSITORY, "is in a git repository without a work tree", where, hint="go to a clone that has one"
        )
    if "dubious ownership" in said:
        hint = "if you trust it: git config --global --add safe.directory FOLDER"
        return Problem(
            Code.GIT_FAILED, "is in a repository of another user, which git refuses to read", where, hint=hint
        )
    lines = " ".join(said.split())
    return Problem(Code.GIT_FAILED, f"git {command} failed", where, found=lines or "no message")
