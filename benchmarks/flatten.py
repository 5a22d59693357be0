"""Writes a release checkpoint's tensors as a .safetensors file; run by a rival's Python, which has what that needs.

python benchmarks/flatten.py INPUT.pth OUTPUT.safetensors
"""

from __future__ import annotations

import sys

import torch
from safetensors.torch import save_file


def main() -> None:
    source, target = sys.argv[1:]
    save_file(torch.load(source, map_location="cpu", weights_only=True)["model"], target)


if __name__ == "__main__":
    main()
