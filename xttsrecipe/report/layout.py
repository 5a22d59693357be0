"""Columns, sizes, counts and foreign text as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..specs import TensorSpec

# Of a text for a cell only so many characters are looked at; most may be spaces.
_MAX_READ = 10_000
# Of characters in a name or another text from a file; it may be as long as the file.
_MOST_CHARACTERS = 200


def size_text(nbytes: int) -> str:
    """``1.87 GB``: decimal units, three digits."""
    return _scaled(nbytes, ("B", "KB", "MB", "GB", "TB"))


def count_text(count: int) -> str:
    """``467 M``: for numbers of parameters, three digits."""
    return _scaled(count, ("", "K", "M", "G", "T")).rstrip()


def _scaled(number: float, units: Sequence[str]) -> str:
    for unit in units[:-1]:
        if abs(number) < 999.5:
            return f"{number:.3g} {unit}" if unit not in ("", "B") else f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.3g} {units[-1]}"


def amounts(specs: Iterable[TensorSpec]) -> list[str]:
    """How many tensors, how many parameters, how many bytes: three cells of a table."""
    specs = list(specs)
    parameters = count_text(sum(spec.numel for spec in specs))
    return [str(len(specs)), parameters, size_text(sum(spec.nbytes for spec in specs))]


def numbers(specs: Iterable[TensorSpec]) -> dict[str, int]:
    """The same for machines: tensors, parameters, bytes."""
    specs = list(specs)
    return {
        "tensors": len(specs),
        "parameters": sum(spec.numel for spec in specs),
        "bytes": sum(spec.nbytes for spec in specs),
    }


def counted(count: int, noun: str) -> str:
    """``1 tensor``, ``2 tensors``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str) -> str:
    """Text from a file as one line that does nothing to a terminal: control characters and the like are escaped."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def cut(text: str, most: int = _MOST_CHARACTERS) -> str:
    """Foreign text on one line of a bounded length, without anything that does something to a terminal."""
    # Escapes make a text longer, never shorter.
    shown = printable(text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def short(text: str, most: int = 100) -> str:
    """Text from a file in a cell of a table: up to so many characters, on one line."""
    line = " ".join(text[:_MAX_READ].split())
    return line if len(line) <= most and len(text) <= _MAX_READ else f"{line[: most - 3]}…"


def columns(rows: Iterable[Sequence[str]], right: Sequence[int] = (), indent: str = "  ") -> str:
    """Rows as aligned columns, two spaces apart; those in ``right`` are aligned to the right."""
    rows = [list(map(printable, row)) for row in rows]
    if not rows:
        return ""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)
