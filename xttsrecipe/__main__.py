"""The ``xttsrecipe`` command, and ``python -m xttsrecipe``."""

from __future__ import annotations

from . import interrupts


def main() -> None:
    """Runs a verb and exits."""
    interrupts.heed()  # reading all that the command line needs takes a moment in which Ctrl-C may come
    from . import cli

    cli.main()


if __name__ == "__main__":
    main()
