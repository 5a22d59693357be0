from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
import safetensors
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import xtts_state
from tests.checkpoints.crafted import assert_stored, craft, entry, opens_or_is_refused, refusal, says
from xttsrecipe.checkpoints import open_checkpoint
from xttsrecipe.checkpoints.safetensors import CODES, MAX_HEADER_BYTES
from xttsrecipe.report.inspection import inspection_json, inspection_text
from xttsrecipe.xtts import known_tensors

DTYPES = [getattr(torch, dtype.label) for dtype in CODES.values()]


def save_file(path: Path, tensors: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None) -> Path:
    """Writes contiguous tensors with the safetensors library (its torch module wants numpy; this is what it calls)."""
    specs = {
        name: safetensors.TensorSpec(
            dtype=str(tensor.dtype).removeprefix("torch."),
            shape=list(tensor.shape),
            data_ptr=tensor.data_ptr(),
            data_len=tensor.nbytes,
        )
        for name, tensor in tensors.items()
    }
    safetensors.serialize_file(specs, path, metadata)
    return path


# -- what the library writes


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_is_found_bit_for_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    count = 6 * torch.empty(0, dtype=dtype).element_size()
    data = torch.arange(count, dtype=torch.uint8) % (2 if dtype is torch.bool else 255)
    value = data.view(dtype).reshape(2, 3)
    path = save_file(tmp_path / "model.safetensors", {"w": value, "before": torch.ones(3, dtype=torch.uint8)})
    assert_stored(path, open_checkpoint(path).tensors["w"], value)


@st.composite
def _tensors(draw: st.DrawFn) -> torch.Tensor:
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    count = torch.empty(shape, dtype=dtype).nbytes
    data = draw(st.binary(min_size=count, max_size=count))
    if dtype is torch.bool:
        data = bytes(byte & 1 for byte in data)
    flat = torch.frombuffer(bytearray(data), dtype=torch.uint8).clone() if data else torch.empty(0, dtype=torch.uint8)
    return flat.view(dtype).reshape(shape)


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(lambda name: name != "__metadata__")


@given(tensors=st.dictionaries(names, _tensors(), min_size=1, max_size=4))
def test_any_tensors_are_found_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, torch.Tensor]
) -> None:
    path = save_file(tmp_path_factory.getbasetemp() / "any.safetensors", tensors)
    header = open_checkpoint(path)
    by_name = {stored.name: stored for stored in header.tensors.values()}
    assert set(by_name) == set(tensors)
    for name, value in tensors.items():
        assert_stored(path, by_name[name], value)


def test_the_release_layout_is_read_flat(tmp_path: Path) -> None:
    state = xtts_state()
    path = save_file(tmp_path / "model.safetensors", state, {"format": "pt"})
    header = open_checkpoint(path)
    assert set(header.tensors) == set(known_tensors())
    assert (header.format, header.layout, header.version) == ("safetensors", "release", "v2.0.3")
    assert header.entries == {}
    for key, value in state.items():
        assert_stored(path, header.tensors[key], value)


def test_trainer_names_are_canonical_keys(tmp_path: Path) -> None:
    path = save_file(tmp_path / "model.safetensors", {"xtts.gpt.mel_head.bias": torch.ones(2)})
    header = open_checkpoint(path)
    assert list(header.tensors) == ["gpt.mel_head.bias"]
    assert (header.layout, header.trainer_keys) == ("shrunk", True)


def test_metadata_that_is_json_comes_out_as_data_and_the_rest_as_text(tmp_path: Path) -> None:
    metadata = {
        "format": "pt",
        "config": json.dumps({"model": "xtts", "model_args": {"gpt_layers": 30}}),
        "step": "5000",
        "model_loss": "2.5",
        "note": "my {best voice",
        "empty": "",
        "deep": "[" * 100_000,
        "digits": "9" * 10_000,
    }
    path = save_file(tmp_path / "model.safetensors", {"w": torch.ones(2)}, metadata)
    assert open_checkpoint(path).entries == {
        "config": {"model": "xtts", "model_args": {"gpt_layers": 30}},
        "step": 5000,
        "model_loss": 2.5,
        "note": "my {best voice",
        "empty": "",
        "deep": "[" * 100_000,
        "digits": "9" * 10_000,
    }


@pytest.mark.parametrize(
    "value",
    ["[" * 66 + "]" * 66, '{"a":' * 300 + "1" + "}" * 300, "[" + "0," * 250_000 + "0]", "9" * 5_000],
    ids=["deep lists", "deep objects", "large", "a long number"],
)
def test_metadata_that_is_json_beyond_reason_stays_text(tmp_path: Path, value: str) -> None:
    path = save_file(tmp_path / "model.safetensors", {"w": torch.ones(2)}, {"config": value})
    header = open_checkpoint(path)
    assert header.entries == {"config": value}
    inspection_json(header, None)
    inspection_text(header)


