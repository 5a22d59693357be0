"""Fixtures for the tests with the real client. All that they make is in pytest's temporary folder, and goes again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

# Read when the client is imported: no network, no GPU, no window.
os.environ |= {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "agg"}

import pytest

from .checkpoints import Checkpoints
from .compatibility import CLAIMS, claims


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkpoints]:
    folder = tmp_path_factory.mktemp("checkpoints")
    os.environ["TTS_HOME"] = str(folder)
    yield Checkpoints(folder)
    # 2 GB: more than what pytest keeps of a run should take.
    shutil.rmtree(folder)


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder for merged files, gone after the test."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Notes what the collected tests are evidence for, before ``-k`` leaves some out."""
    config.stash[CLAIMS] = claims(items)
