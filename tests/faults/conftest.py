"""What the faults happen to: small merges in folders of their own, and the commands that make them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import samples
from tests.builders import write_recipe
from tests.faults.processes import Launcher
from tests.merging import folder_bytes
from tests.voices import two_voices
from xttsrecipe.api import load_recipe, run

Listing = dict[str, bytes | None]


@pytest.fixture(scope="session")
def disk_library(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """disk.c, compiled; None where it cannot be."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        return None
    library = tmp_path_factory.mktemp("disk") / "disk.so"
    source = Path(__file__).with_name("disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True, timeout=60)
    return library


@pytest.fixture(scope="session")
def launcher(disk_library: Path | None) -> Launcher:
    return Launcher(disk_library)


@pytest.fixture
def failing_disk(disk_library: Path | None) -> None:
    """For tests that tell the library of disk.c what to do."""
    if disk_library is None:
        pytest.skip("a disk that fails is a C library put before the system's: Linux, with a C compiler")


@dataclass(frozen=True)
class Made:
    """A folder with a recipe, recipe.yaml, whose output is there, made with other weights; what a run makes of it.

    ``before`` and ``after``: listings of the whole folder.
    """

    folder: Path
    before: Listing
    after: Listing


@dataclass(frozen=True)
class Merge(Made):
    """One of these for a test to spoil. ``target``: the output, a file or a folder."""

    target: Path

    def now(self) -> Listing:
        return folder_bytes(self.folder)

    def state(self) -> str:
        """``old`` or ``new``, and nothing else; any other file, missing or left over, is an error."""
        found = self.now()
        assert found.keys() in (self.before.keys(), self.after.keys())
        assert found in (self.before, self.after)
        return "new" if found == self.after else "old"


# What is merged into what: the output's name, and whether the sources have vocabularies that differ.
KINDS = {"file": ("merged.pth", False), "directory": ("out/", True), "file with vocabulary": ("deep/out.pth", True)}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Made]:
    found = {}
    for kind, (output, vocabularies) in KINDS.items():
        folder = tmp_path_factory.mktemp("merge")
        recipe = samples.pair(folder)
        if vocabularies:
            weights = {"news": 0.6, "audiobook": 0.4}
            text = {"checkpoints": two_voices(folder), "weights": weights, "output": {"path": output}}
            recipe = write_recipe(folder, json.dumps(text))
        run(load_recipe(recipe))
        after = folder_bytes(folder)
        run(load_recipe(recipe, ["weights.news=0.9", "weights.audiobook=0.1"]))
        before = folder_bytes(folder)
        assert before.keys() == after.keys()
        assert before != after
        found[kind] = Made(folder, before, after)
    return found


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def merge(kind: str, made: Mapping[str, Made], tmp_path: Path) -> Iterator[Merge]:
    shutil.copytree(made[kind].folder, tmp_path / "merge")
    yield Merge(tmp_path / "merge", made[kind].before, made[kind].after, tmp_path / "merge" / KINDS[kind][0])
    shutil.rmtree(tmp_path / "merge", ignore_errors=True)  # hundreds of these are not worth keeping
