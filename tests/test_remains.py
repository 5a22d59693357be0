"""What a killed run left is cleared by the next to the same output; what is anybody else's never is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.merging import folder_bytes
from xttsrecipe.claims import claim, hidden_name
from xttsrecipe.errors import OutputError
from xttsrecipe.remains import aside_of, clear, recover, temporary_beside

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="what POSIX has: links, pipes, owners")

TOKEN = "0123456789abcdef"


def left(target: Path, suffix: str = "tmp", token: str = TOKEN) -> Path:
    return target.with_name(hidden_name(target, f"{token}.xttsrecipe.{suffix}"))


def a_file(path: Path) -> Path:
    path.write_bytes(b"half")
    return path


def a_folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_bytes(b"old")
    return path


def test_the_names_that_a_run_gives_are_those_that_are_cleared(tmp_path: Path) -> None:
    temporary = a_file(temporary_beside(tmp_path / "out", claimed=True))
    a_file(aside_of(temporary))
    a_file(temporary_beside(tmp_path / "out", claimed=True))
    assert len(recover(tmp_path / "out")) == 2
    assert folder_bytes(tmp_path) == {}


def test_a_name_that_was_not_claimed_is_never_cleared(tmp_path: Path) -> None:
    temporary = a_file(temporary_beside(tmp_path / "out", claimed=False))
    assert recover(tmp_path / "out") == []
    assert temporary.exists()


def test_names_are_as_short_as_every_file_system_takes(tmp_path: Path) -> None:
    assert len(temporary_beside(tmp_path / ("声" * 85), claimed=True).name) < 64


@pytest.mark.parametrize("there", [False, True])
def test_a_file_that_was_left_is_removed_and_said_with_its_size(there: bool, tmp_path: Path) -> None:
    if there:
        (tmp_path / "out").write_bytes(b"old")
    before = folder_bytes(tmp_path)
    name = a_file(left(tmp_path / "out")).name
    (said,) = recover(tmp_path / "out")
    assert said == f"removed what a run that was killed left beside {tmp_path / 'out'}: {name}, 4 bytes"
    assert folder_bytes(tmp_path) == before


@pytest.mark.parametrize("names", [(), ("model.pth",), ("model.pth", "config.json", "vocab.json")])
@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_was_left_is_removed(there: bool, names: tuple[str, ...], tmp_path: Path) -> None:
    if there:
        a_folder(tmp_path / "out", "model.pth")
    before = folder_bytes(tmp_path)
    a_folder(left(tmp_path / "out"), *names)
    (said,) = recover(tmp_path / "out")
    assert said.endswith(f", {3 * len(names)} bytes")
    assert folder_bytes(tmp_path) == before


def test_a_lock_alone_is_removed_without_a_word(tmp_path: Path) -> None:
    a_file(tmp_path / hidden_name(tmp_path / "out", "xttsrecipe.lock"))
    assert recover(tmp_path / "out") == []
    assert folder_bytes(tmp_path) == {}


def test_where_nothing_was_left_nothing_is_touched(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    os.utime(tmp_path, (1, 1))
    assert recover(tmp_path / "out") == []
    assert recover(tmp_path / "gone/out") == []
    assert recover(tmp_path / "out/out") == []
    assert tmp_path.stat().st_mtime == 1


def test_behind_a_link_it_is_cleared_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to("elsewhere/real")
    a_file(left(tmp_path / "elsewhere/real"))
    assert len(recover(tmp_path / "out")) == 1
    assert folder_bytes(tmp_path / "elsewhere") == {}


def test_a_run_at_work_keeps_what_it_has(tmp_path: Path) -> None:
    with claim(tmp_path / "out"):
        a_file(left(tmp_path / "out"))
        before = folder_bytes(tmp_path)
        with pytest.raises(OutputError, match="is being written by another run"):
            recover(tmp_path / "out")
        assert folder_bytes(tmp_path) == before


@pytest.mark.usefixtures("without_locks")
def test_where_there_are_no_locks_a_run_may_be_at_work(tmp_path: Path) -> None:
    a_file(left(tmp_path / "out"))
    assert recover(tmp_path / "out") == []
    assert left(tmp_path / "out").exists()


def of_another_output(target: Path) -> None:
    a_file(left(target.with_name("other")))


def of_an_output_that_is_called_alike(target: Path) -> None:
    a_file(left(target.with_name("Out")))
    a_file(left(target.with_name("out.pth")))


def of_another_name(target: Path) -> None:
    a_file(target.with_name(f".{TOKEN}.xttsrecipe.tmp"))
    a_file(target.with_name(hidden_name(target, "xttsrecipe.tmp")))
    a_file(target.with_name(hidden_name(target, f"{TOKEN}.xttsrecipe.tmp.bak")))
    a_file(target.with_name(hidden_name(target, f"{TOKEN[:-1]}.xttsrecipe.tmp")))
    a_file(target.with_name(hidden_name(target, f"{TOKEN.upper()}.xttsrecipe.tmp")))
    a_file(target.with_name(left(target).name[1:]))


def in_another_folder(target: Path) -> None:
    a_folder(target.with_name("deep"))
    a_file(left(target.parent / "deep/out"))


def a_link_to_a_file(target: Path) -> None:
    left(target).symlink_to(a_file(target.with_name("mine")))


def a_link_to_a_folder(target: Path) -> None:
    left(target).symlink_to(a_folder(target.with_name("mine"), "model.pth"))


def a_pipe(target: Path) -> None:
    os.mkfifo(left(target))


def a_folder_with_notes(target: Path) -> None:
    a_folder(left(target), "model.pth", "notes.txt")


def a_folder_with_a_link(target: Path) -> None:
    a_folder(left(target), "config.json")
    (left(target) / "model.pth").symlink_to(a_file(target.with_name("mine")))


def a_folder_with_a_folder(target: Path) -> None:
    a_folder(a_folder(left(target)) / "model.pth", "notes.txt")


def beside_a_folder_with_notes(target: Path) -> None:
    a_folder(left(target), "model.pth")
    a_folder(left(target, "old"), "notes.txt")


def another_users(target: Path) -> None:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can make a file another user's")
    os.chown(a_file(left(target)), 65534, 65534)


@pytest.mark.parametrize(
    "make",
    [
        of_another_output,
        of_an_output_that_is_called_alike,
        of_another_name,
        in_another_folder,
        a_link_to_a_file,
        a_link_to_a_folder,
        a_pipe,
        a_folder_with_notes,
        a_folder_with_a_link,
        a_folder_with_a_folder,
        beside_a_folder_with_notes,
        another_users,
    ],
)
@pytest.mark.parametrize("there", [False, True])
def test_what_is_not_a_dead_runs_of_the_same_output_stays(
    there: bool, make: Callable[[Path], None], tmp_path: Path
) -> None:
    if there:
        a_folder(tmp_path / "out", "model.pth")
    make(tmp_path / "out")
    before = {path: (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")}
    assert recover(tmp_path / "out") == []
    assert {path: (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")} == before


# --- an old folder that was moved aside -----------------------------------------------------------------------------


@pytest.mark.parametrize("half_made", [True, False])
def test_a_folder_that_lost_its_name_is_put_back(half_made: bool, tmp_path: Path) -> None:
    if half_made:
        a_folder(left(tmp_path / "out"), "model.pth")
    a_folder(left(tmp_path / "out", "old"), "model.pth", "vocab.json")
    assert recover(tmp_path / "out") == [f"{tmp_path / 'out'} is back: a run that was killed had moved it aside"]
    assert folder_bytes(tmp_path) == {"out": None, "out/model.pth": b"old", "out/vocab.json": b"old"}


def test_an_old_folder_whose_successor_is_in_its_place_is_removed(tmp_path: Path) -> None:
    (a_folder(tmp_path / "out") / "model.pth").write_bytes(b"new")
    a_folder(left(tmp_path / "out", "old"), "model.pth")
    assert len(recover(tmp_path / "out")) == 1
    assert folder_bytes(tmp_path) == {"out": None, "out/model.pth": b"new"}


def test_an_old_folder_is_kept_where_somebody_put_another_in_its_place(tmp_path: Path) -> None:
    a_folder(tmp_path / "out", "config.json")
    a_folder(left(tmp_path / "out"), "model.pth")
    a_folder(left(tmp_path / "out", "old"), "vocab.json")
    kept = left(tmp_path / "out", "kept")
    for _ in range(2):
        (said, *_) = [*recover(tmp_path / "out"), ""]
        assert said in (f"{kept} is what out was before a run that was killed: use it or remove it", "")
    assert folder_bytes(tmp_path) == {
        "out": None,
        "out/config.json": b"old",
        kept.name: None,
        f"{kept.name}/vocab.json": b"old",
    }


def test_a_file_put_aside_is_only_another_name_of_it(tmp_path: Path) -> None:
    a_file(tmp_path / "out")
    left(tmp_path / "out", "old").hardlink_to(tmp_path / "out")
    assert len(recover(tmp_path / "out")) == 1
    assert folder_bytes(tmp_path) == {"out": b"half"}


@pytest.mark.parametrize("half_made", [True, False])
def test_an_old_folder_that_cannot_be_put_back_is_not_removed_for_that(
    half_made: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if half_made:
        a_folder(left(tmp_path / "out"), "model.pth")
    a_folder(left(tmp_path / "out", "old"), "model.pth")

    def refuse(*_: object) -> None:
        raise OSError(5, "the disk is broken")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        clear(left(tmp_path / "out"), tmp_path / "out")
        assert recover(tmp_path / "out") == []
    assert (left(tmp_path / "out", "old") / "model.pth").read_bytes() == b"old"
    assert len(recover(tmp_path / "out")) == 1
    assert folder_bytes(tmp_path) == {"out": None, "out/model.pth": b"old"}


@pytest.mark.parametrize("there", [False, True])
def test_what_tells_that_an_old_folder_is_to_be_put_back_stays_where_that_fails(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the next run would take it for one whose successor is in its place, and remove it."""
    target, temporary = tmp_path / "out", a_folder(left(tmp_path / "out"), "model.pth")
    aside = a_folder(aside_of(temporary), "model.pth")
    if there:
        a_folder(target, "model.pth")

    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        before = folder_bytes(tmp_path)
        clear(temporary, target)
        assert folder_bytes(tmp_path) == before
    recover(target)
    kept = aside.with_suffix(".kept") if there else target
    assert (kept / "model.pth").read_bytes() == b"old"
