"""Fuzzes one target as its coverage shows the way, with atheris: ``python -m tests.fuzz.guided TARGET SECONDS FOLDER``.

FOLDER holds inputs to begin with, and gets those that reach something new. What fails a target is written where
``-artifact_prefix`` says and ends the process; further arguments are libFuzzer's.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["xttsrecipe", "yaml", "zipfile", "bracex"]):
    from tests.fuzz.targets import SECONDS, TARGETS, attempt


def main(name: str, seconds: str, folder: str, *more: str) -> None:
    limits = [f"-max_total_time={seconds}", f"-timeout={2 * SECONDS}", "-rss_limit_mb=1024", "-max_len=65536"]
    assert name in TARGETS
    atheris.Setup([sys.argv[0], folder, *limits, *more], lambda data: attempt(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
