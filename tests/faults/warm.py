"""For the server of ``processes``, which imports this before its first fork: what every command would make anew."""

from __future__ import annotations

import gc

import xttsrecipe.execute  # noqa: F401
from tests.commands import command
from xttsrecipe import cli
from xttsrecipe.xtts import known_tensors

known_tensors()
cli.app = command()  # type: ignore[assignment]
gc.freeze()
