"""Takes away what only some systems have: a pytest plugin (``-p tests.faults.fallbacks``) that runs tests without it.

Commands that these tests start go without it too, told by the environment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

WANTED = "XTTSRECIPE_TEST_FALLBACKS"
# What Windows has not, or macOS not, or neither.
_OF_OS = (
    *("preadv", "pread", "pwritev", "pwrite", "copy_file_range", "sendfile", "posix_fadvise", "posix_fallocate"),
    *("sched_getaffinity", "geteuid", "O_NOFOLLOW", "O_DIRECTORY"),
)


def pytest_collection_finish() -> None:
    """By then all is imported."""
    os.environ[WANTED] = "1"
    take_away()


def take_away() -> None:
    """As on Windows, but for how that locks files: here there are no locks then."""
    for name in _OF_OS:
        if hasattr(os, name):
            delattr(os, name)
    for module, name in ((signal, "SIGHUP"), (sys.modules.get("fcntl"), "flock")):
        if hasattr(module, name):
            delattr(module, name)
    for owner, name in ((ctypes, "CDLL"), (os, "link"), (Path, "hardlink_to")):
        setattr(owner, name, _refuse)
    os.open = _opening_files_only(os.open)


def wanted() -> list[Callable[[], None]]:
    """What a command is to be prepared with."""
    return [take_away] if WANTED in os.environ else []


def _refuse(*_: object, **__: object) -> Any:
    raise OSError("there is no such thing here")


def _opening_files_only(original: Callable[..., int]) -> Callable[..., int]:
    def opening(path: Any, *more: Any, **named: Any) -> int:
        ours = sys._getframe(1).f_globals["__name__"].startswith("xttsrecipe.")
        if ours and os.path.isdir(path):  # noqa: PTH112
            raise PermissionError(13, "Permission denied", path)
        return original(path, *more, **named)

    return opening
