from __future__ import annotations

import contextlib
import itertools
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import save
from tests.merging import (
    State,
    assert_same_bits,
    assert_weighted_sum,
    exact_sum,
    folder_bytes,
    loaded_model,
    merge,
    merge_one,
    plan_of,
    recipe_of,
    save_all,
)
from tests.voices import write_vocabulary
from xttsrecipe.api import load_recipe, make_plan, run
from xttsrecipe.errors import CheckpointError, OutputError, XttsRecipeError
from xttsrecipe.execute import execute
from xttsrecipe.lanes import Lane
from xttsrecipe.options import RunOptions
from xttsrecipe.plan import PIECE_ELEMENTS, Plan
from xttsrecipe.report.problems import problem_text
from xttsrecipe.source_files import SourceFile
from xttsrecipe.specs import DType
from xttsrecipe.summary import NonFinite
from xttsrecipe.xtts import TEXT_ROWS

INF, NAN = math.inf, math.nan
LABELS = [dtype.label for dtype in DType]
# Elements of float32 in a chunk, and a tensor of some chunks and a part.
CHUNK = PIECE_ELEMENTS
SEVERAL_CHUNKS = 2 * CHUNK + 12_345

pytestmark = pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")


@pytest.fixture(autouse=True)
def _every_piece_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only every few megabytes: these tests stop runs at pieces of small files."""
    monkeypatch.setattr("xttsrecipe.execute._NEWS_BYTES", 1)


@pytest.fixture(autouse=True)
def _large_files_go(tmp_path: Path) -> Iterator[None]:
    """pytest keeps the folders of the last runs; megabytes of checkpoints are not worth keeping."""
    yield
    for path in tmp_path.rglob("*.*"):
        if path.is_file() and path.stat().st_size > 100_000:
            path.unlink()


def normals(count: int, *shape: int, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return [torch.randn(shape, generator=generator).to(dtype) for _ in range(count)]


def weights_for(count: int) -> list[float]:
    """Unequal ones that sum to 1; of three and more one is negative."""
    weights = [float(index + 1) for index in range(count)]
    if count > 2:
        weights[0] *= -1
    return [weight / math.fsum(weights) for weight in weights]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
def test_merged_tensors_are_the_weighted_sum(count: int, tmp_path: Path) -> None:
    weights = weights_for(count)
    tensors = normals(count, 33, 65)
    assert_weighted_sum(merge_one(tmp_path, *tensors, weights=weights), tensors, weights)


@pytest.mark.parametrize("count", [2, 3])
def test_tensors_of_several_chunks_are_the_weighted_sum(count: int, tmp_path: Path) -> None:
    weights = weights_for(count)
    tensors = normals(count, SEVERAL_CHUNKS)
    found = merge_one(tmp_path, *tensors, weights=weights)
    sample = torch.cat([torch.arange(0, SEVERAL_CHUNKS, 97), CHUNK + torch.arange(-3, 3), torch.tensor([-1])])
    assert_weighted_sum(found[sample], [tensor[sample] for tensor in tensors], weights)
    plain = sum((tensor.double() * w for tensor, w in zip(tensors, weights, strict=True)), torch.zeros(()))
    assert torch.allclose(found.double(), plain, rtol=0, atol=1e-5)


def scaled(*scales: float) -> list[torch.Tensor]:
    return [tensor * scale for tensor, scale in zip(normals(len(scales), 500), scales, strict=True)]


@pytest.mark.parametrize(
    ("tensors", "weights"),
    [
        (scaled(1e12, 1), [0.3, 0.7]),
        (scaled(1e12, 1), [0.7, 0.3]),
        (scaled(1e-30, 1e30), [0.5, 0.5]),
        (scaled(1e-40, 1e-38), [0.5, 0.5]),
        (scaled(1e6, 1, 1e-6), [0.2, 0.3, 0.5]),
        (scaled(1, 1e12, 1), [0.45, 0.1, 0.45]),
        (scaled(1e12, 1, 1, 1, 1, 1, 1, 1), [0.02, 0.14, 0.14, 0.14, 0.14, 0.14, 0.14, 0.14]),
        (scaled(1e15, 1, 1, 1, 1, 1, 1, 1), [0.86, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02]),
        (scaled(1, 1), [1.5, -0.5]),
        (scaled(1e9, 1), [-0.5, 1.5]),
        (scaled(1, 1), [1000, -999]),
        (scaled(1, 1e5, 1), [50, -48.5, -0.5]),
        (scaled(1, 1e7), [1 - 1e-7, 1e-7]),
        ([torch.full((3,), 1 + 2**-23), torch.full((3,), 1.0)], [0.5, 0.5]),
    ],
)
def test_sources_of_very_unequal_size_and_weight(
    tensors: list[torch.Tensor], weights: list[float], tmp_path: Path
) -> None:
    assert_weighted_sum(merge_one(tmp_path, *tensors, weights=weights), tensors, weights)


@settings(max_examples=50)
@given(
    rows=st.integers(2, 5).flatmap(
        lambda count: st.lists(st.tuples(*[st.floats(-(2.0**90), 2.0**90, width=32)] * count), min_size=1, max_size=6)
    ),
    data=st.data(),
)
def test_any_numbers_and_weights(
    rows: list[tuple[float, ...]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tensors = [torch.tensor(column) for column in zip(*rows, strict=True)]
    weight = st.floats(-2, 3).filter(lambda value: value == 0 or abs(value) > 2.0**-100)  # what float32 has, too
    weights = data.draw(st.lists(weight, min_size=len(tensors) - 1, max_size=len(tensors) - 1))
    weights.append(1 - math.fsum(weights))
    found = merge_one(tmp_path_factory.mktemp("any"), *tensors, weights=weights)
    assert_weighted_sum(found, tensors, weights)


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_types_are_rounded_once(count: int, dtype: torch.dtype, tmp_path: Path) -> None:
    weights = weights_for(count)
    tensors = normals(count, 500, dtype=dtype)
    found = merge_one(tmp_path, *tensors, weights=weights)
    assert found.dtype == dtype
    total, size = exact_sum(tensors, weights)
    # Half a unit in the last place, and what the arithmetic in float32 adds.
    bound = torch.finfo(dtype).eps / 2 * total.abs() + 3e-7 * size + torch.finfo(dtype).smallest_normal * 2**-10
    assert ((found.double() - total).abs() <= bound).all()


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    ("one", "other", "merged"),
    [
        (torch.float16, torch.float32, torch.float32),
        (torch.bfloat16, torch.float16, torch.float32),
        (torch.float32, torch.float64, torch.float64),
        (torch.float8_e5m2, torch.float8_e4m3fn, torch.float32),
    ],
)
def test_mixed_types_are_computed_in_the_widest(
    one: torch.dtype, other: torch.dtype, merged: torch.dtype, count: int, tmp_path: Path
) -> None:
    tensors = [tensor.to((one, other)[index % 2]) for index, tensor in enumerate(normals(count, 300))]
    found = merge_one(tmp_path, *tensors, weights=weights_for(count))
    assert found.dtype == merged
    assert_weighted_sum(found, tensors, weights_for(count), 1e-14 if merged == torch.float64 else 3e-7)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_numbers_are_averaged_part_by_part(count: int, dtype: torch.dtype, tmp_path: Path) -> None:
    weights = weights_for(count)
    tensors = [torch.complex(*normals(2, 50)).to(dtype) * (index + 1) for index in range(count)]
    found = merge_one(tmp_path, *tensors, weights=weights)
    assert found.dtype == dtype
    assert_weighted_sum(found.real, [tensor.real for tensor in tensors], weights)
    assert_weighted_sum(found.imag, [tensor.imag for tensor in tensors], weights)


@pytest.mark.parametrize("wanted", [torch.float32, torch.float16, torch.bfloat16])
def test_the_output_dtype_converts_floats_only(wanted: torch.dtype, tmp_path: Path) -> None:
    state = {
        "f8": normals(1, 20)[0].to(torch.float8_e4m3fn),
        "f16": normals(1, 20)[0].half(),
        "f32": normals(1, 20)[0],
        "f64": normals(1, 20)[0].double(),
        "i": torch.arange(20),
        "b": torch.arange(20) > 3,
        "c": torch.complex(*normals(2, 20)),
    }
    found = merge(tmp_path, [state, state], dtype=str(wanted).removeprefix("torch."))
    for key, tensor in state.items():
        assert_same_bits(found[key], tensor.to(wanted) if key.startswith("f") else tensor)


# Random bits, seen as any type: NaN of all payloads, infinities, subnormals are among them.
PATTERNS = torch.cat(
    [
        torch.randint(0, 256, (8096,), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
        torch.tensor(
            [0, 0, 0, 128] * 4 + [0, 0, 128, 127] * 4 + [1, 0, 128, 255] * 4 + [0, 0x7C, 0, 0xFC] * 12,
            dtype=torch.uint8,
        ),
    ]
)


def patterns(label: str, shift: int = 0) -> torch.Tensor:
    rolled = PATTERNS.roll(shift * 16)
    return rolled % 2 > 0 if label == "bool" else rolled.view(getattr(torch, label))


@pytest.mark.parametrize("weights", [[0.6, 0.4], [0.2, 0.3, 0.5], [1.5, -0.5]])
@pytest.mark.parametrize("label", LABELS)
def test_identical_inputs_give_bit_identical_output(label: str, weights: list[float], tmp_path: Path) -> None:
    tensor = patterns(label)
    assert_same_bits(merge_one(tmp_path, *[tensor] * len(weights), weights=weights), tensor)


@pytest.mark.parametrize("weights", [[1, 0], [0, 1], [0, 1, 0]])
@pytest.mark.parametrize("label", LABELS)
def test_weight_one_gives_that_source_bit_for_bit(label: str, weights: list[float], tmp_path: Path) -> None:
    states = [{"x": patterns(label, index), "y": patterns("float32", index)} for index in range(len(weights))]
    chosen = weights.index(1)
    found = merge(tmp_path, states, weights=weights)
    assert_same_bits(found["x"], states[chosen]["x"])
    assert_same_bits(found["y"], states[chosen]["y"])


@pytest.mark.parametrize("label", LABELS)
def test_a_rule_takes_tensors_bit_for_bit(label: str, tmp_path: Path) -> None:
    states = [{"x": patterns(label, 1), "y": torch.zeros(2)}, {"x": patterns(label), "y": torch.ones(2)}]
    found = merge(tmp_path, states, overrides={"x": "from b"})
    assert_same_bits(found["x"], patterns(label))
    assert found["y"].tolist() == [0.5, 0.5]


def test_layers_that_fine_tuning_left_alone_stay_bit_for_bit_beside_others(tmp_path: Path) -> None:
    """Whatever the other tensors, and the other chunks of the same tensor, hold."""
    frozen = torch.cat([patterns("float32").repeat(CHUNK // 2048 - 5), torch.zeros(5 * 2048), torch.ones(9)])
    changed = frozen.clone()
    changed[CHUNK + 2] += 1
    found = merge_one(tmp_path, frozen, changed, weights=[0.6, 0.4])
    assert_same_bits(found[:CHUNK], frozen[:CHUNK])
    assert found[CHUNK + 2] == pytest.approx(1.4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.float8_e5m2])
@pytest.mark.parametrize("count", [2, 3])
def test_shared_infinities_do_not_become_nan(dtype: torch.dtype, count: int, tmp_path: Path) -> None:
    tensors = [torch.tensor([INF, -INF, float(index)]).to(dtype) for index in range(count)]
    found = merge_one(tmp_path, *tensors)
    assert found[:2].double().tolist() == [INF, -INF]
    assert found[2].double().item() == pytest.approx((count - 1) / 2)


@pytest.mark.parametrize("wanted", ["float16", "bfloat16"])
@pytest.mark.parametrize("label", ["float32", "float64", "float8_e5m2"])
def test_every_nan_that_is_converted_is_the_same(label: str, wanted: str, tmp_path: Path) -> None:
    """Whatever its payload and sign: processors differ in what they make of them."""
    plan = plan_of(tmp_path, [{"x": patterns(label)}, {"x": patterns(label, 1)}], dtype=wanted)
    found = loaded_model(run(plan, options=RunOptions(allow_overflow=True)).output)["x"]
    canonical = torch.tensor(NAN).to(getattr(torch, wanted))
    assert found.isnan().sum() > 4
    assert_same_bits(found[found.isnan()], canonical.expand(int(found.isnan().sum())))


@pytest.mark.parametrize(("label", "huge"), [("float32", 3e38), ("float64", 1.7e308), ("bfloat16", 3e38)])
@pytest.mark.parametrize("weights", [[0.6, 0.4], [0.4, 0.3, 0.3]])
def test_differences_that_overflow_do_not_make_infinities(
    label: str, huge: float, weights: list[float], tmp_path: Path
) -> None:
    tensors = [torch.full((5,), huge * (-1) ** index, dtype=getattr(torch, label)) for index in range(len(weights))]
    expected = sum(weight * tensor[0].item() for weight, tensor in zip(weights, tensors, strict=True))
    found = merge_one(tmp_path, *tensors, weights=weights)
    assert found.tolist() == pytest.approx([expected] * 5, rel=1e-2 if label == "bfloat16" else 1e-6)


def test_negative_zeros_keep_their_sign_where_the_sources_are_equal(tmp_path: Path) -> None:
    assert_same_bits(merge_one(tmp_path, *[torch.full((9,), -0.0)] * 2), torch.full((9,), -0.0))


@pytest.mark.parametrize("label", ["int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize(("weights", "source"), [([0.4, 0.6], 1), ([0.5, 0.5], 0), ([0.3, 0.4, 0.3], 1)])
def test_integers_are_taken_from_the_heaviest(label: str, weights: list[float], source: int, tmp_path: Path) -> None:
    tensors = [patterns(label, index) for index in range(len(weights))]
    assert_same_bits(merge_one(tmp_path, *tensors, weights=weights), tensors[source])


def test_permuted_sources_give_the_same_sum(tmp_path: Path) -> None:
    tensors, weights = normals(3, 5000), [0.2, 0.3, 0.5]
    one = merge_one(tmp_path, *tensors, weights=weights)
    other = merge_one(tmp_path, *tensors[::-1], weights=weights[::-1])
    assert_weighted_sum(one, tensors, weights)
    assert_weighted_sum(other, tensors, weights)
    assert torch.equal(one, other), "three sources are summed in float64: their order is lost in rounding"


def test_two_sources_of_unequal_weight_may_change_places(tmp_path: Path) -> None:
    one, two = normals(2, 5000)
    assert_same_bits(
        merge_one(tmp_path, one, two, weights=[0.6, 0.4]), merge_one(tmp_path, two, one, weights=[0.4, 0.6])
    )


def test_rules_that_share_no_key_may_change_places(tmp_path: Path) -> None:
    states = [{"x": a, "y": a, "z": a} for a in normals(2, 50)]
    rules = {"x": "from b", "y": {"weights": {"a": 0.1, "b": 0.9}}}
    one = merge(tmp_path, states, overrides=rules)
    other = merge(tmp_path, states, overrides=dict(reversed(rules.items())))
    assert all(torch.equal(one[key], other[key]) for key in "xyz")


def test_the_last_rule_decides(tmp_path: Path) -> None:
    states = [{"x": torch.zeros(1), "y": torch.zeros(1), "z": torch.zeros(1)}, dict.fromkeys("xyz", torch.ones(1))]
    rules = {"{x,y}": "from b", "y": {"weights": {"a": 0.75, "b": 0.25}}}
    found = merge(tmp_path, states, overrides=rules)
    assert {key: tensor.item() for key, tensor in found.items()} == {"x": 1, "y": 0.25, "z": 0.5}


BASE = torch.arange(240, dtype=torch.float32)
HUGE_STORAGE = torch.arange(30_000, dtype=torch.float32)

VIEWS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "contiguous": lambda base: base.reshape(12, 20),
    "transposed": lambda base: base.reshape(12, 20).T,
    "strided": lambda base: base[3::7],
    "expanded": lambda base: base[5:6].expand(4, 3),
    "permuted": lambda base: base.reshape(2, 3, 4, 10).permute(3, 1, 0, 2),
    "offset": lambda base: base[100:150],
    "window": lambda base: base.reshape(12, 20)[2:5, 3:7],
    "overlapping": lambda base: base.unfold(0, 16, 5),
    "0-dim": lambda base: base[77],
    "empty": lambda base: base.reshape(12, 20)[:, :0],
    "channels last": lambda base: base.reshape(1, 3, 4, 20).to(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("label", ["float32", "float16", "float64", "int64", "bool", "complex64", "float8_e4m3fn"])
@pytest.mark.parametrize("view", VIEWS)
def test_tensors_that_lie_oddly_come_out_as_torch_sees_them(view: str, label: str, tmp_path: Path) -> None:
    tensor = VIEWS[view](BASE.to(getattr(torch, label)))
    other = VIEWS[view]((BASE + 1).to(getattr(torch, label)))
    found = merge(tmp_path, [{"x": tensor, "plain": BASE}, {"x": tensor.contiguous(), "plain": BASE}])
    assert_same_bits(found["x"], tensor)
    taken = merge(tmp_path, [{"x": tensor}, {"x": other}], overrides={"x": "from b"})
    assert_same_bits(taken["x"], other)


@pytest.mark.parametrize("view", VIEWS)
def test_tensors_that_lie_differently_in_each_source_are_averaged(view: str, tmp_path: Path) -> None:
    one, two = VIEWS[view](BASE), (VIEWS[view](BASE) * 3).contiguous()
    assert_weighted_sum(merge_one(tmp_path, one, two, weights=[0.6, 0.4]), [one, two], [0.6, 0.4])


def test_a_large_transposed_tensor_is_averaged(tmp_path: Path) -> None:
    one, two = (tensor.T for tensor in normals(2, 700, 900))
    found = merge_one(tmp_path, one, two.contiguous(), weights=[0.6, 0.4])
    assert torch.allclose(found, one * 0.6 + two * 0.4, rtol=0, atol=1e-6)


def test_tensors_of_one_storage_come_out_each_on_its_own(tmp_path: Path) -> None:
    state = {"whole": BASE, "part": BASE[10:20], "same": BASE, "long storage": HUGE_STORAGE[:3]}
    found = merge(tmp_path, [state, state])
    for key, tensor in state.items():
        assert_same_bits(found[key], tensor)
    assert (tmp_path / "out.pth").stat().st_size < 12_000


@pytest.mark.parametrize("output", ["out.pth", "out.safetensors"])
def test_a_model_of_empty_tensors_only(output: str, tmp_path: Path) -> None:
    summary = run(plan_of(tmp_path, [{"x": torch.empty(0, 3)}] * 2, output))
    assert (summary.tensors, summary.nbytes) == (1, 0)
    again = make_plan(recipe_of(tmp_path, {"out": output}, output="again.pth"))
    assert again.steps[0].spec.shape == (0, 3)


def test_the_summary_says_what_was_done(tmp_path: Path) -> None:
    pieces: list[int] = []
    plan = plan_of(tmp_path, [{"x": torch.zeros(SEVERAL_CHUNKS), "y": torch.zeros(3), "z": torch.tensor(1)}] * 2)
    summary = execute(plan, pieces.append)
    assert summary.output == tmp_path / "out.pth"
    assert (summary.tensors, summary.nbytes) == (3, plan.nbytes)
    assert summary.size == (tmp_path / "out.pth").stat().st_size
    assert summary.seconds > 0
    assert sum(pieces) == plan.nbytes
    assert max(pieces) <= 4 * PIECE_ELEMENTS


def test_a_source_of_weight_zero_is_not_read(tmp_path: Path) -> None:
    """Its data are gone, its header says nothing of that."""
    states = [{"x": torch.ones(200_000)}, {"x": torch.zeros(200_000)}]
    plan = plan_of(tmp_path, states, weights=[0, 1])
    with (tmp_path / "a.pth").open("r+b") as file:
        file.seek(plan.headers[0].tensors["x"].offset)
        file.write(b"\xff" * 800_000)  # NaN everywhere, should anyone look
    stamp = plan.headers[0].stamp.mtime_ns
    os.utime(tmp_path / "a.pth", ns=(stamp, stamp))
    run(plan)
    assert_same_bits(loaded_model(tmp_path / "out.pth")["x"], states[1]["x"])


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def overwritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    stamp = path.stat()
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1000))


def deleted(path: Path) -> None:
    path.unlink()


def a_merge(folder: Path, output: str = "out.pth") -> Plan:
    """A plan with an output that an earlier run of ours left in place."""
    states = [{"x": tensor, "y": tensor + 1} for tensor in normals(2, SEVERAL_CHUNKS // 2)]
    run(plan_of(folder, [{"old": torch.ones(5)}], output))
    return plan_of(folder, states, output)


@pytest.mark.parametrize("change", [truncated, grown, replaced, overwritten, deleted])
@pytest.mark.parametrize("source", ["a.pth", "b.pth"])
def test_a_source_that_changes_after_planning_is_refused(
    change: Callable[[Path], None], source: str, tmp_path: Path
) -> None:
    plan = a_merge(tmp_path)
    change(tmp_path / source)
    before = folder_bytes(tmp_path)
    with pytest.raises(CheckpointError, match=rf"{source}: (was changed or replaced|cannot be read any more)"):
        run(plan)
    assert folder_bytes(tmp_path) == before


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files as Linux shows them")
def test_a_refused_source_is_not_left_open(tmp_path: Path) -> None:
    plan = a_merge(tmp_path)
    grown(tmp_path / "b.pth")
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    with pytest.raises(CheckpointError):
        run(plan)
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


@pytest.mark.parametrize("output", ["out.pth", "out.safetensors"])
@pytest.mark.parametrize("change", [truncated, grown, overwritten])
@pytest.mark.parametrize("source", ["a.pth", "b.pth"])
def test_a_source_that_changes_in_the_middle_leaves_the_old_output(
    change: Callable[[Path], None], source: str, output: str, tmp_path: Path
) -> None:
    plan = a_merge(tmp_path, output)
    before = folder_bytes(tmp_path)
    pieces: list[int] = []

    def on_bytes(count: int) -> None:
        pieces.append(count)
        if len(pieces) == 2:
            change(tmp_path / source)

    with pytest.raises(CheckpointError, match=source):
        execute(plan, on_bytes)
    after = folder_bytes(tmp_path)
    assert list(after) == list(before)
    assert after[output] == before[output]


def test_a_short_read_names_file_and_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = a_merge(tmp_path)
    read = os.preadv

    def preadv(*arguments: Any) -> int:
        os.truncate(tmp_path / "b.pth", 5000)  # once all are open
        return read(*arguments)

    monkeypatch.setattr(os, "preadv", preadv)
    with pytest.raises(
        CheckpointError, match=r"b\.pth: tensor '[xy]' cannot be read: the file ends [\d,]+ bytes too early"
    ):
        execute(plan)


def test_a_source_that_is_replaced_in_the_middle_is_read_on_as_planned(tmp_path: Path) -> None:
    plan = a_merge(tmp_path)
    execute(plan)
    expected = (tmp_path / "out.pth").read_bytes()
    done: list[int] = []

    def on_bytes(count: int) -> None:
        if not done:
            (tmp_path / "new.pth").write_bytes(b"another file")
            (tmp_path / "new.pth").replace(tmp_path / "b.pth")
        done.append(count)

    execute(plan, on_bytes)
    assert (tmp_path / "out.pth").read_bytes() == expected


@pytest.mark.parametrize("output", ["out.pth", "deep/er/out.safetensors"])
@pytest.mark.parametrize("exception", [KeyboardInterrupt, RuntimeError, SystemExit, MemoryError])
@pytest.mark.parametrize("after", [1, 3])
def test_an_interruption_leaves_the_old_output_and_no_litter(
    exception: type[BaseException], after: int, output: str, tmp_path: Path
) -> None:
    plan = a_merge(tmp_path, output)
    before = folder_bytes(tmp_path)
    pieces: list[int] = []

    def on_bytes(count: int) -> None:
        pieces.append(count)
        if len(pieces) == after:
            raise exception

    with pytest.raises(exception):
        run(plan, on_bytes=on_bytes)
    assert folder_bytes(tmp_path) == before


def test_an_interruption_removes_the_folders_that_were_made(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, [{"x": torch.ones(5)}], "deep/er/out.pth")
    before = folder_bytes(tmp_path)

    def on_bytes(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan, on_bytes=on_bytes)
    assert folder_bytes(tmp_path) == before


def test_an_error_of_the_callers_own_is_passed_on(tmp_path: Path) -> None:
    """Progress that goes to a closed pipe says nothing about the output."""
    plan = plan_of(tmp_path, [{"x": torch.ones(5)}])
    before = folder_bytes(tmp_path)

    def on_bytes(count: int) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    try:
        with pytest.raises(BrokenPipeError):
            execute(plan, on_bytes)
    finally:
        assert folder_bytes(tmp_path) == before


@pytest.mark.parametrize("output", ["out.pth", "out.safetensors"])
def test_systems_without_positional_calls_write_the_same(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tmp_path, mixed_states(2), output)
    execute(plan)
    expected = (tmp_path / output).read_bytes()
    monkeypatch.delattr(os, "preadv", raising=False)
    monkeypatch.delattr(os, "pwrite", raising=False)
    execute(plan)
    assert (tmp_path / output).read_bytes() == expected


def test_an_output_behind_a_link_is_replaced_there(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    run(plan_of(tmp_path, [{"x": torch.ones(5)}], "elsewhere/real.pth"))
    (tmp_path / "out.pth").symlink_to("elsewhere/real.pth")
    run(plan_of(tmp_path, [{"x": torch.zeros(5)}]))
    assert (tmp_path / "out.pth").is_symlink()
    assert loaded_model(tmp_path / "elsewhere/real.pth")["x"].sum() == 0


@contextlib.contextmanager
def files_limited_to(nbytes: int) -> Iterator[None]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))  # a signal too, which Python ignores
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform == "win32", reason="the limit on a file's size is one of POSIX")
@pytest.mark.parametrize("output", ["out.safetensors", "out.pth"])
def test_a_disk_that_fills_up_is_an_output_error(output: str, tmp_path: Path) -> None:
    """Stood in for by a limit on the size of files: at the first byte, in the layout, in the data."""
    plan = a_merge(tmp_path, output)
    before = folder_bytes(tmp_path)
    for limit in (0, 1000, plan.disk // 2):
        with files_limited_to(limit), pytest.raises(OutputError) as error:
            run(plan)
        assert error.value.problems[0].what == "cannot be written: File too large"
    assert folder_bytes(tmp_path) == before


SAME_BYTES = """
import sys, xttsrecipe
from xttsrecipe.options import RunOptions
for recipe in sys.argv[2:]:
    made = xttsrecipe.load_recipe(recipe, [f"output.path={recipe}.{sys.argv[1]}.pth"])
    xttsrecipe.run(made, options=RunOptions(threads=int(sys.argv[1][0]), allow_overflow=True))
