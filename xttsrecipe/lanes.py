"""Makes the tensors of the output from those of the sources, piece by piece. Each thread has a lane of its own."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from .gather import gather
from .methods import METHODS, Draw, call, draw_of
from .nonfinite import NonFiniteCount, is_finite
from .options import RunOptions
from .plan import piece_elements
from .segments import Segment
from .source_files import SourceFile
from .specs import DType
from .steps import Step, in_order, is_elementwise, takes_one_by_one
from .torch_dtypes import torch_dtype

# Those whose NaN has a payload.
_FLOATS = (DType.FLOAT64, DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16)
# Integers of so many bytes.
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Lane:
    """Reads, merges and converts."""

    def __init__(self, sources: Sequence[SourceFile], names: Sequence[str], options: RunOptions) -> None:
        """``names``: what the recipe calls the sources."""
        self._sources = sources
        self._names = names
        # By their headers, so that a recipe's order does not show in a result, nor names where the headers differ.
        self._ranks = [(source.header.digest, name) for source, name in zip(sources, names, strict=True)]
        self._options = options
        self._buffers = _Buffers()

    def pieces(self, step: Step, found: NonFiniteCount) -> Iterator[tuple[int, memoryview]]:
        """The finished bytes of one tensor, from first to last: the position of a piece, and its bytes (valid until the
        next). ``found`` is given what is not finite. Raises CheckpointError where a source cannot be read.
        """
        step = in_order(step, self._ranks)
        # What is needed whole is not kept: it may be large, and the next tensor smaller.
        buffers = self._buffers if is_elementwise(step) else _Buffers()
        inputs = [_Input(step, index, self._sources[source]) for index, source in enumerate(step.sources)]
        draws = self._draws(step)
        for segment in step.segments:
            for start, stop in _ranges(step, segment.count, self._options.threads):
                pieces = _Pieces(step, segment, inputs, buffers, start, stop)
                result = self._made(step, segment, pieces, buffers, draws, found)
                yield (segment.start + start) * step.spec.dtype.itemsize, _bytes_of(result)

    def _draws(self, step: Step) -> list[Draw]:
        """The random numbers of each source, the base aside; none for a method that takes none."""
        if step.method not in METHODS or not METHODS[step.method].random:
            return []
        seed = step.parameters["seed"]
        assert isinstance(seed, int)
        return [draw_of(seed, step.key, self._names[source]) for source in step.sources[1:]]

    def _made(
        self, step: Step, segment: Segment, pieces: _Pieces, buffers: _Buffers, draws: Sequence[Draw],
        found: NonFiniteCount,
    ) -> torch.Tensor:  # fmt: skip
        # Fine-tunes of one parent share most of it: what is equal everywhere stays as it is, bit for bit, NaN included;
        # wherever pieces begin and end. Random numbers are drawn for all elements, or they would depend on that.
        taken = not draws and _are_equal(pieces)
        result = merged = pieces[0] if taken else self._combined(step, pieces, segment.weights, buffers, draws)
        converted = merged.dtype != torch_dtype(step.spec.dtype) or merged.device.type != "cpu"
        if converted:
            result = buffers.tensor("result", 0, merged.numel(), step.spec.dtype)[0].copy_(merged)
        if (converted or not taken or self._options.check) and not is_finite(result):
            if converted and step.spec.dtype in _FLOATS:
                # Which NaN a conversion gives depends on the processor.
                result.masked_fill_(result.isnan(), math.nan)
            if not taken and (is_elementwise(step) or step.has_base):
                result = _with_shared(result, pieces)
            found.add(result, pieces, [step.sources[index] for index in segment.inputs])
        return result

    def _combined(
        self, step: Step, pieces: _Pieces, weights: Sequence[float], buffers: _Buffers, draws: Sequence[Draw]
    ) -> torch.Tensor:
        device = "cpu" if is_elementwise(step) else self._options.device
        wide = pieces.widened(device)
        count = wide[0].numel()

        def scratch(number: int) -> torch.Tensor:
            return buffers.tensor("scratch", number, count, DType.FLOAT64)[0].to(device)

        entry = METHODS[step.method]
        if entry.shaped:
            wide = [tensor.view(step.spec.shape) for tensor in wide]
        first = int(step.has_base)
        merged = call(
            entry,
            _Behind(wide, first),
            weights[first:],
            wide[0] if first else None,
            step.parameters,
            draws,
            scratch,
        ).flatten()
        return torch.view_as_complex(merged.view(-1, 2)) if step.compute.kind == "complex" else merged


class _Buffers:
    """Memory that is used again for every piece: fresh memory for each would cost more than the arithmetic."""

    def __init__(self) -> None:
        # By use and slot: the memory, and what was last handed out of it.
        self._kept: dict[tuple[str, int], tuple[torch.Tensor, torch.Tensor, memoryview]] = {}

    def tensor(self, use: str, slot: int, count: int, dtype: DType) -> tuple[torch.Tensor, memoryview]:
        """A 1-D tensor of ``count`` elements, not initialised, and its bytes; the same memory for the same use."""
        memory, tensor, data = self._kept.get((use, slot)) or (_NOTHING, _NOTHING, memoryview(b""))
        if tensor.numel() != count or tensor.dtype != torch_dtype(dtype):
            nbytes = count * dtype.itemsize
            if memory.numel() < nbytes:
                memory = torch.empty(nbytes, dtype=torch.uint8, device="cpu")
            tensor = memory[:nbytes].view(torch_dtype(dtype))
            data = _bytes_of(tensor)
            self._kept[use, slot] = (memory, tensor, data)
        return tensor, data

    def drop(self, use: str, slot: int) -> None:
        """Give back the memory of a use."""
        self._kept.pop((use, slot), None)


_NOTHING = torch.empty(0, dtype=torch.uint8)


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """A contiguous tensor's memory."""
    memory: Any = (ctypes.c_char * tensor.nbytes).from_address(tensor.data_ptr())
    memory.owner = tensor  # which lives as long as the view
    return memoryview(memory).cast("B")


