"""Streams a plan's steps from the sources to the output. Decides nothing: what the plan says is what happens.

Imports torch, as do only ``gather``, ``torch_dtypes`` and ``writers.torch_zip``. Memory holds a few pieces of
tensors, whatever the number and the size of the checkpoints.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

with warnings.catch_warnings():
    # torch says at import that numpy is missing, where it is; nothing here needs numpy.
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy", category=UserWarning)
    import torch

from .checkpoints.unchanged import check_unchanged
from .errors import CheckpointError, Location, Problem
from .gather import gather
from .methods import METHODS
from .plan import Plan, piece_elements
from .positional import read_at
from .specs import DType, Header, StoredTensor
from .steps import Step
from .torch_dtypes import torch_dtype
from .writers import open_output, open_writer, writing


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did: tensors and bytes of tensor data written, the file's size, wall seconds of the streaming."""

    output: Path
    tensors: int
    nbytes: int
    size: int
    seconds: float


def execute(plan: Plan, on_bytes: Callable[[int], None] = lambda count: None) -> Summary:
    """Write the plan's output. ``on_bytes`` is told of every piece of output written, in bytes.

    Raises CheckpointError where a source cannot be read or is not the file that was planned with, OutputError where the
    output cannot be written; then, as on any other exception, the old output stays and nothing is left behind.
    """
    output = plan.recipe.output.path
    started = time.perf_counter()
    with ExitStack() as stack, torch.inference_mode(), _one_thread():
        sources = [stack.enter_context(_OpenSource(header)) for header in plan.headers]
        lane = _Lane()
        with open_output(plan) as file:
            with writing(output):
                writer = open_writer(plan, file)
            for step in plan.steps:
                for name, position, data in _pieces_of(step, sources, lane):
                    with writing(output):
                        writer.write(name, position, data)
                    on_bytes(len(data))
            for source in sources:
                source.check_unchanged()
            with writing(output):
                writer.finish()
                file.flush()
            size = os.fstat(file.fileno()).st_size
    return Summary(output, len(plan.steps), plan.nbytes, size, time.perf_counter() - started)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Pieces are too small to share: on a busy machine torch's threads would wait for each other at every step."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _OpenSource:
    """A source's file, open for reading the places that its header gives."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._path = str(header.path)

    def __enter__(self) -> _OpenSource:
        try:
            self._descriptor = os.open(self._header.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise CheckpointError(
                Problem(f"cannot be read any more: {error.strerror or error}", Location(self._path))
            ) from error
        try:
            self.check_unchanged()
        except CheckpointError:
            os.close(self._descriptor)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def check_unchanged(self) -> None:
        check_unchanged(self._descriptor, self._header.stamp, self._header.path)

    def read(self, tensor: StoredTensor, position: int, buffer: memoryview) -> None:
        """Fill the buffer from byte ``position`` after the tensor's first element, as the bytes lie in the file."""
        try:
            count = read_at(self._descriptor, buffer, tensor.offset + position)
        except OSError as error:
            raise self._unreadable(tensor, error.strerror or str(error)) from error
        if count < len(buffer):
            raise self._unreadable(tensor, f"the file ends {len(buffer) - count:,} bytes too early")

    def _unreadable(self, tensor: StoredTensor, why: str) -> CheckpointError:
        return CheckpointError(
            Problem(
                f"tensor {tensor.name!r} cannot be read: {why}",
                Location(self._path),
                hint="check the file and its disk",
            )
        )


