"""Disks that are full, fail, may not be written to or go away: what is said, and that nothing else happens."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.faults.conftest import KINDS, Made, Merge
from tests.faults.moments import STAGES, Moment, send
from tests.faults.processes import Launcher, disk, limit_files_to, obey_permissions
from tests.merging import folder_bytes
from xttsrecipe.api import load_recipe, make_plan


def refused(merge: Merge, launcher: Launcher, why: str, *prepare: Callable[[], object]) -> str:
    """What a run says that ends with 1 because of the output, and leaves everything as it was."""
    done = launcher.run(merge.folder, "run", "recipe.yaml", prepare=prepare)
    assert (done.code, done.out) == (1, ""), done.err
    assert says(done.err, merge.target, why), done.err
    assert "help: " in done.err
    assert "Traceback" not in done.err
    assert merge.state() == "old"
    return done.err


def says(text: str, target: Path, why: str) -> bool:
    """Of the output or of the vocabulary beside it."""
    return re.search(rf"(?m)\b{target.stem}[\w.]*: {re.escape(why)}", text) is not None


# --- full -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.99])
def test_a_limit_on_the_size_of_files(share: float, merge: Merge, launcher: Launcher) -> None:
    """At the first byte, in the layout, in the data, at the last bytes."""
    largest = max(len(data or b"") for name, data in merge.after.items() if merge.before[name] != data)
    refused(merge, launcher, "cannot be written: File too large", partial(limit_files_to, int(share * largest)))


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a file system on a new folder, which is a folder of this test's."""
    places: list[Path] = []

    def mount(kind: str, options: str, source: str | Path = "none") -> Path:
        place = tmp_path / f"mounted{len(places)}"
        place.mkdir()
        command = ["mount", "-t", kind, "-o", options, source, place]
        done = subprocess.run(command, capture_output=True, text=True, check=False) if shutil.which("mount") else None
        if done is None or done.returncode:
            pytest.skip(f"{kind} cannot be mounted here: {done.stderr.strip() if done else 'no such command'}")
        places.append(place)
        return place

    yield mount
    for place in reversed(places):
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def merge_on(made: dict[str, Made], kind: str) -> Callable[[Path], Merge]:
    """Puts a merge on another file system."""

    def put(place: Path) -> Merge:
        shutil.copytree(made[kind].folder, place / "merge")
        return Merge(place / "merge", made[kind].before, made[kind].after, place / "merge" / KINDS[kind][0])

    return put


def fill(folder: Path, leave: int = 0) -> Path:
    """A file that takes all the room there is but for some bytes."""
    file = folder / "filling"
    with file.open("wb", buffering=0) as written:
        with contextlib.suppress(OSError):  # no space left
            while written.write(bytes(4096)):
                pass
        written.truncate(max(written.tell() - leave, 0))
    return file


def test_a_disk_that_has_no_room(
    mounted: Callable[..., Path], merge_on: Callable[[Path], Merge], launcher: Launcher
) -> None:
    place = mounted("tmpfs", "size=2m")
    merge = merge_on(place)
    filling = fill(place, leave=8192)
    assert "8,192 bytes free" in refused(merge, launcher, "does not fit on the disk")
    filling.unlink()
    assert launcher.run(merge.folder, "run", "recipe.yaml").code == 0
    assert merge.state() == "new"


@pytest.mark.parametrize("number", [0, 8, 16])
def test_a_disk_that_fills_up_while_a_run_is_at_work(
    number: int, mounted: Callable[..., Path], merge_on: Callable[[Path], Merge], launcher: Launcher
) -> None:
    place = mounted("tmpfs", "size=2m")
    merge = merge_on(place)
    with launcher.paused(Moment("writing", number), merge.folder, "run", "recipe.yaml") as (command, go_on):
        filling = fill(place)
        go_on()
        done = command.wait()
    assert (done.code, done.out) == (1, ""), done.err
    assert says(done.err, merge.target, "cannot be written: No space left on device"), done.err
    assert merge.state() == "old"
    filling.unlink()
    assert launcher.run(merge.folder, "run", "recipe.yaml").code == 0
    assert merge.state() == "new"


