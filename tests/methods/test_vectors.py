from __future__ import annotations

import math

import pytest
import torch

from tests.merging import assert_same_bits
from tests.methods.cases import normals
from xttsrecipe.methods.vectors import PIECE, Vectors, largest


def test_pieces_are_whole_multiples_of_the_unit() -> None:
    vectors = Vectors(normals(1, 3, 50_000), unit=50_000)
    edges = [where.start for where in vectors.pieces()]
    assert edges == [0, 50_000, 100_000]
    vectors = Vectors(normals(1, 1000, 100), unit=100)
    assert next(iter(vectors.pieces())) == slice(0, PIECE // 100 * 100)


def test_task_vectors_are_exact_where_float32_is_not() -> None:
    vectors = Vectors([torch.tensor([1.0000001])], torch.tensor([1e-8]))
    assert vectors.piece(0, slice(0, 1)).item() == torch.tensor(1.0000001).item() - torch.tensor(1e-8).item()


def test_an_infinity_like_the_base_has_is_no_change() -> None:
    base = torch.tensor([math.inf, math.inf, 1.0])
    vectors = Vectors([torch.tensor([math.inf, -math.inf, math.inf])], base)
    assert vectors.piece(0, slice(0, 3)).tolist() == [0, -math.inf, math.inf]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_piece_has_memory_of_its_own(dtype: torch.dtype) -> None:
    tensor, base = normals(2, 4, dtype=dtype)
    kept = tensor.clone()
    for vectors in (Vectors([tensor]), Vectors([tensor], base)):
        vectors.piece(0, slice(0, 4)).zero_()
    assert_same_bits(tensor, kept)


def test_where_nothing_is_merged_the_base_stays() -> None:
    base = torch.tensor([-0.0, 1e-45, math.inf, 3e38, 0.1])
    found = Vectors([base + 1], base).merged(lambda _where, pieces: pieces[0].zero_())
    assert_same_bits(found, base)


def test_large_float64_are_scaled_and_back() -> None:
    base = torch.tensor([-1.7e308, 5e-324, 1.0], dtype=torch.float64)
    tensor = torch.tensor([1.7e308, 5e-324, 2.0], dtype=torch.float64)
    vectors = Vectors([tensor], base)
    assert vectors.scale < 1
    assert vectors.piece(0, slice(0, 1)).isfinite().all()
    found = vectors.merged(lambda _where, pieces: pieces[0].mul_(0.5))
    assert found.tolist() == [0, 5e-324, 1.5]
    assert Vectors([tensor.float()], base.float()).scale == 1


def test_infinite_ones_are_not() -> None:
    assert Vectors([torch.tensor([math.inf, math.nan], dtype=torch.float64)]).scale == 1


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 3)])
def test_shapes_are_kept(shape: tuple[int, ...]) -> None:
    (tensor,) = normals(1, *shape)
    found = Vectors([tensor]).merged(lambda _where, pieces: pieces[0])
    assert_same_bits(found, tensor)


def test_largest_is_a_magnitude() -> None:
    assert largest(torch.tensor([1.0, -3.0])) == 3
    assert largest(torch.zeros(0)) == 0
