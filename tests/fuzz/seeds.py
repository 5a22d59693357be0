"""What atheris begins with: good files, and the hostile ones of ``tests/hostile`` that are small."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.fuzz.inputs import good
from tests.hostile.archives import ARCHIVES
from tests.hostile.attack import Corpus
from tests.hostile.documents import CONFIGS, JSON, VOCABULARIES
from tests.hostile.pickles import PICKLES
from tests.hostile.recipes import RECIPES
from tests.hostile.tensors import SAFETENSORS

_MAX_BYTES = 1 << 14

_CORPORA: Mapping[str, Corpus] = {
    "recipe": RECIPES,
    "pickle": PICKLES,
    "archive": {**ARCHIVES, **PICKLES},
    "safetensors": SAFETENSORS,
    "vocabulary": {**VOCABULARIES, **JSON},
    "config": {**CONFIGS, **JSON},
}


def write_seeds(name: str, folder: Path) -> None:
    """Writes the inputs of a target into a folder, each under its digest."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in (*good()[name], *_hostile(name)):
        (folder / hashlib.sha256(data).hexdigest()[:20]).write_bytes(data)


def _hostile(name: str) -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as made:
        for number, (make, _) in enumerate(_CORPORA[name].values()):
            path = Path(made) / f"{number}"
            make(path)
            if not path.is_file() or path.stat().st_size > _MAX_BYTES:
                continue
            data = path.read_bytes()
            if name == "pickle":
                with contextlib.suppress(zipfile.BadZipFile, OSError, EOFError), zipfile.ZipFile(path) as archive:
                    data = next((archive.read(each) for each in archive.namelist() if "data.pkl" in each), b"")
            elif name == "safetensors":
                data = data[8:]
            if len(data) <= _MAX_BYTES:
                yield data
