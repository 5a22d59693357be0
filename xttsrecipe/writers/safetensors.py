"""Writes ``.safetensors`` files (format: see ``checkpoints.safetensors``).

Tensors lie widest type first, then by name, as the safetensors library lays them, so that each is aligned to its
elements.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import BinaryIO

from ..checkpoints.safetensors import CODES
from ..metadata import OutputMetadata
from ..positional import start_writeback, write_at
from ..specs import TensorSpec

_CODE_OF = {dtype: code for code, dtype in CODES.items()}


class SafetensorsWriter:
    """Lays out a header for ``tensors`` and writes their bytes behind it."""

    def __init__(self, tensors: Mapping[str, TensorSpec], metadata: OutputMetadata, file: BinaryIO) -> None:
        self._descriptor = file.fileno()
        self._tensors = tensors
        header: dict[str, object] = {"__metadata__": metadata.as_text()}
        starts: dict[str, int] = {}
        end = 0
        for name in sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name)):
            spec = tensors[name]
            starts[name] = end
            end += spec.nbytes
            header[name] = {"dtype": _CODE_OF[spec.dtype], "shape": spec.shape, "data_offsets": [starts[name], end]}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        self._starts = {name: 8 + len(text) + start for name, start in starts.items()}
        write_at(self._descriptor, memoryview(len(text).to_bytes(8, "little") + text), 0)

    def write(self, name: str, position: int, data: memoryview) -> None:
        write_at(self._descriptor, data, self._starts[name] + position)

    def written(self, name: str) -> None:
        start_writeback(self._descriptor, self._starts[name], self._tensors[name].nbytes)

    def finish(self) -> None:
        """Nothing is left to do: the format has no checksums."""
