from __future__ import annotations

import os

import pytest

from xttsrecipe.options import RunOptions, default_threads


@pytest.mark.parametrize(("usable", "threads"), [(1, 1), (2, 2), (3, 3), (4, 4), (64, 4)])
def test_the_processors_that_may_be_used_up_to_four(usable: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(usable)), raising=False)
    assert default_threads() == RunOptions().threads == threads


@pytest.mark.parametrize(("count", "threads"), [(2, 2), (16, 4), (None, 1)])
def test_systems_that_do_not_say_which_may_be_used(
    count: int | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert default_threads() == threads