class _Lane:
    """Buffers that are used again for every piece: fresh memory for each would cost more than the arithmetic."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, int], bytearray] = {}

    def tensor(self, use: tuple[str, int], count: int, dtype: DType) -> tuple[torch.Tensor, memoryview]:
        """A tensor of ``count`` elements, not initialised, and its bytes."""
        nbytes = count * dtype.itemsize
        buffer = self._buffers.get(use)
        if buffer is None or len(buffer) < nbytes:
            buffer = self._buffers[use] = bytearray(nbytes)
        elements = torch.frombuffer(buffer, dtype=torch.uint8, count=nbytes).view(torch_dtype(dtype))
        return elements, memoryview(buffer)[:nbytes]


class _Input:
    """One input of a step, piece by piece."""

    def __init__(self, tensor: StoredTensor, source: _OpenSource, lane: _Lane, index: int) -> None:
        self._tensor = tensor
        self._source = source
        self._lane = lane
        self._use = ("read", index)
        self._whole = None if tensor.is_contiguous else gather(tensor, source.read)

    def read(self, start: int, stop: int) -> torch.Tensor:
        """Elements ``start`` to ``stop`` in row-major order; valid until the next call."""
        if self._whole is not None:
            return self._whole[start:stop]
        dtype = self._tensor.spec.dtype
        elements, buffer = self._lane.tensor(self._use, stop - start, dtype)
        self._source.read(self._tensor, start * dtype.itemsize, buffer)
        return elements


def _pieces_of(step: Step, sources: Sequence[_OpenSource], lane: _Lane) -> Iterator[tuple[str, int, memoryview]]:
    """The finished bytes of one tensor, in pieces: its name, the position in it, the bytes (valid until the next)."""
    inputs = [
        _Input(tensor, sources[source], lane, index)
        for index, (source, tensor) in enumerate(zip(step.sources, step.inputs, strict=True))
    ]
    for segment in step.segments:
        for start, stop in _ranges(step, segment.count):
            pieces = [
                inputs[index].read(first + start, first + stop)
                for index, first in zip(segment.inputs, segment.starts, strict=True)
            ]
            merged = _merged(step, pieces, segment.weights, lane)
            result, data = lane.tensor(("write", 0), stop - start, step.spec.dtype)
            result.copy_(merged)
            if merged.dtype != result.dtype and step.spec.dtype in (DType.FLOAT16, DType.BFLOAT16):
                # Which NaN a conversion gives depends on the processor.
                result.masked_fill_(merged.isnan(), math.nan)
            yield step.name, (segment.start + start) * step.spec.dtype.itemsize, data


def _ranges(step: Step, count: int) -> Iterator[tuple[int, int]]:
    """The elements of a segment piece by piece; all at once where the method needs them whole."""
    size = piece_elements(step)
    if step.method in METHODS and not METHODS[step.method].elementwise:
        size = max(count, 1)
    for start in range(0, count, size):
        yield start, min(start + size, count)


def _merged(step: Step, pieces: Sequence[torch.Tensor], weights: Sequence[float], lane: _Lane) -> torch.Tensor:
    # Fine-tunes of one parent share most of it: what is equal everywhere stays as it is, bit for bit, NaN included.
    if _are_equal(pieces):
        return pieces[0]
    return METHODS[step.method].combine(_widened(step, pieces, lane), weights)


def _are_equal(pieces: Sequence[torch.Tensor]) -> bool:
    first, *others = pieces
    if any(piece.dtype != first.dtype for piece in others):
        return False
    # Eight bytes at a time where all of them lie so: one that was gathered may begin anywhere.
    size = first.element_size()
    aligned = first.numel() * size % 8 == 0 and all(piece.storage_offset() * size % 8 == 0 for piece in pieces)
    bits = first.view(torch.int64 if aligned else torch.uint8)
    return all(torch.equal(piece.view(bits.dtype), bits) for piece in others)


def _widened(step: Step, pieces: Sequence[torch.Tensor], lane: _Lane) -> list[torch.Tensor]:
    """The pieces in the type that the step computes in."""
    wide = []
    for index, piece in enumerate(pieces):
        if piece.dtype != torch_dtype(step.compute):
            piece = lane.tensor(("compute", index), piece.numel(), step.compute)[0].copy_(piece)
        wide.append(piece)
    return wide