def test_what_a_killed_run_left_does_not_take_the_room_of_the_next(
    mounted: Callable[..., Path], merge_on: Callable[[Path], Merge], launcher: Launcher
) -> None:
    place = mounted("tmpfs", "size=2m")
    merge = merge_on(place)
    done = launcher.run(
        merge.folder, "run", "recipe.yaml", prepare=[partial(send, Moment("committing", 0), signal.SIGKILL)]
    )
    assert done.code == -signal.SIGKILL
    needed = make_plan(load_recipe(merge.folder / "recipe.yaml")).disk
    fill(place, leave=needed // 4096 * 4096)  # a page or less too little
    planned = launcher.run(merge.folder, "plan", "recipe.yaml")
    assert "run would be refused" in planned.err
    left = merge.now()
    assert len(left) > len(merge.before)  # a plan clears nothing
    assert launcher.run(merge.folder, "run", "recipe.yaml").code == 0
    assert merge.state() == "new"


def test_a_disk_without_room_for_another_name(
    mounted: Callable[..., Path], merge_on: Callable[[Path], Merge], launcher: Launcher
) -> None:
    place = mounted("tmpfs", "size=2m,nr_inodes=60")
    merge = merge_on(place)
    (place / "filling").mkdir()
    with contextlib.suppress(OSError):  # no space left
        for number in range(100):
            (place / f"filling/{number}").touch()
    assert number < 99
    refused(merge, launcher, "cannot be written: No space left on device")


def test_a_real_disk_that_fills_up(
    mounted: Callable[..., Path], merge_on: Callable[[Path], Merge], launcher: Launcher, tmp_path: Path
) -> None:
    """ext4 on a file of 4 MB."""
    if not shutil.which("mkfs.ext4"):
        pytest.skip("there is no mkfs.ext4")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(4 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image], check=True, timeout=60)
    merge = merge_on(mounted("ext4", "loop", image))
    filling = fill(merge.folder.parent, leave=200_000)
    with launcher.paused(Moment("writing", 4), merge.folder, "run", "recipe.yaml") as (command, go_on):
        fill(merge.folder)
        go_on()
        done = command.wait()
    (merge.folder / "filling").unlink()
    assert (done.code, done.out) == (1, ""), done.err
    assert says(done.err, merge.target, "cannot be written: No space left on device"), done.err
    assert merge.state() == "old"
    filling.unlink()
    assert launcher.run(merge.folder, "run", "recipe.yaml").code == 0
    assert merge.state() == "new"
    image.unlink()  # not worth keeping


# --- failing --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("failing_disk")
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fails_to_take_the_data_in_the_end(error: int, merge: Merge, launcher: Launcher) -> None:
    why = f"cannot be written: {os.strerror(error)}"
    refused(merge, launcher, why, partial(disk, "disk_fail_syncs", stat.S_IFREG, error))


@pytest.mark.usefixtures("failing_disk")
def test_a_disk_that_fails_to_take_the_new_name_is_said_though_the_output_is_there(
    merge: Merge, launcher: Launcher
) -> None:
    fails = partial(disk, "disk_fail_syncs", stat.S_IFDIR, errno.EIO)
    done = launcher.run(merge.folder, "run", "recipe.yaml", prepare=[fails])
    assert (done.code, done.out) == (1, "")
    if merge.target.is_dir():  # its own folder, and before it takes its place
        assert "out: cannot be written: Input/output error" in done.err
        assert merge.state() == "old"
    else:
        assert "is in its place, but the disk does not say that it will stay there: Input/output error" in done.err
        assert merge.state() == "new"


# --- not to be written to -------------------------------------------------------------------------------------------


def test_a_disk_that_is_mounted_for_reading_only(
    mounted: Callable[..., Path], merge_on: Callable[[Path], Merge], launcher: Launcher
) -> None:
    place = mounted("tmpfs", "size=2m")
    merge = merge_on(place)
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    refused(merge, launcher, "cannot be written: no permission to write in")


def test_a_folder_without_permission_to_write(merge: Merge, launcher: Launcher) -> None:
    folder = merge.target.parent
    folder.chmod(0o500)
    try:
        refused(merge, launcher, f"cannot be written: no permission to write in {folder}", obey_permissions)
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_folder_that_loses_its_permission_while_a_run_is_at_work(
    stage: str, merge: Merge, launcher: Launcher
) -> None:
    """What lies beside the output cannot be removed then; the next run does it."""
    prepare = [obey_permissions]
    folder = merge.target.parent
    with launcher.paused(Moment(stage, 0), merge.folder, "run", "recipe.yaml", prepare=prepare) as (command, go_on):
        folder.chmod(0o500)
        go_on()
        done = command.wait()
    folder.chmod(0o700)
    assert (done.code, done.out) == (1, ""), done.err
    assert says(done.err, merge.target, "cannot be written: Permission denied"), done.err
    found = merge.now()
    assert {name: found[name] for name in merge.before} == merge.before
    assert launcher.run(merge.folder, "run", "recipe.yaml").code == 0
    assert merge.state() == "new"


@pytest.mark.parametrize("kind", ["file", "file with vocabulary"], indirect=True)
def test_a_model_whose_place_cannot_be_taken(merge: Merge, launcher: Launcher) -> None:
    """Something is mounted on the file, as containers do it. The vocabulary beside it, which could be, is old again."""
    command = ["mount", "--bind", str(merge.target), str(merge.target)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        refused(merge, launcher, "cannot be written: Device or resource busy")
    finally:
        subprocess.run(["umount", "-l", merge.target], check=True)


# --- going away -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [False, True], ids=["gone", "another in its place"])
@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_folder_that_goes_away_while_a_run_is_at_work(
    stage: str, again: bool, merge: Merge, launcher: Launcher, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    output = f"{place}/{merge.target.name}" + ("/" if merge.target.is_dir() else "")
    moment = Moment(stage, 0 if stage == "committing" else 40)
    with launcher.paused(moment, merge.folder, "run", "recipe.yaml", "-o", output) as (command, go_on):
        shutil.rmtree(place)
        if again:
            place.mkdir()
        go_on()
        done = command.wait()
    assert (done.code, done.out) == (1, ""), done.err
    assert says(done.err, merge.target, "cannot be written: No such file or directory"), done.err
    assert place.exists() == again
    assert not again or folder_bytes(place) == {}
    assert merge.state() == "old"
