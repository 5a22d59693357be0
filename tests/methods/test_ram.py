from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.merging import assert_same_bits
from tests.methods.cases import assert_vector, cases, name_of, normals
from xttsrecipe.methods.ram import ram


@pytest.mark.parametrize("case", cases("ram"), ids=name_of)
def test_the_vectors(case: dict[str, Any]) -> None:
    assert_vector(case)


def test_what_one_source_changed_is_that_source_bit_for_bit() -> None:
    base, one, two = normals(3, 100)
    two[:50], one[50:] = base[:50], base[50:]
    assert_same_bits(ram([one, two], base), torch.cat([one[:50], two[50:]]))


def test_a_change_has_to_exceed_epsilon() -> None:
    base = torch.zeros(3, dtype=torch.float64)
    tensor = torch.tensor([0.25, -0.25, 0.2500001], dtype=torch.float64)
    assert ram([tensor], base, epsilon=0.25).tolist() == [0, 0, 0.2500001]


def test_without_epsilon_every_change_counts() -> None:
    base = torch.tensor([-0.0, math.inf, 1.0])
    tensor = torch.tensor([0.0, math.inf, 1.0000001])
    assert_same_bits(ram([tensor], base, epsilon=0.0), torch.tensor([-0.0, math.inf, 1.0000001]))


def test_the_largest_numbers_have_a_mean() -> None:
    base = torch.tensor([-1.7e308, 5e-324], dtype=torch.float64)
    tensor = torch.tensor([1.7e308, 5e-324], dtype=torch.float64)
    assert_same_bits(ram([tensor, tensor], base), tensor)
