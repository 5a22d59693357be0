"""What all methods promise, and what the table says of them."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.merging import assert_same_bits
from tests.methods.cases import draws, merged, normals, number_of_sources, required
from xttsrecipe.methods import METHODS, call
from xttsrecipe.schema import schema_text

NAMES = tuple(METHODS)
SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (0,), (0, 3), (3, 0), (2,), (7,), (50,), (4, 1), (3, 5), (2, 3, 2))
SYMMETRIC = [name for name, entry in METHODS.items() if not entry.ordered and entry.most != 1]
WITH_BASE = [name for name, entry in METHODS.items() if entry.base == "required"]

finite = st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-45, 0.1])
extreme = finite | st.sampled_from([3.4e38, -3.4e38])
any_float = extreme | st.sampled_from([math.inf, -math.inf, math.nan])
dtypes = st.sampled_from([torch.float32, torch.float64])


@st.composite
def settings_of(draw: st.DrawFn, numbers: st.SearchStrategy[float]) -> tuple[list[torch.Tensor], torch.Tensor]:
    """One to three tensors and a base: of any numbers, or some of them related to the first."""
    shape, dtype = draw(st.sampled_from(SHAPES)), draw(dtypes)
    count = math.prod(shape)
    rows = draw(st.lists(st.lists(numbers, min_size=count, max_size=count), min_size=4, max_size=4))
    base, *tensors = (torch.tensor(row, dtype=dtype).view(shape) for row in rows)
    made = [tensors[0]]
    for tensor in tensors[1 : draw(st.integers(1, 3))]:
        how = draw(st.sampled_from(["free", "same", "opposite", "base", "zero"]))
        related = {"same": tensors[0], "opposite": -tensors[0], "base": base, "zero": tensor * 0}
        made.append(related.get(how, tensor).clone())
    return made, base


def results(tensors: Sequence[torch.Tensor], base: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """What every method makes of them, or of as many of them as it takes."""
    for name, entry in METHODS.items():
        given = list(itertools.islice(itertools.cycle(tensors), number_of_sources(entry, len(tensors))))
        weights = [1 / len(given)] * len(given)
        origins: dict[str, list[torch.Tensor | None]] = {
            "none": [None],
            "optional": [None, base],
            "required": [base],
        }
        for origin in origins[entry.base]:
            yield name, call(entry, given, weights, origin, required(entry, epsilon=0.1), draws(len(given)))


@given(settings_of(finite))
@settings(max_examples=40)
@example(([torch.zeros(50)], torch.zeros(50)))
@example(([torch.zeros(3, 5), torch.ones(3, 5)], torch.zeros(3, 5)))
def test_of_finite_tensors_comes_a_finite_one_like_them(setting: tuple[list[torch.Tensor], torch.Tensor]) -> None:
    tensors, base = setting
    before = [tensor.clone() for tensor in (*tensors, base)]
    for name, result in results(tensors, base):
        assert (result.dtype, result.shape) == (base.dtype, base.shape), name
        assert result.isfinite().all(), name
        assert result.is_contiguous(), name
        assert all(result.data_ptr() != each.data_ptr() or not result.numel() for each in (*tensors, base)), name
    for tensor, kept in zip((*tensors, base), before, strict=True):
        assert_same_bits(tensor, kept)


@given(settings_of(extreme))
@settings(max_examples=25)
def test_the_largest_numbers_never_give_nan(setting: tuple[list[torch.Tensor], torch.Tensor]) -> None:
    tensors, base = setting
    for name, result in results(tensors, base):
        assert not result.isnan().any(), name


@given(settings_of(any_float))
@settings(max_examples=25)
def test_what_is_not_finite_ends_too(setting: tuple[list[torch.Tensor], torch.Tensor]) -> None:
    tensors, base = setting
    for name, result in results(tensors, base):
        assert result.shape == base.shape, name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("magnitude", [1e308, 1e200, 1e-200, 5e-324])
def test_float64_may_be_as_large_or_small_as_it_can(name: str, magnitude: float) -> None:
    """Elements of one sign and size: whatever is between them is finite."""
    base, *tensors = (magnitude * row.sign() for row in normals(4, 6, 8, dtype=torch.float64))
    entry = METHODS[name]
    given = tensors[: number_of_sources(entry, 3)]
    result = merged(name, given, base, density=1.0)
    assert not result.isnan().any()
    if magnitude < 1e300:
        assert result.isfinite().all()
    if 1e-300 < magnitude < 1e300:
        assert result.abs().max() > 0


@pytest.mark.parametrize("name", [name for name in NAMES if METHODS[name].base != "none"])
@pytest.mark.parametrize("position", [0, 5])
def test_a_nan_or_infinity_shows(name: str, position: int) -> None:
    """Nothing that is wrong in a source is hidden by a cut, a vote or a mean."""
    base, *tensors = normals(4, 4, 8)
    given = tensors[: number_of_sources(METHODS[name], 3)]
    given[0].view(-1)[position] = math.nan
    result = call(
        METHODS[name], given, [1.0] * len(given), base, required(METHODS[name], density=1.0), draws(len(given))
    )
    assert result.view(-1)[position].isnan()


ROWS = [
    torch.tensor([[1.5, -2.0, 1e-45, 3e38], [0.1, -0.3, 0.7, -0.0]]),
    torch.tensor([[1.5, -2.0, 5e-324, 1.7e308], [0.1, -0.3, 0.7, -0.0]], dtype=torch.float64),
    torch.tensor([[math.inf, -math.inf, 0.1, -0.0]]),
    torch.full((50,), 0.1),
    torch.tensor(-0.0),
    torch.zeros(3, 5),
    torch.tensor([[-0.0, 0.0, -0.0]]),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wanted", [1, 2, 3, 7])
def test_equal_tensors_give_that_tensor_bit_for_bit(name: str, wanted: int) -> None:
    entry = METHODS[name]
    number = number_of_sources(entry, wanted)
    shares = [0.1 * (index + 1) for index in range(number)]
    weights = [share / math.fsum(shares) for share in shares]
    for row, with_base in itertools.product(ROWS, {"none": [0], "optional": [0, 1], "required": [1]}[entry.base]):
        tensors = [row.clone() for _ in range(number)]
        base = row.clone() if with_base else None
        assert_same_bits(call(entry, tensors, weights, base, required(entry, epsilon=0.1), draws(number)), row)


@pytest.mark.parametrize("name", WITH_BASE)
def test_where_no_source_differs_from_the_base_it_stays_bit_for_bit(name: str) -> None:
    base, *tensors = normals(4, 6, 8)
    base.view(-1)[:3] = torch.tensor([-0.0, math.inf, 1e-45])
    for tensor in tensors:
        tensor.view(-1)[:3] = base.view(-1)[:3]
    result = merged(name, tensors[: number_of_sources(METHODS[name], 3)], base)
    assert_same_bits(result.view(-1)[:3].clone(), base.view(-1)[:3].clone())


@pytest.mark.parametrize("name", ["linear", "task_arithmetic", "nuslerp", "multislerp", "karcher"])
@pytest.mark.parametrize("heavy", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weight_one_on_one_source_gives_that_source(name: str, heavy: int, dtype: torch.dtype) -> None:
    base, *tensors = normals(3, 5, 7, dtype=dtype)
    tensors[0][0], tensors[1][1] = -0.0, -0.0
    weights = [float(index == heavy) for index in range(2)]
    assert_same_bits(merged(name, tensors, base, weights), tensors[heavy])
    assert_same_bits(merged(name, [tensors[heavy]] * 2, base, [1.0, 0.0]), tensors[heavy])


def all_orders(name: str, dtype: torch.dtype) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    entry = METHODS[name]
    base = normals(1, 30, 40, seed=1)[0].to(dtype)
    count = number_of_sources(entry, 4)
    tensors = [base + 0.1 * row.to(dtype) for row in normals(count, 30, 40, seed=2)]
    weights = [0.4, 0.3, 0.2, 0.1][:count]
    if entry.weights_sum_to_one:
        weights = [weight / math.fsum(weights) for weight in weights]
    names = ["a", "b", "c", "d"][:count]
    first = merged(name, tensors, base, weights, names=names, epsilon=0.1)
    for order in itertools.islice(itertools.permutations(range(count)), 1, 24, 5):
        other = merged(
            name,
            [tensors[index] for index in order],
            base,
            [weights[index] for index in order],
            names=[names[index] for index in order],
            epsilon=0.1,
        )
        yield first, other


@pytest.mark.parametrize("name", SYMMETRIC)
def test_the_order_of_sources_is_worth_one_unit_at_most(name: str) -> None:
    for first, other in all_orders(name, torch.float32):
        assert int((first.view(torch.int32) - other.view(torch.int32)).abs().max()) <= 1
    for first, other in all_orders(name, torch.float64):
        torch.testing.assert_close(other, first, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_threads_does_not_matter(name: str) -> None:
    """Of tensors of more than a piece, with rows that do not fill one."""
    base, *tensors = normals(4, 66, 1003)
    given = tensors[: number_of_sources(METHODS[name], 3)]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = merged(name, given, base, filter_wise=True)
        torch.set_num_threads(2)
        two = merged(name, given, base, filter_wise=True)
    finally:
        torch.set_num_threads(before)
    assert_same_bits(one, two)


@pytest.mark.parametrize("name", NAMES)
def test_how_a_tensor_lies_in_memory_does_not_matter(name: str) -> None:
    base, *tensors = normals(4, 9, 11)
    given = tensors[: number_of_sources(METHODS[name], 3)]
    turned = [tensor.t().contiguous().t() for tensor in given]
    assert_same_bits(merged(name, turned, base.t().contiguous().t()), merged(name, given, base))


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if entry.elementwise])
def test_an_elementwise_method_gives_the_same_in_pieces(name: str) -> None:
    """Random numbers go on from piece to piece."""
    entry = METHODS[name]
    count = number_of_sources(entry, 3)
    base, *rows = normals(count + 1, 70_001)
    weights = [0.5, 0.2, 0.3][:count]
    origin = base if entry.base == "required" else None
    whole = call(entry, rows, weights, origin, required(entry), draws(count))
    going_on = draws(count)
    pieces = []
    for start in range(0, 70_001, 10_000):
        where = slice(start, start + 10_000)
        cut = [row[where].clone() for row in rows]
        pieces.append(call(entry, cut, weights, None if origin is None else base[where], required(entry), going_on))
    assert torch.equal(torch.cat(pieces), whole)


def digests() -> dict[str, str]:
    """Of every method's result, over tensors that are the same on every processor."""
    base, *tensors = (torch.arange(7 * 1003).mul(step).remainder(2003).view(7, 1003) / 1000 for step in (1, 13, 29, 41))
    found = {}
    for name, entry in METHODS.items():
        result = merged(name, tensors[: number_of_sources(entry, 3)], base, epsilon=0.1, select_topk=0.5)
        found[name] = hashlib.sha256(bytes(result.view(torch.uint8).flatten().tolist())).hexdigest()
    return found


