from __future__ import annotations

from pathlib import Path

import pytest

from xttsrecipe.report.step_summary import add_to_step_summary


def test_the_summary_is_added_to_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    for _ in range(2):
        add_to_step_summary(lambda room: f"# room for {room}")
    assert path.read_text("utf-8") == "# room for 1048575\n# room for 1048557"


@pytest.mark.parametrize("named", [None, ""])
def test_where_there_is_no_step_nothing_is_made(named: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    if named is not None:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", named)
    add_to_step_summary(lambda _: pytest.fail("nobody asked for it"))
    assert list(Path().iterdir()) == []


def test_a_summary_that_cannot_be_written_is_told_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    add_to_step_summary(lambda _: "# Checks")
    out, err = capsys.readouterr()
    assert (out, err) == ("::warning::the step summary cannot be written: Is a directory\n", "")


def test_half_a_character_in_a_summary_is_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    add_to_step_summary(lambda _: "\udcff")
    assert (tmp_path / "summary").read_bytes() == b"\\udcff"