def test_metadata_that_is_large_in_all_is_refused(tmp_path: Path) -> None:
    value = "[" + "0," * 100_000 + "0]"
    path = save_file(tmp_path / "model.safetensors", {"w": torch.ones(2)}, dict.fromkeys("abc", value))
    says(refusal(path), "metadata that is nested too deeply, too large")


def test_a_number_in_the_metadata_that_is_too_long_to_write_out_is_described(tmp_path: Path) -> None:
    path = save_file(tmp_path / "model.safetensors", {"w": torch.ones(2)}, {"step": "9" * 4_000})
    assert open_checkpoint(path).entries == {"step": "an integer of 13,288 bits"}


@given(metadata=st.dictionaries(names.filter(lambda name: name != "format"), st.text(max_size=20), max_size=3))
def test_metadata_that_was_encoded_as_json_comes_back(
    tmp_path_factory: pytest.TempPathFactory, metadata: dict[str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "metadata.safetensors"
    save_file(path, {"w": torch.ones(1)}, {name: json.dumps(value) for name, value in metadata.items()})
    assert open_checkpoint(path).entries == metadata


def test_a_header_padded_with_spaces_is_read(tmp_path: Path) -> None:
    path = craft(tmp_path / "model.safetensors", json.dumps({"w": entry()}) + "     ", bytes(8))
    assert open_checkpoint(path).tensors["w"].spec.shape == (2,)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_file_without_tensors_is_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    says(refusal(save_file(tmp_path / "model.safetensors", {}, metadata)), "holds no tensors")


def test_tensors_beyond_4_gib_are_found(tmp_path: Path) -> None:
    large, path = 5 << 30, tmp_path / "model.safetensors"
    craft(path, {"a": entry([large], 0, large, "U8"), "b": entry([2], large, large + 8)})
    start = path.stat().st_size
    try:
        with path.open("r+b") as file:
            file.truncate(start + large + 8)
            file.seek(start + large)
            file.write(struct.pack("<2f", 1.0, 2.0))
        assert_stored(path, open_checkpoint(path).tensors["b"], torch.tensor([1.0, 2.0]))
    finally:
        path.unlink()


# -- damage and attacks


@pytest.mark.parametrize("length", [0, 1, 100, MAX_HEADER_BYTES + 1, 2**32, 2**63, 2**64 - 1])
def test_a_header_length_that_cannot_be_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b'{"w":1}')
    says(refusal(path), "safetensors", "header", f"{length:,} bytes")


def test_a_header_longer_than_any_real_one_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", MAX_HEADER_BYTES + 1) + b'{"w":1}')
        file.truncate(MAX_HEADER_BYTES * 2)
    says(refusal(path), "longer than the file, or than any real one")


@pytest.mark.parametrize(
    "header",
    [
        b"{not json}",
        b'{"w": ',
        b'{"\xff\xfe": 1}',
        b"{'w': 1}",
        b'{"w":' + b"[" * 200_000,
        b'{"w":' + b'{"a":' * 200_000,
        b'{"w":' + b"9" * 10_000 + b"}",
        '{"w": 1}'.encode("utf-16-le"),
        b'{"\xed\xa0\x80": 1}',
    ],
)
def test_a_header_that_is_not_json_is_refused(tmp_path: Path, header: bytes) -> None:
    says(refusal(craft(tmp_path / "model.safetensors", header)), "no proper JSON")


@pytest.mark.parametrize("value", [b"[],", b'{"":0},', b"0,"])
def test_a_header_of_over_a_million_values_is_not_parsed(tmp_path: Path, value: bytes) -> None:
    path = craft(tmp_path / "model.safetensors", b'{"w":[' + value * 1_000_000 + b"0]}")
    says(refusal(path), "no proper JSON", "more than 1,000,000 values")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('{"w": %s, "w": %s}', "w"),
        ('{"__metadata__": {"a": "1", "a": "2"}, "w": %s}', "a"),
        ('{"w": {"dtype": "F32", "dtype": "I8", "shape": [2], "data_offsets": [0, 8]}}', "dtype"),
    ],
)
def test_names_that_occur_twice_are_refused(tmp_path: Path, header: str, name: str) -> None:
    filled = header.replace("%s", json.dumps(entry()))
    says(refusal(craft(tmp_path / "model.safetensors", filled, bytes(8))), "occurs twice")


def test_a_name_that_occurs_twice_is_named(tmp_path: Path) -> None:
    header = json.dumps({"gain": entry()})[:-1] + ', "gain": ' + json.dumps(entry()) + "}"
    says(refusal(craft(tmp_path / "model.safetensors", header, bytes(8))), "'gain' occurs twice")


@pytest.mark.parametrize(
    "tensor",
    [
        None,
        [],
        "F32",
        {},
        {"dtype": "F32", "shape": [2]},
        {"shape": [2], "data_offsets": [0, 8]},
        entry(shape=2),
        entry(shape=None),
        entry(shape="2"),
        entry(dtype=32),
        entry(begin=None),
        entry(end="8"),
        entry(end=8.0),
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 8, 16]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8]},
        {"dtype": "F32", "shape": [2], "data_offsets": {"0": 8}},
    ],
)
def test_a_tensor_without_dtype_shape_or_offsets_is_refused(tmp_path: Path, tensor: object) -> None:
    path = craft(tmp_path / "model.safetensors", {"gain": tensor}, bytes(8))
    says(refusal(path), "'gain'", "proper dtype, shape and data_offsets")


