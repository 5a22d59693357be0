from __future__ import annotations

import collections
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import save
from tests.checkpoints.crafted import (
    PROTOCOLS,
    Member,
    assert_stored,
    dictionary,
    find,
    forge,
    member,
    members,
    opens_or_is_refused,
    program,
    refusal,
    says,
    storage,
    tensor,
    text,
    with_entry,
    zip_checkpoint,
)
from xttsrecipe.checkpoints import open_checkpoint
from xttsrecipe.specs import DType

ITEMSIZES = {getattr(torch, dtype.label): dtype.itemsize for dtype in DType}


def tensor_of(dtype: torch.dtype, data: bytes, shape: tuple[int, ...], strides: tuple[int, ...], start: int) -> Any:
    """A strided view on a storage of these bytes; whatever the bits mean."""
    if dtype is torch.bool:
        data = bytes(byte & 1 for byte in data)
    flat = torch.frombuffer(bytearray(data), dtype=torch.uint8).clone()
    return flat.view(dtype).as_strided(shape, strides, start)


def one_tensor(path: Path, value: torch.Tensor, protocol: int = 2) -> None:
    """Saves a tensor, and finds it in the file bit for bit."""
    torch.save({"model": {"w": value}}, path, pickle_protocol=protocol)
    assert_stored(path, open_checkpoint(path).tensors["w"], value)


# -- tensors


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", ITEMSIZES, ids=str)
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_every_dtype_is_found_bit_for_bit(tmp_path: Path, dtype: torch.dtype, protocol: int) -> None:
    data = bytes(range(1, 1 + 6 * ITEMSIZES[dtype]))
    one_tensor(tmp_path / "model.pth", tensor_of(dtype, data, (2, 3), (3, 1), 0), protocol)


def _tied() -> Mapping[str, torch.Tensor]:
    weight = torch.arange(12.0).reshape(3, 4)
    return {"gpt": weight, "inference": weight, "turned": weight.t(), "row": weight[1], "column": weight[:, 2]}


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"scalar": torch.tensor(7), "one": torch.tensor([7])},
        lambda: {"none": torch.empty(0), "flat": torch.empty(3, 0, 2), "w": torch.ones(1)},
        lambda: {"turned": torch.arange(6.0).reshape(2, 3).t()},
        lambda: {"permuted": torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)},
        lambda: {"channels_last": torch.arange(96.0).reshape(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)},
        lambda: {"strided": torch.arange(20.0)[3:17:4]},
        lambda: {"offset": torch.arange(20.0)[7:]},
        lambda: {"long_storage": torch.arange(4000.0)[:2]},
        lambda: {"expanded": torch.tensor([1.0, 2.0]).expand(3, 2), "all_one": torch.ones(()).expand(4, 5)},
        lambda: {"diagonal": torch.arange(9.0).reshape(3, 3).diagonal()},
        lambda: {"unfolded": torch.arange(9.0).unfold(0, 3, 1)},
        lambda: {"viewed": torch.arange(4.0).view(torch.int32)},
        _tied,
    ],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tensors_of_every_form_are_found(
    tmp_path: Path, make: Callable[[], Mapping[str, torch.Tensor]], protocol: int
) -> None:
    path = tmp_path / "model.pth"
    torch.save(make(), path, pickle_protocol=protocol)
    header = open_checkpoint(path)
    assert list(header.tensors) == list(make())
    for key, value in make().items():
        assert_stored(path, header.tensors[key], value)


def test_tied_tensors_lie_at_one_place(tmp_path: Path) -> None:
    path = save(tmp_path / "model.pth", _tied())
    tensors = open_checkpoint(path).tensors
    assert tensors["gpt"].offset == tensors["inference"].offset == tensors["turned"].offset
    assert tensors["row"].offset == tensors["gpt"].offset + 4 * 4
    assert (tensors["turned"].strides, tensors["column"].strides) == ((1, 4), (4,))


def _attributed() -> torch.Tensor:
    value = torch.arange(3.0)
    value.note = "gain"  # type: ignore[attr-defined]
    return value


