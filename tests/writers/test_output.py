"""What a run leaves behind as one, and what it leaves alone: folders that appear whole, whatever goes wrong."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.merging import folder_bytes, recipe_of
from tests.voices import two_voices
from xttsrecipe import claims, remains
from xttsrecipe.api import make_plan, run
from xttsrecipe.errors import CheckpointError, OutputError, XttsRecipeError
from xttsrecipe.execute import execute
from xttsrecipe.plan import Plan
from xttsrecipe.writers import atomic
from xttsrecipe.writers.atomic import atomic_directory, new_file
from xttsrecipe.writers.output import open_output

# All that is at work between the first file beside a target and the last.
AT_WORK = (str(Path(atomic.__file__).parent), claims.__file__, remains.__file__)


@pytest.fixture(params=["exchanged", "renamed"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the system's exchange of two names, and as where there is none."""
    way: str = request.param
    if way == "renamed":
        monkeypatch.setattr(sys, "platform", "freebsd14")
    return way


def write(target: Path, *names: str) -> None:
    with atomic_directory(target) as folder:
        for name in names or ("model.pth",):
            with new_file(folder / name, target) as file:
                file.write(b"new")


def old_folder(folder: Path) -> Path:
    (folder / "out").mkdir()
    (folder / "out/vocab.json").write_bytes(b"old")
    return folder / "out"


# --- folders -----------------------------------------------------------------------------------------------------


def test_a_folder_appears_with_what_was_written(tmp_path: Path) -> None:
    write(tmp_path / "out", "model.pth", "config.json")
    assert folder_bytes(tmp_path) == {"out": None, "out/model.pth": b"new", "out/config.json": b"new"}


def test_the_old_folder_is_there_until_the_end_and_then_gone(tmp_path: Path, either_way: str) -> None:
    target = old_folder(tmp_path)
    with atomic_directory(target) as folder:
        with new_file(folder / "model.pth", target) as file:
            file.write(b"new")
        assert folder_bytes(target) == {"vocab.json": b"old"}
    assert folder_bytes(tmp_path) == {"out": None, "out/model.pth": b"new"}


def test_an_empty_folder_is_replaced(tmp_path: Path, either_way: str) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path / "out")
    assert folder_bytes(tmp_path) == {"out": None, "out/model.pth": b"new"}


def test_missing_folders_are_made_and_the_one_beside_is_hidden(tmp_path: Path) -> None:
    with atomic_directory(tmp_path / "deep/er/out") as folder:
        assert folder.parent == tmp_path / "deep/er"
        assert folder.name.startswith(".")
        assert folder.name.endswith(".xttsrecipe.tmp")
    assert (tmp_path / "deep/er/out").is_dir()


EXCEPTIONS = [ValueError("broken"), KeyboardInterrupt(), SystemExit(3), MemoryError(), OSError(28, "full")]


def at_once(folder: Path) -> None:
    pass


def after_a_file(folder: Path) -> None:
    with new_file(folder / "config.json", folder) as file:
        file.write(b"x")


def after_several(folder: Path) -> None:
    after_a_file(folder)
    (folder / "vocab.json").write_bytes(b"x")


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda exception: type(exception).__name__)
@pytest.mark.parametrize("stage", [at_once, after_a_file, after_several])
@pytest.mark.parametrize("old", [False, True])
def test_an_exception_leaves_the_old_folder_and_no_litter(
    exception: BaseException, stage: Callable[[Path], None], old: bool, tmp_path: Path
) -> None:
    target = old_folder(tmp_path) if old else tmp_path / "deep/out"
    before = folder_bytes(tmp_path)

    def fail() -> None:
        with atomic_directory(target) as folder:
            stage(folder)
            raise exception

    with pytest.raises(type(exception)) as caught:
        fail()
    assert caught.value is exception
    assert folder_bytes(tmp_path) == before


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda exception: type(exception).__name__)
def test_an_exception_within_a_file_leaves_the_old_folder_and_no_litter(
    exception: BaseException, tmp_path: Path
) -> None:
    target = old_folder(tmp_path)

    def fail() -> None:
        with atomic_directory(target) as folder, new_file(folder / "model.pth", target) as file:
            file.write(b"half")
            raise exception

    with pytest.raises(type(exception)):
        fail()
    assert folder_bytes(tmp_path) == {"out": None, "out/vocab.json": b"old"}


