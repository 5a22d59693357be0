"""What Python does while hostile data is read: modules that are imported, code that is run, files that are written."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

# Audit events (https://docs.python.org/3/library/audit_events.html) that no reading of a file causes.
_FORBIDDEN = tuple(
    """
    exec compile import code. function. marshal. os. subprocess. socket. ctypes. shutil. webbrowser. urllib. pty.
    builtins.input builtins.breakpoint sys.set cpython.run ftplib. smtplib.
    """.split()
)
# ctypes.cdata: how a run sees a tensor's memory as bytes.
_ALLOWED = ("os.listdir", "os.scandir", "os.putenv", "ctypes.cdata")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# What Python itself imports when text is first read or escaped so.
_CODECS = "utf-8-sig utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be cp437 unicode_escape".split()

# Where events go; a hook cannot be taken away again.
_seen: list[list[str]] = []
_hooks: list[Any] = []


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """The audit events of the block that no reading of a file causes, and ``imported: NAME`` for every new module."""
    if not _hooks:
        for codec in _CODECS:
            codecs.lookup(codec)
        _hooks.append(_hook)
        sys.addaudithook(_hook)
    events: list[str] = []
    modules = set(sys.modules)
    _seen.append(events)
    try:
        yield events
    finally:
        _seen.remove(events)
        events += [f"imported: {name}" for name in sorted(set(sys.modules) - modules)]


def _hook(event: str, details: tuple[Any, ...]) -> None:
    if not _seen:
        return
    if event == "open":
        path, _, flags = details
        if flags & _WRITING and not isinstance(path, int):
            _seen[-1].append(f"open for writing: {path}")
    elif event == "os.chmod" and isinstance(details[0], int):
        pass  # of what is open already: a lock
    elif event.startswith(_FORBIDDEN) and not event.startswith(_ALLOWED):
        _seen[-1].append(f"{event}: {str(details)[:200]}")
