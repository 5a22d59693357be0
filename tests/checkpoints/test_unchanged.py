from __future__ import annotations

import os
from pathlib import Path

import pytest

from xttsrecipe.checkpoints.unchanged import check_unchanged, stamps_at
from xttsrecipe.errors import CheckpointError
from xttsrecipe.specs import FileStamp


def test_a_file_that_is_as_it_was_passes_and_one_that_changed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "news.pth"
    path.write_bytes(b"old")
    stamp = FileStamp.of(path.stat())
    with path.open("r+b") as file:
        check_unchanged(file.fileno(), stamp, path)
        file.truncate(1)
        with pytest.raises(CheckpointError, match=r"news\.pth: was changed or replaced since") as caught:
            check_unchanged(file.fileno(), stamp, path)
    assert caught.value.problems[0].hint


def test_a_file_that_was_replaced_is_still_the_one_that_is_open(tmp_path: Path) -> None:
    path = tmp_path / "news.pth"
    path.write_bytes(b"old")
    stamp = FileStamp.of(path.stat())
    with path.open("rb") as file:
        (tmp_path / "other").write_bytes(b"new")
        (tmp_path / "other").replace(path)
        check_unchanged(file.fileno(), stamp, path)


def test_a_file_that_the_system_says_nothing_of_is_a_checkpoint_error(tmp_path: Path) -> None:
    path = tmp_path / "news.pth"
    path.write_bytes(b"old")
    stamp = FileStamp.of(path.stat())
    closed = os.open(path, os.O_RDONLY)
    os.close(closed)
    with pytest.raises(CheckpointError, match=r"news\.pth: cannot be read any more: ") as caught:
        check_unchanged(closed, stamp, path)
    assert caught.value.problems[0].hint


def test_what_lies_somewhere_is_told_by_stamps(tmp_path: Path) -> None:
    file, folder = tmp_path / "out.pth", tmp_path / "out"
    assert stamps_at([file, folder, file / "deep"]) == {}
    folder.mkdir()
    assert stamps_at([folder]) == {}
    file.write_bytes(b"x")
    (folder / "model.pth").write_bytes(b"x")
    (tmp_path / "link").symlink_to("out.pth")
    found = stamps_at([tmp_path / "link", folder])
    assert found == {path: FileStamp.of(path.stat()) for path in (file, folder / "model.pth")}
    (folder / "model.pth").write_bytes(b"xy")
    assert stamps_at([file, folder]) != found
