"""A little of every fuzzer with every run of the tests; ``make fuzz`` goes on for as long as it is told."""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz import targets
from tests.fuzz.__main__ import main
from tests.fuzz.inputs import INPUTS, good
from tests.fuzz.targets import TARGETS, FoundError, Target, TooLongError, attempt, peak_bytes, reset_peak
from tests.hostile.sandbox import MEMORY_BYTES
from xttsrecipe.codes import Code
from xttsrecipe.errors import CheckpointError, Problem


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_is_read_is_taken_or_refused(name: str) -> None:
    for data in good()[name]:
        attempt(name, data)
    before = reset_peak()

    @settings(max_examples=80, suppress_health_check=list(HealthCheck))
    @given(INPUTS[name])
    def any_input(data: bytes) -> None:
        attempt(name, data)

    any_input()
    assert peak_bytes() - before < MEMORY_BYTES


def _imports(_: bytes) -> None:
    sys.modules.pop("colorsys", None)
    importlib.import_module("colorsys")


def _executes(data: bytes) -> None:
    compile(data, "data", "exec")


def _fails(_: bytes) -> None:
    raise KeyError("x")


def _names_no_file(_: bytes) -> None:
    raise CheckpointError(Problem(Code.DAMAGED_CHECKPOINT, "is damaged"))


def _never_ends(_: bytes) -> None:
    with contextlib.suppress(Exception):
        while True:
            pass


@pytest.mark.parametrize(
    ("reader", "error"),
    [
        (_imports, FoundError),
        (_executes, FoundError),
        (_fails, KeyError),
        (_names_no_file, FoundError),
        (_never_ends, TooLongError),
    ],
)
def test_a_reader_that_does_more_than_read_is_found(
    monkeypatch: pytest.MonkeyPatch, reader: Target, error: type[BaseException]
) -> None:
    """Or the test above shows nothing."""
    monkeypatch.setattr(targets, "TARGETS", {"bad": reader})
    monkeypatch.setattr(targets, "SECONDS", 1)
    with pytest.raises(error):
        attempt("bad", b"1")


def test_an_input_that_was_found_can_be_given_to_its_target_again(tmp_path: Path) -> None:
    (tmp_path / "pickle-crash-1234").write_bytes(good()["pickle"][0])
    assert main(["--replay", str(tmp_path / "pickle-crash-1234")]) == 0
    with pytest.raises(SystemExit):
        main(["nonsense"])
