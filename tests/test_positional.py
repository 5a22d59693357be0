from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.positional import read_at, write_at

NATIVE, SEEKING = "positional calls of the system", "seeking first"


@pytest.fixture(params=[NATIVE, SEEKING])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has neither call, macOS before 11 no preadv."""
    if request.param == SEEKING:
        monkeypatch.delattr(os, "preadv", raising=False)
        monkeypatch.delattr(os, "pwrite", raising=False)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    descriptor = os.open(path, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize(("position", "count"), [(0, 100), (0, 1), (37, 20), (99, 1), (50, 0)])
def test_reads_what_lies_at_the_position(descriptor: int, position: int, count: int) -> None:
    buffer = bytearray(count)
    assert read_at(descriptor, memoryview(buffer), position) == count
    assert buffer == bytes(range(position, position + count))


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize(("position", "read"), [(90, 10), (100, 0), (5000, 0)])
def test_reads_less_only_where_the_file_ends(descriptor: int, position: int, read: int) -> None:
    buffer = bytearray(b"\xff" * 20)
    assert read_at(descriptor, memoryview(buffer), position) == read
    assert buffer == bytes(range(position, position + read)) + b"\xff" * (20 - read)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("position", [0, 42, 95, 100, 300])
def test_writes_at_the_position_and_nowhere_else(descriptor: int, position: int) -> None:
    write_at(descriptor, memoryview(b"ABCDEFGHIJ"), position)
    expected = bytearray(bytes(range(100)).ljust(position, b"\0"))
    expected[position : position + 10] = b"ABCDEFGHIJ"
    assert os.pread(descriptor, 1000, 0) == expected


@pytest.mark.usefixtures("_way")
def test_writing_nothing_changes_nothing(descriptor: int) -> None:
    write_at(descriptor, memoryview(b""), 1000)
    assert os.pread(descriptor, 1000, 0) == bytes(range(100))


def test_goes_on_where_the_system_reads_less_than_asked(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, position: whole(fd, [buffers[0][:7]], position))
    buffer = bytearray(60)
    assert read_at(descriptor, memoryview(buffer), 30) == 60
    assert buffer == bytes(range(30, 90))


def test_goes_on_where_the_system_writes_less_than_asked(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, position: whole(fd, data[:7], position))
    write_at(descriptor, memoryview(bytes(60)), 30)
    assert os.pread(descriptor, 1000, 0) == bytes(range(30)) + bytes(60) + bytes(range(90, 100))


def test_a_system_that_takes_nothing_is_an_error_not_a_wait_for_ever(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", lambda fd, data, position: 0)
    with pytest.raises(OSError, match="takes no more bytes"):
        write_at(descriptor, memoryview(b"x"), 0)


@pytest.mark.usefixtures("_way")
def test_threads_write_and_read_each_at_its_own_place(tmp_path: Path) -> None:
    """Two files at once, each written and read by four threads."""
    size, pieces = 70_001, 12
    files = [os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in ("a", "b")]

    def copy(number: int) -> bytes:
        for descriptor in files:
            write_at(descriptor, memoryview(bytes([number]) * size), number * size)
        buffer = bytearray(size)
        assert read_at(files[0], memoryview(buffer), number * size) == size
        return bytes(buffer)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(copy, [*range(pieces)] * 3))
    for descriptor in files:
        os.close(descriptor)
    assert found == [bytes([number]) * size for number in range(pieces)] * 3
    expected = b"".join(bytes([number]) * size for number in range(pieces))
    assert [(tmp_path / name).read_bytes() == expected for name in ("a", "b")] == [True, True]


@pytest.mark.usefixtures("_way")
def test_threads_do_not_move_each_others_position(descriptor: int) -> None:
    def read(position: int) -> bytes:
        buffer = bytearray(10)
        read_at(descriptor, memoryview(buffer), position)
        return bytes(buffer)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read, [*range(90)] * 10))
    assert found == [bytes(range(position, position + 10)) for position in range(90)] * 10


@pytest.mark.usefixtures("_way")
def test_a_closed_file_is_an_os_error(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "closed", os.O_RDWR | os.O_CREAT)
    os.close(descriptor)
    with pytest.raises(OSError, match="descriptor"):
        read_at(descriptor, memoryview(bytearray(1)), 0)
    with pytest.raises(OSError, match="descriptor"):
        write_at(descriptor, memoryview(b"x"), 0)


@given(st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=50)), max_size=10))
def test_what_was_written_is_read_again(writes: list[tuple[int, bytes]]) -> None:
    expected = bytearray()
    with tempfile.TemporaryFile() as file:
        for position, data in writes:
            write_at(file.fileno(), memoryview(data), position)
            if data:
                expected.extend(bytes(max(position + len(data) - len(expected), 0)))
                expected[position : position + len(data)] = data
        buffer = bytearray(len(expected) + 5)
        assert read_at(file.fileno(), memoryview(buffer), 0) == len(expected)
    assert buffer[:-5] == expected