def _attributed_parameter() -> torch.Tensor:
    value = torch.nn.Parameter(torch.arange(3.0))
    value.tied_to = {"gpt": torch.ones(1)}  # type: ignore[attr-defined]
    return value


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.nn.Parameter(torch.arange(3.0)),
        lambda: torch.nn.Parameter(torch.arange(3), requires_grad=False),
        lambda: torch.nn.Buffer(torch.arange(3.0)),
        lambda: torch.arange(3.0, requires_grad=True),
        _attributed,
        _attributed_parameter,
    ],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_parameters_and_tensors_with_attributes_are_tensors(
    tmp_path: Path, make: Callable[[], torch.Tensor], protocol: int
) -> None:
    one_tensor(tmp_path / "model.pth", make().detach(), protocol)
    path = tmp_path / "with.pth"
    torch.save({"model": {"w": make()}}, path, pickle_protocol=protocol)
    assert_stored(path, open_checkpoint(path).tensors["w"], make().detach())


@st.composite
def _views(draw: st.DrawFn, dtype: torch.dtype, elements: int) -> torch.Tensor:
    """Any view on a storage of so many elements: any shape, strides and offset that stay inside it."""
    start = draw(st.integers(0, elements - 1))
    room = elements - 1 - start
    shape: list[int] = []
    strides: list[int] = []
    for _ in range(draw(st.integers(0, 4))):
        size = draw(st.integers(0, 5))
        stride = draw(st.integers(0, room // (size - 1))) if size > 1 else draw(st.integers(0, 3))
        room -= max(size - 1, 0) * stride
        shape.append(size)
        strides.append(stride)
    data = draw(st.binary(min_size=elements * ITEMSIZES[dtype], max_size=elements * ITEMSIZES[dtype]))
    view = tensor_of(dtype, data, tuple(shape), tuple(strides), start)
    assert isinstance(view, torch.Tensor)
    return view


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@given(data=st.data(), protocol=st.sampled_from(PROTOCOLS))
def test_any_view_of_any_type_is_found_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, protocol: int
) -> None:
    dtypes = data.draw(st.lists(st.sampled_from(list(ITEMSIZES)), min_size=1, max_size=4))
    views = {f"w{n}": data.draw(_views(dtype, data.draw(st.integers(1, 40)))) for n, dtype in enumerate(dtypes)}
    path = tmp_path_factory.getbasetemp() / "views.pth"
    torch.save({"model": views, "step": 3}, path, pickle_protocol=protocol)
    header = open_checkpoint(path)
    assert list(header.tensors) == list(views)
    for key, view in views.items():
        assert_stored(path, header.tensors[key], view)


@given(keys=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, unique=True))
def test_any_text_is_a_key(tmp_path_factory: pytest.TempPathFactory, keys: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "keys.pth"
    save(path, {key: torch.ones(1) for key in keys})
    assert {stored.name for stored in open_checkpoint(path).tensors.values()} == set(keys)


# -- containers


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_state_dict_is_a_dict_or_an_ordered_dict_with_metadata(tmp_path: Path, wrapped: bool, protocol: int) -> None:
    state = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).state_dict()
    assert isinstance(state, collections.OrderedDict)
    assert hasattr(state, "_metadata")
    for model in (state, dict(state), collections.OrderedDict(state)):
        path = tmp_path / "model.pth"
        torch.save({"model": model} if wrapped else model, path, pickle_protocol=protocol)
        header = open_checkpoint(path)
        assert list(header.tensors) == list(state)
        for key, value in state.items():
            assert_stored(path, header.tensors[key], value)


def test_what_lies_beside_the_tensors_of_a_state_dict_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"w": torch.ones(2), "step": 5, "note": "x"}, path)
    assert list(open_checkpoint(path).tensors) == ["w"]


@pytest.mark.parametrize("name", ["model.pth", "best_model_1234.pth", "ünï cödé.pth", "a.b.c"])
def test_the_root_folder_of_the_zip_may_have_any_name(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, {"w": torch.arange(3.0)})
    renamed = path.rename(tmp_path / "renamed.pth")
    assert_stored(renamed, open_checkpoint(renamed).tensors["w"], torch.arange(3.0))