"""
# By the number of threads; others than this process.
SURROUNDINGS = {
    "8 threads, plain instructions": {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "2"},
    "1 thread": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "1"},
}


def mixed_states(count: int) -> list[State]:
    floats = normals(count, CHUNK + 1003)
    return [
        {
            "f32": tensor,
            "f64": tensor[:5000].double() / 3,
            "f16": tensor[:5001].half(),
            "bf16": tensor[:5002].bfloat16(),
            "c64": torch.complex(tensor[:999], tensor[1:1000]),
            "f8": tensor[:777].to(torch.float8_e4m3fn),
            **{f"small {number}": tensor[number : number + 7] for number in range(40)},
            "i": torch.arange(9) + index,
        }
        for index, tensor in enumerate(floats)
    ]


def nan_states(dtype: torch.dtype, count: int = 2) -> list[State]:
    """NaN of many payloads and infinities among other numbers, different in each source."""
    states: list[State] = []
    for index, tensor in enumerate(normals(count, 4099)):
        odd = tensor.to(dtype)
        odd[index::7] = patterns(str(dtype).removeprefix("torch."))[: len(odd[index::7])]
        states.append({"x": odd})
    return states


def overflowing_states() -> list[State]:
    """Finite numbers whose sum overflows in halves and not in one go."""
    huge = torch.full((CHUNK,), 4e33)
    huge[CHUNK // 2 :] *= -1
    return [{"x": normals(1, CHUNK)[0] * 4e33}, {"x": huge}]


CASES: Mapping[str, Callable[[], Sequence[State]]] = {
    "two": lambda: mixed_states(2),
    "three": lambda: mixed_states(3),
    "nan float32": lambda: nan_states(torch.float32),
    "nan float32 three": lambda: nan_states(torch.float32, 3),
    "nan float16": lambda: nan_states(torch.float16),
    "nan bfloat16": lambda: nan_states(torch.bfloat16),
    "nan to float16": lambda: nan_states(torch.float32),
    "nan to bfloat16": lambda: nan_states(torch.float32),
    "overflow": overflowing_states,
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, bytes]]:
    """The output's bytes for every case, in all surroundings and here."""
    recipes = {}
    for case, states in CASES.items():
        folder = tmp_path_factory.mktemp("case")
        dtype = case.partition(" to ")[2] or "keep"
        made = states()
        recipe_of(folder, save_all(folder, made), dtype=dtype, weights=weights_for(len(made)))
        recipes[case] = folder / "recipe.yaml"
    others = [
        subprocess.Popen([sys.executable, "-c", SAME_BYTES, name, *recipes.values()], env={**os.environ, **more})
        for name, more in SURROUNDINGS.items()
    ]
    for recipe in recipes.values():
        run(load_recipe(recipe, [f"output.path={recipe}.here.pth"]), options=RunOptions(2, allow_overflow=True))
    assert [each.wait() for each in others] == [0] * len(others)
    return {
        case: {name: Path(f"{recipe}.{name}.pth").read_bytes() for name in (*SURROUNDINGS, "here")}
        for case, recipe in recipes.items()
    }


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_the_same_recipe_and_inputs_give_the_same_bytes(
    case: str, surroundings: str, outputs: Mapping[str, Mapping[str, bytes]]
) -> None:
    assert outputs[case][surroundings] == outputs[case]["here"]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_name_and_place_of_the_output_and_age_of_the_inputs_change_nothing(suffix: str, tmp_path: Path) -> None:
    save_all(tmp_path, mixed_states(2))
    recipe_of(tmp_path, {"a": "a.pth", "b": "b.pth"}, output=f"out{suffix}")
    found = set()
    for index, output in enumerate(["one", "another name", "deep/er/x"]):
        for name in "ab":
            os.utime(tmp_path / f"{name}.pth", (index, index))
        recipe = load_recipe(tmp_path / "recipe.yaml", [f"output.path={tmp_path / output}{suffix}"])
        found.add(run(recipe).output.read_bytes())
    assert len(found) == 1


