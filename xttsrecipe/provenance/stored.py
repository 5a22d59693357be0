"""The digest of the tensors that a checkpoint has, to be compared with what a lock has of an output."""

from __future__ import annotations

import hashlib

from ..codes import Code
from ..digests.tensors import tensors_digest
from ..errors import CheckpointError, Location, Problem
from ..source_files import SourceFile
from ..specs import Header

_READ_BYTES = 1 << 20


def stored_digest(header: Header) -> str:
    """The digest of a checkpoint's tensors (see ``digests.tensors``), read from the file. Raises CheckpointError."""
    tensors = header.stored
    digests = {}
    buffer = memoryview(bytearray(_READ_BYTES))
    with SourceFile(header) as file:
        for name, tensor in tensors.items():
            if not tensor.is_contiguous:
                raise CheckpointError(
                    Problem(Code.NOT_AS_MADE, f"{name} does not lie in row-major order", Location(str(header.path)))
                )
            digest = hashlib.sha256()
            for position in range(0, tensor.spec.nbytes, _READ_BYTES):
                part = buffer[: min(_READ_BYTES, tensor.spec.nbytes - position)]
                file.read(tensor, position, part)
                digest.update(part)
            digests[name] = digest.hexdigest()
        file.check_unchanged()
    return tensors_digest({name: tensor.spec for name, tensor in tensors.items()}, digests)
