from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.merging import assert_same_bits
from xttsrecipe import gather as gather_module
from xttsrecipe.gather import ReadAt, gather
from xttsrecipe.specs import DType, StoredTensor, TensorSpec


def stored(tensor: torch.Tensor) -> tuple[StoredTensor, ReadAt]:
    """A tensor as a file would hold it, its storage as the file; reading beyond its span fails."""
    dtype = DType.named(str(tensor.dtype).removeprefix("torch."))
    assert dtype is not None
    place = StoredTensor("x", TensorSpec(tuple(tensor.shape), dtype), 0, tensor.stride())
    start = tensor.storage_offset() * tensor.element_size()
    data = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())

    def read(_: StoredTensor, position: int, buffer: memoryview) -> None:
        assert position >= 0
        assert position + len(buffer) <= place.span * tensor.element_size()
        target = torch.frombuffer(buffer, dtype=torch.uint8)
        target.copy_(data[start + position : start + position + len(buffer)])

    return place, read


BASE = torch.arange(120, dtype=torch.float32)

VIEWS: dict[str, Callable[[], torch.Tensor]] = {
    "transposed": lambda: BASE.reshape(10, 12).T,
    "strided": lambda: BASE[3::7],
    "expanded": lambda: BASE[5:6].expand(4, 3),
    "expanded in the middle": lambda: BASE[:6].reshape(3, 1, 2).expand(3, 4, 2),
    "permuted": lambda: BASE.reshape(2, 3, 4, 5).permute(3, 1, 0, 2),
    "window": lambda: BASE.reshape(10, 12)[2:5, 3:7],
    "overlapping windows": lambda: BASE.unfold(0, 8, 3),
    "diagonal": lambda: BASE[:100].reshape(10, 10).diagonal(),
    "0-dim": lambda: BASE[77],
    "empty": lambda: BASE.reshape(10, 12).T[:, :0],
    "contiguous": lambda: BASE.reshape(10, 12),
    "odd stride in a dimension of size 1": lambda: BASE.as_strided((1, 5), (999, 2)),
    "bool": lambda: (BASE % 3 == 0).reshape(10, 12).T,
    "complex": lambda: torch.complex(BASE, -BASE).reshape(10, 12).T,
    "float8": lambda: BASE.to(torch.float8_e4m3fn).reshape(10, 12).T,
    "bfloat16": lambda: BASE.to(torch.bfloat16)[::3],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("span_bytes", [4, 16, 100, 1 << 20])
def test_elements_come_in_row_major_order(view: str, span_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather_module, "SPAN_BYTES", max(span_bytes, VIEWS[view]().element_size()))
    tensor = VIEWS[view]()
    assert_same_bits(gather(*stored(tensor)), tensor.contiguous().flatten())


@given(
    st.lists(st.integers(0, 4), max_size=4).flatmap(
        lambda shape: st.tuples(
            st.just(shape), st.lists(st.integers(0, 9), min_size=len(shape), max_size=len(shape)), st.integers(0, 5)
        )
    )
)
def test_any_strides_and_offset(view: tuple[list[int], list[int], int]) -> None:
    shape, strides, offset = view
    tensor = torch.arange(200, dtype=torch.int32).as_strided(shape, strides, offset)
    assert_same_bits(gather(*stored(tensor)), tensor.contiguous().flatten())


def test_no_read_is_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather_module, "SPAN_BYTES", 64)
    place, read = stored(BASE.reshape(10, 12).T)
    lengths: list[int] = []

    def counted(tensor: StoredTensor, position: int, buffer: memoryview) -> None:
        lengths.append(len(buffer))
        read(tensor, position, buffer)

    gather(place, counted)
    assert max(lengths) <= 64


def test_nothing_is_read_for_an_empty_tensor() -> None:
    place, _ = stored(BASE.reshape(10, 12)[:, :0].T)

    def refuse(*_: object) -> None:
        raise AssertionError("was read")

    assert gather(place, refuse).numel() == 0
