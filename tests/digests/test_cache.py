from __future__ import annotations

import os
from pathlib import Path

import pytest

from xttsrecipe.digests import cache as digest_cache
from xttsrecipe.digests.cache import recalled, remember
from xttsrecipe.specs import FileStamp

DIGEST = "ab" * 32


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(digest_cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def file_of(path: Path, age: int = 10) -> tuple[Path, FileStamp]:
    """A file that was changed so many seconds ago."""
    path.write_bytes(b"content")
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - age * 10**9))
    return path, FileStamp.of(path.stat())


@pytest.mark.usefixtures("folder")
def test_a_digest_is_recalled_until_the_file_changes(tmp_path: Path) -> None:
    path, stamp = file_of(tmp_path / "a")
    assert recalled(path, stamp) is None
    remember(path, stamp, DIGEST)
    assert recalled(path, stamp) == DIGEST
    (tmp_path / "link").symlink_to(path)
    assert recalled(tmp_path / "link", stamp) == DIGEST
    for other in (
        FileStamp(stamp.size + 1, stamp.mtime_ns, stamp.inode),
        FileStamp(stamp.size, stamp.mtime_ns + 1, stamp.inode),
        FileStamp(stamp.size, stamp.mtime_ns, stamp.inode + 1),
    ):
        assert recalled(path, other) is None


def test_what_was_changed_a_moment_ago_is_not_remembered(folder: Path, tmp_path: Path) -> None:
    path, stamp = file_of(tmp_path / "a", age=0)
    remember(path, stamp, DIGEST)
    assert recalled(path, stamp) is None
    assert not folder.exists()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\xfe", b"AB" * 32, b"ab" * 40])
def test_a_damaged_entry_is_none(content: bytes, folder: Path, tmp_path: Path) -> None:
    path, stamp = file_of(tmp_path / "a")
    remember(path, stamp, DIGEST)
    (entry,) = (folder / "sha256").iterdir()
    entry.write_bytes(content)
    assert recalled(path, stamp) is None


def test_where_nothing_can_be_kept_nothing_is_lost(folder: Path, tmp_path: Path) -> None:
    path, stamp = file_of(tmp_path / "a")
    folder.write_bytes(b"a file, where the folder should be")
    remember(path, stamp, DIGEST)
    assert recalled(path, stamp) is None


def test_an_empty_variable_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(digest_cache.VARIABLE, "")
    path, stamp = file_of(tmp_path / "a")
    remember(path, stamp, DIGEST)
    assert recalled(path, stamp) is None


def test_the_oldest_are_forgotten(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_cache, "_MOST", 3)
    files = [file_of(tmp_path / str(number)) for number in range(5)]
    for number, (path, stamp) in enumerate(files):
        remember(path, stamp, DIGEST)
        for entry in (folder / "sha256").iterdir():
            os.utime(entry, ns=(0, entry.stat().st_mtime_ns - 10**9 * (5 - number)))
    assert [recalled(path, stamp) for path, stamp in files] == [None, None, DIGEST, DIGEST, DIGEST]
