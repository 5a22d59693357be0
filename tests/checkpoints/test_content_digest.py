from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.checkpoints.crafted import Member, forge, members
from xttsrecipe.checkpoints.content_digest import bytes_digest, content_digest


def saved(path: Path, value: object, **how: bool) -> Path:
    torch.save(value, path, **how)
    return path


def test_equal_objects_have_equal_digests_whatever_their_archive_is_called(tmp_path: Path) -> None:
    value = {"ana": {"latents": torch.arange(4.0), "speaker": torch.ones(2)}}
    first, second = saved(tmp_path / "a.pth", value), saved(tmp_path / "another name.pth", value)
    assert first.read_bytes() != second.read_bytes()
    assert content_digest(first) == content_digest(second)
    assert content_digest(first).startswith("data:")


@pytest.mark.parametrize(
    "value",
    [{"ana": torch.arange(5.0)}, {"ben": torch.arange(4.0)}, {"ana": torch.arange(4.0).half()}, {"ana": torch.ones(4)}],
    ids=["size", "name", "type", "value"],
)
def test_others_have_others(value: object, tmp_path: Path) -> None:
    assert content_digest(saved(tmp_path / "a.pth", value)) != content_digest(
        saved(tmp_path / "b.pth", {"ana": torch.arange(4.0)})
    )


@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04 not a zip file after all", bytes(1000)])
def test_other_files_are_told_by_their_bytes(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert content_digest(tmp_path / "file") == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert content_digest(tmp_path / "file") == bytes_digest(content)


def test_a_zip_file_of_other_things_is_told_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/notes.txt").write_bytes(b"x")
    archive = Path(shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path / "folder"))
    assert content_digest(archive) == bytes_digest(archive.read_bytes())


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "dvae.pth"
    with path.open("wb") as file:
        file.truncate(1 << 42)
    digest = content_digest(path)
    assert digest.startswith("ends:")
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    assert content_digest(path) != digest


def test_a_zip_file_whose_directory_is_larger_than_any_is_told_by_its_bytes(tmp_path: Path) -> None:
    path = forge(tmp_path / "speakers_xtts.pth", *members(), *[Member(b"", b"")] * 200_000, here=0, all=0)
    assert content_digest(path) == bytes_digest(path.read_bytes())


@pytest.mark.parametrize("end", [{"offset": 2**31}, {"offset64": 2**64 - 1}, {"size64": 2**62}, {"size": 2**32 - 1}])
def test_a_zip_file_whose_end_lies_has_a_digest(tmp_path: Path, end: dict[str, Any]) -> None:
    path = forge(tmp_path / "speakers_xtts.pth", *members(), **end)
    assert content_digest(path).partition(":")[0] in ("data", "sha256")