def test_a_file_saved_to_a_handle_has_another_root(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    with path.open("wb") as file:
        torch.save({"w": torch.arange(3.0)}, file)
    assert_stored(path, open_checkpoint(path).tensors["w"], torch.arange(3.0))


def test_a_zip_written_by_another_tool_is_read(tmp_path: Path) -> None:
    data = torch.arange(4.0)
    pickled = program(dictionary({"model": dictionary({"w": tensor()})}))
    path = zip_checkpoint(tmp_path / "model.pth", pickled, {"0": bytes(data.untyped_storage())})
    assert_stored(path, open_checkpoint(path).tensors["w"], data)


def test_a_file_without_a_byteorder_record_is_little_endian(tmp_path: Path) -> None:
    """Torch before 2.1 wrote none."""
    source = zip_checkpoint(tmp_path / "source.pth", with_entry(b"N"))
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            if not info.filename.endswith("byteorder"):
                new.writestr(info, old.read(info))
    assert list(open_checkpoint(path).tensors) == ["w"]


# -- over 4 GiB


@pytest.mark.parametrize("sizes", [[1 << 28] * 5, [(1 << 30) + 5, 3]], ids=["many", "one"])
def test_tensors_beyond_4_gib_are_found(tmp_path: Path, sizes: list[int]) -> None:
    path = tmp_path / "large.pth"
    state = {f"w{n}": torch.empty(size, dtype=torch.float32) for n, size in enumerate(sizes)}
    last = list(state)[-1]
    pattern = torch.arange(3.0)
    try:
        with path.open("wb") as file, torch.serialization.skip_data():
            torch.save({"model": state}, file)
        assert path.stat().st_size > 1 << 32
        header = open_checkpoint(path)
        stored = header.tensors[last]
        assert stored.offset > 1 << 32
        assert [header.tensors[key].spec.numel for key in state] == sizes
        with path.open("r+b") as file:
            file.seek(stored.offset)
            file.write(bytes(pattern.view(torch.uint8).untyped_storage()))
        loaded = torch.load(path, mmap=True, weights_only=True)["model"][last]
        assert torch.equal(loaded[:3], pattern)
        with path.open("r+b") as file:
            file.truncate(stored.offset)
        says(refusal(path), "cut short")
    finally:
        path.unlink(missing_ok=True)


# -- what torch does not write, or not for us


@pytest.mark.parametrize("order", [b"big", b"BIG", b"pdp\xff"])
def test_other_byte_orders_are_refused(tmp_path: Path, order: bytes) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", with_entry(b"N"), records={"byteorder": order})
    says(refusal(path), "big-endian", "expected|little-endian", "save it again")


def test_a_byteorder_record_of_some_length_is_refused(tmp_path: Path) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", with_entry(b"N"), records={"byteorder": b"little" * 100})
    says(refusal(path), "byteorder", "at most")


def test_compressed_records_are_refused(tmp_path: Path) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", with_entry(b"N"), compression=zipfile.ZIP_DEFLATED)
    says(refusal(path), "compressed", "without compression")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_records_in_a_rare_compression_are_not_unpacked(tmp_path: Path, compression: int) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", with_entry(b"N"), compression=compression)
    says(refusal(path), "byteorder that is compressed as torch never does")


def test_encrypted_records_are_refused(tmp_path: Path) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", with_entry(b"N"))
    whole = bytearray(path.read_bytes())
    for name in (b"archive/data.pkl", b"archive/data/0"):
        entry = whole.rindex(name) - 46
        assert whole[entry : entry + 4] == b"PK\x01\x02"
        saved, whole[entry + 8] = whole[entry + 8], 1
        path.write_bytes(whole)
        says(refusal(path), "encrypted")
        whole[entry + 8] = saved


def test_a_data_pkl_of_gigabytes_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", bytes(17 << 20), compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    says(refusal(path), r"data\.pkl of 17,825,792 bytes", "at most 16,777,216")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("way", ["script", "trace"])
def test_a_torchscript_archive_is_refused(tmp_path: Path, way: str) -> None:
    path, module = tmp_path / "model.pt", torch.nn.Linear(2, 2)
    jit: Any = torch.jit
    compiled = jit.script(module) if way == "script" else jit.trace(module, torch.ones(1, 2))
    compiled.save(str(path))
    says(refusal(path), "TorchScript", r"\.pth file")


def test_a_missing_storage_is_refused(tmp_path: Path) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", with_entry(b"N"), storages={"1": bytes(16)})
    says(refusal(path), "'w' has no data", "data/0")


@pytest.mark.parametrize("length", [0, 15])
def test_a_storage_that_is_too_short_is_refused(tmp_path: Path, length: int) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", with_entry(b"N"), storages={"0": bytes(length)})
    says(refusal(path), "'w' reaches beyond its storage", f"{length} bytes", "16")


def _int(value: int) -> bytes:
    encoded = value.to_bytes(16, "little", signed=True)
    return b"\x8a\x10" + encoded


@pytest.mark.parametrize(
    ("start", "shape", "strides"),
    [
        (_int(1), b"K\x04\x85", b"K\x01\x85"),
        (b"K\x00", b"K\x05\x85", b"K\x01\x85"),
        (b"K\x00", b"K\x04\x85", b"K\x02\x85"),
        (b"K\x00", _int(2**61) + b"\x85", b"K\x01\x85"),
        (_int(2**61), b"K\x01\x85", b"K\x01\x85"),
    ],
)
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(
    tmp_path: Path, start: bytes, shape: bytes, strides: bytes
) -> None:
    pickled = program(dictionary({"w": tensor(start=start, shape=shape, strides=strides)}))
    says(refusal(zip_checkpoint(tmp_path / "model.pth", pickled)), "'w' reaches beyond its storage")


@pytest.mark.parametrize(
    ("start", "shape", "strides"),
    [
        (_int(-1), b"K\x04\x85", b"K\x01\x85"),
        (b"K\x00", _int(-4) + b"\x85", b"K\x01\x85"),
        (b"K\x00", b"K\x04\x85", _int(-1) + b"\x85"),
        (b"K\x00", _int(2**62) + b"\x85", b"K\x01\x85"),
        (b"K\x00", _int(2**61) * 2 + b"\x86", _int(2**61) * 2 + b"\x86"),
        (b"K\x00", b"(" + b"K\x01" * 65 + b"t", b"(" + b"K\x01" * 65 + b"t"),
        (b"K\x00", b"K\x04\x85", b"K\x01K\x01\x86"),
        (b"K\x00", b"\x88\x85", b"K\x01\x85"),
        (b"\x88", b"K\x04\x85", b"K\x01\x85"),
        (b"K\x00", b"G@\x10\x00\x00\x00\x00\x00\x00\x85", b"K\x01\x85"),
        (b"K\x00", b"N", b"K\x01\x85"),
        (b"N", b"K\x04\x85", b"K\x01\x85"),
        (b"K\x00", text("4") + b"\x85", b"K\x01\x85"),
    ],
)
def test_a_tensor_without_proper_counts_is_refused(tmp_path: Path, start: bytes, shape: bytes, strides: bytes) -> None:
    pickled = program(dictionary({"w": tensor(start=start, shape=shape, strides=strides)}))
    says(refusal(zip_checkpoint(tmp_path / "model.pth", pickled)), "damaged", "nothing of it was executed")


def test_an_expanded_tensor_is_no_more_than_its_one_element(tmp_path: Path) -> None:
    """Legal in torch (expand)."""
    pickled = program(dictionary({"w": tensor(shape=_int(2**22) + b"\x85", strides=b"K\x00\x85")}))
    stored = open_checkpoint(zip_checkpoint(tmp_path / "model.pth", pickled)).tensors["w"]
    assert (stored.span, stored.spec.numel) == (1, 2**22)


@pytest.mark.parametrize("size", [2**22 + 1, 2**40])
def test_an_expanded_tensor_beyond_the_file_and_beyond_reason_is_refused(tmp_path: Path, size: int) -> None:
    """Whoever merges it would need the memory that it says, not what it has."""
    pickled = program(dictionary({"w": tensor(shape=_int(size) + b"\x85", strides=b"K\x00\x85")}))
    problem = refusal(zip_checkpoint(tmp_path / "model.pth", pickled))
    says(problem, f"'w' of {size:,} elements that are the same few", f"{4 * size:,} bytes", "contiguous")


def test_a_tensor_of_more_elements_than_can_be_is_refused(tmp_path: Path) -> None:
    sizes, strides = _int(2**61) * 5000, b"K\x00" * 5000
    pickled = program(dictionary({"w": tensor(shape=b"(" + sizes + b"t", strides=b"(" + strides + b"t")}))
    says(refusal(zip_checkpoint(tmp_path / "model.pth", pickled)), "damaged")


@pytest.mark.parametrize(
    "reference",
    [
        storage(find("torch", "StrangeStorage")),
        storage(b"N"),
        b"K\x01Q",
        text("0") + b"Q",
        b"(" + text("module") + b"NNNtQ",
        b")Q",
    ],
)
def test_a_storage_reference_of_an_unknown_form_is_refused(tmp_path: Path, reference: bytes) -> None:
    pickled = program(dictionary({"w": tensor(reference)}))
    says(refusal(zip_checkpoint(tmp_path / "model.pth", pickled)), "damaged|cannot be read")


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"model": {0: torch.ones(2)}}, path)
    says(refusal(path), "tensor under 0", "text")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("make", "phrase"),
    [
        (lambda: torch.eye(2).to_sparse(), "sparse"),
        (lambda: torch.eye(2).to_sparse_csr(), "sparse"),
        (lambda: torch.ones(2, dtype=torch.complex64).conj(), "conjugated"),
        (lambda: torch.ones(2, dtype=torch.complex64).conj().imag, "negated"),
        (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "nested"),
        (lambda: torch.empty(3, device="meta"), "meta"),
        (lambda: torch.empty(2, dtype=torch.float4_e2m1fn_x2), "element type"),
        (lambda: torch.empty(2, dtype=torch.bits8), "element type"),
        (lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "quantized"),
    ],
)
def test_tensors_without_plain_bytes_are_refused_by_name_and_kind(
    tmp_path: Path, make: Callable[[], torch.Tensor], phrase: str
) -> None:
    path = save(tmp_path / "model.pth", {"ok": torch.ones(1), "odd": make()})
    says(refusal(path), "'odd'", phrase)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_state_dict_of_nothing_but_such_tensors_is_refused_for_them(tmp_path: Path, wrapped: bool) -> None:
    path, state = tmp_path / "model.pth", {"odd": torch.eye(2).to_sparse()}
    torch.save({"model": state} if wrapped else state, path)
    says(refusal(path), "'odd'", "sparse")


