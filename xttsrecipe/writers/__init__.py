"""Output files: one writer module per format, all written atomically.

A writer lays the whole container out at once, from the plan alone; data then goes straight to its place, in any order.
"""

from __future__ import annotations

from typing import BinaryIO, Protocol

from ..plan import Plan
from .atomic import writing
from .output import open_output
from .safetensors import SafetensorsWriter
from .torch_zip import TorchZipWriter

__all__ = ["Writer", "open_output", "open_writer", "writing"]


class Writer(Protocol):
    """Takes the tensors' bytes: little-endian, row-major. Tensors may come in any order, several at once."""

    def write(self, name: str, position: int, data: memoryview) -> None:
        """``data`` at byte ``position`` of a tensor; a tensor's pieces come in order, from one thread."""

    def written(self, name: str) -> None:
        """To be called when every byte of a tensor has been written: it begins its way to the disk."""

    def finish(self) -> None:
        """To be called once, when every byte of every tensor has been written."""


def open_writer(plan: Plan, file: BinaryIO) -> Writer:
    """The writer for the plan's format, its container laid out in the empty ``file``."""
    writer = SafetensorsWriter if plan.recipe.output.format == "safetensors" else TorchZipWriter
    return writer({step.name: step.spec for step in plan.steps}, plan.metadata, file)
