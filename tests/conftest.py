"""Fixtures and settings for all tests."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Timings belong to benchmarks; on a busy machine a deadline fails for nothing. Found examples are not kept: a run of
# the tests leaves nothing behind.
# In CI every run draws the same examples: what fails there failed before it was submitted.
settings.register_profile("project", deadline=None, database=None, max_examples=50, derandomize="CI" in os.environ)
settings.load_profile("project")

# The workers of xdist have the cores already: threads of torch's in each, and in the commands that they start, would
# wait for each other, and busily. Set before torch is first imported, which reads it then.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Signals, limits and fork are POSIX's.
collect_ignore = ["faults"] if sys.platform == "win32" else []


def pytest_collection_finish() -> None:
    """What imports and the collection of thousands of tests have made stays: nothing need look through it for garbage,
    again and again, nor need a fork copy it for that.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Digests are not remembered in the cache folder of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XTTSRECIPE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture
def usual_signals() -> Iterator[None]:
    """What a process starts with, though the tests were started with nohup, or in the background of a script."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [(number, signal.signal(number, signal.SIG_DFL)) for number in numbers]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before:
        signal.signal(number, handler)


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that has none."""
    if sys.platform == "win32":
        pytest.skip("every file system has locks here")
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse, raising=False)