class _OnXla:
    """A tensor on a device for which torch pickles a rebuild function of its own."""

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild = torch._utils._rebuild_device_tensor_from_cpu_tensor
        return rebuild, (torch.ones(2), torch.float32, "xla:0", False)


def test_a_tensor_rebuilt_in_an_unknown_way_is_not_left_out_silently(tmp_path: Path) -> None:
    path = save(tmp_path / "model.pth", {"ok": torch.ones(1), "odd": _OnXla()})
    says(refusal(path), "'odd'")


@pytest.mark.parametrize(
    ("make", "phrases"),
    [
        (lambda: torch.nn.Linear(2, 2), (r"torch\.nn\.modules\.linear\.Linear", r"state_dict\(\)")),
        (lambda: {"model": torch.nn.Linear(2, 2)}, ("a dict of model", r"state_dict\(\)")),
        (lambda: {"state_dict": {"w": torch.ones(2)}, "epoch": 3}, ("a dict of state_dict, epoch", "under 'model'")),
        (lambda: [torch.ones(2)], ("a list",)),
        (dict, ("a dict of nothing",)),
        (lambda: {"model": {}}, ("a dict of model",)),
        (lambda: {"model": {"w": 1.0}}, ("a dict of model",)),
        (lambda: 5, ("a int|an int|int",)),
        (lambda: None, ("None",)),
        (lambda: torch.ones(2), ("a single tensor",)),
    ],
)
def test_a_file_without_a_state_dict_is_refused(
    tmp_path: Path, make: Callable[[], object], phrases: tuple[str, ...]
) -> None:
    path = tmp_path / "model.pth"
    torch.save(make(), path)
    says(refusal(path), "holds no state dict", *phrases)


