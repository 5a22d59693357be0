"""What a model holds as one digest: of its tensors' names, types, shapes and bytes, whatever file they lie in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from ..specs import TensorSpec


def tensors_digest(specs: Mapping[str, TensorSpec], digests: Mapping[str, str]) -> str:
    """sha256, hex, of a line for each tensor in the order of names: name, type, shape, sha256 of its bytes in
    row-major order, little-endian. ``digests``: those sha256, hex, by name.
    """
    whole = hashlib.sha256()
    for name in sorted(specs):
        spec = specs[name]
        whole.update(f"{json.dumps([name, str(spec.dtype), list(spec.shape), digests[name]])}\n".encode())
    return whole.hexdigest()
