from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch

from tests.merging import assert_same_bits, bits
from xttsrecipe.metadata import OutputMetadata
from xttsrecipe.specs import DType, TensorSpec
from xttsrecipe.writers.torch_zip import TorchZipWriter

ENTRIES = {"step": 3, "config": {"run": "one", "rate": 0.5, "none": None}, "model_loss": 0.25, "epoch": 1}


def write(
    path: Path, model: Mapping[str, torch.Tensor], entries: Mapping[str, Any] = ENTRIES, piece: int = 1 << 20
) -> Path:
    """A file with the model's tensors, written ``piece`` bytes at a time."""
    specs = {}
    for name, tensor in model.items():
        dtype = DType.named(str(tensor.dtype).removeprefix("torch."))
        assert dtype is not None
        specs[name] = TensorSpec(tuple(tensor.shape), dtype)
    with path.open("w+b", buffering=0) as file:
        writer = TorchZipWriter(specs, OutputMetadata(entries, 0, (), ()), file)
        for name, tensor in model.items():
            data = memoryview(bytes(bits(tensor).tolist()))
            for start in range(0, len(data), piece):
                writer.write(name, start, data[start : start + piece])
        writer.finish()
    return path


def random_tensor(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 3
    return (values > 0) if dtype == torch.bool else values.abs().to(dtype)


DTYPES = [dtype.label for dtype in DType if dtype is not DType.COMPLEX32]
MODEL = {
    "matrix": random_tensor(torch.float32, 100, 30),
    "scalar": torch.tensor(7),
    "empty": torch.empty(0, 4),
    "row": random_tensor(torch.float16, 33),
}


@pytest.mark.parametrize("mmap", [False, True])
def test_torch_loads_it_with_weights_only(mmap: bool, tmp_path: Path) -> None:
    found = torch.load(write(tmp_path / "out.pth", MODEL), weights_only=True, mmap=mmap)
    assert list(found) == ["config", "model", "step", "model_loss", "epoch"]
    assert {name: value for name, value in found.items() if name != "model"} == ENTRIES
    assert list(found["model"]) == list(MODEL)
    for name, tensor in MODEL.items():
        assert_same_bits(found["model"][name], tensor)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_is_written_as_it_is(dtype: str, tmp_path: Path) -> None:
    tensor = random_tensor(getattr(torch, dtype), 5, 7)
    found = torch.load(write(tmp_path / "out.pth", {"x": tensor}), weights_only=True)
    assert_same_bits(found["model"]["x"], tensor)


@pytest.mark.parametrize("piece", [1, 7, 4096, 1 << 20])
def test_pieces_of_any_size_give_the_same_file(piece: int, tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.pth", MODEL, piece=1 << 30).read_bytes()
    assert write(tmp_path / "pieces.pth", MODEL, piece=piece).read_bytes() == whole


def test_every_checksum_is_right(tmp_path: Path) -> None:
    path = write(tmp_path / "out.pth", MODEL)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {name.partition("/")[0] for name in archive.namelist()} == {"archive"}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    assert subprocess.run([sys.executable, "-m", "zipfile", "-t", path], check=False, capture_output=True).stdout


def test_a_wrong_byte_is_found_by_the_checksum(tmp_path: Path) -> None:
    path = write(tmp_path / "out.pth", MODEL)
    data = bytearray(path.read_bytes())
    position = data.index(bytes(bits(MODEL["matrix"])[:64].tolist()))
    data[position] ^= 1
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() == "archive/data/0"


def test_checksums_also_stand_beside_the_records(tmp_path: Path) -> None:
    """As unzip and torch read them: behind each record's data."""
    path = write(tmp_path / "out.pth", MODEL)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        records = sorted(archive.infolist(), key=lambda info: info.header_offset)
        ends = [info.header_offset for info in records[1:]] + [archive.start_dir]
    for info, end in zip(records, ends, strict=True):
        if not info.flag_bits & 8:  # as torch writes records without data
            continue
        start = data.rindex(b"PK\x07\x08", info.header_offset, end)
        assert int.from_bytes(data[start + 4 : start + 8], "little") == info.CRC, info.filename


def test_the_container_is_what_torch_itself_writes(tmp_path: Path) -> None:
    """But for the serialization id, which torch takes from checksums that it does not know here."""
    path = write(tmp_path / "out.pth", MODEL)
    with (tmp_path / "torch.pth").open("wb") as file:
        entries = dict(ENTRIES)
        torch.save({"config": entries.pop("config"), "model": MODEL, **entries}, file)
    with zipfile.ZipFile(path) as ours, zipfile.ZipFile(tmp_path / "torch.pth") as theirs:
        assert ours.namelist() == theirs.namelist()
        different = [name for name in ours.namelist() if ours.read(name) != theirs.read(name)]
    assert different in ([], ["archive/.data/serialization_id"])


def test_tensor_data_is_aligned(tmp_path: Path) -> None:
    path = write(tmp_path / "out.pth", MODEL)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("archive/data/0")
    data = path.read_bytes()
    name, extra = (int.from_bytes(data[info.header_offset + at :][:2], "little") for at in (26, 28))
    assert (info.header_offset + 30 + name + extra) % 64 == 0


def test_names_may_be_any_text(tmp_path: Path) -> None:
    model = {"ключ/\n 鍵": torch.ones(1), "a" * 1000: torch.zeros(1), "": torch.ones(2)}
    assert list(torch.load(write(tmp_path / "out.pth", model), weights_only=True)["model"]) == list(model)


def test_pieces_out_of_order_are_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with (tmp_path / "out.pth").open("w+b", buffering=0) as file:
        spec = TensorSpec((4,), DType.FLOAT32)
        writer = TorchZipWriter({"x": spec}, OutputMetadata({}, None, (), ()), file)
        with pytest.raises(ValueError, match="x: a piece at 8 after 0 bytes"):
            writer.write("x", 8, memoryview(bytes(8)))


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "one.pth", MODEL).read_bytes()
    (tmp_path / "folder").mkdir()
    assert write(tmp_path / "folder/another name.pt", MODEL).read_bytes() == first


def test_an_interrupt_before_torch_ends_its_file_is_no_more_than_that(tmp_path: Path) -> None:
    """Torch's writer, left alone, would want to write after the file is closed, and abort the process."""
    before = sys.gettrace()

    def interrupt(frame: FrameType, *_: object) -> None:  # once
        if frame.f_code.co_name == "__exit__" and frame.f_code.co_filename == torch.serialization.__file__:
            sys.settrace(before)
            raise KeyboardInterrupt

    specs, metadata = {"x": TensorSpec((4,), DType.FLOAT32)}, OutputMetadata({}, None, (), ())
    with (tmp_path / "out.pth").open("w+b", buffering=0) as file:
        sys.settrace(interrupt)
        with pytest.raises(KeyboardInterrupt) as caught:
            TorchZipWriter(specs, metadata, file)
    assert sys.gettrace() is before
    del caught