# -- damage


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_records_of_one_name_are_refused(tmp_path: Path) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", with_entry(b"N"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/0", bytes(16))
    says(refusal(path), "two records of one name")


def _directory_entry(whole: bytes | bytearray, name: bytes) -> int:
    start = whole.rindex(name) - 46
    assert whole[start : start + 4] == b"PK\x01\x02"
    return start


def _with_record_at(path: Path, name: bytes, place: int) -> Path:
    """Lets the zip directory say, in zip64, that a record begins at ``place``."""
    whole = path.read_bytes()
    entry, end = _directory_entry(whole, name), whole.rindex(b"PK\x05\x06")
    head = bytearray(whole[entry : entry + 46])
    head[42:46] = b"\xff" * 4
    extra = b"\x01\x00\x08\x00" + place.to_bytes(8, "little")
    head[30:32] = len(extra).to_bytes(2, "little")
    grown = whole[:entry] + head + name + extra + whole[entry + 46 + len(name) : end]
    tail = bytearray(whole[end:])
    tail[12:16] = (int.from_bytes(tail[12:16], "little") + len(extra)).to_bytes(4, "little")
    path.write_bytes(grown + tail)
    return path


@pytest.mark.parametrize(
    ("name", "place"),
    [
        *((b"archive/data.pkl", place) for place in (1, 2**40, 2**62, 2**63, 2**64 - 1)),
        *((b"archive/data/0", place) for place in (1, 2**40, 2**62, 2**63, 2**64 - 1)),
    ],
)
def test_a_directory_that_points_nowhere_is_refused(tmp_path: Path, name: bytes, place: int) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", with_entry(b"N"))
    says(refusal(_with_record_at(path, name, place)), "damaged")


