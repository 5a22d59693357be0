"""The floor: one thread that reads all inputs and writes one output, 1 MiB at a time, and computes nothing.

    python -m benchmarks.floor [--fsync] OUTPUT INPUT...

Of every input as much is read as the smallest has, and as much is written to OUTPUT, a new file: of a trainer's
checkpoint, that is about what its model has. Prints ``{"streaming": SECONDS}``.

torch is imported first, as whoever it is compared with does: memory that lay idle for that second is slower to get
where a virtual machine gives it back to its host meanwhile.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
from collections.abc import Sequence

_PIECE = 1 << 20


def move(output: str, inputs: Sequence[str], fsync: bool) -> float:
    """Seconds that it took."""
    sources = [os.open(name, os.O_RDONLY) for name in inputs]
    nbytes = min(os.fstat(source).st_size for source in sources)
    target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    buffers = [bytearray(_PIECE) for _ in sources]
    started = time.perf_counter()
    for position in range(0, nbytes, _PIECE):
        count = min(_PIECE, nbytes - position)
        for source, buffer in zip(sources, buffers, strict=True):
            if os.preadv(source, [memoryview(buffer)[:count]], position) != count:
                raise OSError("a short read: does something change the inputs?")
        if os.pwrite(target, memoryview(buffers[0])[:count], position) != count:
            raise OSError("a short write: is the disk full?")
    if fsync:
        os.fsync(target)
    seconds = time.perf_counter() - started
    for descriptor in (*sources, target):
        os.close(descriptor)
    return seconds


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