def test_the_processor_does_not_matter() -> None:
    """Neither whether it has vector instructions and which, nor whether it fuses multiplication and addition."""
    script = "import json, tests.methods.test_methods as own; print(json.dumps(own.digests()))"
    given = {**os.environ, "ATEN_CPU_CAPABILITY": "default", "PYTHONWARNINGS": "ignore"}
    run = subprocess.run([sys.executable, "-c", script], env=given, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == digests()


class OneByOne(Sequence[torch.Tensor]):
    """Tensors of which all but the first lie in one memory, as the executor hands them."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self._tensors = tensors
        self._shared = tensors[0].clone()

    def __len__(self) -> int:
        return len(self._tensors)

    def __getitem__(self, index: int) -> torch.Tensor:  # type: ignore[override]
        if index >= len(self._tensors):
            raise IndexError(index)
        return self._tensors[0] if index == 0 else self._shared.copy_(self._tensors[index])


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if entry.one_by_one])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weights", [[0.5, 0.2, 0.3], [0.0, 0.5, 0.5], [0.0, 0.4, 0.6], [1.5, -0.25, -0.25]])
def test_a_method_that_takes_tensors_one_by_one_needs_no_more(
    name: str, dtype: torch.dtype, weights: list[float]
) -> None:
    entry = METHODS[name]
    if name == "linear" and weights[0] == 0:
        return  # what weighs nothing is not among a step's inputs
    base, *tensors = normals(4, 101, dtype=dtype)
    tensors[1][3] = math.inf
    count = number_of_sources(entry, 3)
    given, shares = tensors[:count], weights[:count]
    memory = [torch.full((101,), torch.nan, dtype=torch.float64) for _ in range(2)]
    origin = None if entry.base == "none" else base
    found = call(entry, OneByOne(given), shares, origin, required(entry), scratch=memory.__getitem__)
    assert_same_bits(found, call(entry, given, shares, origin, required(entry)))


def test_methods_are_found_by_their_own_name() -> None:
    assert {name: entry.name for name, entry in METHODS.items()} == {name: name for name in METHODS}


def test_the_schema_offers_exactly_the_methods_there_are() -> None:
    schema = json.loads(schema_text())
    assert set(schema["definitions"]["methodName"]["enum"]) == set(METHODS)


@pytest.mark.parametrize("name", NAMES)
def test_every_method_says_what_it_does_and_where_it_comes_from(name: str) -> None:
    entry = METHODS[name]
    for text in (entry.summary, entry.formula, entry.paper, *(parameter.meaning for parameter in entry.parameters)):
        assert text.strip()
        assert "\n" not in text
        assert len(text) <= 120


@pytest.mark.parametrize("name", NAMES)
def test_a_method_takes_exactly_what_the_table_says(name: str) -> None:
    entry = METHODS[name]
    parameters = inspect.signature(entry.combine).parameters
    expected = {"tensors", *(parameter.argument for parameter in entry.parameters)}
    expected |= {"weights"} if entry.weighted else set()
    expected |= {"base"} if entry.base != "none" else set()
    expected |= {"draws"} if entry.random else set()
    expected |= {"scratch"} if entry.reuses_memory else set()
    assert set(parameters) == expected
    defaults = {parameter.argument: parameter for parameter in entry.parameters}
    for argument, parameter in defaults.items():
        if parameters[argument].default is not inspect.Parameter.empty:
            assert parameters[argument].default == parameter.default


@pytest.mark.parametrize("name", NAMES)
def test_every_default_is_within_its_bounds(name: str) -> None:
    entry = METHODS[name]
    names = [known for parameter in entry.parameters for known in (parameter.name, *parameter.aliases)]
    assert len(set(names)) == len(names)
    for parameter in entry.parameters:
        assert parameter.default is None or parameter.refusal(parameter.default) is None
        assert parameter.required == (parameter.default is None and not parameter.otherwise)
    count = number_of_sources(entry, 3)
    assert entry.refusal([1 / count] * count, required(entry)) is None


def test_reading_the_table_does_not_import_torch() -> None:
    check = "import sys, xttsrecipe.methods; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
