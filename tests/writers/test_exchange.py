from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.merging import folder_bytes
from xttsrecipe.writers.exchange import exchange

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")


def two(folder: Path, first: str = "first", second: str = "second") -> tuple[Path, Path]:
    for name in (first, second):
        (folder / name).mkdir()
        (folder / name / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    return folder / first, folder / second


@on_linux
@pytest.mark.parametrize("name", ["second", "a b", "é", "\udce9", "n" * 255])
def test_two_folders_get_each_others_name(name: str, tmp_path: Path) -> None:
    first, second = two(tmp_path, second=name)
    assert exchange(first, second)
    assert [path.name for path in first.iterdir()] == [name]
    assert [path.name for path in second.iterdir()] == ["first"]
    assert exchange(first, second)
    assert [path.name for path in first.iterdir()] == ["first"]


@pytest.mark.parametrize("gone", [0, 1])
def test_where_one_is_not_there_nothing_changes(gone: int, tmp_path: Path) -> None:
    paths = two(tmp_path)
    (paths[gone] / paths[gone].name).unlink()
    paths[gone].rmdir()
    before = folder_bytes(tmp_path)
    assert not exchange(*paths)
    assert folder_bytes(tmp_path) == before


def test_a_name_that_is_too_long_changes_nothing(tmp_path: Path) -> None:
    first, _ = two(tmp_path)
    before = folder_bytes(tmp_path)
    assert not exchange(first, tmp_path / ("n" * 300))
    assert folder_bytes(tmp_path) == before


@pytest.mark.parametrize("platform", ["win32", "freebsd14", "darwin"])
def test_on_a_system_without_the_call_nothing_changes(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux's C library has no renamex_np, as an old one of Linux has no renameat2."""
    if sys.platform == platform:
        pytest.skip("this system has it")
    monkeypatch.setattr(sys, "platform", platform)
    paths = two(tmp_path)
    before = folder_bytes(tmp_path)
    assert not exchange(*paths)
    assert folder_bytes(tmp_path) == before


@pytest.mark.parametrize("error", [OSError("no library"), TypeError("Windows has no library called None")])
def test_without_a_c_library_nothing_changes(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert not exchange(*two(tmp_path))
