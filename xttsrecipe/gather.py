"""Tensors that do not lie in one row-major piece: strided, transposed, expanded, windows on a larger storage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from .plan import SPAN_BYTES
from .specs import StoredTensor, span
from .torch_dtypes import torch_dtype

ReadAt = Callable[[StoredTensor, int, memoryview], None]


def gather(tensor: StoredTensor, read: ReadAt) -> torch.Tensor:
    """All elements of a stored tensor in row-major order, as a 1-D tensor.

    ``read(tensor, position, buffer)`` fills a buffer from ``position`` bytes after the tensor's first element.
    """
    result = torch.empty(tensor.spec.shape, dtype=torch_dtype(tensor.spec.dtype), device="cpu")

    def fill(part: torch.Tensor, strides: Sequence[int], start: int) -> None:
        """The part of the result whose first element lies ``start`` elements after the tensor's."""
        shape = tuple(part.shape)
        nbytes = span(shape, tuple(strides)) * part.element_size()
        if nbytes <= SPAN_BYTES:
            buffer = bytearray(nbytes)
            read(tensor, start * part.element_size(), memoryview(buffer))
            elements = torch.frombuffer(buffer, dtype=torch.uint8).view(part.dtype)
            part.copy_(elements.as_strided(shape, tuple(strides)))
            return
        # Halved where the steps in the file are longest, so that the parts lie closest together.
        longest = max(range(len(shape)), key=lambda dimension: (shape[dimension] > 1, strides[dimension]))
        half = shape[longest] // 2
        for begin, count in ((0, half), (half, shape[longest] - half)):
            fill(part.narrow(longest, begin, count), strides, start + begin * strides[longest])

    if tensor.spec.numel:
        fill(result, tensor.strides, 0)
    return result.flatten()