def test_copies_of_the_inputs_in_another_folder_give_the_same_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two/deeper"]
    for folder in folders:
        folder.mkdir(parents=True)
        save_all(folder, mixed_states(2))
        run(recipe_of(folder, {"a": "a.pth", "b": "b.pth"}))
    first, second = ((folder / "out.pth").read_bytes() for folder in folders)
    assert first == second


MEASURED = """
import sys, xttsrecipe
plan = xttsrecipe.make_plan(xttsrecipe.load_recipe(sys.argv[1]))
xttsrecipe.run(plan)
# Not ru_maxrss, which a process inherits from the one that started it.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(plan.memory, int(peak.split()[1]) * 1024)
"""


def planned_and_measured_memory(folder: Path) -> tuple[int, int]:
    """Of a run of the recipe in a folder; its checkpoints, which are large, are gone afterwards."""
    command = [sys.executable, "-c", MEASURED, str(folder / "recipe.yaml")]
    try:
        planned, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    finally:
        for path in folder.glob("*.pth"):
            path.unlink()
    return int(planned), int(peak)


on_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory as Linux counts it")


@on_linux
def test_memory_stays_within_the_plan_whatever_the_size(tmp_path: Path) -> None:
    """Two checkpoints of 300 MB, zeros that take no room on the disk, one of whose tensors lies transposed."""
    for name in "ab":
        state = {f"x{index}": torch.empty(6_681_000) for index in range(10)}
        state["turned"] = torch.empty(3000, 2000).T
        with torch.serialization.skip_data():
            save(tmp_path / f"{name}.pth", state)
    recipe_of(tmp_path, {"a": "a.pth", "b": "b.pth"})
    planned, peak = planned_and_measured_memory(tmp_path)
    assert peak <= planned
    assert planned < 450 << 20