class _Input:
    """One input of a step: read in pieces, or from what was gathered of it."""

    def __init__(self, step: Step, index: int, source: SourceFile) -> None:
        self._tensor = step.inputs[index]
        self._source = source
        self._whole = None if self._tensor.is_contiguous else gather(self._tensor, source.read)

    def read(self, start: int, stop: int, buffers: _Buffers, slot: int) -> torch.Tensor:
        """Elements ``start`` to ``stop`` in row-major order, in the slot's buffer."""
        if self._whole is not None:
            return self._whole[start:stop]
        dtype = self._tensor.spec.dtype
        elements, data = buffers.tensor("read", slot, stop - start, dtype)
        self._source.read(self._tensor, start * dtype.itemsize, data)
        return elements


class _Pieces(Sequence[torch.Tensor]):
    """The same elements of each input of a segment, read when they are taken.

    Where the method takes them one by one, all but the first share a buffer: each is valid until the next is taken.
    """

    def __init__(
        self, step: Step, segment: Segment, inputs: Sequence[_Input], buffers: _Buffers, start: int, stop: int
    ) -> None:
        self._step = step
        self._segment = segment
        self._inputs = inputs
        self._buffers = buffers
        self._range = (start, stop)
        self._shared = takes_one_by_one(step)
        # By slot: which of the pieces it holds.
        self._held: dict[int, tuple[int, torch.Tensor]] = {}

    def __len__(self) -> int:
        return len(self._segment.inputs)

    def __getitem__(self, index: int) -> torch.Tensor:  # type: ignore[override]
        slot = self.slot(index)
        held, piece = self._held.get(slot, (None, _NOTHING))
        if held != index:
            first = self._segment.starts[index]
            start, stop = self._range
            piece = self._inputs[self._segment.inputs[index]].read(first + start, first + stop, self._buffers, slot)
            self._held[slot] = (index, piece)
        return piece

    @property
    def are_whole(self) -> bool:
        """Whether these are all elements, as the method needs them at once."""
        return not is_elementwise(self._step)

    def slot(self, index: int) -> int:
        """Which buffer a piece lies in."""
        return min(index, 1) if self._shared else index

    def forget(self, index: int) -> None:
        """Give back the memory of a piece; it is read again when it is taken again."""
        slot = self.slot(index)
        self._held.pop(slot, None)
        self._buffers.drop("read", slot)

    def widened(self, device: str) -> Sequence[torch.Tensor]:
        """The same in the type and on the device that the method wants, complex numbers as pairs."""
        return _Widened(self, self._step.compute, device, self._buffers)