@pytest.mark.parametrize("fails", [1, 2])
@pytest.mark.parametrize("exception", [OSError(13, "refused"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_rename_that_fails_leaves_the_old_folder_under_its_name(
    fails: int, exception: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "freebsd14")
    target = old_folder(tmp_path)
    calls: list[Path] = []
    original = Path.rename

    def rename(self: Path, to: Path) -> Path:
        calls.append(self)
        if len(calls) == fails:
            raise exception
        return original(self, to)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        write(target)
    assert folder_bytes(tmp_path) == {"out": None, "out/vocab.json": b"old"}


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o2775])
def test_the_permissions_of_a_folder_that_is_replaced_are_kept(mode: int, tmp_path: Path, either_way: str) -> None:
    target = old_folder(tmp_path)
    target.chmod(mode)
    write(target)
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_a_new_folder_has_the_permissions_of_any(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write(tmp_path / "out")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "out/model.pth").stat().st_mode) == 0o640


def test_a_link_to_a_folder_is_followed(tmp_path: Path, either_way: str) -> None:
    target = old_folder(tmp_path)
    target.rename(tmp_path / "real")
    target.symlink_to("real")
    write(target)
    assert target.is_symlink()
    assert folder_bytes(tmp_path / "real") == {"model.pth": b"new"}
    assert {path.name for path in tmp_path.iterdir()} == {"out", "real"}


def test_a_link_to_nothing_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("deep/real")
    write(tmp_path / "out")
    assert (tmp_path / "deep/real/model.pth").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["notes.txt", "vocab.json"])
def test_a_folder_with_what_does_not_belong_there_is_not_replaced(name: str, tmp_path: Path, either_way: str) -> None:
    target = old_folder(tmp_path)
    (tmp_path / "theirs").write_bytes(b"x")
    (target / name).unlink(missing_ok=True)
    (target / name).symlink_to(tmp_path / "theirs")
    before = folder_bytes(tmp_path)
    with pytest.raises(OutputError, match="does not belong to a model directory"):
        write(target)
    assert folder_bytes(tmp_path) == before


def test_a_file_under_that_name_is_not_replaced(tmp_path: Path, either_way: str) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        write(tmp_path / "out")
    assert folder_bytes(tmp_path) == {"out": b"mine"}


def test_a_folder_into_which_someone_put_a_file_meanwhile_is_not_replaced(tmp_path: Path, either_way: str) -> None:
    target = old_folder(tmp_path)

    def meanwhile() -> None:
        with atomic_directory(target):
            (target / "notes.txt").write_bytes(b"mine")

    with pytest.raises(OutputError, match="does not belong to a model directory"):
        meanwhile()
    assert folder_bytes(tmp_path) == {"out": None, "out/vocab.json": b"old", "out/notes.txt": b"mine"}


def test_a_folder_that_someone_made_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    def meanwhile() -> None:
        with atomic_directory(tmp_path / "out"):
            old_folder(tmp_path)

    with pytest.raises(OutputError, match="is not replaced: it was written, changed or removed"):
        meanwhile()
    assert folder_bytes(tmp_path) == {"out": None, "out/vocab.json": b"old"}


def test_a_second_writer_of_a_folder_is_refused_at_once(tmp_path: Path, either_way: str) -> None:
    write(tmp_path / "out")
    with atomic_directory(tmp_path / "out") as folder:
        with new_file(folder / "model.pth", folder) as file:
            file.write(b"first")
        with pytest.raises(OutputError, match="out: is being written by another run"):
            write(tmp_path / "out")
        write(tmp_path / "another")
    assert folder_bytes(tmp_path / "out") == {"model.pth": b"first"}
    assert {path.name for path in tmp_path.iterdir()} == {"out", "another"}


