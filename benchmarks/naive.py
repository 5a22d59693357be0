"""The script that people are told to write: load every checkpoint whole, sum, save.

python -m benchmarks.naive [--mmap] OUTPUT INPUT=WEIGHT...
"""

from __future__ import annotations

import argparse
import warnings

warnings.filterwarnings("ignore", message="Failed to initialize NumPy", category=UserWarning)

import torch  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description="Load, sum, save.")
    parser.add_argument("--mmap", action="store_true")
    parser.add_argument("output")
    parser.add_argument("inputs", nargs="+", metavar="INPUT=WEIGHT")
    arguments = parser.parse_args()
    paths, weights = zip(*(given.rsplit("=", 1) for given in arguments.inputs), strict=True)
    states = [torch.load(path, map_location="cpu", weights_only=True, mmap=arguments.mmap)["model"] for path in paths]
    merged = {}
    for key in states[0]:
        total = float(weights[0]) * states[0][key]
        for weight, state in zip(weights[1:], states[1:], strict=True):
            total = total + float(weight) * state[key]
        merged[key] = total
    torch.save({"model": merged}, arguments.output)


if __name__ == "__main__":
    main()
