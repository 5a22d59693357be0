"""What a lock does for a run: the sources must be those that were locked, and the lock learns what came out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType

from .codes import Code
from .errors import CheckpointError, Location, OutputError, Problem, RecipeError, listed
from .lock import Lock, lock_path, lock_text, parse_lock, read_lock, write_lock
from .metadata import training_of
from .options import RunOptions
from .plan import Plan
from .plan_digest import plan_digest
from .provenance import is_up_to_date, known_digests, sealed
from .recipe import Recipe, Source
from .source_digests import SourceDigests, sha256_of
from .specs import Header
from .summary import Summary


def lock_of(recipe: Recipe) -> Lock | None:
    """The lock beside a recipe; None where there is none. Raises RecipeError."""
    return read_lock(lock_path(recipe.file))


def new_lock(plan: Plan, old: Lock | None) -> str:
    """The lock of a plan as text. Sources that are not here stay as in the ``old`` lock; so does the output's digest
    where the plan is the same. Raises CheckpointError for a source that cannot be read, RecipeError.
    """
    headers = dict(zip(plan.recipe.source_names, plan.headers, strict=True))
    known = old.sources if old else {}
    digests = {name: known[name].sha256 for name, header in headers.items() if header.from_lock}
    digests |= sha256_of({name: header for name, header in headers.items() if not header.from_lock})
    digest = plan_digest(plan)
    output = old.output if old and old.plan == digest else None
    return lock_text(plan.recipe, headers, digests, digest, output)


def header_problems(plan: Plan, lock: Lock) -> Iterator[Problem]:
    """The sources whose header tells already that they are not the files that were locked."""
    changed = {
        source.name: (source, header)
        for source, header in zip(plan.recipe.sources, plan.headers, strict=True)
        if source.name in lock.sources
        and not header.from_lock
        and not _same_header(header, lock.sources[source.name].header)
    }
    digests = sha256_of({name: header for name, (_, header) in changed.items()})
    for name, (source, header) in changed.items():
        yield _changed(source, header, digests[name], lock)


def _same_header(header: Header, locked: Header) -> bool:
    return (header.stamp.size, header.digest) == (locked.stamp.size, locked.digest)


def _changed(source: Source, header: Header, digest: str, lock: Lock) -> Problem:
    locked = lock.sources[source.name]
    return Problem(
        Code.SOURCE_NOT_AS_LOCKED,
        f"{source.name} is not the file that was locked in {lock.file.name}",
        source.where,
        found=_identity(digest, header),
        expected=_identity(locked.sha256, locked.header),
        hint="get the right file; or, if this one is meant, lock it anew: xttsrecipe run --update-lock",
    )


def _identity(digest: str, header: Header) -> str:
    training = training_of(header.entries)
    said = [f"{name} {training[name]}" for name in ("step", "epoch") if name in training]
    return ", ".join([f"sha256 {digest}", f"{header.stamp.size:,} bytes", *said])


class Guard:
    """Watches over a run: its sources are those that recipe and lock name, its output what the lock says of it.

    ``plan`` is to be run. While the guard is used as a context manager, the sources' digests are taken by its threads.
    """

    def __init__(self, plan: Plan, locked: bool = False, update: bool = False) -> None:
        """``locked``: refuse what the lock does not cover; ``update``: make it anew. Raises XttsRecipeError."""
        self._locked = locked
        self._update = update
        self._old = lock_of(plan.recipe)
        if locked and self._old is None:
            hint = "make one with xttsrecipe lock, and check it in with the recipe"
            raise RecipeError(
                Problem(
                    Code.NO_LOCK,
                    "has no lock",
                    Location(str(plan.recipe.file)),
                    expected=str(lock_path(plan.recipe.file)),
                    hint=hint,
                )
            )
        self._lock = self._old
        if update:
            path = lock_path(plan.recipe.file)
            self._lock = parse_lock(new_lock(plan, None), path)
        self._digest = plan_digest(plan)
        self._check(plan)
        self.plan = sealed(plan, self._lock)
        self._digests: SourceDigests | None = None

    def options(self, options: RunOptions | None) -> RunOptions:
        """The options with which the lock learns what it has of an output."""
        return replace(options or RunOptions(), digest=self._covers)

    @property
    def _covers(self) -> bool:
        """Whether the lock is of this very plan."""
        return self._lock is not None and self._lock.plan == self._digest

    @property
    def is_up_to_date(self) -> bool:
        """Whether the output is there already, made by this plan of these sources."""
        known = self._lock is None or self._lock.output is not None or not self._covers
        return known and not self._update and is_up_to_date(self.plan, self._lock)

    @property
    def notes(self) -> Iterator[str]:
        """What someone who runs the recipe should know of its lock."""
        if self._lock is None:
            return
        unlocked = [name for name in self.plan.recipe.source_names if name not in self._lock.sources]
        if unlocked:
            yield f"{listed(unlocked)} not in {self._lock.file.name}: --update-lock brings it up to date"
        elif not self._covers:
            yield f"{self._lock.file.name} is of another plan: --update-lock brings it up to date"

    def _check(self, plan: Plan) -> None:
        if self._lock is None or self._update:
            return
        if (
            self._locked
            and self._lock.plan != self._digest
            and all(name in self._lock.sources for name in plan.recipe.source_names)
        ):
            unchanged = all(
                _same_header(header, self._lock.sources[name].header)
                for name, header in zip(plan.recipe.source_names, plan.headers, strict=True)
            )
            if unchanged:
                raise RecipeError(self._stale("is of another plan: the recipe was changed since, or --set changes it"))
        absent = [name for name in plan.recipe.source_names if name not in self._lock.sources]
        if self._locked and absent:
            raise RecipeError(self._stale(f"knows nothing of {listed(absent)}"))
        problems = list(header_problems(plan, self._lock))
        if problems:
            raise CheckpointError(problems)

    def _stale(self, what: str) -> Problem:
        assert self._lock
        return Problem(
            Code.LOCK_OF_ANOTHER_PLAN,
            what,
            Location(str(self._lock.file)),
            hint="bring it up to date: xttsrecipe lock RECIPE, or run with --update-lock",
        )

    def __enter__(self) -> Guard:
        wanted = known_digests(self.plan, self._lock)
        named = [
            header
            for name, header in zip(self.plan.recipe.source_names, self.plan.headers, strict=True)
            if name in wanted
        ]
        self._digests = SourceDigests(named)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._digests:
            self._digests.__exit__(kind, error, trace)

    def confirm(self, summary: Summary) -> None:
        """To be called when all is written and nothing is in its place yet. Raises CheckpointError for sources that are
        not those that are meant, OutputError where the output is not what the lock says and must be.
        """
        assert self._digests
        wanted = known_digests(self.plan, self._lock)
        problems = []
        for source, header in zip(self.plan.recipe.sources, self.plan.headers, strict=True):
            if source.name not in wanted:
                continue
            found = self._digests.of(header)
            if source.sha256 and found != source.sha256:
                problems.append(_not_meant(source, header, found))
            elif self._lock and source.name in self._lock.sources and found != self._lock.sources[source.name].sha256:
                problems.append(_changed(source, header, found, self._lock))
        if problems:
            raise CheckpointError(problems)
        if self._differs(summary) and self._locked:
            raise OutputError(self._other_output(summary))

    def _differs(self, summary: Summary) -> bool:
        return bool(self._lock and self._covers and self._lock.output not in (None, summary.digest))

    def _other_output(self, summary: Summary) -> Problem:
        assert self._lock
        return Problem(
            Code.OUTPUT_NOT_AS_LOCKED,
            f"the tensors are not those that {self._lock.file.name} has of this plan",
            self.plan.recipe.output.where,
            found=f"sha256 {summary.digest}",
            expected=f"sha256 {self._lock.output}",
            hint="another version of xttsrecipe or torch may round otherwise; --update-lock takes the new one",
        )

    def record(self, summary: Summary) -> Iterator[Problem | str]:
        """Put the output's digest into the lock. Yields what is to be said of that: a note, or a problem that does not
        undo the run. Raises OutputError where the lock cannot be written.
        """
        if self._lock is None or not self._covers:
            return
        if self._differs(summary) and not self._update:
            yield self._other_output(summary)
            return
        if self._lock.output == summary.digest and not self._update:
            return
        headers = dict(zip(self.plan.recipe.source_names, self.plan.headers, strict=True))
        digests = {name: self._lock.sources[name].sha256 for name in headers}
        text = lock_text(self.plan.recipe, headers, digests, self._digest, summary.digest)
        if write_lock(lock_path(self.plan.recipe.file), text):
            yield f"wrote {self._lock.file.name}"


def _not_meant(source: Source, header: Header, found: str) -> Problem:
    return Problem(
        Code.DIGEST_DIFFERS,
        f"{source.name} is not the file that the recipe means: its sha256 differs",
        source.where,
        found=_identity(found, header),
        expected=f"sha256 {source.sha256}",
        hint="get the right file; or, if the new one is meant, change sha256 in the recipe",
    )


__all__ = ["Guard", "header_problems", "lock_of", "new_lock"]