class _Widened(Sequence[torch.Tensor]):
    def __init__(self, pieces: _Pieces, dtype: DType, device: str, buffers: _Buffers) -> None:
        self._pieces = pieces
        self._dtype = dtype
        self._device = device
        self._buffers = buffers
        self._held: dict[int, tuple[int, torch.Tensor]] = {}

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, index: int) -> torch.Tensor:  # type: ignore[override]
        slot = self._pieces.slot(index)
        held, tensor = self._held.get(slot, (None, _NOTHING))
        if held != index:
            tensor = self._wide(index, slot)
            self._held[slot] = (index, tensor)
        return tensor

    def _wide(self, index: int, slot: int) -> torch.Tensor:
        piece = self._pieces[index]
        if piece.dtype != torch_dtype(self._dtype):
            piece = self._buffers.tensor("compute", slot, piece.numel(), self._dtype)[0].copy_(piece)
            if self._pieces.are_whole:
                self._pieces.forget(index)  # both would be too much of a large tensor
        return (torch.view_as_real(piece).flatten() if piece.is_complex() else piece).to(self._device)


class _Behind(Sequence[torch.Tensor]):
    """Those behind the first so many, taken when they are asked for."""

    def __init__(self, tensors: Sequence[torch.Tensor], first: int) -> None:
        self._tensors = tensors
        self._first = first

    def __len__(self) -> int:
        return len(self._tensors) - self._first

    def __getitem__(self, index: int) -> torch.Tensor:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._tensors[index + self._first]


def _ranges(step: Step, count: int, threads: int) -> Iterator[tuple[int, int]]:
    """The elements of a segment piece by piece; all at once where the method needs them whole."""
    size = piece_elements(step, threads) if is_elementwise(step) else max(count, 1)
    for start in range(0, count, size):
        yield start, min(start + size, count)


def _are_equal(pieces: Sequence[torch.Tensor]) -> bool:
    first = pieces[0]
    return all(_same_bits(first, pieces[index]) for index in range(1, len(pieces)))


def _with_shared(result: torch.Tensor, pieces: Sequence[torch.Tensor]) -> torch.Tensor:
    """A result with the elements that are equal in all pieces as they are there, bit for bit."""
    if any(piece.dtype != result.dtype for piece in pieces):
        return result
    if result.is_complex():
        real = _with_shared(torch.view_as_real(result), [torch.view_as_real(piece) for piece in pieces])
        return torch.view_as_complex(real)
    bits = _BITS[result.element_size()]
    first = pieces[0]
    same = torch.ones(result.shape, dtype=torch.bool, device="cpu")
    for index in range(1, len(pieces)):
        same &= pieces[index].view(bits) == first.view(bits)
    return first.where(same, result)


def _same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.dtype != other.dtype:
        return False
    # Eight bytes at a time where both lie so: one that was gathered may begin anywhere.
    size = one.element_size()
    aligned = one.numel() * size % 8 == 0 and one.storage_offset() * size % 8 == other.storage_offset() * size % 8 == 0
    bits = torch.int64 if aligned else torch.uint8
    return torch.equal(one.view(bits), other.view(bits))
