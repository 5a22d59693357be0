"""A little of every fuzzer with every run of the tests; ``make fuzz`` goes on for as long as it is told."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.inputs import INPUTS, good
from tests.fuzz.targets import TARGETS, attempt, peak_bytes, reset_peak
from tests.hostile.sandbox import MEMORY_BYTES


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_is_read_is_taken_or_refused(name: str) -> None:
    for data in good()[name]:
        attempt(name, data)
    before = reset_peak()

    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(INPUTS[name])
    def any_input(data: bytes) -> None:
        attempt(name, data)

    any_input()
    assert peak_bytes() - before < MEMORY_BYTES
