"""Two ways to write a 1.87 GB torch zip file: torch's skeleton filled in place, and stdlib zipfile streaming.

    python benchmarks/container.py FOLDER

Both write the records of XTTS-V2 from one 1 MiB buffer, with checksums, and fsync; best of three, alternating.
"""

from __future__ import annotations

import os
import sys
import time
import zipfile
from pathlib import Path

from xttsrecipe.metadata import OutputMetadata
from xttsrecipe.writers.torch_zip import TorchZipWriter
from xttsrecipe.xtts import known_tensors

PIECE = memoryview(os.urandom(1 << 20))


def skeleton(path: Path) -> None:
    with path.open("w+b") as file:
        writer = TorchZipWriter(known_tensors(), OutputMetadata({}, None, (), ()), file)
        for name, spec in known_tensors().items():
            for position in range(0, spec.nbytes, len(PIECE)):
                writer.write(name, position, PIECE[: spec.nbytes - position])
        writer.finish()
        os.fsync(file.fileno())


def streamed(path: Path) -> None:
    with path.open("w+b") as file:
        with zipfile.ZipFile(file, "w") as archive:
            for index, spec in enumerate(known_tensors().values()):
                with archive.open(zipfile.ZipInfo(f"archive/data/{index}"), "w") as record:
                    for position in range(0, spec.nbytes, len(PIECE)):
                        record.write(PIECE[: spec.nbytes - position])
        file.flush()
        os.fsync(file.fileno())


def main() -> None:
    folder = Path(sys.argv[1])
    best: dict[str, float] = {}
    for _ in range(3):
        for way in (skeleton, streamed):
            path = folder / "container.bin"
            started = time.perf_counter()
            way(path)
            seconds = time.perf_counter() - started
            best[way.__name__] = min(best.get(way.__name__, seconds), seconds)
            path.unlink()
    for name, seconds in best.items():
        print(f"{name}: {seconds:.2f} s")


if __name__ == "__main__":
    main()
