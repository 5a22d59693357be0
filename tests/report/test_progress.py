from __future__ import annotations

import io
import os
import pty
import sys
import threading

import pytest

from xttsrecipe.report import progress as progress_module
from xttsrecipe.report.progress import progress


def test_without_a_terminal_one_plain_line_says_how_much_is_to_come(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(11_400_000) as on_bytes:
        on_bytes(1_000_000)
    shown = capsys.readouterr()
    assert shown.err == "merging: 11.4 MB to write\n"
    assert shown.out == ""


def test_plain_lines_say_share_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "_SECONDS_BETWEEN_LINES", 0.0)
    with progress(2_000_000) as on_bytes:
        on_bytes(500_000)
        on_bytes(1_500_000)
    _, half, whole = capsys.readouterr().err.splitlines()
    assert half.startswith("merging: 25%, 500 KB of 2 MB, ")
    assert whole.startswith("merging: 100%, 2 MB of 2 MB, ")
    assert "B/s, " in half
    assert whole.endswith(" s left")


def test_plain_lines_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(1000) as on_bytes:
        for _ in range(1000):
            on_bytes(1)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_progress_of_nothing_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(0):
        pass
    assert capsys.readouterr().err == "merging: 0 B to write\n"


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals are a POSIX thing")
def test_on_a_terminal_a_bar_shows_bytes_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    ours, theirs = pty.openpty()
    shown = io.BytesIO()
    reader = threading.Thread(target=_read_all, args=(ours, shown))
    reader.start()
    with open(theirs, "w", encoding="utf-8") as terminal:  # noqa: PTH123
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress(2_000_000) as on_bytes:
            on_bytes(1_000_000)
            on_bytes(1_000_000)
    reader.join(timeout=10)
    os.close(ours)
    text = shown.getvalue().decode()
    assert "merging" in text
    assert "2.0/2.0 MB" in text
    assert "\x1b[" in text
    assert "to write" not in text


def _read_all(descriptor: int, into: io.BytesIO) -> None:
    try:
        while piece := os.read(descriptor, 1 << 16):
            into.write(piece)
    except OSError:  # Linux says EIO when the other side closes
        return
