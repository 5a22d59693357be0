"""Fixtures and settings for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# Timings belong to benchmarks; on a busy machine a deadline fails for nothing. Found examples are not kept: a run of
# the tests leaves nothing behind.
# In CI every run draws the same examples: what fails there failed before it was submitted.
settings.register_profile("project", deadline=None, database=None, max_examples=100, derandomize="CI" in os.environ)
settings.load_profile("project")
