"""Whole reads and writes at a position of a file descriptor, whatever the system gives in one call."""

from __future__ import annotations

import contextlib
import errno
import os
import threading

_seeking = threading.Lock()


def read_at(descriptor: int, buffer: memoryview, position: int) -> int:
    """Fill ``buffer`` from byte ``position``. Returns the bytes read: fewer than asked only where the file ends."""
    done = 0
    while done < len(buffer):
        count = _read_some(descriptor, buffer[done:], position + done)
        if count == 0:
            break
        done += count
    return done


def write_at(descriptor: int, data: memoryview, position: int) -> None:
    """Write all of ``data`` at byte ``position``. Raises OSError."""
    done = 0
    while done < len(data):
        count = _write_some(descriptor, data[done:], position + done)
        if count == 0:
            raise OSError(errno.EIO, "the system takes no more bytes, and does not say why")
        done += count


def start_writeback(descriptor: int, position: int, count: int) -> None:
    """Have the system begin to write so many bytes at ``position`` to the disk, so that less is left for fsync.

    Only a hint: where there is no such call, nothing happens.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, position, count, os.POSIX_FADV_DONTNEED)


def _read_some(descriptor: int, buffer: memoryview, position: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [buffer], position)
    with _seeking:  # Windows, and macOS before 11
        os.lseek(descriptor, position, os.SEEK_SET)
        data = os.read(descriptor, len(buffer))
    buffer[: len(data)] = data
    return len(data)


def _write_some(descriptor: int, data: memoryview, position: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, data, position)
    with _seeking:
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.write(descriptor, data)
