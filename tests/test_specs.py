from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.specs import DType, StoredTensor, TensorSpec, contiguous_strides, shape_text, span, widest

SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
# Types that torch has a promotion for; the float8 kinds and complex32 it merges with nothing.
FLOATS = [DType.FLOAT64, DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16]
FLOAT8 = [dtype for dtype in DType if dtype.label.startswith("float8")]
COMPLEX = [DType.COMPLEX32, DType.COMPLEX64, DType.COMPLEX128]


def torch_type(dtype: DType) -> torch.dtype:
    found = getattr(torch, dtype.label)
    assert isinstance(found, torch.dtype)
    return found


def stored(shape: tuple[int, ...], strides: tuple[int, ...]) -> StoredTensor:
    return StoredTensor("name", TensorSpec(shape, DType.FLOAT32), 0, strides)


@pytest.mark.parametrize("dtype", [dtype for dtype in DType if hasattr(torch, dtype.label)], ids=str)
def test_every_type_is_the_one_that_torch_has_under_this_name(dtype: DType) -> None:
    theirs = torch_type(dtype)
    assert dtype.itemsize == theirs.itemsize
    assert dtype.averages == (theirs.is_floating_point or theirs.is_complex)
    assert (dtype.kind == "complex") == theirs.is_complex
    assert (dtype.kind == "float") == theirs.is_floating_point


@pytest.mark.parametrize("dtype", list(DType), ids=str)
def test_every_type_is_found_by_its_name(dtype: DType) -> None:
    assert DType.named(dtype.label) is dtype
    assert str(dtype) == dtype.label


@pytest.mark.parametrize("label", ["", "keep", "FLOAT32", "float", "torch.float32", "float128"])
def test_a_name_that_is_none_of_ours_is_no_type(label: str) -> None:
    assert DType.named(label) is None


@pytest.mark.parametrize(("one", "other"), list(itertools.product(FLOATS, FLOATS)))
def test_the_widest_of_two_floats_is_what_torch_promotes_them_to(one: DType, other: DType) -> None:
    assert torch_type(widest([one, other])) == torch.promote_types(torch_type(one), torch_type(other))


@pytest.mark.parametrize(("one", "other"), list(itertools.product(COMPLEX, COMPLEX)))
def test_the_widest_of_two_complex_types_is_what_torch_promotes_them_to(one: DType, other: DType) -> None:
    assert torch_type(widest([one, other])) == torch.promote_types(torch_type(one), torch_type(other))


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(FLOAT8, 2)))
def test_two_kinds_of_float8_meet_in_float32(one: DType, other: DType) -> None:
    assert widest([one, other]) is DType.FLOAT32


@pytest.mark.parametrize("float8", FLOAT8, ids=str)
@pytest.mark.parametrize("other", FLOATS, ids=str)
def test_float8_with_another_float_keeps_every_value(float8: DType, other: DType) -> None:
    assert widest([float8, other]) is (DType.FLOAT64 if other is DType.FLOAT64 else DType.FLOAT32)


@pytest.mark.parametrize("dtype", list(DType), ids=str)
def test_equal_types_stay_as_they_are(dtype: DType) -> None:
    assert widest([dtype, dtype, dtype]) is dtype


@given(st.lists(st.sampled_from([*FLOATS, *FLOAT8]), min_size=1, max_size=5))
def test_the_widest_type_does_not_depend_on_order_and_is_at_least_as_wide(dtypes: list[DType]) -> None:
    wide = widest(dtypes)
    assert wide is widest(dtypes[::-1])
    assert wide is widest([*dtypes, wide])
    assert all(wide.itemsize >= dtype.itemsize for dtype in dtypes)


@pytest.mark.parametrize(
    ("shape", "text"), [((), "scalar"), ((1,), "1"), ((0,), "0"), ((1024, 80, 1), "1024x80x1"), ((2, 0), "2x0")]
)
def test_a_shape_as_people_read_it(shape: tuple[int, ...], text: str) -> None:
    assert shape_text(shape) == text


@pytest.mark.parametrize(
    ("shape", "dtype", "numel", "nbytes", "text"),
    [
        ((), DType.INT64, 1, 8, "scalar int64"),
        ((0, 5), DType.FLOAT32, 0, 0, "0x5 float32"),
        ((6681, 1024), DType.FLOAT16, 6_841_344, 13_682_688, "6681x1024 float16"),
        ((3,), DType.BOOL, 3, 3, "3 bool"),
        ((2, 2), DType.COMPLEX128, 4, 64, "2x2 complex128"),
    ],
)
def test_a_spec_counts_elements_and_bytes(
    shape: tuple[int, ...], dtype: DType, numel: int, nbytes: int, text: str
) -> None:
    spec = TensorSpec(shape, dtype)
    assert (spec.numel, spec.nbytes, str(spec)) == (numel, nbytes, text)


@given(SHAPES)
def test_contiguous_strides_are_those_of_a_fresh_torch_tensor(shape: tuple[int, ...]) -> None:
    assert contiguous_strides(shape) == torch.empty(shape).stride()


@given(SHAPES, st.lists(st.integers(0, 7), min_size=4, max_size=4))
def test_the_span_reaches_from_the_first_to_the_last_element(shape: tuple[int, ...], steps: list[int]) -> None:
    strides = tuple(steps[: len(shape)])
    places = [
        sum(index * stride for index, stride in zip(indices, strides, strict=True))
        for indices in itertools.product(*map(range, shape))
    ]
    expected = max(places) + 1 if places else 0
    assert span(shape, strides) == expected
    assert stored(shape, strides).span == expected


@given(SHAPES, st.lists(st.integers(0, 7), min_size=4, max_size=4))
def test_contiguous_means_what_it_means_to_torch(shape: tuple[int, ...], steps: list[int]) -> None:
    strides = tuple(steps[: len(shape)])
    assert stored(shape, strides).is_contiguous == torch.empty_strided(shape, strides).is_contiguous()


@given(SHAPES)
def test_a_fresh_tensor_is_contiguous_and_spans_its_elements(shape: tuple[int, ...]) -> None:
    tensor = stored(shape, contiguous_strides(shape))
    assert tensor.is_contiguous
    assert tensor.span == tensor.spec.numel


@given(st.lists(st.integers(2, 4), min_size=2, max_size=3))
def test_a_transposed_tensor_is_not_contiguous_but_spans_the_same(sizes: list[int]) -> None:
    strides = contiguous_strides(tuple(sizes))
    turned = stored(tuple(sizes[::-1]), strides[::-1])
    assert not turned.is_contiguous
    assert turned.span == turned.spec.numel