@on_linux
@pytest.mark.parametrize(
    ("count", "label", "first"),
    [
        (8, "float32", 0.5),
        (24, "float8_e5m2", INF),
    ],
)
def test_memory_stays_within_the_plan_whatever_the_number_of_sources(
    count: int, label: str, first: float, tmp_path: Path
) -> None:
    states = [{"x": torch.rand(8 * PIECE_ELEMENTS).to(getattr(torch, label))} for _ in range(count)]
    states[0]["x"][0] = first
    recipe_of(tmp_path, save_all(tmp_path, states))
    planned, peak = planned_and_measured_memory(tmp_path)
    assert peak <= planned


@on_linux
def test_memory_stays_within_the_plan_where_rows_are_merged_by_token(tmp_path: Path) -> None:
    """As many as XTTS's own, no two rows in the same place, and one source's rows scattered over their storage."""
    rows, width = 6681, 512
    tokens = [f"token{number}" for number in range(rows)]
    for seed, name in enumerate("ab"):
        state = {key: torch.empty(rows, width) for key in TEXT_ROWS[:2]}
        state["gpt.text_head.bias"] = torch.empty(rows)
        if seed:
            state["gpt.text_embedding.weight"] = torch.empty(width, rows).T
        with torch.serialization.skip_data():
            save(tmp_path / f"{name}.pth", state)
        ids = {token: (number * (1 + 3 * seed)) % rows for number, token in enumerate(tokens)}
        write_vocabulary(tmp_path / f"{name}.json", ids)
    recipe_of(tmp_path, {"a": "a.pth", "b": "b.pth"}, vocabulary={"a": "a.json", "b": "b.json"})
    planned, peak = planned_and_measured_memory(tmp_path)
    assert peak <= planned


