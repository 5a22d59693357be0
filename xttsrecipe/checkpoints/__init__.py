"""Checkpoint files: recognised by content, their headers read without torch and without executing anything.

One reader module per format; each turns an open file into a ``RawCheckpoint``. ``model_directory`` knows what lies
beside a model. Tensor data is read elsewhere (``execute``), from the places that the header gives.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ..codes import Code
from ..errors import CheckpointError, Location, Problem
from ..positional import read_at
from ..specs import DType, FileStamp, Header, RawCheckpoint
from ..xtts import CONFIG_FILE, header_of
from . import model_directory, safetensors, torch_zip

_Reader = Callable[[BinaryIO, str], RawCheckpoint]

_RESAVE = "load it with torch.load(FILE, weights_only=True) and save it again with torch.save"
_MAX_MEL_STATS_BYTES = 1 << 16
# Twenty times what XTTS has, and five times its longest name.
_MAX_TENSORS = 20_000
_MAX_NAME = 500
# The number that these files begin with, as a pickle of any protocol spells it.
_OLD_TORCH = b"l\xfc\x9cF\xf9 j\xa8P\x19"
# First bytes of what people take for a checkpoint: (magic, which kind of problem, what it is, what to do).
_OTHER_FILES = (
    (
        b"version https://git-lfs",
        Code.GIT_LFS_POINTER,
        "is a Git LFS pointer, not the file itself",
        "run 'git lfs pull'",
    ),
    (
        b"<",
        Code.NOT_A_CHECKPOINT,
        "is a web page or XML, not a checkpoint",
        "the download link led to a page; get the file itself",
    ),
    (b"\x1f\x8b", Code.PACKED_CHECKPOINT, "is compressed with gzip", "unpack it first"),
    (b"7z\xbc\xaf", Code.PACKED_CHECKPOINT, "is a 7z archive", "unpack it first"),
    (b"Rar!", Code.PACKED_CHECKPOINT, "is a RAR archive", "unpack it first"),
    (b"GGUF", Code.NOT_A_CHECKPOINT, "is a GGUF file", "name the .pth file it was made from"),
    (b"\x89HDF", Code.NOT_A_CHECKPOINT, "is an HDF5 file", "XTTS checkpoints are .pth or .safetensors files"),
    (b"\x93NUMPY", Code.NOT_A_CHECKPOINT, "is a numpy array", "XTTS checkpoints are .pth or .safetensors files"),
    (b"\x80", Code.NOT_A_CHECKPOINT, "is a bare pickle, not a torch.save file", "save the model with torch.save"),
)


def open_checkpoint(path: Path) -> Header:
    """The header of the checkpoint at ``path``: layout, version, tensors and their places, metadata.

    ``path`` may be a model directory: then it is that of the model in it, with the directory's config.json as config.
    Reads headers only, imports no torch, executes nothing of a file. Raises CheckpointError, saying what the file is
    instead and what to do.
    """
    try:
        is_directory = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as error:
        raise _cannot_open(path, error) from error
    return _open_directory(path) if is_directory else _open_file(path)


def _open_directory(path: Path) -> Header:
    try:
        model = model_directory.find_model(path)
        companions = model_directory.companions(path)
    except OSError as error:
        raise _cannot_open(path, error) from error
    header = replace(_open_file(model), directory=path, companions=companions)
    if CONFIG_FILE not in companions:
        return header
    config = model_directory.read_config(companions[CONFIG_FILE].path)
    return replace(header, entries={**header.entries, "config": config}, own_config=header.entries.get("config"))


def _open_file(path: Path) -> Header:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _cannot_open(path, error) from error
    if not stat.S_ISREG(mode):
        what = "is a directory" if stat.S_ISDIR(mode) else "is a device, pipe or socket"
        raise _refused(Code.UNREADABLE_FILE, path, what, expected="a checkpoint file")
    try:
        with path.open("rb") as file:
            stamp = FileStamp.of(os.fstat(file.fileno()))
            raw = _recognise(file, path)(file, str(path))
            _check_names(raw, path)
            header = header_of(raw, path, stamp)
            return replace(header, mel_stats=_mel_stats(file, header))
    except OSError as error:
        raise _cannot_open(path, error) from error


def _check_names(raw: RawCheckpoint, path: Path) -> None:
    if len(raw.tensors) > _MAX_TENSORS:
        raise _refused(
            Code.BEYOND_ANY_CHECKPOINT,
            path,
            f"holds {len(raw.tensors):,} tensors",
            expected=f"at most {_MAX_TENSORS:,}",
        )
    longest = max(map(len, raw.tensors))
    if longest > _MAX_NAME:
        what = f"holds a tensor whose name has {longest:,} characters"
        raise _refused(Code.BEYOND_ANY_CHECKPOINT, path, what, expected=f"at most {_MAX_NAME}")


def _mel_stats(file: BinaryIO, header: Header) -> tuple[DType, str] | None:
    """The digest of 320 bytes that a model's training data decides: models in which they differ hear differently."""
    tensor = header.tensors.get("mel_stats")
    if tensor is None or not tensor.is_contiguous or tensor.spec.nbytes > _MAX_MEL_STATS_BYTES:
        return None
    data = memoryview(bytearray(tensor.spec.nbytes))
    read_at(file.fileno(), data, tensor.offset)
    return tensor.spec.dtype, hashlib.sha256(data).hexdigest()


def _recognise(file: BinaryIO, path: Path) -> _Reader:
    magic = file.read(64)
    file.seek(0)
    if magic.startswith(torch_zip.MAGIC):
        return torch_zip.read
    if len(magic) > 8 and magic[8:9] == b"{":
        return safetensors.read
    if not magic:
        raise _refused(
            Code.DAMAGED_CHECKPOINT, path, "is empty (0 bytes)", hint="the copy or download did not happen; do it again"
        )
    if _OLD_TORCH in magic:
        raise _refused(
            Code.UNSUPPORTED_FORMAT,
            path,
            "is a checkpoint from torch before 1.6, a format without an index",
            hint=_RESAVE,
        )
    for other, code, what, hint in _OTHER_FILES:
        if magic.lstrip().startswith(other):
            raise _refused(code, path, what, hint=hint)
    if not magic.strip(b"\0"):
        raise _refused(
            Code.DAMAGED_CHECKPOINT,
            path,
            "begins with nothing but zeros",
            hint="the copy or download did not finish; do it again",
        )
    raise _refused(
        Code.NOT_A_CHECKPOINT,
        path,
        "is not a checkpoint",
        found=f"a file that begins with {magic[:8]!r}",
        expected="a torch.save zip file or a safetensors file",
    )


def _refused(
    code: Code, path: Path, what: str, found: str | None = None, expected: str | None = None, hint: str | None = None
) -> CheckpointError:
    return CheckpointError(Problem(code, what, Location(str(path)), found, expected, hint))


def _cannot_open(path: Path, error: Exception) -> CheckpointError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    code, hint = Code.UNREADABLE_FILE, None
    if isinstance(error, FileNotFoundError):
        code = Code.MISSING_FILE
        hint = "set the environment variable that its path names" if "${" in str(path) else None
    elif isinstance(error, PermissionError):
        hint = "ask for read permission (chmod u+r), or copy the file to a place of your own"
    elif isinstance(error, OSError) and error.errno == errno.EIO:
        hint = "check the file and its disk"
    return _refused(code, path, f"cannot be read: {reason}", hint=hint)
