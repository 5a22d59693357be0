"""Outputs behind links, on other file systems, in the place of inputs, and under any name."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.faults.conftest import Merge
from tests.faults.moments import Moment, send
from tests.faults.processes import Launcher
from tests.merging import folder_bytes

KILLED = [partial(send, Moment("committing", 0), signal.SIGKILL)]
INTERRUPTED = [partial(send, Moment("committing", 0), signal.SIGINT)]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def linked(merge: Merge, store: Path) -> None:
    """The output is moved to a store, with what lies beside it, and links to it take its place."""
    for path in [merge.target, *merge.target.parent.glob("out.vocab.json")]:
        shutil.move(path, store / path.name)
        path.symlink_to(os.path.relpath(store / path.name, path.parent))


def test_an_output_behind_a_link_is_replaced_cleared_and_left_alone_there(
    merge: Merge, launcher: Launcher, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    linked(merge, tmp_path / "store")
    everywhere(merge, launcher, tmp_path / "store")


def test_an_output_behind_a_link_to_another_file_system(merge: Merge, launcher: Launcher, elsewhere: Path) -> None:
    linked(merge, elsewhere)
    everywhere(merge, launcher, elsewhere)


def everywhere(merge: Merge, launcher: Launcher, store: Path) -> None:
    """An interrupt, a kill and a run to its end; the links stay links, and nothing comes to lie beside them."""
    stored = folder_bytes(store)
    links = {path.name for path in merge.target.parent.iterdir()}
    assert launcher.run(merge.folder, "run", "recipe.yaml", prepare=INTERRUPTED).code == 130
    assert folder_bytes(store) == stored
    assert launcher.run(merge.folder, "run", "recipe.yaml", prepare=KILLED).code == -signal.SIGKILL
    left = folder_bytes(store)
    assert {name: left[name] for name in stored} == stored
    assert left.keys() != stored.keys()
    assert {path.name for path in merge.target.parent.iterdir()} == links
    done = launcher.run(merge.folder, "run", "recipe.yaml")
    assert done.code == 0, done.err
    assert merge.target.is_symlink()
    assert {path.name for path in merge.target.parent.iterdir()} == links
    assert folder_bytes(store).keys() == stored.keys()
    contents = folder_bytes(merge.target) if merge.target.is_dir() else {}
    found = {name: data for name, data in {**merge.now(), **prefixed(contents)}.items() if data is not None}
    assert found == {name: data for name, data in merge.after.items() if data is not None}


def prefixed(contents: dict[str, bytes | None]) -> dict[str, bytes | None]:
    return {f"out/{name}": data for name, data in contents.items()}


def test_an_output_on_another_file_system(merge: Merge, launcher: Launcher, elsewhere: Path) -> None:
    output = f"{elsewhere}/deep/{merge.target.name}{'/' if merge.target.is_dir() else ''}"
    assert launcher.run(merge.folder, "run", "recipe.yaml", "-o", output, prepare=INTERRUPTED).code == 130
    assert folder_bytes(elsewhere) == {}
    assert launcher.run(merge.folder, "run", "recipe.yaml", "-o", output, prepare=KILLED).code == -signal.SIGKILL
    assert launcher.run(merge.folder, "run", "recipe.yaml", "-o", output).code == 0
    assert not [name for name in folder_bytes(elsewhere) if ".xttsrecipe." in name]
    assert merge.state() == "old"


# --- in the place of an input ---------------------------------------------------------------------------------------


def by_name(source: Path, output: Path) -> str:
    return str(source)


def by_hard_link(source: Path, output: Path) -> str:
    output.hardlink_to(source)
    return str(output)


def by_symbolic_link(source: Path, output: Path) -> str:
    output.symlink_to(source)
    return str(output)


def by_a_link_to_its_folder(source: Path, output: Path) -> str:
    output.with_suffix("").symlink_to(source.parent)
    return str(output.with_suffix("") / source.name)


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("alias", [by_name, by_hard_link, by_symbolic_link, by_a_link_to_its_folder])
@pytest.mark.parametrize("kind", ["file"], indirect=True)
def test_an_output_that_is_an_input(
    alias: Callable[[Path, Path], str], force: list[str], merge: Merge, launcher: Launcher
) -> None:
    output = alias(merge.folder / "audiobook.pth", merge.folder / "alias.pth")
    before = merge.now()
    done = launcher.run(merge.folder, "run", "recipe.yaml", "-o", output, *force)
    assert (done.code, done.out) == (1, "")
    assert "is also the source 'audiobook': a run never overwrites its input, not even with --force" in done.err
    assert merge.now() == before


# --- under any name -------------------------------------------------------------------------------------------------

NAMES = {
    "spaces": " a  b .pth",
    "line breaks": "a\nb\r.pth",
    "not UTF-8": os.fsdecode(b"caf\xe9\xff.pth"),
    "as long as can be": "n" * 251 + ".pth",
    "as long as can be, in wide letters": "声" * 83 + ".pth",
    "a dash": "-o.pth",
    "hidden": ".pth.pth",
    "like ours": ".0123456789abcdef.0123456789abcdef.xttsrecipe.tmp.pth",
}


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text here")
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("kind", ["file"], indirect=True)
def test_an_output_and_its_folder_of_any_name(name: str, merge: Merge, launcher: Launcher) -> None:
    folder = merge.folder / name.removesuffix(".pth")
    output = f"{folder}/{name}"
    prepare: list[Callable[[], object]]
    for prepare, code in ((INTERRUPTED, 130), (KILLED, -signal.SIGKILL), ([], 0), (INTERRUPTED, 130), ([], 0)):  # type: ignore[assignment]
        done = launcher.run(merge.folder, "run", "--force", "recipe.yaml", "-o", output, prepare=prepare)
        assert done.code == code, done.err
        assert "Traceback" not in done.err
        if code == 130 and not done.out and not folder.exists():
            assert merge.state() == "old"
    assert folder_bytes(folder) == {name: merge.after["merged.pth"]}
    assert done.out.count("\n") == 1
