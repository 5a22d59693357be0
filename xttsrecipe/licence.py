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
_FRONT_MATTER = re.compile(rb"\A---\r?\n(?:.*\r?\n)*?---\r?$", re.MULTILINE)
_LINE = re.compile(rb"^(?:license(?:_name|_link)?|# license) *:.*\n", re.MULTILINE)
# What stands in a new card.
REMINDER = (
    "# license: yours to say. XTTS itself is under the Coqui Public Model License (https://coqui.ai/cpml.txt),\n"
    "# license: which binds what is made from it: license: other, license_name: coqui-public-model-license\n"
)
PLAIN_REMINDER = "# license: yours to say\n"


def licence_at(path: Path) -> str:
    """The lines that say the licence in the card at ``path``; nothing where there are none, or no card."""
    content = _card(path)
    lines = [line for line in _LINE.findall(_front_matter(content)) if not line.startswith(b"#")]
    try:
        return b"".join(lines).decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        return ""


def digest_at(path: Path) -> str:
    """``content_digest`` of a file that lies with an output, of a card without its licence. Raises OSError."""
    content = _card(path)
    return card_digest(content) if content else content_digest(path)


def card_digest(content: bytes) -> str:
    """The digest of a card without its licence."""
    front = _front_matter(content)
    return bytes_digest(_LINE.sub(b"", front) + content[len(front) :])


def is_card(name: str) -> bool:
    """Whether a file that lies with an output is its model card, by name."""
    return name == CARD_FILE or name.endswith(f".{CARD_FILE}")


def _card(path: Path) -> bytes:
    try:
        if is_card(path.name) and path.is_file() and path.stat().st_size <= _MAX_BYTES:
            return path.read_bytes()
    except OSError:
        pass  # whoever needs the card, too, says so
    return b""


def _front_matter(content: bytes) -> bytes:
    found = _FRONT_MATTER.match(content)
    return found[0] if found else b""
