from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from tests.merging import assert_same_bits, bits
from xttsrecipe.checkpoints.safetensors import CODES
from xttsrecipe.metadata import OutputMetadata
from xttsrecipe.specs import DType, TensorSpec
from xttsrecipe.writers.safetensors import SafetensorsWriter

ENTRIES = {"config": {"run": "öne", "rate": 0.5, "none": None}, "step": 3, "model_loss": 0.25, "text": "as it is"}


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
        writer = SafetensorsWriter(specs, OutputMetadata(entries, 0, (), ()), file)
        for name, tensor in model.items():
            data = memoryview(bytes(bits(tensor).tolist()))
            for start in range(0, len(data), piece):
                writer.write(name, start, data[start : start + piece])
        writer.finish()
    return path


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def random_tensor(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 3
    return (values > 0) if dtype == torch.bool else values.abs().to(dtype)


MODEL = {
    "row": random_tensor(torch.float16, 33),
    "matrix": random_tensor(torch.float32, 100, 30),
    "flags": random_tensor(torch.bool, 5),
    "scalar": torch.tensor(7),
    "empty": torch.empty(0, 4),
}


def test_the_library_reads_tensors_and_metadata(tmp_path: Path) -> None:
    tensors, metadata = read(write(tmp_path / "out.safetensors", MODEL))
    assert set(tensors) == set(MODEL)
    for name, tensor in MODEL.items():
        assert_same_bits(tensors[name], tensor)
    assert metadata["format"] == "pt"
    assert metadata["text"] == "as it is"
    assert {name: json.loads(metadata[name]) for name in ("config", "step", "model_loss")} == {
        "config": {"run": "öne", "rate": 0.5, "none": None},
        "step": 3,
        "model_loss": 0.25,
    }


@pytest.mark.parametrize("dtype", [dtype.label for dtype in CODES.values()])
def test_every_type_of_the_format_is_written_as_it_is(dtype: str, tmp_path: Path) -> None:
    tensor = random_tensor(getattr(torch, dtype), 5, 7)
    tensors, _ = read(write(tmp_path / "out.safetensors", {"x": tensor}))
    assert_same_bits(tensors["x"], tensor)


@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_pieces_of_any_size_give_the_same_file(piece: int, tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.safetensors", MODEL, piece=1 << 30).read_bytes()
    assert write(tmp_path / "pieces.safetensors", MODEL, piece=piece).read_bytes() == whole


def test_every_tensor_is_aligned_to_its_elements(tmp_path: Path) -> None:
    data = write(tmp_path / "out.safetensors", MODEL).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    del header["__metadata__"]
    assert (8 + length) % 8 == 0
    for name, entry in header.items():
        assert (8 + length + entry["data_offsets"][0]) % MODEL[name].element_size() == 0


def test_tensors_lie_in_the_order_of_the_library(tmp_path: Path) -> None:
    """Widest type first, then by name; without gaps."""
    data = write(tmp_path / "out.safetensors", MODEL).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert list(header) == ["__metadata__", "scalar", "empty", "matrix", "row", "flags"]
    offsets = [entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"]
    assert [begin for begin, _ in offsets] == [0, *(end for _, end in offsets[:-1])]
    assert offsets[-1][1] == len(data) - 8 - length


@pytest.mark.parametrize("model", [{}, {"x": torch.empty(0)}])
def test_a_model_without_elements_is_a_file_too(model: dict[str, torch.Tensor], tmp_path: Path) -> None:
    tensors, metadata = read(write(tmp_path / "out.safetensors", model, {}))
    assert list(tensors) == list(model)
    assert metadata == {"format": "pt"}


def test_names_may_be_any_text(tmp_path: Path) -> None:
    model = {"ключ/\n 鍵": torch.ones(1), "a" * 1000: torch.zeros(1), "": torch.ones(2)}
    assert set(read(write(tmp_path / "out.safetensors", model))[0]) == set(model)


def test_pieces_may_come_in_any_order(tmp_path: Path) -> None:
    with (tmp_path / "out.safetensors").open("w+b", buffering=0) as file:
        spec = TensorSpec((4,), DType.UINT8)
        writer = SafetensorsWriter({"x": spec}, OutputMetadata({}, None, (), ()), file)
        writer.write("x", 2, memoryview(b"\x03\x04"))
        writer.write("x", 0, memoryview(b"\x01\x02"))
        writer.finish()
    assert read(tmp_path / "out.safetensors")[0]["x"].tolist() == [1, 2, 3, 4]
