from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.merging import plan_of
from xttsrecipe.nonfinite import NonFiniteCount, is_finite
from xttsrecipe.specs import DType
from xttsrecipe.steps import Step

INF, NAN = math.inf, math.nan
FLOATS = [dtype.label for dtype in DType if dtype.kind == "float"]
OTHERS = [dtype.label for dtype in DType if dtype.kind in ("int", "bool")]

pytestmark = pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> Step:
    (made,) = plan_of(tmp_path_factory.mktemp("step"), [{"x": torch.ones(3)}] * 2).steps
    return made


@given(st.lists(st.floats(width=32), max_size=9))
def test_finite_is_what_python_calls_finite(values: list[float]) -> None:
    assert is_finite(torch.tensor(values)) == all(map(math.isfinite, values))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_large_numbers_are_finite_though_their_sum_is_not(dtype: torch.dtype) -> None:
    assert is_finite(torch.full((50,), torch.finfo(dtype).max, dtype=dtype))


@pytest.mark.parametrize("label", FLOATS)
def test_one_nan_among_many_is_found_in_every_type(label: str) -> None:
    tensor = torch.ones(1000).to(getattr(torch, label))
    assert is_finite(tensor)
    assert not is_finite(tensor.float().index_fill(0, torch.tensor([700]), NAN).to(tensor.dtype))


@pytest.mark.parametrize("label", OTHERS)
def test_integers_are_finite(label: str) -> None:
    assert is_finite(torch.ones(5).to(getattr(torch, label)))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128, torch.complex32])
@pytest.mark.parametrize("value", [complex(INF, 0), complex(0, NAN)])
def test_either_part_of_a_complex_number_counts(value: complex, dtype: torch.dtype) -> None:
    assert is_finite(torch.ones(3).to(dtype))
    assert not is_finite(torch.tensor([1, value]).to(dtype))


def test_opposite_infinities_do_not_cancel() -> None:
    assert not is_finite(torch.tensor([INF, -INF]))


def test_nothing_found_is_nothing_told(step: Step) -> None:
    assert NonFiniteCount(step).told(["a", "b"]) is None


def test_every_source_that_brought_a_value_is_named(step: Step) -> None:
    count = NonFiniteCount(step)
    one = torch.tensor([NAN, INF, 1.0, 1.0, 1.0])
    two = torch.tensor([NAN, 1.0, -INF, 1.0, 1.0])
    count.add(torch.tensor([NAN, INF, -INF, INF, 1.0]), [one, two], [1, 0])
    found = count.told(["a", "b"])
    assert found is not None
    assert (found.key, found.dtype) == ("x", DType.FLOAT32)
    assert (found.count, found.overflowed, found.brought) == (4, 1, {"a": 2, "b": 2})


def test_pieces_add_up_and_their_sources_may_differ(step: Step) -> None:
    count = NonFiniteCount(step)
    for source in (0, 1, 1):
        count.add(torch.tensor([NAN, 1.0]), [torch.tensor([NAN, 1.0])], [source])
    found = count.told(["a", "b"])
    assert found is not None
    assert (found.count, found.overflowed, dict(found.brought)) == (3, 0, {"a": 1, "b": 2})


def test_a_source_that_is_not_finite_where_the_output_is_has_brought_nothing(step: Step) -> None:
    count = NonFiniteCount(step)
    count.add(torch.tensor([1.0, INF]), [torch.tensor([INF, INF])], [0])
    found = count.told(["a", "b"])
    assert found is not None
    assert found.brought == {"a": 1}
