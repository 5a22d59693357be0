"""Nothing that only some systems have is needed: the core of the suite passes without it."""

from __future__ import annotations

import ast
import ctypes
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import PROJECT
from tests.faults import fallbacks
from xttsrecipe.writers.exchange import exchange

# Of what the package uses of os and signal, what Windows has as well (docs.python.org, "Availability").
EVERYWHERE = {
    *("O_CREAT", "O_EXCL", "O_RDONLY", "O_RDWR", "O_WRONLY", "SEEK_END", "SEEK_SET", "W_OK", "access", "close"),
    *(
        "cpu_count",
        "curdir",
        "getpid",
        "scandir",
        "devnull",
        "dup",
        "dup2",
        "environ",
        "fdopen",
        "fsencode",
        "fsdecode",
        "fspath",
        "fstat",
    ),
    *("fsync", "listdir", "lseek", "open", "path", "read", "sep", "stat_result", "strerror", "write", "PathLike"),
    *("_exit", "Signals", "SIGINT", "SIGTERM", "SIG_DFL", "SIG_IGN", "getsignal", "signal", "default_int_handler"),
}
# What is only looked for where one that is taken away is there.
WITH_THOSE = {"POSIX_FADV_DONTNEED"}

CORE = (
    "tests/writers/test_atomic.py",
    "tests/writers/test_output.py",
    "tests/writers/test_safetensors_writer.py",
    "tests/writers/test_torch_zip_writer.py",
    "tests/checkpoints/test_unchanged.py",
    "tests/test_preflight.py",
    "tests/test_execute.py::test_tensors_of_several_chunks_are_the_weighted_sum",
    "tests/test_execute.py::test_tensors_that_lie_oddly_come_out_as_torch_sees_them",
    "tests/test_execute.py::test_a_source_that_changes_after_planning_is_refused",
    "tests/test_execute.py::test_a_source_that_changes_in_the_middle_leaves_the_old_output",
    "tests/test_execute.py::test_an_interruption_leaves_the_old_output_and_no_litter",
    "tests/faults/test_signals.py::test_an_interrupted_run_leaves_the_old_output_or_the_new_one_and_nothing_else",
    "tests/faults/test_disks.py::test_a_limit_on_the_size_of_files",
    "tests/faults/test_disks.py::test_a_folder_that_goes_away_while_a_run_is_at_work",
    "tests/faults/test_inputs.py::test_an_input_that_is_changed_while_it_is_read",
    "tests/faults/test_inputs.py::test_reads_and_writes_that_are_interrupted_and_give_a_few_bytes_only",
    "tests/faults/test_fallbacks.py",
)

without_them = pytest.mark.skipif(fallbacks.WANTED not in os.environ, reason="for the tests that run without them")
with_them = pytest.mark.skipif(fallbacks.WANTED in os.environ, reason="is what runs the others without them")


@without_them
def test_what_only_some_systems_have_is_gone(tmp_path: Path) -> None:
    assert not [name for name in fallbacks.OF_OS if hasattr(os, name)]
    assert not hasattr(signal, "SIGHUP")
    assert not hasattr(sys.modules.get("fcntl"), "flock")
    assert not exchange(tmp_path, tmp_path)
    assert ctypes.CDLL(None)  # for others it is there


@with_them
def test_the_package_asks_for_nothing_else_that_only_some_systems_have() -> None:
    used = {
        (module.id, name)
        for file in (PROJECT / "xttsrecipe").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(module := node.value, ast.Name)
        for name in [node.attr]
        if module.id in ("os", "signal")
    }
    rare = {name for _, name in used} - EVERYWHERE - WITH_THOSE
    assert rare <= {*fallbacks.OF_OS, "SIGHUP"}
    assert {"preadv", "pwrite", "geteuid"} <= rare


@with_them
def test_the_core_of_the_suite_passes_without_them() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.faults.fallbacks"]
    done = subprocess.run([*command, *CORE], cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) > 500
