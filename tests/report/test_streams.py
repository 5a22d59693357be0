from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from xttsrecipe.report.streams import discard, say, show


@pytest.fixture
def unread() -> Iterator[int]:
    """A descriptor that nobody reads from at the other end."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def test_results_go_to_stdout_and_everything_else_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    show("a result\n")
    say("a note\n")
    assert capsys.readouterr() == ("a result\n", "a note\n")


def test_what_is_said_is_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", buffering=1 << 16) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        say("no line break")
        assert os.read(reading, 100) == b"no line break"
    os.close(reading)


def test_that_nobody_reads_what_is_said_is_no_error(unread: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with os.fdopen(unread, "w", closefd=False) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        for _ in range(3):
            say("note\n")


def test_that_nobody_reads_results_is_told_to_the_caller(unread: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = os.fdopen(unread, "w", closefd=False)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(BrokenPipeError):
        show("result\n" * 100_000)
    discard(unread)
    stream.close()


def test_after_discarding_everything_can_be_written(unread: int) -> None:
    with pytest.raises(BrokenPipeError):
        os.write(unread, b"x")
    discard(unread)
    assert os.write(unread, b"x") == 1
