"""The floor: one thread that reads all inputs and writes one output, 1 MiB at a time, and computes nothing.

    python -m benchmarks.floor [--fsync] OUTPUT INPUT...

Of every input as much is read as the smallest has, and as much is written to OUTPUT, a new file: of a trainer's
checkpoint, that is about what its model has. Prints ``{"streaming": SECONDS}``.

torch is imported first, as whoever it is compared with does: memory that lay idle for that second is slower to get
where a virtual machine gives it back to its host meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

_PIECE = 1 << 20


def move(output: str, inputs: Sequence[str], fsync: bool) -> float:
    """Seconds that it took."""
    with contextlib.ExitStack() as files:
        # In order and unbuffered: no loop in Python does less for a byte, and every system can do it.
        sources = [files.enter_context(Path(name).open("rb", buffering=0)) for name in inputs]
        target = files.enter_context(Path(output).open("xb", buffering=0))
        nbytes = min(os.fstat(source.fileno()).st_size for source in sources)
        buffers = [memoryview(bytearray(_PIECE)) for _ in sources]
        started = time.perf_counter()
        for position in range(0, nbytes, _PIECE):
            count = min(_PIECE, nbytes - position)
            for source, buffer in zip(sources, buffers, strict=True):
                if source.readinto(buffer[:count]) != count:
                    raise OSError("a short read: does something change the inputs?")
            if target.write(buffers[0][:count]) != count:
                raise OSError("a short write: is the disk full?")
        if fsync:
            os.fsync(target)
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description="Read all, write one.")
    parser.add_argument("--fsync", action="store_true")
    parser.add_argument("output")
    parser.add_argument("inputs", nargs="+")
    arguments = parser.parse_args()
    importlib.import_module("torch")
    seconds = move(arguments.output, arguments.inputs, arguments.fsync)
    print(json.dumps({"streaming": seconds}))


if __name__ == "__main__":
    main()
