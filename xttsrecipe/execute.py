"""Carries out a plan: several threads make the tensors, each of them one at a time. Decides nothing.

Of all that is imported for a run, only this module and those that it names below import torch. Memory holds a few
pieces of tensors for each thread, whatever the number and the size of the checkpoints.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Generic, TypeVar

with warnings.catch_warnings():
    # torch says at import that numpy is missing, where it is; nothing here needs numpy.
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy", category=UserWarning)
    import torch

from .errors import OutputError, Problem, XttsRecipeError, listed
from .lanes import Lane
from .nonfinite import NonFiniteCount
from .options import RunOptions
from .plan import HELD_BYTES, Plan, held_bytes
from .source_files import SourceFile
from .summary import NonFinite, Summary
from .writers import Writer, open_output, open_writer, writing

T = TypeVar("T")

# A thread tells how far it is whenever it has written so much: each time costs the others a moment.
_TOLD_BYTES = 8 << 20


def execute(
    plan: Plan, on_bytes: Callable[[int], None] = lambda count: None, options: RunOptions | None = None
) -> Summary:
    """Write the plan's output. ``on_bytes`` is told of every piece of output written, in bytes.

    Raises CheckpointError where a source cannot be read or is not the file that was planned with, OutputError where the
    output cannot be written or values overflow; then, as on any other exception, the old output stays and nothing is
    left behind.
    """
    options = options or RunOptions()
    output = plan.recipe.output.path
    with ExitStack() as stack, _no_inner_threads():
        _check_device(options.device)
        sources = [stack.enter_context(SourceFile(header)) for header in plan.headers]
        with open_output(plan) as file:
            with writing(output):
                writer = open_writer(plan, file)
            started = time.perf_counter()
            nonfinite = _stream(plan, sources, writer, on_bytes, options)
            with writing(output):
                writer.finish()
                file.flush()
            seconds = time.perf_counter() - started
            for source in sources:
                source.check_unchanged()
            if not options.allow_overflow:
                _refuse_overflow(plan, nonfinite)
            size = os.fstat(file.fileno()).st_size
    return Summary(output, len(plan.steps), plan.nbytes, size, seconds, nonfinite)


def _stream(
    plan: Plan, sources: Sequence[SourceFile], writer: Writer, on_bytes: Callable[[int], None], options: RunOptions
) -> tuple[NonFinite, ...]:
    """Make all tensors and write them, each by one of the threads. Raises what the first thread that fails raises."""
    steps = _Shared(enumerate(plan.steps))
    room = _Room(max(HELD_BYTES, *map(held_bytes, plan.steps)))
    found: dict[int, NonFinite] = {}
    stop = threading.Event()
    # What threads tell: bytes written, why they gave up, None at their end.
    told: SimpleQueue[int | BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            lane, pending = Lane(sources, options), 0
            with torch.inference_mode():
                for number, step in steps:
                    count = NonFiniteCount(step)
                    with room.taken(held_bytes(step)):
                        for position, data in lane.pieces(step, count):
                            if stop.is_set():
                                return
                            with writing(plan.recipe.output.path):
                                writer.write(step.name, position, data)
                            if (pending := pending + len(data)) >= _TOLD_BYTES:
                                told.put(pending)
                                pending = 0
                    with writing(plan.recipe.output.path):
                        writer.written(step.name)
                    if nonfinite := count.told(plan.recipe.source_names):
                        found[number] = nonfinite
            told.put(pending)
        except BaseException as error:
            told.put(error)
        finally:
            told.put(None)

    threads = [threading.Thread(target=work, name=f"lane {number}") for number in range(options.threads)]
    try:
        for thread in threads:
            thread.start()
        _follow(told, len(threads), stop, on_bytes)
    finally:
        stop.set()
        _join(threads)
    return tuple(found[number] for number in sorted(found))


def _follow(
    told: SimpleQueue[int | BaseException | None], running: int, stop: threading.Event, on_bytes: Callable[[int], None]
) -> None:
    """Pass on what the threads tell until all are at their end; raise the first failure."""
    failure: BaseException | None = None
    while running:
        news = told.get()
        if news is None:
            running -= 1
        elif isinstance(news, int):
            on_bytes(news)
        else:
            failure = failure or news
            stop.set()
    if failure:
        raise failure


def _join(threads: Iterable[threading.Thread]) -> None:
    """Wait for the threads, however often Ctrl-C is pressed: what they write to is closed afterwards."""
    interrupted = False
    for thread in threads:
        while thread.is_alive():
            try:
                thread.join()
            except KeyboardInterrupt:
                interrupted = True
    if interrupted:
        raise KeyboardInterrupt


class _Shared(Generic[T]):
    """An iterator that several threads take from, each item going to one of them."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._lock:
            return next(self._items)


class _Room:
    """Memory for tensors that are held whole: threads wait until what they need is free."""

    def __init__(self, nbytes: int) -> None:
        self._free = nbytes
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, nbytes: int) -> Iterator[None]:
        """So many bytes, at most all that there are, while the block lasts."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= nbytes)
            self._free -= nbytes
        try:
            yield
        finally:
            with self._changed:
                self._free += nbytes
                self._changed.notify_all()


@contextlib.contextmanager
def _no_inner_threads() -> Iterator[None]:
    """Pieces are too small to share: torch's own threads would wait for each other at every step."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _check_device(name: str) -> None:
    """Raises XttsRecipeError where torch does not know the device or cannot use it here."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        reason = "nothing can be computed there" if device.type == "meta" else ""
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
    if reason:
        hint = "leave --device out to compute on the processor"
        raise XttsRecipeError(Problem(f"--device {name} cannot be used: {reason}", hint=hint))


def _refuse_overflow(plan: Plan, nonfinite: Iterable[NonFinite]) -> None:
    overflowed = [tensor for tensor in nonfinite if tensor.overflowed]
    if not overflowed:
        return
    dtypes = listed(sorted({str(tensor.dtype) for tensor in overflowed}))
    count = "1 tensor has" if len(overflowed) == 1 else f"{len(overflowed)} tensors have"
    raise OutputError(
        Problem(
            f"{count} values that are too large for {dtypes}",
            plan.recipe.output.where,
            hint="write a type with more range (output.dtype: bfloat16 or float32), or run again with --allow-overflow "
            "to have them infinite",
            details=tuple(f"{tensor.key}: {tensor.overflowed:,} of its values" for tensor in overflowed),
        )
    )
