"""``python -m benchmarks``."""

from __future__ import annotations

import sys

from xttsrecipe import interrupts


def main() -> None:
    """Measures and exits."""
    interrupts.heed()  # reading all that it needs takes a moment in which Ctrl-C may come
    from . import suite

    sys.exit(suite.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
