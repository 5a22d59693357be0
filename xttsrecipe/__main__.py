"""``python -m xttsrecipe``."""

from .cli import main

main()