@pytest.mark.parametrize("threads", [1, 2, 8, 64])
@pytest.mark.parametrize("output", ["out.pth", "out.safetensors"])
def test_any_number_of_threads_writes_the_same(threads: int, output: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, mixed_states(3), output)
    expected = execute(plan, options=RunOptions(threads=2)).output.read_bytes()
    told: list[int] = []
    summary = execute(plan, told.append, RunOptions(threads))
    assert summary.output.read_bytes() == expected
    assert sum(told) == plan.nbytes


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    before = threading.enumerate()
    plan = plan_of(tmp_path, mixed_states(2))
    execute(plan, options=RunOptions(threads=8))
    os.truncate(tmp_path / "b.pth", 5000)
    with pytest.raises(CheckpointError):
        execute(plan, options=RunOptions(threads=8))
    assert threading.enumerate() == before


def test_when_one_thread_fails_the_others_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = [{f"x{number}": torch.full((CHUNK,), float(source)) for number in range(40)} for source in range(2)]
    plan = plan_of(tmp_path, states)
    read, calls, failed = SourceFile.read, itertools.count(), threading.Event()

    def failing(self: SourceFile, *arguments: Any) -> None:
        if next(calls) == 10:
            failed.set()
            raise MemoryError
        if failed.is_set():
            time.sleep(0.2)  # meanwhile the other has said that it failed
        read(self, *arguments)

    monkeypatch.setattr(SourceFile, "read", failing)
    before = folder_bytes(tmp_path)
    with pytest.raises(MemoryError):
        execute(plan, options=RunOptions(threads=2))
    assert next(calls) <= 14
    assert folder_bytes(tmp_path) == before


