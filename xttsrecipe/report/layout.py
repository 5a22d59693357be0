"""Columns, sizes and counts as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def size_text(nbytes: int) -> str:
    """``1.87 GB``: decimal units, three digits."""
    return f"{_scaled(nbytes, ('B', 'KB', 'MB', 'GB', 'TB'))}"


def count_text(count: int) -> str:
    """``466.9 M``: for numbers of parameters."""
    return _scaled(count, ("", "K", "M", "G", "T")).rstrip()


def _scaled(number: float, units: Sequence[str]) -> str:
    for unit in units[:-1]:
        if abs(number) < 999.5:
            return f"{number:.3g} {unit}" if unit not in ("", "B") else f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.3g} {units[-1]}"


def columns(rows: Iterable[Sequence[str]], right: Sequence[int] = (), indent: str = "  ") -> str:
    """Rows as aligned columns, two spaces apart; those in ``right`` are aligned to the right."""
    rows = [list(row) for row in rows]
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
