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

import pytest

WANTED = "XTTSRECIPE_TEST_FALLBACKS"
# What Windows has not, or macOS not, or neither: all that the package uses of it, and what it may come to use.
OF_OS = (
    *("preadv", "pread", "pwritev", "pwrite", "copy_file_range", "posix_fadvise", "posix_fallocate", "geteuid"),
    *("sched_getaffinity", "fchmod"),
)

# What these show needs locks, a second name for a file, or folders that can be flushed: no more than that is lost.
# Three of them make processes of their own, which have it all.
NEED_IT = {
    "test_a_kill_leaves_the_old_output",
    "test_a_kill_leaves_the_old_folder",
    "test_a_full_disk_leaves_the_old_folder",
    "test_the_file_beside_it_is_hidden_and_named_after_us",
    "test_a_second_writer_of_a_file_is_refused_at_once",
    "test_a_second_writer_of_a_folder_is_refused_at_once",
    "test_what_a_killed_run_left_is_cleared_before_the_room_is_looked_at",
    "test_a_vocabulary_that_a_killed_run_left_is_cleared_though_this_run_writes_none",
    "test_a_run_at_work_is_a_reason_among_the_others",
    "test_a_folder_that_a_killed_run_moved_aside_is_looked_at_under_its_name",
    "test_where_one_cannot_take_its_place_all_have_their_old_content",
    "test_the_file_and_every_folder_that_has_a_new_name_in_it_reach_the_disk",
    "test_a_disk_that_does_not_take_the_folder_is_said_but_not_a_system_that_cannot_be_asked",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if item.name.partition("[")[0] in NEED_IT]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_configure() -> None:
    os.environ[WANTED] = "1"


def pytest_collection_finish() -> None:
    """By then all is imported."""
    take_away()


def take_away() -> None:
    """As on Windows, but for how that locks files: here there are no locks then."""
    for name in OF_OS:
        if hasattr(os, name):
            delattr(os, name)
    for module, name in ((signal, "SIGHUP"), (sys.modules.get("fcntl"), "flock")):
        if hasattr(module, name):
            delattr(module, name)
    for owner, name in ((ctypes, "CDLL"), (Path, "hardlink_to")):
        setattr(owner, name, _refusing(getattr(owner, name), lambda *_: True))
    os.open = _refusing(os.open, os.path.isdir)


def wanted() -> list[Callable[[], None]]:
    """What a command is to be prepared with."""
    return [take_away] if WANTED in os.environ else []


def _refusing(original: Callable[..., Any], what: Callable[[Any], bool]) -> Callable[..., Any]:
    """Not for the package, where its first argument is like that; tests and pytest may go on."""

    def refusing(first: Any, *more: Any, **named: Any) -> Any:
        if sys._getframe(1).f_globals["__name__"].startswith("xttsrecipe.") and what(first):
            raise PermissionError(13, "Permission denied", first)
        return original(first, *more, **named)

    return refusing