def test_progress_is_told_every_few_megabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xttsrecipe.execute._NEWS_BYTES", 4 * CHUNK)
    told: list[int] = []
    plan = plan_of(tmp_path, [{"x": torch.zeros(2 * CHUNK + 3), "y": torch.zeros(3), "z": torch.zeros(0)}])
    execute(plan, told.append, RunOptions(threads=1))
    assert told == [4 * CHUNK, 4 * CHUNK, 12, 12]


@pytest.mark.parametrize("device", ["cuda:99", "meta", "gpu", "cpu:x", "", "hpu", "privateuseone"])
def test_a_device_that_is_not_there_is_refused(device: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, [{"x": torch.ones(3)}] * 2)
    before = folder_bytes(tmp_path)
    with pytest.raises(XttsRecipeError, match=f"the device {device!r}"):
        execute(plan, options=RunOptions(device=device))
    assert folder_bytes(tmp_path) == before


@pytest.mark.parametrize(
    ("wanted", "value", "wider"), [("float16", 70_000.0, "bfloat16 or float32"), ("bfloat16", 3.4e38, "float32")]
)
def test_values_too_large_for_the_outputs_type_are_refused(
    wanted: str, value: float, wider: str, tmp_path: Path
) -> None:
    run(plan_of(tmp_path, [{"old": torch.ones(2)}]))
    large = torch.tensor([1.0, value, -value])
    states: list[State] = [
        {"x": large, "y": torch.ones(2), "z": large[:2]},
        {"x": large, "y": torch.ones(2), "z": large[:2]},
    ]
    plan = plan_of(tmp_path, states, dtype=wanted)
    before = folder_bytes(tmp_path)
    with pytest.raises(OutputError) as caught:
        run(plan)
    (problem,) = caught.value.problems
    assert problem.what == f"2 tensors have values that are too large for {wanted}"
    assert problem.details == ("x: 2 of its values", "z: 1 of its values")
    assert f"{wider}), or run again with --allow-overflow" in (problem.hint or "")
    assert folder_bytes(tmp_path) == before


