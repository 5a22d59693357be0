from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints.crafted import Member, forge, member, members, zip_checkpoint
from xttsrecipe.checkpoints.archive import UNREADABLE, open_archive


def test_an_archive_is_read_as_zipfile_reads_it(tmp_path: Path) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", b"pickle", compression=zipfile.ZIP_DEFLATED)
    with path.open("rb") as file, zipfile.ZipFile(path) as expected:
        archive = open_archive(file)
        assert archive.namelist() == expected.namelist()
        for name in expected.namelist():
            assert archive.read(name) == expected.read(name)


def test_a_comment_of_any_length_is_passed_over(tmp_path: Path) -> None:
    path = forge(tmp_path / "model.pth", *members(), behind=b"c" * 65_535)
    with path.open("rb") as file:
        assert len(open_archive(file).infolist()) == 4


def _refused(path: Path) -> str:
    tracemalloc.start()
    try:
        with path.open("rb") as file, pytest.raises(UNREADABLE) as caught:
            open_archive(file)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
        return str(caught.value)
    finally:
        tracemalloc.stop()


def test_a_directory_of_a_sparse_file_is_not_read(tmp_path: Path) -> None:
    """It may be said to have any size, and take no room on the disk."""
    path = tmp_path / "model.pth"
    end = forge(path, size64=(1 << 40) - 4, offset64=4).read_bytes()
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.seek(1 << 40)
        file.write(end)
    assert "a directory of 1,099,511,627,772 bytes" in _refused(path)


def test_a_directory_larger_than_any_real_one_is_not_read(tmp_path: Path) -> None:
    path = forge(tmp_path / "model.pth", *[Member(b"", b"")] * 200_000, here=0, all=0)
    assert "a directory of 9,200,000 bytes" in _refused(path)


@pytest.mark.parametrize(
    "end", [{"size": 2**31}, {"offset64": 2**64 - 1, "size64": 2**64 - 1}, {"size64": 2**63}, {"all64": 0, "size64": 1}]
)
def test_an_end_that_lies_is_unreadable_or_gives_what_is_there(tmp_path: Path, end: dict[str, Any]) -> None:
    path = forge(tmp_path / "model.pth", *members(), **end)
    with path.open("rb") as file:
        try:
            names = {info.filename for info in open_archive(file).infolist()}
        except UNREADABLE:
            return
    assert names <= {record.name.decode() for record in members()}


def test_any_garbage_behind_the_magic_is_unreadable() -> None:
    for tail in (b"", b"PK\x05\x06", struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, 99, 99, 0), bytes(100)):
        with pytest.raises(UNREADABLE):
            open_archive(io.BytesIO(b"PK\x03\x04" + tail))


def test_a_record_that_is_longer_than_it_says_is_unreadable(tmp_path: Path) -> None:
    bomb = member("data.pkl", bytes(60 << 20), {"method": 8}, central={"size": 100})
    with forge(tmp_path / "model.pth", bomb).open("rb") as file:
        archive = open_archive(file)
        with pytest.raises(UNREADABLE):
            archive.read("archive/data.pkl")
