"""Watches over a run: its sources are those that recipe and lock name, its output is what the lock says of it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from .checkpoints import open_checkpoint
from .codes import Code
from .digests.sources import SourceDigests, sha256_of
from .errors import CheckpointError, Location, OutputError, Problem, RecipeError, listed
from .lock import lock_path, lock_text, parse_lock, write_lock
from .locking import (
    changed,
    changed_sources,
    drift,
    header_problems,
    lock_of,
    locked_source,
    misstatements,
    new_lock,
    not_meant,
    uncovered,
)
from .metadata import provenance_of
from .options import RunOptions
from .plan import Plan
from .provenance import is_up_to_date, known_digests, sealed
from .provenance.stored import stored_digest
from .summary import Summary


class Guard:
    """``plan`` is to be run while the guard is used as a context manager: then sources are read for their digests."""

    def __init__(self, plan: Plan, locked: bool = False, update: bool = False) -> None:
        """``locked``: refuse what the lock does not cover; ``update``: make it anew, which reads all sources.

        Raises CheckpointError for sources that are not here or not those that were locked, RecipeError where a lock is
        missing, cannot be read or does not cover the plan and must.
        """
        self._names = plan.recipe.source_names
        self._headers = dict(zip(self._names, plan.headers, strict=True))
        self._path = lock_path(plan.recipe.file)
        self._locked, self._update = locked, update
        _refuse_absent(plan)
        if update and plan.recipe.settings:
            raise RecipeError(_of_other_values(plan))
        self._before = _content(self._path)
        self._lock = parse_lock(new_lock(plan, None), self._path) if update else lock_of(plan.recipe)
        self.plan = sealed(plan, self._lock)
        self._digest: str = provenance_of(self.plan.metadata.entries)["plan_sha256"]
        if not update:
            self._check(plan)
        self._wanted = known_digests(plan, self._lock)
        self._digests = SourceDigests(self._headers[name] for name in self._wanted)

    def _check(self, plan: Plan) -> None:
        lock = self._lock
        if lock is None:
            if self._locked:
                raise RecipeError(_no_lock(plan, self._path))
            return
        other = changed_sources(plan, lock)
        if other:
            digests = sha256_of({name: self._headers[name] for name in other})
            raise CheckpointError(header_problems(plan, lock, digests))
        if self._locked and self._unlocked:
            raise RecipeError(uncovered(lock, self._unlocked))
        if self._locked and not self._covers:
            raise RecipeError(uncovered(lock))

    @property
    def _unlocked(self) -> list[str]:
        return [name for name in self._names if self._lock and name not in self._lock.sources]

    @property
    def _covers(self) -> bool:
        """Whether the lock is of this very plan."""
        return self._lock is not None and self._lock.plan == self._digest and not self._unlocked

    @property
    def drift(self) -> list[Problem]:
        """Where the lock does not speak of what is run: no reason to refuse it, but to be known."""
        if self._lock is None:
            return []
        found = drift(self.plan.recipe, self._lock, None if self._covers else self.plan)
        return [*found, *misstatements(self.plan, self._lock)]

    @property
    def is_up_to_date(self) -> bool:
        """Whether the output is there already, made by this plan of these sources."""
        told = not self._covers or (self._lock is not None and self._lock.output is not None)
        return told and not self._update and is_up_to_date(self.plan, self._lock) and self._is_as_locked

    @property
    def _is_as_locked(self) -> bool:
        """Whether sources and output are, to the byte, those that a lock has; looked at where they must be."""
        if not self._locked or self._lock is None:
            return True
        with SourceDigests(self._headers[name] for name in self._wanted) as digests:
            if stored_digest(open_checkpoint(self.plan.model_path)) != self._lock.output:
                return False
            return all(digests.of(self._headers[name]) == digest for name, digest in self._wanted.items())

    def options(self, options: RunOptions | None) -> RunOptions:
        """The options with which the lock learns what it has of an output."""
        return replace(options or RunOptions(), digest=self._covers)

    def __enter__(self) -> Guard:
        self._digests.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._digests.__exit__()

    def confirm(self, summary: Summary) -> None:
        """To be called when all is written and nothing is in its place yet. Raises CheckpointError for sources that are
        not those that are meant, OutputError where the output is not what the lock says and must be.
        """
        problems = []
        for source in self.plan.recipe.sources:
            if source.name not in self._wanted:
                continue
            header = self._headers[source.name]
            found = self._digests.of(header)
            locked = self._lock.sources.get(source.name) if self._lock else None
            if source.sha256 and found != source.sha256:
                problems.append(not_meant(source, header, found))
            elif self._lock and locked and found != locked.sha256:
                problems.append(changed(source, header, found, self._lock))
        if problems:
            raise CheckpointError(problems)
        if self._locked and (other := self._other_output(summary)):
            raise OutputError(other)

    def _other_output(self, summary: Summary) -> Problem | None:
        if self._lock is None or not self._covers or self._lock.output in (None, summary.digest):
            return None
        return Problem(
            Code.OUTPUT_NOT_AS_LOCKED,
            f"the tensors are not those that {self._lock.file.name} has of this plan",
            self.plan.recipe.output.where,
            found=f"sha256 {summary.digest}",
            expected=f"sha256 {self._lock.output}",
            hint="another version of xttsrecipe or torch may round otherwise; --update-lock takes the new one",
        )

    def record(self, summary: Summary) -> Problem | str | None:
        """Put the output's digest into the lock. What is to be said of that: a note, or a problem that does not undo
        the run.
        """
        if self._lock is None or not self._covers:
            return None
        other = self._other_output(summary)
        if other or (self._lock.output == summary.digest and not self._update):
            return other
        locked = {
            source.name: locked_source(source, self._headers[source.name], self._lock.sources[source.name].sha256)
            for source in self.plan.recipe.sources
        }
        text = lock_text(self.plan.recipe, locked, self._digest, summary.digest)
        if _content(self._path) != self._before:
            return f"{self._path.name} was changed meanwhile, and stays as it is"
        try:
            return f"wrote {self._path.name}" if write_lock(self._path, text) else None
        except OutputError as error:
            return error.problems[0]


def _content(path: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        return path.read_bytes() if path.is_file() else None
    return None


def _of_other_values(plan: Plan) -> Problem:
    what = f"a lock is of the recipe as it stands, and --set changes it: {listed(plan.recipe.settings)}"
    return Problem(Code.LOCK_OF_ANOTHER_PLAN, what, Location(str(plan.recipe.file)), hint="change the recipe itself")


def _refuse_absent(plan: Plan) -> None:
    """A plan that was made from a lock is to be looked at."""
    absent = [
        Problem(Code.MISSING_FILE, f"source {source.name!r} is not here: only its lock is", source.where)
        for source, header in zip(plan.recipe.sources, plan.headers, strict=True)
        if header.from_lock
    ]
    if absent:
        raise CheckpointError(absent)


def _no_lock(plan: Plan, path: object) -> Problem:
    hint = "make one with xttsrecipe lock, and check it in with the recipe"
    return Problem(Code.NO_LOCK, "has no lock", Location(str(plan.recipe.file)), expected=str(path), hint=hint)
