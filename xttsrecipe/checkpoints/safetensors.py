"""Reads and describes the header of a ``.safetensors`` file.

Layout (https://github.com/huggingface/safetensors#format): 8 bytes little-endian N, N bytes of JSON
``{name: {dtype, shape, data_offsets: [begin, end]}, "__metadata__": {text: text}}``, then the data; offsets count
from its start, cover it without gaps, and tensors are row-major and little-endian.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from typing import Any, BinaryIO

from ..codes import Code
from ..errors import CheckpointError, Location, Problem
from ..specs import DType, RawCheckpoint, StoredTensor, contiguous_strides, shared_spec
from ..strict_json import check_size, unique_names
from .plain import plain_entries, to_plain
from .records import MalformedPickleError

# The format allows 100 MB. The header of XTTS has 0.1, that of twenty thousand tensors 2.
MAX_HEADER_BYTES = 16_000_000

CODES = {
    "F64": DType.FLOAT64, "F32": DType.FLOAT32, "F16": DType.FLOAT16, "BF16": DType.BFLOAT16,
    "F8_E4M3": DType.FLOAT8_E4M3FN, "F8_E5M2": DType.FLOAT8_E5M2, "F8_E8M0": DType.FLOAT8_E8M0FNU,
    "F8_E4M3FNUZ": DType.FLOAT8_E4M3FNUZ, "F8_E5M2FNUZ": DType.FLOAT8_E5M2FNUZ,
    "I64": DType.INT64, "I32": DType.INT32, "I16": DType.INT16, "I8": DType.INT8,
    "U64": DType.UINT64, "U32": DType.UINT32, "U16": DType.UINT16, "U8": DType.UINT8,
    "BOOL": DType.BOOL, "C64": DType.COMPLEX64,
}  # fmt: skip


def read(file: BinaryIO, path: str) -> RawCheckpoint:
    """The header of the open safetensors file; ``path`` is what errors call it. Raises CheckpointError."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        raise _refused(
            Code.DAMAGED_CHECKPOINT,
            path,
            "is no readable safetensors file: its header is longer than the file, or than any real one",
            found=f"a header of {length:,} bytes in a file of {size:,}",
            hint="if it was copied or downloaded, do that again and compare the sizes",
        )
    text = file.read(length)
    try:
        header = json.loads(check_size(text.decode("utf-8")), object_pairs_hook=unique_names)
    except (ValueError, RecursionError) as error:
        raise _refused(
            Code.DAMAGED_CHECKPOINT, path, "has a header that is no proper JSON", found=str(error)
        ) from error
    if not isinstance(header, dict):
        raise _refused(Code.DAMAGED_CHECKPOINT, path, "has a header that is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _refused(Code.DAMAGED_CHECKPOINT, path, "has a __metadata__ that is not a mapping of text to text")
    if not header:
        raise _refused(Code.NO_STATE_DICT, path, "holds no tensors")
    tensors = {name: _tensor(name, entry, 8 + length, path) for name, entry in header.items()}
    _check_cover(tensors, 8 + length, size, path)
    try:
        entries = plain_entries({name: _decoded(value) for name, value in metadata.items() if name != "format"})
    except MalformedPickleError as error:
        raise _refused(Code.BEYOND_ANY_CHECKPOINT, path, f"has {error}") from error
    return RawCheckpoint("safetensors", tensors, entries, {}, False, hashlib.sha256(text).hexdigest())


def _refused(code: Code, path: str, what: str, **more: Any) -> CheckpointError:
    return CheckpointError(Problem(code, what, Location(path), **more))


def _tensor(name: str, entry: Any, data_start: int, path: str) -> StoredTensor:
    match entry:
        case {"dtype": str(code), "shape": list(shape), "data_offsets": [int(begin), int(end)]}:
            pass
        case _:
            raise _refused(
                Code.DAMAGED_CHECKPOINT,
                path,
                f"describes tensor {name!r} without a proper dtype, shape and data_offsets",
            )
    if code not in CODES:
        raise _refused(
            Code.UNSUPPORTED_TENSOR,
            path,
            f"holds tensor {name!r} of type {code!r}, which xttsrecipe does not know",
            expected=", ".join(CODES),
        )
    counts = all(type(count) is int and 0 <= count < 2**62 for count in (*shape, begin, end))
    if not counts or len(shape) > 64 or math.prod(shape) >= 2**62:
        raise _refused(
            Code.DAMAGED_CHECKPOINT, path, f"describes tensor {name!r} with a shape or offsets that are no counts"
        )
    spec = shared_spec(tuple(shape), CODES[code])
    if end - begin != spec.nbytes:
        raise _refused(
            Code.DAMAGED_CHECKPOINT,
            path,
            f"is damaged: tensor {name!r} has {end - begin:,} bytes",
            expected=f"{spec.nbytes:,} for {spec}",
        )
    return StoredTensor(name, spec, data_start + begin, contiguous_strides(spec.shape))


def _check_cover(tensors: dict[str, StoredTensor], data_start: int, size: int, path: str) -> None:
    """Tensors must follow each other without gap or overlap, and end where the file ends."""
    position = data_start
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.offset, tensor.spec.nbytes)):
        if tensor.offset != position:
            raise _refused(
                Code.DAMAGED_CHECKPOINT,
                path,
                f"is damaged: tensor {tensor.name!r} overlaps another or leaves a gap before it",
            )
        position += tensor.spec.nbytes
    if position != size:
        cut = position > size
        raise _refused(
            Code.DAMAGED_CHECKPOINT,
            path,
            "is cut short" if cut else "has bytes after its last tensor",
            found=f"{size:,} bytes",
            expected=f"{position:,}",
            hint="copy or download it again" if cut else None,
        )


def _decoded(text: str) -> Any:
    """Metadata values are text; what we and others store as JSON comes out as the data it was."""
    try:
        return to_plain(json.loads(check_size(text)))
    except (ValueError, RecursionError, MalformedPickleError):
        return text
