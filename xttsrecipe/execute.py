"""Carries out a plan: several threads make the tensors, each of them one at a time. Decides nothing.

Of all that is imported for a run, only this module and those that it names below import torch. Memory holds a few
pieces of tensors for each thread, whatever the number and the size of the checkpoints.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from queue import SimpleQueue

with warnings.catch_warnings():
    # torch says at import that numpy is missing, where it is; nothing here needs numpy.
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy", category=UserWarning)
    import torch

from .codes import Code
from .crew import Crew, Room, Shared
from .digests.tensors import tensors_digest
from .errors import OutputError, Problem, XttsRecipeError, listed
from .heap import give_back_large_blocks
from .lanes import Lane
from .nonfinite import NonFiniteCount
from .options import RunOptions
from .plan import Plan, held_at_once, held_bytes
from .provenance.comparison import Comparison
from .source_files import SourceFile
from .specs import Header
from .steps import Step
from .summary import NonFinite, Summary
from .writers import Writer, open_output, open_writer, writing

# A thread tells how far it is whenever it has written so much of a tensor: each time costs the others a moment.
_NEWS_BYTES = 8 << 20

# What to do about values that are too large for a type, before the last resort.
_MORE_RANGE = {
    "float16": "write a type with more range (output.dtype: bfloat16 or float32), or ",
    "bfloat16": "write a type with more range (output.dtype: float32), or ",
}


def execute(
    plan: Plan,
    on_bytes: Callable[[int], None] = lambda count: None,
    options: RunOptions | None = None,
    confirm: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Write the plan's output. ``on_bytes`` is told how many bytes more are written, in the calling thread; ``confirm``
    what was done, when all is written and nothing is in its place yet: what it raises leaves all as it was.

    While it is at work torch itself uses one thread in the whole process.

    Raises CheckpointError where a source cannot be read or is not the file that was planned with, OutputError where the
    output cannot be written or values overflow; then, as on any other exception, the old output stays and nothing is
    left behind.
    """
    options = options or RunOptions()
    output = plan.recipe.output.path
    with ExitStack() as stack, _no_inner_threads, _lack_of_memory():
        _check_device(options.device)
        sources = [stack.enter_context(SourceFile(header)) for header in plan.headers]
        with open_output(plan) as file:
            with writing(output):
                writer = open_writer(plan, file)
            started = time.perf_counter()
            nonfinite, digest = _stream(plan, sources, writer, on_bytes, options)
            with writing(output):
                writer.finish()
                file.flush()
            seconds = time.perf_counter() - started
            for source in sources:
                source.check_unchanged()
            if not options.allow_overflow:
                _refuse_overflow(plan, nonfinite)
            size = os.fstat(file.fileno()).st_size
            summary = Summary(output, len(plan.steps), plan.nbytes, size, seconds, nonfinite, digest)
            confirm(summary)
    return summary


def compare(
    plan: Plan, header: Header, on_bytes: Callable[[int], None], options: RunOptions | None = None
) -> Mapping[str, int]:
    """Make the plan's tensors once more and compare them with those of a checkpoint, which has all of them, in the same
    shapes and types: the first element that differs, by name, in plan order. Writes nothing. Raises CheckpointError.
    """
    options = options or RunOptions()
    with ExitStack() as stack, _no_inner_threads, _lack_of_memory():
        _check_device(options.device)
        sources = [stack.enter_context(SourceFile(header)) for header in plan.headers]
        comparison = Comparison(header, stack.enter_context(SourceFile(header)))
        _stream(plan, sources, comparison, on_bytes, options)
    return {step.name: comparison.found[step.name] for step in plan.steps if step.name in comparison.found}


