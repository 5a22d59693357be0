"""The ``xttsrecipe`` command, which then says how long the streaming took: ``{"streaming": SECONDS}`` in a last line.

    python -m benchmarks.ours [--whole-tensor] run RECIPE

``--whole-tensor``: the linear method gives itself out for one that needs tensors whole, as ties and its like do.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

from xttsrecipe import api, cli
from xttsrecipe.methods import METHODS

_execute_plan = api.execute_plan


def _reporting(*args: Any, **options: Any) -> Any:
    summary = _execute_plan(*args, **options)
    print(json.dumps({"streaming": summary.seconds}))
    return summary


def main() -> None:
    if sys.argv[1] == "--whole-tensor":
        del sys.argv[1]
        assert isinstance(METHODS, dict)
        METHODS["linear"] = replace(METHODS["linear"], elementwise=False)
    api.execute_plan = _reporting
    cli.main()


if __name__ == "__main__":
    main()
