"""What lies beside an output on its behalf: the new one in the making, the old one put aside; and who removes it when.

A run removes its own in the end. What a run that was killed has left is removed by the next one that claims the same
output. Nothing else is ever touched: what is another output's, a live run's, another user's, or holds other files.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from .checkpoints.model_directory import foreign_entries
from .claims import claim, hidden_name
from .xtts import OUTPUT_FILES

_LEFT = re.compile(r"[0-9a-f]{16}\.xttsrecipe\.(tmp|old)|xttsrecipe\.lock")


def temporary_beside(target: Path, claimed: bool) -> Path:
    """A new name for what is to become ``target``; where that could not be claimed, one that nobody clears."""
    rest = f"{secrets.token_hex(8)}.xttsrecipe.tmp"
    return target.with_name(hidden_name(target, rest) if claimed else f".{rest}")


def aside_of(temporary: Path) -> Path:
    """Where the old output is kept while the new one takes its place."""
    return temporary.with_suffix(".old")


def clear(temporary: Path, target: Path) -> None:
    """Remove a half-made output, or the old one; which is put back where the new one has not taken its place."""
    aside = aside_of(temporary)
    if _is_folder(aside) and (os.path.lexists(temporary) or not os.path.lexists(target)):
        # Where somebody has put another folder there meanwhile, neither is ours to remove.
        to = aside.with_suffix(".kept") if os.path.lexists(target) else target
        try:
            aside.rename(to)
        except OSError:
            return  # the temporary one stays too: by it the next run tells that the old one is still to be put back
    else:
        _discard(aside)
    _discard(temporary)


def recover(target: Path) -> list[str]:
    """Clear what runs that were killed have left beside ``target``. Returns what was done, in sentences for people.

    Raises OutputError where a run is at work on it.
    """
    target = Path(os.path.realpath(target))
    if not _left_beside(target):
        return []
    with claim(target) as claimed:
        return clear_remains(target) if claimed else []


def clear_remains(target: Path) -> list[str]:
    """As ``recover``, for a real path that is claimed."""
    said = []
    for temporary in sorted({path.with_suffix(".tmp") for path in _left_beside(target) if path.suffix != ".lock"}):
        aside = aside_of(temporary)
        left = [path for path in (temporary, aside) if os.path.lexists(path)]
        if not all(map(_may_be_removed, left)):
            continue
        size = sum(map(_size, left))
        lost = _is_folder(aside) and not os.path.lexists(target)
        clear(temporary, target)
        if any(map(os.path.lexists, left)):
            continue
        if lost:
            said.append(f"{target} is back: a run that was killed had moved it aside")
        elif os.path.lexists(kept := aside.with_suffix(".kept")):
            said.append(f"{kept} is what {target.name} was before a run that was killed: use it or remove it")
        else:
            said.append(f"removed what a run that was killed left beside {target}: {temporary.name}, {size:,} bytes")
    return said


def remove_folders(folders: Iterable[Path]) -> None:
    """Remove those folders that are there and empty."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _left_beside(target: Path) -> list[Path]:
    start = hidden_name(target, "")
    with contextlib.suppress(OSError):  # there is no such folder, or it cannot be read
        names = os.listdir(target.parent)  # noqa: PTH208 # names are enough
        left = [name for name in names if name.startswith(start) and _LEFT.fullmatch(name, len(start))]
        return [target.with_name(name) for name in left]
    return []


def _may_be_removed(path: Path) -> bool:
    """Whether it is a file of this user's, or a folder with nothing in it that is not an output's."""
    with contextlib.suppress(OSError):
        status = path.lstat()
        if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
            return False
        return stat.S_ISREG(status.st_mode) or (stat.S_ISDIR(status.st_mode) and not foreign_entries(path))
    return False


def _is_folder(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISDIR(path.lstat().st_mode)
    return False


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        files = [path.lstat()] if not _is_folder(path) else [file.lstat() for file in path.iterdir()]
        return sum(file.st_size for file in files)
    return 0


def _discard(path: Path) -> None:
    """Remove a file, or a folder with the files of an output; what else is in that stays, and so does the folder."""
    with contextlib.suppress(OSError):
        if not _is_folder(path):
            path.unlink()
            return
        for name in OUTPUT_FILES:
            (path / name).unlink(missing_ok=True)
        path.rmdir()