def test_without_locks_the_writer_of_a_folder_that_is_done_first_wins(
    tmp_path: Path, either_way: str, without_locks: None
) -> None:
    write(tmp_path / "out")

    def slower() -> None:
        with atomic_directory(tmp_path / "out") as folder:
            with new_file(folder / "model.pth", folder) as file:
                file.write(b"slower")
            write(tmp_path / "out")

    with pytest.raises(OutputError, match="is not replaced: it was written, changed or removed"):
        slower()
    assert folder_bytes(tmp_path) == {"out": None, "out/model.pth": b"new"}


def test_a_folder_in_which_a_file_changed_meanwhile_is_not_replaced(tmp_path: Path, either_way: str) -> None:
    target = old_folder(tmp_path)

    def meanwhile() -> None:
        with atomic_directory(target):
            (target / "vocab.json").write_bytes(b"mine")

    with pytest.raises(OutputError, match="is not replaced: it was written, changed or removed"):
        meanwhile()
    assert folder_bytes(tmp_path) == {"out": None, "out/vocab.json": b"mine"}


@pytest.mark.parametrize("name", ["a" * 255, "声" * 85])
def test_long_names_are_written(name: str, tmp_path: Path, either_way: str) -> None:
    write(tmp_path / name)
    write(tmp_path / name)
    assert folder_bytes(tmp_path) == {name: None, f"{name}/model.pth": b"new"}


def test_a_file_in_the_way_of_a_folder_above_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"mine")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        write(tmp_path / "notes.txt/out")
    assert folder_bytes(tmp_path) == {"notes.txt": b"mine"}


def test_a_kill_leaves_the_old_folder(tmp_path: Path) -> None:
    target = old_folder(tmp_path)
    script = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from xttsrecipe.writers.atomic import atomic_directory, new_file\n"
        "with atomic_directory(Path(sys.argv[1])) as folder, new_file(folder / 'model.pth', folder) as file:\n"
        "    file.write(b'half')\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script, target], check=False).returncode == -9
    assert folder_bytes(target) == {"vocab.json": b"old"}


# --- runs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_plan(recipe_of(tmp_path, two_voices(tmp_path), output="out/"))


def test_the_model_is_the_last_to_be_written_and_all_appears_at_once(plan: Plan, tmp_path: Path) -> None:
    with open_output(plan) as file:
        file.write(b"x")
        (beside,) = tmp_path.glob(".*.tmp")
        assert set(folder_bytes(beside)) == {"model.pth", *(companion.name for companion in plan.companions)}
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out/model.pth").read_bytes() == b"x"


def unreadable(path: Path) -> None:
    path.unlink()


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [unreadable, folder_instead])
@pytest.mark.parametrize("name", ["speakers_xtts.pth", "mel_stats.pth", "dvae.pth"])
@pytest.mark.parametrize("old", [False, True])
def test_a_companion_that_cannot_be_read_any_more_leaves_the_old_folder(
    name: str, spoil: Callable[[Path], None], old: bool, plan: Plan, tmp_path: Path
) -> None:
    if old:
        run(plan)
    spoil(tmp_path / "news" / name)
    before = folder_bytes(tmp_path)
    with pytest.raises(CheckpointError, match=rf"{name}: cannot be read: ") as caught:
        execute(plan)
    assert str(caught.value.problems[0].where) == str(tmp_path / "news" / name)
    assert folder_bytes(tmp_path) == before


def test_a_source_that_changes_during_the_run_leaves_the_old_folder(plan: Plan, tmp_path: Path) -> None:
    run(plan)
    old = folder_bytes(tmp_path / "out")

    def change(count: int) -> None:
        os.utime(tmp_path / "audiobook/model.pth", (1, 1))

    with pytest.raises(XttsRecipeError, match="was changed or replaced"):
        run(plan, on_bytes=change)
    assert folder_bytes(tmp_path / "out") == old
    assert list(tmp_path.glob(".*")) == []


