from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.builders import save
from xttsrecipe.checkpoints import open_checkpoint
from xttsrecipe.errors import CheckpointError
from xttsrecipe.provenance.comparison import Comparison
from xttsrecipe.source_files import SourceFile


def bytes_of(*values: float) -> memoryview:
    return memoryview(bytes(torch.tensor(values, dtype=torch.float32).view(torch.uint8).tolist()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(tmp_path / "a.pth", {"x": torch.tensor([1.0, 2.0, 3.0, 4.0]), "t": torch.ones(2, 3).T})


def test_the_first_element_that_differs_is_found(path: Path) -> None:
    header = open_checkpoint(path)
    with SourceFile(header) as file:
        comparison = Comparison(header, file)
        comparison.write("x", 0, bytes_of(1, 2))
        assert comparison.found == {}
        comparison.write("x", 8, bytes_of(3, 5))
        comparison.write("x", 0, bytes_of(9, 9))
        comparison.tensor_done("x")
        comparison.finish()
        assert comparison.found == {"x": 3}


def test_negative_zero_and_nan_are_what_they_are(tmp_path: Path) -> None:
    header = open_checkpoint(save(tmp_path / "a.pth", {"x": torch.tensor([0.0, float("nan")])}))
    with SourceFile(header) as file:
        comparison = Comparison(header, file)
        comparison.write("x", 4, bytes_of(float("nan")))
        assert comparison.found == {}
        comparison.write("x", 0, bytes_of(-0.0))
        assert comparison.found == {"x": 0}


def test_a_tensor_that_is_stored_otherwise_is_an_error(path: Path) -> None:
    header = open_checkpoint(path)
    with SourceFile(header) as file, pytest.raises(CheckpointError, match="row-major"):
        Comparison(header, file).write("t", 0, bytes_of(1))
