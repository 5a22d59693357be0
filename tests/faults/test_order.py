"""In which order a run asks the system for things: nothing is said to be done before the disk has it."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from tests.faults.conftest import Merge
from tests.faults.processes import Launcher, journal

HIDDEN = re.compile(r"\.[0-9a-f]{16}\.[0-9a-f]{16}\.xttsrecipe\.tmp")


# What is written into an output directory, in that order: the model last.
WRITTEN = ("config.json", "vocab.json", "speakers_xtts.pth", "mel_stats.pth", "dvae.pth", "README.md", "model.pth")
ORDER = {
    "file": ["fsync /NEW", "rename /merged.pth", "fsync", "stdout"],
    "directory": [*(f"fsync /NEW/{name}" for name in WRITTEN), "fsync /NEW", "rename /out", "fsync", "stdout"],
    "file with vocabulary": [
        *("fsync /deep/NEW", "fsync /deep/NEW", "rename /deep/out.vocab.json", "rename /deep/out.pth"),
        *("fsync /deep", "fsync /deep", "stdout"),
    ],
}


def journal_of(merge: Merge, launcher: Launcher, journal_file: Path, *more: str) -> list[str]:
    """What a library saw that stands before the system's; the folder's own name is left out."""
    prepare = [partial(journal, str(journal_file))]
    done = launcher.run(merge.folder, "run", "recipe.yaml", *more, prepare=prepare)
    assert done.code == 0, done.err
    text = journal_file.read_text("utf-8").replace(str(merge.folder), "")
    return [" ".join(line.split()) for line in HIDDEN.sub("NEW", text).splitlines()]


@pytest.mark.usefixtures("failing_disk")
def test_the_data_then_the_name_then_the_folder_then_the_message(
    kind: str, merge: Merge, launcher: Launcher, tmp_path: Path
) -> None:
    assert journal_of(merge, launcher, tmp_path / "journal") == ORDER[kind]


@pytest.mark.usefixtures("failing_disk")
@pytest.mark.parametrize("kind", ["file"], indirect=True)
def test_folders_that_are_made_reach_the_disk_too(merge: Merge, launcher: Launcher, tmp_path: Path) -> None:
    lines = journal_of(merge, launcher, tmp_path / "journal", "-o", "a/b/out.pth")
    assert lines == ["fsync /a/b/NEW", "rename /a/b/out.pth", "fsync /a/b", "fsync /a", "fsync", "stdout"]
