"""Inputs that change, end, vanish or cannot be read while a run reads them; and those that have holes or are empty."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.builders import save, write_recipe
from tests.commands import Outcome
from tests.faults.conftest import Merge
from tests.faults.moments import Moment
from tests.faults.processes import Launcher, disk
from tests.merging import folder_bytes, loaded_model
from xttsrecipe.checkpoints import open_checkpoint

RECIPE = "checkpoints: {news: news.pth, audiobook: audiobook.pth}\noutput: {path: out.pth}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Two checkpoints of five tensors, a recipe, and an output of an earlier run of it."""
    for seed, name in enumerate(("news", "audiobook")):
        generator = torch.Generator().manual_seed(seed)
        save(tmp_path / f"{name}.pth", {f"t{number}": torch.randn(50_000, generator=generator) for number in range(5)})
    write_recipe(tmp_path, RECIPE)
    yield tmp_path
    for path in tmp_path.glob("*.pth"):  # megabytes that are not worth keeping
        path.unlink()


@pytest.fixture
def old(folder: Path, launcher: Launcher) -> bytes:
    """The output, which another run makes again, as its inputs are younger."""
    done = launcher.run(folder, "run", "recipe.yaml")
    assert done.code == 0, done.err
    for name in ("news.pth", "audiobook.pth"):
        (folder / name).touch()
    return (folder / "out.pth").read_bytes()


def refused(done: Outcome, said: str) -> None:
    assert (done.code, done.out) == (1, ""), done.err
    assert re.search(said, done.err), done.err
    assert "help: " in done.err
    assert "Traceback" not in done.err


# --- changed while it is read ---------------------------------------------------------------------------------------


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def written_over(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(2000)
        file.write(bytes(1000))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (truncated, "cannot be read: the file ends |was changed or replaced"),  # what comes first
        (emptied, "cannot be read: the file ends |was changed or replaced"),
        (grown, "was changed or replaced since the plan was made"),
        (written_over, "was changed or replaced since the plan was made"),
    ],
)
@pytest.mark.parametrize("name", ["news.pth", "audiobook.pth"])
def test_an_input_that_is_changed_while_it_is_read(
    name: str, change: Callable[[Path], None], said: str, folder: Path, old: bytes, launcher: Launcher
) -> None:
    before = folder_bytes(folder)
    with launcher.paused(Moment("writing", 12), folder, "run", "recipe.yaml") as (command, go_on):
        change(folder / name)
        go_on()
        done = command.wait()
    refused(done, said)
    assert name in done.err
    assert {**folder_bytes(folder), name: None} == {**before, name: None}


@pytest.mark.parametrize("moment", [Moment("writing", 12), Moment("committing", 0)], ids=["writing", "committing"])
def test_an_input_that_is_removed_or_replaced_is_read_to_its_end_where_it_was_open(
    moment: Moment, folder: Path, old: bytes, launcher: Launcher
) -> None:
    """Another file comes under its name; what is open is still the one that was planned with."""
    other = save(folder / "other.pth", {"t0": torch.zeros(3)})
    with launcher.paused(moment, folder, "run", "recipe.yaml") as (command, go_on):
        other.replace(folder / "news.pth")
        (folder / "audiobook.pth").unlink()
        go_on()
        done = command.wait()
    assert done.code == 0, done.err
    assert (folder / "out.pth").read_bytes() == old
    assert {path.name for path in folder.iterdir()} == {"news.pth", "out.pth", "recipe.yaml"}


@pytest.mark.parametrize("kind", ["directory"], indirect=True)
def test_a_file_beside_the_model_that_is_changed_after_planning(merge: Merge, launcher: Launcher) -> None:
    """It was planned with another digest, which the output would have carried."""
    with launcher.paused(Moment("writing", 0), merge.folder, "run", "recipe.yaml") as (command, go_on):
        grown(merge.folder / "news/speakers_xtts.pth")
        go_on()
        done = command.wait()
    refused(done, "speakers_xtts.pth: was changed or replaced since the plan was made")
    os.truncate(merge.folder / "news/speakers_xtts.pth", len(merge.before["news/speakers_xtts.pth"] or b""))
    assert merge.state() == "old"


