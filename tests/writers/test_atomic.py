from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.merging import folder_bytes
from xttsrecipe.errors import OutputError
from xttsrecipe.remains import recover
from xttsrecipe.writers.atomic import atomic_directory, atomic_outputs, new_file, writing


@contextlib.contextmanager
def atomic_output(target: Path) -> Iterator[BinaryIO]:
    with atomic_outputs([target]) as (file,):
        yield file


def write(target: Path, data: bytes = b"new") -> None:
    with atomic_output(target) as file:
        file.write(data)


def test_the_file_appears_with_what_was_written(tmp_path: Path) -> None:
    write(tmp_path / "out")
    assert folder_bytes(tmp_path) == {"out": b"new"}


def test_until_the_end_the_old_file_is_there(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with atomic_output(tmp_path / "out") as file:
        file.write(b"new")
        file.flush()
        assert (tmp_path / "out").read_bytes() == b"old"
    assert folder_bytes(tmp_path) == {"out": b"new"}


def test_what_was_written_can_be_read_back(tmp_path: Path) -> None:
    with atomic_output(tmp_path / "out") as file:
        file.write(b"new")
        file.seek(1)
        assert file.read(1) == b"e"


EXCEPTIONS = [ValueError("broken"), KeyboardInterrupt(), SystemExit(3), MemoryError(), OSError(28, "full")]


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda exception: type(exception).__name__)
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_exception_leaves_the_old_output_and_no_litter(
    exception: BaseException, old: bytes | None, tmp_path: Path
) -> None:
    if old is not None:
        (tmp_path / "out").write_bytes(old)
    before = folder_bytes(tmp_path)

    def fail() -> None:
        with atomic_output(tmp_path / "out") as file:
            file.write(b"half")
            raise exception

    with pytest.raises(type(exception)) as caught:
        fail()
    assert caught.value is exception
    assert folder_bytes(tmp_path) == before


def test_what_the_system_refuses_is_said_of_the_output(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="out: cannot be written: full") as caught, writing(tmp_path / "out"):
        raise OSError(28, "full")
    assert caught.value.problems[0].hint
    with pytest.raises(ValueError, match="broken"), writing(tmp_path / "out"):
        raise ValueError("broken")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")  # noqa: PTH110
def test_what_is_left_in_a_buffer_does_not_hide_the_first_error(tmp_path: Path) -> None:
    """A file that is closed after an error tries to write the rest, and fails again."""

    def fail() -> None:
        with atomic_output(tmp_path / "out") as file:
            file.write(b"half")
            full = os.open("/dev/full", os.O_RDWR)
            os.dup2(full, file.fileno())
            os.close(full)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert folder_bytes(tmp_path) == {}


def test_the_file_beside_it_is_hidden_and_named_after_us(tmp_path: Path) -> None:
    with atomic_output(tmp_path / "out"):
        beside = sorted(path.name.replace(".tmp", ".~tmp") for path in tmp_path.iterdir())
        assert re.fullmatch(r"(\.[0-9a-f]{16})\.[0-9a-f]{16}\.xttsrecipe\.~tmp \1\.xttsrecipe\.lock", " ".join(beside))


def test_without_locks_the_file_beside_it_has_a_name_that_no_run_clears(tmp_path: Path, without_locks: None) -> None:
    with atomic_output(tmp_path / "out"):
        (beside,) = tmp_path.iterdir()
        assert re.fullmatch(r"\.[0-9a-f]{16}\.xttsrecipe\.tmp", beside.name)
        assert recover(tmp_path / "out") == []
    assert folder_bytes(tmp_path) == {"out": b""}


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write(tmp_path / "deep/er/out")
    assert (tmp_path / "deep/er/out").read_bytes() == b"new"


