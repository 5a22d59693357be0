"""The merge methods: a table of small pure functions.

Reading the table imports no torch; the functions work on torch tensors that the executor hands them.
"""

from __future__ import annotations

from .draws import Draw, draw_of
from .entry import MethodEntry, Parameter, Value, call
from .linear import Scratch
from .table import METHODS

__all__ = ["METHODS", "Draw", "MethodEntry", "Parameter", "Scratch", "Value", "call", "draw_of"]
