"""What is fuzzed: the readers, each given bytes of any kind. Whatever they are, the reader takes or refuses them.

The same functions are called with what hypothesis makes up and with what atheris finds. Imports no torch.
"""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.hostile.watch import watched
from xttsrecipe.api import load_recipe
from xttsrecipe.checkpoints import model_directory, open_checkpoint
from xttsrecipe.checkpoints.inert_pickle import RefusedGlobalError, load
from xttsrecipe.checkpoints.plain import to_plain
from xttsrecipe.checkpoints.records import MalformedPickleError
from xttsrecipe.errors import XttsRecipeError
from xttsrecipe.report.inspection import inspection_json, inspection_text
from xttsrecipe.report.problems import problems_text
from xttsrecipe.rules import rule_problems
from xttsrecipe.vocabulary import merge_vocabularies, read_vocabulary
from xttsrecipe.xtts import known_tensors

# How long one input may take, in seconds; a hundredth of one is usual.
SECONDS = 30

Target = Callable[[bytes], None]

# Where inputs lie that are read as files; removed when the process ends.
_folder = tempfile.TemporaryDirectory(prefix="xttsrecipe-fuzz-")


class TooLongError(BaseException):
    """An input took longer than that. Not an Exception, which a reader may take for a fault of the file."""


class FoundError(AssertionError):
    """An input made something happen that no reading does."""


def recipe(data: bytes) -> None:
    """A recipe file."""
    rule_problems(load_recipe(_file("recipe.yaml", data)), known_tensors())


def pickle(data: bytes) -> None:
    """A data.pkl."""
    with contextlib.suppress(MalformedPickleError, RefusedGlobalError):
        to_plain(load(data))


def archive(data: bytes) -> None:
    """A torch zip file."""
    _inspect(_file("model.pth", data))


def safetensors(data: bytes) -> None:
    """The header of a safetensors file, and 16 bytes of tensors."""
    _inspect(_file("model.safetensors", len(data).to_bytes(8, "little") + data + bytes(16)))


def vocabulary(data: bytes) -> None:
    """A vocab.json, which is merged with itself too."""
    read = read_vocabulary(_file("vocab.json", data))
    merge_vocabularies([read, read])


def config(data: bytes) -> None:
    """A config.json."""
    model_directory.read_config(_file("config.json", data))


TARGETS: Mapping[str, Target] = {
    target.__name__: target for target in (recipe, pickle, archive, safetensors, vocabulary, config)
}


def attempt(name: str, data: bytes) -> None:
    """Give an input to a target. Raises whatever is not an error of ours, FoundError, TooLongError."""
    with watched() as events, _in_time():
        try:
            TARGETS[name](data)
        except XttsRecipeError as error:
            said = problems_text(error.problems)
            if _folder.name not in said:
                raise FoundError(f"an error that names no file: {said}") from error
    unexpected = [event for event in events if _folder.name not in event]
    if unexpected:
        raise FoundError(f"reading it did this: {unexpected}")


def _inspect(path: Path) -> None:
    header = open_checkpoint(path)
    inspection_text(header)
    inspection_json(header, "*")


def _file(name: str, data: bytes) -> Path:
    path = Path(_folder.name) / name
    path.write_bytes(data)
    return path


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def peak_bytes() -> int:
    """The most resident memory of this process since ``reset_peak``; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0


def reset_peak() -> int:
    """Begin to measure anew. The resident memory of now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "utf-8")
    return peak_bytes()