def _stream(
    plan: Plan, sources: Sequence[SourceFile], writer: Writer, on_bytes: Callable[[int], None], options: RunOptions
) -> tuple[tuple[NonFinite, ...], str | None]:
    """Make all tensors and write them, each by one of the threads. What is not finite in them, and their digest where
    that is asked for. Raises what the first thread that fails raises.
    """
    output = plan.recipe.output.path
    steps = Shared(enumerate(plan.steps))
    held = held_at_once(plan.steps)
    if held:
        give_back_large_blocks()
    room = Room(held)
    crew = Crew()
    found: dict[int, NonFinite | None] = {}
    digests: dict[str, str] = {}
    # What threads tell: bytes written, why they gave up, None at their end.
    news: SimpleQueue[int | BaseException | None] = SimpleQueue()

    def make(lane: Lane, number: int, step: Step) -> None:
        count = NonFiniteCount(step)
        pending = 0
        digest = hashlib.sha256()
        for position, data in lane.pieces(step, count):
            if crew.stopped:
                return
            with writing(output):
                writer.write(step.name, position, data)
            if options.digest:
                digest.update(data)
            pending += len(data)
            if pending >= _NEWS_BYTES:
                news.put(pending)
                pending = 0
        with writing(output):
            writer.tensor_done(step.name)
        found[number] = count.told(plan.recipe.source_names)
        digests[step.name] = digest.hexdigest()
        if pending:
            news.put(pending)

    def work() -> None:
        try:
            with crew.at_work(), torch.inference_mode():
                lane = Lane(sources, plan.recipe.source_names, options)
                for number, step in steps:
                    with room.taken(held_bytes(step)):
                        if crew.stopped:
                            return
                        make(lane, number, step)
        except BaseException as error:
            news.put(error)
        finally:
            news.put(None)

    threads = [threading.Thread(target=work, name=f"lane {number}") for number in range(options.threads)]
    # Twice: an interrupt may come between the end of the inner block and the beginning of its wait.
    with crew, crew:
        for thread in threads:
            _start(thread)
        _follow(news, len(threads), on_bytes)
    assert len(found) == len(plan.steps)
    nonfinite = tuple(tensor for _, tensor in sorted(found.items()) if tensor)
    return nonfinite, tensors_digest({step.name: step.spec for step in plan.steps}, digests) if options.digest else None


def _start(thread: threading.Thread) -> None:
    try:
        thread.start()
    except RuntimeError as error:
        hint = "run again with --threads 1, or where fewer programs are at work"
        raise XttsRecipeError(
            Problem(Code.NO_MORE_THREADS, f"the system gives no more threads: {error}", hint=hint)
        ) from error


def _follow(news: SimpleQueue[int | BaseException | None], running: int, on_bytes: Callable[[int], None]) -> None:
    """Pass on what the threads tell until all are at their end; raise the first failure."""
    failure: BaseException | None = None
    while running:
        told = news.get()
        if told is None:
            running -= 1
        elif isinstance(told, int):
            on_bytes(told)
        else:
            failure = failure or told
    if failure:
        raise failure


@contextlib.contextmanager
def _lack_of_memory() -> Iterator[None]:
    """Raises MemoryError where torch has an error of its own for it."""
    try:
        yield
    except RuntimeError as error:
        if "allocate memory" in str(error):
            raise MemoryError from error
        raise


class _NoInnerThreads:
    """While a run lasts torch has but one thread of its own: pieces are too small to share, and those threads would
    wait for each other at every step. The last of several runs in a process brings them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = 0
        self._threads = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._runs == 0:
                self._threads = torch.get_num_threads()
                torch.set_num_threads(1)
            self._runs += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._runs -= 1
            if self._runs == 0:
                torch.set_num_threads(self._threads)


_no_inner_threads = _NoInnerThreads()


def _check_device(name: str) -> None:
    """Raises XttsRecipeError where torch does not know the device or cannot use it here."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        reason = "nothing can be computed there" if device.type == "meta" else ""
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        reason = str(error).partition("\n")[0]
    if reason:
        hint = "leave --device out to compute on the processor"
        raise XttsRecipeError(Problem(Code.UNUSABLE_DEVICE, f"the device {name!r} cannot be used: {reason}", hint=hint))


def _refuse_overflow(plan: Plan, nonfinite: Iterable[NonFinite]) -> None:
    overflowed = [tensor for tensor in nonfinite if tensor.overflowed]
    if not overflowed:
        return
    dtypes = listed(sorted({str(tensor.dtype) for tensor in overflowed}))
    count = "1 tensor has" if len(overflowed) == 1 else f"{len(overflowed)} tensors have"
    raise OutputError(
        Problem(
            Code.OVERFLOW,
            f"{count} values that are too large for {dtypes}",
            plan.recipe.output.where,
            hint=f"{_MORE_RANGE.get(dtypes, '')}run again with --allow-overflow to have them infinite",
            details=tuple(f"{tensor.key}: {tensor.overflowed:,} of its values" for tensor in overflowed),
            all_details=True,
        )
    )
