"""The licence in a model card: the user fills it in, it stays from run to run, and does not count as a change.

Front matter: https://huggingface.co/docs/hub/model-cards; its fields ``license``, ``license_name``, ``license_link``.
"""

from __future__ import annotations

import re
from pathlib import Path

from .checkpoints.content_digest import bytes_digest, content_digest
from .xtts import CARD_FILE

# A card is a page; what is larger is none.
_MAX_BYTES = 1 << 20
_FENCE = b"---"
_FIELD = re.compile(rb"(?:license(?:_name|_link)?|# license) *:")
# A list or a text over several lines. What is empty goes with what stands before it.
_GOES_ON = re.compile(rb"[ \t]+\S|- |-?\s*\Z")
# What stands in a new card.
REMINDER = (
    "# license: yours to say. XTTS itself is under the Coqui Public Model License (https://coqui.ai/cpml.txt),\n"
    "# license: which binds what is made from it: license: other, license_name: coqui-public-model-license\n"
)
PLAIN_REMINDER = "# license: yours to say\n"


def licence_at(path: Path) -> str:
    """The lines that say the licence in the card at ``path``; nothing where there are none, or no card."""
    lines, _, _ = _parted(card_at(path))
    try:
        return b"".join(line for line in lines if not line.startswith(b"#")).decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        return ""


def digest_at(path: Path) -> str:
    """``content_digest`` of a file that lies with an output, of a card without its licence. Raises OSError."""
    content = card_at(path)
    return card_digest(content) if content else content_digest(path)


def card_digest(content: bytes) -> str:
    """The digest of a card without its licence."""
    _, others, text = _parted(content)
    return bytes_digest(b"".join([*others, text]))


def is_card(name: str) -> bool:
    """Whether a file that lies with an output is its model card, by name."""
    return name == CARD_FILE or name.endswith(f".{CARD_FILE}")


def card_at(path: Path) -> bytes:
    """What the card at ``path`` holds; nothing where there is none, or what cannot be one."""
    try:
        if is_card(path.name) and path.is_file() and path.stat().st_size <= _MAX_BYTES:
            return path.read_bytes()
    except OSError:
        pass  # whoever needs the card, too, says so
    return b""


def _parted(content: bytes) -> tuple[list[bytes], list[bytes], bytes]:
    """The lines of the front matter that say the licence, its others, and what follows: all, where there is none."""
    lines = content.splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if line.rstrip(b"\r\n") == _FENCE]
    if len(ends) < 2 or ends[0] != 0:
        return [], [], content
    licence: list[bytes] = []
    others: list[bytes] = []
    goes_on = False
    for line in lines[: ends[1]]:
        is_field = _FIELD.match(line) is not None
        goes_on = not line.startswith(b"#") if is_field else goes_on and _GOES_ON.match(line) is not None
        (licence if is_field or goes_on else others).append(line)
    return licence, others, b"".join(lines[ends[1] :])
