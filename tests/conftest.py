"""Fixtures and settings for all tests."""

from __future__ import annotations

from hypothesis import settings

# Timings belong to benchmarks; on a busy machine a deadline fails for nothing. Found examples are not kept: a run of
# the tests leaves nothing behind.
settings.register_profile("project", deadline=None, database=None, max_examples=100)
settings.load_profile("project")
