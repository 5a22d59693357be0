"""Attacks that are no files, or lie where they should not."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tests.hostile.attack import Corpus


def link(path: Path, target: str | Path) -> Path:
    path.symlink_to(target)
    return path


def bound(path: Path) -> Path:
    """A socket that nobody listens at. Its name must be short, so it is made from within its folder."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def chain(path: Path, links: int) -> Path:
    """A link to a link to a link, more than a system follows."""
    for number in range(links):
        link(path.with_name(f"link{number}"), f"link{number + 1}")
    return link(path, "link0")


# What stands in for a file, whatever sort is asked for.
PLACES: Corpus = {
    "a link to itself": (lambda path: link(path, path), "cannot be read"),
    "a link to nowhere": (lambda path: link(path, path.with_name("nowhere")), "cannot be read"),
    "a hundred links in a chain": (lambda path: chain(path, 100), "cannot be read"),
    "a pipe that nobody writes to": (pipe, "is a device, pipe or socket|is no file"),
    "a link to a pipe": (
        lambda path: link(path, pipe(path.with_name("pipe"))),
        "is a device, pipe or socket|is no file",
    ),
    "a device without end": (lambda path: link(path, "/dev/zero"), "is a device, pipe or socket|is no file"),
    "a device that is always empty": (lambda path: link(path, "/dev/null"), "is a device, pipe or socket|is no file"),
    "the terminal": (lambda path: link(path, "/dev/tty"), "is a device, pipe or socket|is no file|cannot be read"),
    "a socket": (bound, "is a device, pipe or socket|is no file"),
    "the memory of the process": (lambda path: link(path, "/proc/self/mem"), "cannot be read|empty"),
    "a folder that holds itself": (lambda path: link(folder(path) / path.name, "."), "a directory|is no file"),
    "an empty file": (Path.touch, "is empty|not proper JSON|cannot be read as JSON"),
}
