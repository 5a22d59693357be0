from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import torch

from tests.merging import State, assert_same_bits, plan_of
from xttsrecipe.lanes import Lane
from xttsrecipe.methods import METHODS, Scratch
from xttsrecipe.nonfinite import NonFiniteCount
from xttsrecipe.options import RunOptions
from xttsrecipe.plan import PIECE_ELEMENTS, PIECES_BYTES, Plan, held_bytes, piece_elements
from xttsrecipe.source_files import SourceFile
from xttsrecipe.steps import Step

LARGE = 3 * PIECE_ELEMENTS + 77
# Types by their size, for looking at bits.
INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def normals(count: int, *shape: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return [torch.randn(shape, generator=generator) for _ in range(count)]


def states(*tensors: torch.Tensor) -> list[State]:
    return [{"x": tensor} for tensor in tensors]


@contextmanager
def lane_of(plan: Plan, options: RunOptions | None = None) -> Iterator[Lane]:
    with ExitStack() as stack:
        sources = [stack.enter_context(SourceFile(header)) for header in plan.headers]
        yield Lane(sources, plan.recipe.source_names, options or RunOptions())


def pieces_of(plan: Plan, step: Step, options: RunOptions | None = None) -> list[tuple[int, bytes]]:
    with lane_of(plan, options) as lane:
        return [(position, bytes(data)) for position, data in lane.pieces(step, NonFiniteCount(step))]


def joined(pieces: Sequence[tuple[int, bytes]]) -> bytes:
    """The bytes of all pieces, which must follow each other without gaps."""
    data = b""
    for position, piece in pieces:
        assert position == len(data)
        data += piece
    return data


def test_a_tensor_comes_in_pieces_from_first_to_last(tmp_path: Path) -> None:
    one, two = normals(2, LARGE)
    plan = plan_of(tmp_path, states(one, two))
    pieces = pieces_of(plan, plan.steps[0], RunOptions(1))
    assert [len(data) for _, data in pieces] == [4 * PIECE_ELEMENTS] * 3 + [4 * 77]
    merged = torch.frombuffer(bytearray(joined(pieces)), dtype=torch.float32)
    assert torch.allclose(merged, (one + two) / 2, atol=1e-6)


@pytest.mark.parametrize("threads", [2, 64])
@pytest.mark.parametrize("wanted", ["keep", "float16"])
@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_a_lane_holds_no_more_than_was_planned(
    dtype: torch.dtype, count: int, wanted: str, threads: int, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, states(*(tensor.to(dtype) for tensor in normals(count, LARGE))), dtype=wanted)
    with lane_of(plan, RunOptions(threads)) as lane:
        for _ in lane.pieces(plan.steps[0], NonFiniteCount(plan.steps[0])):
            kept = sum(memory.nbytes for memory, _, _ in lane._buffers._kept.values())
            assert 0 < kept <= PIECES_BYTES // threads


def test_a_transposed_tensor_is_held_whole_and_read_in_pieces(tmp_path: Path) -> None:
    base = normals(1, 300, 700)[0]
    plan = plan_of(tmp_path, [{"x": base.T}], overrides={"x": "from a"})
    (step,) = plan.steps
    pieces = pieces_of(plan, step, RunOptions(1))
    assert [len(data) for _, data in pieces] == [4 * PIECE_ELEMENTS, 4 * (210_000 - PIECE_ELEMENTS)]
    assert joined(pieces) == bytes(base.T.contiguous().flatten().view(torch.uint8).tolist())
    assert held_bytes(step) >= base.nbytes


@pytest.fixture
def whole_tensors(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of tensors that the method is given, with it made one that needs tensors whole."""
    given: list[int] = []
    linear = METHODS["linear"]

    def combine(
        tensors: Sequence[torch.Tensor], weights: Sequence[float], scratch: Scratch | None, *, normalize: bool
    ) -> torch.Tensor:
        given.append(tensors[0].numel())
        return linear.combine(tensors, weights, scratch, normalize=normalize)

    entry = dataclasses.replace(linear, elementwise=False, combine=combine)
    monkeypatch.setitem(METHODS, "linear", entry)
    return given


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_method_that_needs_tensors_whole_gets_them_whole(
    dtype: torch.dtype, whole_tensors: list[int], tmp_path: Path
) -> None:
    one, two = (tensor.to(dtype) for tensor in normals(2, LARGE))
    plan = plan_of(tmp_path, states(one, two), weights=[0.5, 0.5])
    (step,) = plan.steps
    ((position, data),) = pieces_of(plan, step)
    assert (position, whole_tensors) == (0, [LARGE])
    merged = torch.frombuffer(bytearray(data), dtype=dtype)
    assert torch.allclose(merged.float(), (one.float() + two.float()) / 2, atol=2e-3)
    assert 3 * one.nbytes <= held_bytes(step) <= 8 * LARGE * 4
    assert piece_elements(step, 1) < LARGE


@pytest.mark.parametrize("count", [3, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_many_whole_tensors_give_what_their_pieces_give(dtype: torch.dtype, count: int, tmp_path: Path) -> None:
    tensors = [tensor.to(dtype) for tensor in normals(count, LARGE)]
    plan = plan_of(tmp_path, states(*tensors))
    expected = joined(pieces_of(plan, plan.steps[0]))
    with pytest.MonkeyPatch.context() as patch:
        for one_by_one in (True, False):
            entry = dataclasses.replace(METHODS["linear"], elementwise=False, one_by_one=one_by_one)
            patch.setitem(METHODS, "linear", entry)
            assert pieces_of(plan, plan.steps[0]) == [(0, expected)]


def test_whole_tensors_are_not_kept(whole_tensors: list[int], tmp_path: Path) -> None:
    plan = plan_of(tmp_path, states(*normals(2, LARGE)))
    with lane_of(plan) as lane:
        list(lane.pieces(plan.steps[0], NonFiniteCount(plan.steps[0])))
        assert lane._buffers._kept == {}
    assert whole_tensors == [LARGE]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_whole_tensors_are_computed_on_the_device(whole_tensors: list[int], tmp_path: Path) -> None:
    plan = plan_of(tmp_path, states(*normals(2, LARGE)))
    (step,) = plan.steps
    with lane_of(plan, RunOptions(device="cuda")) as lane:
        pieces = [(position, bytes(data)) for position, data in lane.pieces(step, NonFiniteCount(step))]
    assert joined(pieces) == joined(pieces_of(plan, step))
    assert torch.cuda.max_memory_allocated() >= 2 * 4 * LARGE


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("wanted", ["keep", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64])
def test_equal_elements_stay_wherever_pieces_end(dtype: torch.dtype, wanted: str, count: int, tmp_path: Path) -> None:
    """With many threads whole pieces are equal, with one hardly any."""
    plain = torch.float32 if dtype.is_complex else dtype
    payloads = torch.tensor([torch.nan] * 5, dtype=plain).view(INTEGERS[plain.itemsize]) + torch.arange(5)
    odd = torch.cat(
        [
            payloads.to(INTEGERS[plain.itemsize]).view(plain),
            torch.tensor([-0.0, 0.0, torch.inf, -torch.inf, 0.1], dtype=plain),
        ]
    )
    odd = torch.complex(odd, odd.flip(0)) if dtype.is_complex else odd
    tensors = [odd.repeat(20_000) for _ in range(count)]
    for index, tensor in enumerate(tensors):
        tensor[::50_021] = index
    plan = plan_of(tmp_path, states(*tensors), dtype=wanted)
    few, some, many = (joined(pieces_of(plan, plan.steps[0], RunOptions(threads))) for threads in (1, 3, 64))
    assert few == some == many
    if plan.steps[0].spec.dtype.label == str(dtype).removeprefix("torch."):
        assert_same_bits(torch.frombuffer(bytearray(few), dtype=dtype)[1:50_000], tensors[0][1:50_000])


@pytest.mark.parametrize("check", [True, False])
def test_what_is_taken_as_it_is_is_looked_at_with_check_only(check: bool, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, states(torch.tensor([1.0, torch.nan])), overrides={"x": "from a"})
    (step,) = plan.steps
    count = NonFiniteCount(step)
    with lane_of(plan, RunOptions(check=check)) as lane:
        list(lane.pieces(step, count))
    found = count.told(["a"])
    assert (found.brought if found else {}) == ({"a": 1} if check else {})


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(("value", "wanted"), [(1e5, "float16"), (3.4e38, "bfloat16")])
def test_overflow_is_counted_always(value: float, wanted: str, check: bool, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, states(torch.tensor([1.0, value])), dtype=wanted)
    (step,) = plan.steps
    count = NonFiniteCount(step)
    with lane_of(plan, RunOptions(check=check)) as lane:
        list(lane.pieces(step, count))
    found = count.told(["a"])
    assert found is not None
    assert (found.count, found.overflowed, found.brought) == (1, 1, {})