def test_what_someone_puts_into_the_folder_during_a_run_is_never_deleted(plan: Plan, tmp_path: Path) -> None:
    run(plan)

    def put(count: int) -> None:
        (tmp_path / "out/notes.txt").write_bytes(b"mine")

    with pytest.raises(OutputError):
        run(plan, on_bytes=put)
    assert (tmp_path / "out/notes.txt").read_bytes() == b"mine"


def test_a_full_disk_leaves_the_old_folder(plan: Plan, tmp_path: Path) -> None:
    """A limit on the size of files, which no companion of this model reaches."""
    run(plan)
    before = folder_bytes(tmp_path)
    script = (
        "import resource, signal, sys, xttsrecipe\n"
        "plan = xttsrecipe.make_plan(xttsrecipe.load_recipe(sys.argv[1]))\n"
        "from xttsrecipe.execute import execute\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "try:\n    execute(plan)\nexcept xttsrecipe.OutputError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "recipe.yaml")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "out: cannot be written: File too large" in done.stdout
    assert folder_bytes(tmp_path) == before


class Interrupt:
    """Raises KeyboardInterrupt before the n-th line that is executed of the modules that write."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.done = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(AT_WORK):
            return None
        if event == "line" and not self.done:
            self.left -= 1
            if self.left == 0:
                self.done = True
                raise KeyboardInterrupt
        return self


def interrupted(action: Callable[[], None]) -> Iterator[None]:
    """Does it again and again, each time interrupted at a later line, until it gets through."""
    for number in range(1, 10_000):
        interrupt = Interrupt(number)
        sys.settrace(interrupt)
        try:
            action()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        yield
        if not interrupt.done:
            return


# An interrupt in the very line that closes a file leaves that to the end of the process, as anywhere in Python.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("old", [False, True])
def test_an_interrupt_at_any_line_leaves_the_old_folder_or_the_new_one_whole_and_no_litter(
    old: bool, tmp_path: Path, either_way: str
) -> None:
    states = [{}, {"out": None, "out/model.pth": b"new"}]
    if old:
        states[0] = {"out": None, "out/model.pth": b"old"}

    def start() -> None:
        if (tmp_path / "out").exists():
            for path in (tmp_path / "out").iterdir():
                path.unlink()
            (tmp_path / "out").rmdir()
        if old:
            (tmp_path / "out").mkdir()
            (tmp_path / "out/model.pth").write_bytes(b"old")

    start()
    seen = []
    for _ in interrupted(lambda: write(tmp_path / "out", "model.pth")):
        found = folder_bytes(tmp_path)
        assert found in states
        seen.append(states.index(found))
        start()
    assert seen == sorted(seen)
    assert len(seen) > 40
    assert seen[-1] == 1


# --- a file and its vocabulary -----------------------------------------------------------------------------------


@pytest.fixture
def file_plan(tmp_path: Path) -> Plan:
    return make_plan(recipe_of(tmp_path, two_voices(tmp_path), output="deep/out.pth"))


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda exception: type(exception).__name__)
@pytest.mark.parametrize("old", [False, True])
def test_an_exception_leaves_the_old_file_and_its_vocabulary(
    exception: BaseException, old: bool, file_plan: Plan, tmp_path: Path
) -> None:
    if old:
        run(file_plan)
        (tmp_path / "deep/out.vocab.json").write_bytes(b"{}")
    before = folder_bytes(tmp_path)

    def fail(count: int) -> None:
        raise exception

    with pytest.raises(type(exception)):
        execute(file_plan, fail)
    assert folder_bytes(tmp_path) == before


def test_a_folder_in_the_place_of_the_vocabulary_leaves_the_old_file(file_plan: Plan, tmp_path: Path) -> None:
    run(file_plan)
    (tmp_path / "deep/out.vocab.json").unlink()
    (tmp_path / "deep/out.vocab.json/sub").mkdir(parents=True)
    old = recipe_of(tmp_path, {"news": "news", "audiobook": "audiobook"}, output="deep/out.pth", weights=[0.9, 0.1])
    before = folder_bytes(tmp_path)
    for force in (False, True):
        with pytest.raises(OutputError, match=r"out\.vocab\.json: is a directory"):
            run(old, force)
        assert folder_bytes(tmp_path) == before