# --- a disk that fails ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("failing_disk")
@pytest.mark.parametrize("tensor", range(5))
@pytest.mark.parametrize("name", ["news.pth", "audiobook.pth"])
def test_an_input_that_the_disk_cannot_read(
    name: str, tensor: int, folder: Path, old: bytes, launcher: Launcher
) -> None:
    """In the middle of a tensor, which is named."""
    before = folder_bytes(folder)
    place = open_checkpoint(folder / name).tensors[f"t{tensor}"].offset + 100_000
    broken = partial(disk, "disk_fail_reads", str(folder / name), place, place + 512)
    done = launcher.run(folder, "run", "recipe.yaml", prepare=[broken])
    refused(done, f"{name}: tensor 't{tensor}' cannot be read: Input/output error")
    assert folder_bytes(folder) == before


@pytest.mark.usefixtures("failing_disk")
@pytest.mark.parametrize("name", ["news.pth", "audiobook.pth"])
def test_an_input_whose_header_the_disk_cannot_read(name: str, folder: Path, old: bytes, launcher: Launcher) -> None:
    before = folder_bytes(folder)
    broken = partial(disk, "disk_fail_reads", str(folder / name), 0, 512)
    done = launcher.run(folder, "run", "recipe.yaml", prepare=[broken])
    refused(done, f"{name}: source {name.removesuffix('.pth')!r} cannot be read: Input/output error")
    assert folder_bytes(folder) == before


@pytest.mark.usefixtures("failing_disk")
@pytest.mark.parametrize("name", ["vocab.json", "config.json", "speakers_xtts.pth", "model.pth"])
@pytest.mark.parametrize("kind", ["directory"], indirect=True)
def test_a_file_of_a_model_directory_that_the_disk_cannot_read(name: str, merge: Merge, launcher: Launcher) -> None:
    broken = partial(disk, "disk_fail_reads", str(merge.folder / "news" / name), 20, 1 << 30)
    done = launcher.run(merge.folder, "run", "recipe.yaml", prepare=[broken])
    refused(done, "Input/output error")
    assert f"news/{name}" in done.err
    assert merge.state() == "old"


@pytest.mark.usefixtures("failing_disk")
def test_reads_and_writes_that_are_interrupted_and_give_a_few_bytes_only(merge: Merge, launcher: Launcher) -> None:
    small = partial(disk, "disk_small_pieces", str(merge.folder))
    done = launcher.run(merge.folder, "run", "recipe.yaml", prepare=[small])
    assert done.code == 0, done.err
    assert merge.state() == "new"


# --- empty, and with holes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["news.pth", "audiobook.pth"])
def test_an_input_of_no_bytes(name: str, folder: Path, old: bytes, launcher: Launcher) -> None:
    (folder / name).write_bytes(b"")
    before = folder_bytes(folder)
    refused(launcher.run(folder, "run", "recipe.yaml"), "is empty .0 bytes.")
    assert folder_bytes(folder) == before


@pytest.mark.parametrize("size", [1, 1 << 20, 1 << 40])
def test_an_input_that_is_one_hole(size: int, folder: Path, old: bytes, launcher: Launcher) -> None:
    """As a download leaves that reserved the room and never came; a terabyte of it takes no longer."""
    os.truncate(folder / "news.pth", 0)
    os.truncate(folder / "news.pth", size)
    refused(launcher.run(folder, "run", "recipe.yaml"), "begins with nothing but zeros")
    assert (folder / "out.pth").read_bytes() == old
    assert {path.name for path in folder.iterdir()} == {"news.pth", "audiobook.pth", "out.pth", "recipe.yaml"}


def test_a_checkpoint_with_holes_is_read_as_the_zeros_that_it_has(folder: Path, launcher: Launcher) -> None:
    """Zeros need no room on the disk; with them at hand the bytes are the same."""
    state = {"t0": torch.zeros(500_000), "t1": torch.ones(3)}
    dense = save(folder / "news.pth", state).read_bytes()
    save(folder / "audiobook.pth", {"t0": torch.ones(500_000), "t1": torch.zeros(3)})
    assert launcher.run(folder, "run", "recipe.yaml", "-o", "dense.pth").code == 0
    with (folder / "news.pth").open("wb") as file:
        for start in range(0, len(dense), 4096):
            block = dense[start : start + 4096]
            if block.strip(b"\0"):
                file.seek(start)
                file.write(block)
    status = (folder / "news.pth").stat()
    if status.st_blocks * 512 > status.st_size // 2:
        pytest.skip("this file system has no holes")
    assert (folder / "news.pth").read_bytes() == dense
    assert launcher.run(folder, "run", "recipe.yaml", "-o", "sparse.pth").code == 0
    assert (folder / "sparse.pth").read_bytes() == (folder / "dense.pth").read_bytes()
    assert loaded_model(folder / "sparse.pth")["t0"].eq(0.5).all()