def test_a_mean_too_large_for_its_own_type_is_refused_too(tmp_path: Path) -> None:
    """Weights beyond 1 reach farther than the sources."""
    plan = plan_of(tmp_path, [{"x": torch.tensor([3e38])}, {"x": torch.tensor([-3e38])}], weights=[1.5, -0.5])
    with pytest.raises(OutputError, match="1 tensor has values that are too large for float32") as caught:
        run(plan)
    assert caught.value.problems[0].hint == "run again with --allow-overflow to have them infinite"


def test_all_tensors_that_overflow_are_named(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, [{f"x{number}": torch.tensor([1e5]) for number in range(20)}] * 2, dtype="float16")
    with pytest.raises(OutputError) as caught:
        run(plan)
    shown = problem_text(caught.value.problems[0])
    assert all(f"    x{number}: 1 of its values\n" in shown for number in range(20))


def test_a_system_that_gives_no_threads_is_an_error_and_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(tmp_path, [{"x": torch.ones(2)}] * 2)
    before = folder_bytes(tmp_path)
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "lane 2":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(XttsRecipeError, match="the system gives no more threads"):
        execute(plan, options=RunOptions(threads=4))
    assert folder_bytes(tmp_path) == before


def test_a_lack_of_memory_is_told_from_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own error, for a tensor that no machine can hold."""
    plan = plan_of(tmp_path, [{"x": torch.ones(2)}] * 2)
    before = folder_bytes(tmp_path)
    monkeypatch.setattr(Lane, "pieces", lambda *_: torch.empty(1 << 60, dtype=torch.uint8))
    with pytest.raises(MemoryError):
        execute(plan)
    assert folder_bytes(tmp_path) == before


def test_runs_side_by_side_leave_torch_its_threads(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    plans = [plan_of(folder, [{"x": torch.ones(2)}] * 2) for folder in folders]
    inside = threading.Barrier(2)
    runs = [threading.Thread(target=execute, args=(plan, lambda _: inside.wait(30))) for plan in plans]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    after = torch.get_num_threads()
    torch.set_num_threads(before)
    assert after == 2
    assert all(plan.recipe.output.path.exists() for plan in plans)


def test_overflow_that_is_allowed_is_infinite_and_told(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, [{"x": torch.tensor([1.0, 70_000.0, -INF])}] * 2, dtype="float16")
    summary = run(plan, options=RunOptions(allow_overflow=True))
    assert loaded_model(summary.output)["x"].tolist() == [1.0, INF, -INF]
    assert summary.nonfinite == (NonFinite("x", DType.FLOAT16, 2, 1, {"a": 1, "b": 1}),)


def test_what_is_not_finite_is_told_in_plan_order_with_its_sources(tmp_path: Path) -> None:
    names = [f"x{number}" for number in range(30)]
    states: list[State] = [
        {name: torch.tensor([NAN if number % 3 == source else 1.0, 2.0]) for number, name in enumerate(names)}
        for source in range(2)
    ]
    summary = run(plan_of(tmp_path, states, overrides={"x0": "from b"}), options=RunOptions(threads=4))
    assert [(found.key, dict(found.brought)) for found in summary.nonfinite] == [
        (name, {"ab"[number % 3]: 1}) for number, name in enumerate(names) if number % 3 < 2 and number
    ]
    assert run(plan_of(tmp_path, [{"x": torch.ones(3)}] * 2)).nonfinite == ()