@pytest.mark.parametrize(
    "end", [{"offset64": 2**64 - 1}, {"offset64": 2**63}, {"offset": 2**32 - 1}, {"offset": 2**31}]
)
def test_an_end_that_moves_all_records_is_refused(tmp_path: Path, end: dict[str, Any]) -> None:
    """zipfile takes the difference for bytes before the archive, however negative."""
    says(refusal(forge(tmp_path / "model.pth", *members(), **end)), "damaged")


@pytest.mark.parametrize(
    "headers",
    [
        {"local": {"name": b"archive/other1"}},
        {"local": {"name": b"archive/data/00"}},
        {"local": {"name_length": 300}},
        {"central": {"offset": b"archive/data.pkl"}},
        {"central": {"offset": b"archive/version"}},
    ],
)
def test_a_storage_whose_record_has_another_name_is_refused(tmp_path: Path, headers: dict[str, Any]) -> None:
    path = forge(tmp_path / "model.pth", *members()[:3], Member(b"archive/data/0", bytes(16), **headers))
    says(refusal(path), "record that the zip directory gives for data/0 has another name")


@pytest.mark.parametrize("root", ["plain", "ünï cödé", "日本語"])
@pytest.mark.parametrize("flags", [0, 0x800])
def test_names_are_compared_in_the_encoding_that_the_directory_gives(tmp_path: Path, root: str, flags: int) -> None:
    names = [record.name.replace(b"archive", root.encode("utf-8")) for record in members()]
    records = [Member(name, its.data, {}, {"flags": flags}) for name, its in zip(names, members(), strict=True)]
    local = [Member(its.name, its.data, {"flags": flags}, its.central) for its in records]
    assert list(open_checkpoint(forge(tmp_path / "model.pth", *local)).tensors) == ["w"]


@pytest.mark.parametrize(
    "records",
    [
        [Member(b"archive/data/0", bytes(16), {}, {"size": 80, "packed": 80}), member("data/1", bytes(99))],
        [Member(b"archive/data/0", bytes(16), {}, {"size": 40, "packed": 40})],
        [member("data/0", bytes(16)), Member(b"archive/blob", b"", {}, {"offset": b"archive/data/0"})],
    ],
    ids=["the next", "the directory", "one and the same"],
)
def test_records_that_overlap_are_refused(tmp_path: Path, records: list[Member]) -> None:
    path = forge(tmp_path / "model.pth", *members()[:3], *records)
    says(refusal(path), r"damaged: its record archive/\w+(/0)? overlaps what follows it")


def test_what_lies_beside_the_model_must_have_names_that_are_text(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"model": {"w": torch.ones(2)}, "step": 5, 7: "x"}, path)
    says(refusal(path), "holds something under 7", "names that are text")


def test_garbage_said_to_be_deflated_is_refused(tmp_path: Path) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", with_entry(b"N"))
    whole = bytearray(path.read_bytes())
    whole[_directory_entry(whole, b"archive/data.pkl") + 10] = zipfile.ZIP_DEFLATED
    path.write_bytes(whole)
    says(refusal(path), r"data\.pkl cannot be read", "again")


def test_a_damaged_data_pkl_fails_its_checksum(tmp_path: Path) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", with_entry(text("before")))
    path.write_bytes(path.read_bytes().replace(b"before", b"behind"))
    says(refusal(path), r"data\.pkl cannot be read", "CRC", "again")


def test_one_changed_byte_anywhere_in_the_zip_gives_a_header_or_a_refusal(tmp_path: Path) -> None:
    path = zip_checkpoint(tmp_path / "model.pth", with_entry(b"N"))
    whole = path.read_bytes()
    for place in range(len(whole)):
        for value in {0, 1, 8, 12, 0x7F, 0xFF, whole[place] ^ 0x80}:
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            opens_or_is_refused(path)


def test_a_prefix_or_suffix_makes_no_other_checkpoint(tmp_path: Path) -> None:
    """Bytes before or behind the zip move nothing silently: the tensor is found, or the file refused."""
    path = tmp_path / "model.pth"
    for extra in (b"\0" * 7, b"PK\x03\x04" + bytes(30), bytes(range(100))):
        buffer = io.BytesIO()
        torch.save({"w": torch.arange(4.0)}, buffer)
        for whole in (extra + buffer.getvalue(), buffer.getvalue() + extra):
            path.write_bytes(whole)
            header = opens_or_is_refused(path)
            if header:
                assert_stored(path, header.tensors["w"], torch.arange(4.0))
