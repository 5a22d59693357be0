"""Writes ``torch.save`` zip files.

torch itself writes the container: a skeleton of empty tensors is saved under ``torch.serialization.skip_data``,
which lays out every record without its bytes. The data then goes straight to each record, and the checksums, which
torch took of nothing, are put right in the data descriptors and the central directory (layout: PKWARE APPNOTE 4.3.9
and 4.3.12).
"""

from __future__ import annotations

import bisect
import mmap
import os
import struct
import traceback
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import torch

try:
    from isal.isal_zlib import crc32  # more than ten times as fast
except ImportError:  # there is none for this machine
    from zlib import crc32

from ..checkpoints import torch_zip
from ..metadata import OutputMetadata
from ..positional import read_at, start_writeback, write_at
from ..specs import DType, TensorSpec
from ..torch_dtypes import torch_dtype

_CENTRAL_ENTRY = struct.Struct("<4s6H3L5H2L")
_DESCRIPTOR_MAGIC = b"PK\x07\x08"


class TorchZipWriter:
    """Lays out ``{"config": …, "model": {name: tensor}, "step": …}`` and fills in the tensors' bytes."""

    def __init__(self, tensors: Mapping[str, TensorSpec], metadata: OutputMetadata, file: BinaryIO) -> None:
        self._file = file
        self._descriptor = file.fileno()
        # An open handle, not a path, gives the archive the same root folder whatever the output is called.
        try:
            with torch.serialization.skip_data():
                torch.save(_skeleton(tensors, metadata), file)
        except BaseException as error:
            # A writer of torch's that was not yet at its end puts that into the file when it is cleared away. Once the
            # file is closed that cannot be written, which would abort the process.
            traceback.clear_frames(error.__traceback__)
            # A full disk, or Ctrl-C while the file is written to, comes out of torch as an error of its own.
            reason = error.__context__
            if isinstance(error, RuntimeError) and isinstance(reason, (OSError, KeyboardInterrupt)):
                raise reason from None
            raise
        file.flush()
        file.seek(0)
        self._places = torch_zip.read(file, "output").tensors
        self._checksums = dict.fromkeys(tensors, 0)
        self._written = dict.fromkeys(tensors, 0)

    def write(self, name: str, position: int, data: memoryview) -> None:
        """In order, for the checksum runs along. Raises ValueError where a piece is missing."""
        if position != self._written[name]:
            raise ValueError(f"{name}: a piece at {position} after {self._written[name]} bytes")
        write_at(self._descriptor, data, self._places[name].offset + position)
        self._checksums[name] = crc32(data, self._checksums[name])
        self._written[name] += len(data)

    def tensor_done(self, name: str) -> None:
        place = self._places[name]
        start_writeback(self._descriptor, place.offset, place.spec.nbytes)

    def finish(self) -> None:
        """Put the checksums of all records right."""
        with zipfile.ZipFile(self._file) as archive:
            records = sorted(archive.infolist(), key=lambda info: info.header_offset)
            directory_start = archive.start_dir
            directory_end = self._file.seek(0, os.SEEK_END)
        starts = [info.header_offset for info in records]
        by_record: dict[bytes, int] = {}
        for name, place in self._places.items():
            if place.spec.nbytes == 0:
                continue
            record = records[bisect.bisect_right(starts, place.offset) - 1]
            by_record[record.filename.encode()] = self._checksums[name]
            self._patch_descriptor(place.offset + record.file_size, self._checksums[name])
        self._patch_directory(directory_start, directory_end, by_record)

    def _read(self, position: int, count: int) -> bytearray:
        # Never through the buffered file: where there is no pwrite, write_at moves the descriptor under its buffer.
        data = bytearray(count)
        read_at(self._descriptor, memoryview(data), position)
        return data

    def _patch_descriptor(self, position: int, checksum: int) -> None:
        if self._read(position, 4) != _DESCRIPTOR_MAGIC:
            raise AssertionError("torch.save no longer writes a data descriptor after each record")
        write_at(self._descriptor, memoryview(checksum.to_bytes(4, "little")), position + 4)

    def _patch_directory(self, start: int, end: int, checksums: Mapping[bytes, int]) -> None:
        directory = self._read(start, end - start)
        position = 0
        while directory.startswith(b"PK\x01\x02", position):
            fields = _CENTRAL_ENTRY.unpack_from(directory, position)
            name_length, extra_length, comment_length = fields[10], fields[11], fields[12]
            name_start = position + _CENTRAL_ENTRY.size
            name = bytes(directory[name_start : name_start + name_length])
            if name in checksums:
                directory[position + 16 : position + 20] = checksums[name].to_bytes(4, "little")
            position = name_start + name_length + extra_length + comment_length
        write_at(self._descriptor, memoryview(directory), start)


def _skeleton(tensors: Mapping[str, TensorSpec], metadata: OutputMetadata) -> dict[str, Any]:
    """What torch.save is given. Each tensor has a storage of its own, which becomes a record of its own; but those of
    one type lie in the same memory, which is never touched and so never resident.
    """
    largest: dict[DType, int] = {}
    for spec in tensors.values():
        largest[spec.dtype] = max(spec.nbytes, largest.get(spec.dtype, 1))
    memory = {dtype: mmap.mmap(-1, nbytes) for dtype, nbytes in largest.items()}
    model = {name: _tensor(spec, memory[spec.dtype]) for name, spec in tensors.items()}
    entries = dict(metadata.entries)
    config = {"config": entries.pop("config")} if "config" in entries else {}
    return {**config, "model": model, **entries}


def _tensor(spec: TensorSpec, memory: mmap.mmap) -> torch.Tensor:
    dtype = torch_dtype(spec.dtype)
    if spec.nbytes == 0:
        return torch.empty(spec.shape, dtype=dtype, device="cpu")
    return torch.frombuffer(memory, dtype=torch.uint8, count=spec.nbytes).view(dtype).view(spec.shape)
