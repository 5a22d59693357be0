"""A weighted mean as sd-mecha's documentation has it; run by the Python that sd-mecha is installed in.

python benchmarks/with_sd_mecha.py OUTPUT INPUT=WEIGHT...
"""

from __future__ import annotations

import sys

import sd_mecha
import torch


def main() -> None:
    output, *inputs = sys.argv[1:]
    merged, total = None, 0.0
    for given in inputs:
        path, _, weight = given.rpartition("=")
        total += float(weight)
        # A mean of means, each new model by its share of all so far: sd-mecha mixes two at a time.
        model = sd_mecha.model(path)
        merged = model if merged is None else sd_mecha.weighted_sum(merged, model, alpha=float(weight) / total)
    sd_mecha.merge(merged, output=output, output_dtype=torch.float32)


if __name__ == "__main__":
    main()