@pytest.mark.parametrize(
    "tensor",
    [
        entry(shape=[-2], begin=0, end=8),
        entry(shape=[-2, -1]),
        entry(shape=[2.0]),
        entry(shape=["2"]),
        entry(shape=[True, 2]),
        entry(shape=[[2]]),
        entry(shape=[None]),
        entry(shape=[2**62]),
        entry(begin=-8, end=0),
        entry(begin=False, end=8),
        entry(shape=[], dtype="BOOL", begin=False, end=True),
        entry(begin=2**64 - 8, end=2**64),
        # 2**64 + 8 bytes: what a wrapping multiplication would take for 8
        entry(shape=[2**32 + 1, 2**32 - 1, 2], end=8),
        entry(shape=[2**61, 2**61, 2**61], end=0),
        entry(shape=[2**61] * 5000, end=8),
        entry(shape=[1] * 65, end=4),
    ],
)
def test_numbers_that_are_no_counts_are_refused(tmp_path: Path, tensor: object) -> None:
    path = craft(tmp_path / "model.safetensors", {"gain": tensor}, bytes(8))
    says(refusal(path), "'gain'", "no counts")


@pytest.mark.parametrize(
    "tensor",
    [
        entry(end=4),
        entry(end=12),
        entry(begin=8, end=0),
        entry(shape=[3]),
        entry(shape=[0]),
    ],
)
def test_a_length_other_than_shape_times_dtype_is_refused(tmp_path: Path, tensor: object) -> None:
    path = craft(tmp_path / "model.safetensors", {"gain": tensor}, bytes(8))
    says(refusal(path), "damaged", "'gain'", "bytes")


@pytest.mark.parametrize("dtype", ["F4", "Q8", "f32", "", "F32 ", "float32"])
def test_an_unknown_type_is_refused_with_the_known_ones(tmp_path: Path, dtype: str) -> None:
    path = craft(tmp_path / "model.safetensors", {"gain": entry(dtype=dtype)}, bytes(8))
    says(refusal(path), "'gain'", repr(dtype), "F32, F16, BF16")


@pytest.mark.parametrize(
    "tensors",
    [
        {"a": entry(begin=0, end=8), "b": entry(begin=4, end=12)},
        {"a": entry(begin=0, end=8), "b": entry(begin=0, end=8)},
        {"a": entry(begin=0, end=8), "b": entry(begin=12, end=20)},
        {"a": entry(begin=4, end=12)},
        {"a": entry([0], 4, 4), "b": entry(begin=0, end=8)},
    ],
    ids=["overlap", "shared", "gap", "gap first", "empty inside another"],
)
def test_overlaps_and_gaps_are_refused(tmp_path: Path, tensors: object) -> None:
    path = craft(tmp_path / "model.safetensors", tensors, bytes(20))
    says(refusal(path), "damaged", "'[ab]' overlaps another or leaves a gap")


def test_offsets_beyond_the_file_are_refused(tmp_path: Path) -> None:
    path = craft(tmp_path / "model.safetensors", {"a": entry(shape=[2**40], end=2**42)}, bytes(8))
    says(refusal(path), "cut short", f"{2**42 + path.stat().st_size - 8:,}", "again")


def test_bytes_after_the_last_tensor_are_refused(tmp_path: Path) -> None:
    path = craft(tmp_path / "model.safetensors", {"a": entry()}, bytes(9))
    says(refusal(path), "after its last tensor", f"{path.stat().st_size - 1:,}")


@pytest.mark.parametrize("metadata", ["text", 5, [], [["a", "b"]], {"step": 5}, {"config": {"a": "b"}}, {"a": None}])
def test_metadata_other_than_text_to_text_is_refused(tmp_path: Path, metadata: object) -> None:
    path = craft(tmp_path / "model.safetensors", {"__metadata__": metadata, "a": entry()}, bytes(8))
    says(refusal(path), "__metadata__", "text to text")


def test_a_safetensors_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    whole = save_file(path, {"a": torch.ones(3), "b": torch.ones(2, 2)}, {"step": "5"}).read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        says(refusal(path), "cut short|header is longer|empty|not a checkpoint|zeros")


def test_one_changed_byte_anywhere_gives_a_header_or_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    whole = save_file(path, {"a": torch.ones(1), "b": torch.ones(2)}, {"step": "5"}).read_bytes()
    for place in range(len(whole)):
        for value in b'\x00\xff0-9"{}[],:tnxe.\\ ':
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            header = opens_or_is_refused(path)
            for stored in header.tensors.values() if header else ():
                assert stored.offset + stored.spec.nbytes <= len(whole)