@pytest.mark.parametrize("exception", EXCEPTIONS[:2], ids=lambda exception: type(exception).__name__)
def test_folders_that_were_made_are_removed_again(exception: BaseException, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()

    def fail() -> None:
        with atomic_output(tmp_path / "there/deep/er/out"):
            raise exception

    with pytest.raises(type(exception)):
        fail()
    assert folder_bytes(tmp_path) == {"there": None}


def test_a_folder_in_which_someone_put_a_file_meanwhile_stays(tmp_path: Path) -> None:
    def fail() -> None:
        with atomic_output(tmp_path / "deep/er/out"):
            (tmp_path / "deep/theirs").write_bytes(b"x")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert folder_bytes(tmp_path) == {"deep": None, "deep/theirs": b"x"}


@pytest.mark.parametrize("target", ["notes.txt/out", "notes.txt/deep/out"])
def test_a_file_in_the_way_of_a_folder_is_an_error(target: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"mine")
    with pytest.raises(OutputError, match="cannot be written: Not a directory") as caught:
        write(tmp_path / target)
    assert caught.value.problems[0].hint
    assert folder_bytes(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="cannot be written: Permission denied"):
            write(tmp_path / "out")
        with pytest.raises(OutputError, match="cannot be written: Permission denied"):
            write(tmp_path / "deep/er/out")
    finally:
        tmp_path.chmod(0o700)


def test_a_symbolic_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "out").symlink_to("real")
    write(tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert folder_bytes(tmp_path) == {"out": b"new", "real": b"new"}


def test_a_link_to_nothing_yet_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("folder/real")
    write(tmp_path / "out")
    assert (tmp_path / "folder/real").read_bytes() == b"new"


def test_a_failure_behind_a_link_leaves_both_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/real").write_bytes(b"old")
    (tmp_path / "out").symlink_to("elsewhere/real")
    before = folder_bytes(tmp_path)

    def fail() -> None:
        with atomic_output(tmp_path / "out") as file:
            file.write(b"half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert folder_bytes(tmp_path) == before
    assert (tmp_path / "out").is_symlink()


def test_the_output_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write(tmp_path / "out")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_second_writer_of_a_file_is_refused_at_once(old: bytes | None, tmp_path: Path) -> None:
    if old is not None:
        (tmp_path / "out").write_bytes(old)
    with atomic_output(tmp_path / "out") as file:
        file.write(b"first")
        with pytest.raises(OutputError, match="out: is being written by another run"):
            write(tmp_path / "out", b"second")
        write(tmp_path / "another", b"x")
    assert folder_bytes(tmp_path) == {"out": b"first", "another": b"x"}


@pytest.mark.parametrize("old", [None, b"old"])
def test_without_locks_the_writer_that_is_done_first_wins(
    old: bytes | None, tmp_path: Path, without_locks: None
) -> None:
    if old is not None:
        (tmp_path / "out").write_bytes(old)

    def slower() -> None:
        with atomic_output(tmp_path / "out") as file:
            file.write(b"slower")
            write(tmp_path / "out", b"faster")

    with pytest.raises(OutputError, match="is not replaced: it was written, changed or removed since the run began"):
        slower()
    assert folder_bytes(tmp_path) == {"out": b"faster"}


def test_a_file_that_was_removed_meanwhile_is_not_made_anew(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")

    def meanwhile() -> None:
        with atomic_output(tmp_path / "out"):
            (tmp_path / "out").unlink()

    with pytest.raises(OutputError, match="is not replaced: it was written, changed or removed since the run began"):
        meanwhile()
    assert folder_bytes(tmp_path) == {}


def test_a_kill_leaves_the_old_output(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom xttsrecipe.writers.atomic import atomic_outputs\n"
        "with atomic_outputs([Path(sys.argv[1])]) as (file,):\n"
        "    file.write(b'half')\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path / "out"], check=False).returncode == -9
    assert (tmp_path / "out").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["a" * 251 + ".pth", "é" * 100 + ".pth"])
def test_long_names_are_written(name: str, tmp_path: Path) -> None:
    write(tmp_path / name)
    assert folder_bytes(tmp_path) == {name: b"new"}


def test_long_names_of_wide_characters_are_written(tmp_path: Path) -> None:
    name = "声" * 80 + ".pth"  # 244 of the 255 bytes that file systems allow
    write(tmp_path / name)
    assert folder_bytes(tmp_path) == {name: b"new"}


# --- several files ------------------------------------------------------------------------------------------------


def test_several_files_appear_together(tmp_path: Path) -> None:
    (tmp_path / "beside").write_bytes(b"old")
    with atomic_outputs([tmp_path / "beside", tmp_path / "out"]) as files:
        for file in files:
            file.write(b"new")
    assert folder_bytes(tmp_path) == {"beside": b"new", "out": b"new"}


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("exception", [OSError(16, "busy"), KeyboardInterrupt()], ids=["error", "interrupt"])
@pytest.mark.parametrize("fails", [1, 2, 3])
def test_where_one_cannot_take_its_place_all_have_their_old_content(
    fails: int, exception: BaseException, old: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if old is not None:
        (tmp_path / "one").write_bytes(old)
        (tmp_path / "two").write_bytes(old)
    (tmp_path / "out").write_bytes(b"old")
    before = folder_bytes(tmp_path)
    calls: list[Path] = []
    original = Path.replace

    def replace(self: Path, to: Path) -> Path:
        calls.append(self)
        if len(calls) == fails:
            raise exception
        return original(self, to)

    monkeypatch.setattr(Path, "replace", replace)

    def write_all() -> None:
        with atomic_outputs([tmp_path / "one", tmp_path / "two", tmp_path / "out"]) as files:
            for file in files:
                file.write(b"new")

    with pytest.raises((OutputError, KeyboardInterrupt)):
        write_all()
    assert folder_bytes(tmp_path) == before


def test_an_interrupt_right_after_the_last_took_its_place_leaves_all_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside").write_bytes(b"old")
    original = Path.replace

    def replace(self: Path, to: Path) -> Path:
        original(self, to)
        if to.name == "out":
            raise KeyboardInterrupt
        return to

    monkeypatch.setattr(Path, "replace", replace)

    def write_both() -> None:
        with atomic_outputs([tmp_path / "beside", tmp_path / "out"]) as files:
            for file in files:
                file.write(b"new")

    with pytest.raises(KeyboardInterrupt):
        write_both()
    assert folder_bytes(tmp_path) == {"beside": b"new", "out": b"new"}


# --- the disk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files and folders that were flushed to the disk, in order."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("asks Linux which file a descriptor is")
    names: list[str] = []
    original = os.fsync

    def fsync(descriptor: int) -> None:
        names.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)  # noqa: PTH115
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return names


def test_the_file_and_every_folder_that_has_a_new_name_in_it_reach_the_disk(tmp_path: Path, synced: list[str]) -> None:
    write(tmp_path / "deep/er/out")
    assert synced[0].endswith(".xttsrecipe.tmp")
    assert synced[1:] == ["er", "deep", tmp_path.name]


@pytest.mark.parametrize(("number", "told"), [(errno.EIO, True), (errno.ENOSPC, True), (errno.EINVAL, False)])
def test_a_disk_that_does_not_take_the_folder_is_said_but_not_a_system_that_cannot_be_asked(
    number: int, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match="out: is in its place, but the disk") if told else contextlib.nullcontext():
        write(tmp_path / "out")
    assert folder_bytes(tmp_path) == {"out": b"new"}


# --- where no file that is open can be renamed --------------------------------------------------------------------


@pytest.fixture
def renames(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that were given, each by a rename of what was not open, over what was not: else Windows refuses."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("asks Linux which files are open")
    given: list[str] = []

    def checking(rename: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def checked(self: Path, to: Path) -> Path:
            concerned = [str(path) for end in (self, to) for path in (end, *end.glob("*"))]
            assert [path for path in open_files() if path in concerned] == []
            given.append(to.name)
            return rename(self, to)

        return checked

    for name in ("rename", "replace"):
        monkeypatch.setattr(Path, name, checking(getattr(Path, name)))
    return given


def open_files() -> Iterator[str]:
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(OSError):
            yield os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115


def test_files_are_closed_before_they_are_renamed(tmp_path: Path, renames: list[str]) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with atomic_outputs([tmp_path / "beside", tmp_path / "out"]) as files:
        assert any(path.endswith(".xttsrecipe.tmp") for path in open_files())
        for file in files:
            file.write(b"new")
    assert renames == ["beside", "out"]


def test_a_folder_is_renamed_with_no_file_in_it_open(
    tmp_path: Path, renames: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "freebsd14")  # no exchange
    (tmp_path / "out").mkdir()
    (tmp_path / "out/model.pth").write_bytes(b"old")
    with atomic_directory(tmp_path / "out") as folder, new_file(folder / "model.pth", tmp_path / "out") as file:
        file.write(b"new")
    assert [name.rpartition(".")[2] for name in renames] == ["old", "out"]
    assert folder_bytes(tmp_path) == {"out": None, "out/model.pth": b"new"}
