"""One run at a time: claims of real processes on real files, on file systems with locks and without."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.merging import folder_bytes
from xttsrecipe.claims import claim, hidden_name
from xttsrecipe.errors import OutputError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="what POSIX has: kill -9, pipes, symbolic links")

HOLD = """
import sys
from pathlib import Path
from xttsrecipe.claims import claim
with claim(Path(sys.argv[1])) as claimed:
    print(claimed, flush=True)
    sys.stdin.read()
"""


def holding(target: Path) -> subprocess.Popen[bytes]:
    """A process that has claimed the target, until its stdin ends."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, target], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"True\n"
    return process


def lock_of(target: Path) -> Path:
    return target.with_name(hidden_name(target, "xttsrecipe.lock"))


def test_a_claim_holds_for_the_block_and_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        with claim(tmp_path / "out") as claimed:
            assert claimed
            assert list(tmp_path.iterdir()) == [lock_of(tmp_path / "out")]
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("exception", [ValueError, KeyboardInterrupt, BlockingIOError])
def test_an_exception_ends_it_and_passes(exception: type[BaseException], tmp_path: Path) -> None:
    with pytest.raises(exception), claim(tmp_path / "out"):
        raise exception
    assert list(tmp_path.iterdir()) == []


def test_a_second_claim_is_refused_and_takes_nothing_from_the_first(tmp_path: Path) -> None:
    with claim(tmp_path / "out"):
        for _ in range(2):
            with (
                pytest.raises(OutputError, match="out: is being written by another run") as caught,
                claim(tmp_path / "out"),
            ):
                raise AssertionError("never comes here")
            assert caught.value.problems[0].hint
        assert lock_of(tmp_path / "out").exists()
        with claim(tmp_path / "another") as claimed:
            assert claimed
    with claim(tmp_path / "out") as claimed:
        assert claimed


def test_a_claim_of_another_process_lasts_as_long_as_that(tmp_path: Path) -> None:
    with holding(tmp_path / "out") as process:
        with pytest.raises(OutputError, match="is being written by another run"), claim(tmp_path / "out"):
            raise AssertionError("never comes here")
        assert process.stdin
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_claims_nothing_and_its_lock_file_is_taken_over(tmp_path: Path) -> None:
    with holding(tmp_path / "out") as process:
        process.kill()
    assert list(tmp_path.iterdir()) == [lock_of(tmp_path / "out")]
    with claim(tmp_path / "out") as claimed:
        assert claimed
    assert list(tmp_path.iterdir()) == []


def test_in_a_folder_under_another_name_it_is_the_same_claim(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    with (
        claim(tmp_path / "folder/out"),
        pytest.raises(OutputError, match="is being written by another run"),
        claim(tmp_path / "link/out"),
    ):
        raise AssertionError("never comes here")


def test_of_claims_that_come_and_go_in_many_processes_at_most_one_holds(tmp_path: Path) -> None:
    """Each that has it makes a file that must not be there yet, and removes it again."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom xttsrecipe.claims import claim\n"
        "from xttsrecipe.errors import OutputError\nhad = 0\nfolder = Path(sys.argv[1])\n"
        "while had < 200:\n"
        "    try:\n"
        "        with claim(folder / 'out') as claimed:\n"
        "            assert claimed\n"
        "            (folder / 'only').open('x').close()\n"
        "            (folder / 'only').unlink()\n"
        "            had += 1\n"
        "    except OutputError:\n"
        "        pass\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, tmp_path]) for _ in range(3)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_locks")
def test_where_there_are_no_locks_nothing_is_claimed_and_nothing_left(tmp_path: Path) -> None:
    with claim(tmp_path / "out") as first, claim(tmp_path / "out") as second:
        assert (first, second) == (False, False)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_locks")
def test_where_there_are_no_locks_a_lock_file_of_somebody_stays(tmp_path: Path) -> None:
    lock_of(tmp_path / "out").touch()
    with claim(tmp_path / "out") as claimed:
        assert not claimed
    assert list(tmp_path.iterdir()) == [lock_of(tmp_path / "out")]


def test_a_python_without_locks_claims_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.delattr(fcntl, "flock")
    with claim(tmp_path / "out") as claimed:
        assert not claimed
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_left_to_those_who_write(tmp_path: Path) -> None:
    with claim(tmp_path / "gone/out") as claimed:
        assert not claimed
    assert list(tmp_path.iterdir()) == []


def link(path: Path) -> None:
    path.symlink_to("mine")


def link_to_nothing(path: Path) -> None:
    path.symlink_to("gone")


@pytest.mark.parametrize("make", [link, link_to_nothing, os.mkfifo, Path.mkdir])
def test_what_is_no_file_is_not_followed_waited_for_or_removed(make: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    make(lock_of(tmp_path / "out"))
    before = {path.name: path.lstat() for path in tmp_path.iterdir()}
    with claim(tmp_path / "out") as claimed:
        assert not claimed
    assert {path.name: path.lstat() for path in tmp_path.iterdir()} == before


def test_the_content_of_a_lock_file_is_never_changed(tmp_path: Path) -> None:
    lock = lock_of(tmp_path / "out")
    (tmp_path / "mine").write_bytes(b"mine")
    lock.hardlink_to(tmp_path / "mine")
    with claim(tmp_path / "out"):
        pass
    assert folder_bytes(tmp_path) == {"mine": b"mine"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_the_lock_of_another_user_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # which a user may stand in who could not come here
    tmp_path.chmod(0o777)
    with claim(Path("out")):
        lock_of(Path("out")).chmod(0o644)
        os.seteuid(65534)
        try:
            with pytest.raises(OutputError, match="is being written by another run"), claim(Path("out")):
                raise AssertionError("never comes here")
        finally:
            os.seteuid(0)
    lock_of(Path("out")).touch(0o644)
    os.seteuid(65534)
    try:
        with claim(Path("out")) as claimed:
            assert claimed
    finally:
        os.seteuid(0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a" * 255, "声" * 85, "a b\n", os.fsdecode(b"caf\xe9")])
def test_any_name_can_be_claimed(name: str, tmp_path: Path) -> None:
    with claim(tmp_path / name) as claimed:
        assert claimed
        (lock,) = tmp_path.iterdir()
        assert len(os.fsencode(lock.name)) < 64
        assert stat.S_ISREG(lock.stat().st_mode)


def test_a_lock_file_can_be_read_by_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with claim(tmp_path / "out"):
            assert stat.S_IMODE(lock_of(tmp_path / "out").stat().st_mode) == 0o644
    finally:
        os.umask(before)
