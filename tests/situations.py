"""What must be the case for each problem of ``docs/problems.md`` to come up, beside the recipe that the page shows.

Each situation is called after the code that it is for. It prepares the current folder, and whatever of the system must
fail, for as long as its test lasts.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.builders import save, v1_state, xtts_state
from tests.commands import invoke
from tests.repositories import Scratch
from tests.samples import small_state, write_safetensors
from tests.voices import AUDIOBOOK, NEWS, config_of, text_state, two_voices, vocabulary, voice, write_vocabulary
from xttsrecipe import api
from xttsrecipe.claims import claim
from xttsrecipe.codes import Code

Patch = pytest.MonkeyPatch
RECIPE = "checkpoints: {news: news.pth, audiobook: audiobook.pth}\noutput: {path: merged.pth}\n"
HERE = Path()

_SITUATIONS: dict[Code, Callable[[Patch], Any]] = {}


@contextmanager
def situation(code: Code, recipe: str, patch: Patch) -> Iterator[Mapping[str, str]]:
    """The situation of a problem in the current folder, with a recipe.yaml in it.

    Gives what the command's environment has besides; anything at all means that it needs a process of its own.
    """
    Path("recipe.yaml").write_text(recipe, encoding="utf-8")
    prepare = _SITUATIONS.get(code)
    made = prepare(patch) if prepare else None
    if isinstance(made, Generator):
        next(made)
        yield {}
        made.close()
    else:
        yield made or {}


def _of(code: Code) -> Callable[[Callable[[Patch], Any]], None]:
    def keep(function: Callable[[Patch], Any]) -> None:
        _SITUATIONS[code] = function

    return keep


def _plain(*names: str, **tensors: torch.Tensor) -> None:
    """Checkpoints of a model that is not XTTS."""
    for name in names or ("news", "audiobook"):
        save(Path(f"{name}.pth"), {"encoder.weight": torch.ones(2, 3), **tensors})


def _fine_tunes(*tokens: Mapping[str, int]) -> None:
    """news.pth with news.json and so on: fine-tunes with these vocabularies."""
    for seed, (name, its) in enumerate(zip(("news", "audiobook", "calm"), tokens, strict=False)):
        write_vocabulary(Path(f"{name}.json"), its)
        save(Path(f"{name}.pth"), text_state(max(its.values()) + 1, seed))


def _instead_of_importing_torch(patch: Patch, happens: Callable[[], Any]) -> None:
    """Something that happens after everything was looked at, and before the run begins."""
    original = api.import_torch

    def import_torch() -> None:
        original()
        happens()

    patch.setattr(api, "import_torch", import_torch)


# --- files ------------------------------------------------------------------------------------------------------


@_of(Code.NOT_A_RECIPE)
def _(_: Patch) -> None:
    _plain("news")


@_of(Code.NOT_UTF_8)
def _(_: Patch) -> None:
    Path("recipe.yaml").write_bytes(f"name: warm\ndescription: für die Nachrichten\n{RECIPE}".encode("latin-1"))


@_of(Code.FORBIDDEN_CHARACTER)
def _(_: Patch) -> None:
    Path("recipe.yaml").write_text(f"name: wa\arm\n{RECIPE}", encoding="utf-8")


@_of(Code.NO_RECIPE_IN_FOLDER)
def _(_: Patch) -> None:
    Path("voices").mkdir()


@_of(Code.UNUSABLE_FILE_NAME)
def _(_: Patch) -> None:
    _plain("voice${1}")


@_of(Code.TOO_MANY_ENTRIES)
def _(_: Patch) -> None:
    lines = "".join(f"  voice{number}: voice{number}.pth\n" for number in range(1, 258))
    Path("recipe.yaml").write_text(f"checkpoints:\n{lines}output: {{path: merged.pth}}\n", encoding="utf-8")


@_of(Code.GRADIENT_WITHOUT_LAYERS)
def _(_: Patch) -> None:
    _plain()


# --- checkpoints ------------------------------------------------------------------------------------------------


@_of(Code.MISSING_FILE)
def _(_: Patch) -> None:
    _plain("news")


@_of(Code.UNREADABLE_FILE)
def _(_: Patch) -> None:
    two_voices(HERE)
    Path("voices").mkdir()
    for name in ("news", "audiobook"):
        shutil.move(name, "voices")


@_of(Code.DAMAGED_CHECKPOINT)
def _(_: Patch) -> None:
    _plain("audiobook")
    Path("news.pth").write_bytes(b"")


@_of(Code.PACKED_CHECKPOINT)
def _(_: Patch) -> None:
    Path("news.pth.gz").write_bytes(b"\x1f\x8b\x08\x00")


@_of(Code.GIT_LFS_POINTER)
def _(_: Patch) -> None:
    Path("news.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\n", encoding="utf-8")


@_of(Code.NOT_A_CHECKPOINT)
def _(_: Patch) -> None:
    Path("news.pth").write_text("<!doctype html>\n<title>news.pth</title>\n", encoding="utf-8")


@_of(Code.UNSUPPORTED_FORMAT)
def _(_: Patch) -> None:
    torch.save({"model": small_state()}, "news.pth", _use_new_zipfile_serialization=False)


@_of(Code.UNSUPPORTED_TENSOR)
def _(_: Patch) -> None:
    _plain("news", **{"encoder.mask": torch.eye(3).to_sparse()})


@_of(Code.NO_STATE_DICT)
def _(_: Patch) -> None:
    torch.save({"param_groups": [], "step": 3}, "optimizer.pth")


class _Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("1 + 1",)


@_of(Code.CODE_IN_CHECKPOINT)
def _(_: Patch) -> None:
    torch.save({"model": small_state(), "config": _Attack()}, "news.pth")


@_of(Code.BEYOND_ANY_CHECKPOINT)
def _(_: Patch) -> None:
    _plain("news", **{"x" * 1_234: torch.ones(1)})


@_of(Code.MIXED_LAYOUTS)
def _(_: Patch) -> None:
    state = small_state()
    save(Path("news.pth"), state | {"xtts.mel_stats": state["mel_stats"]})


@_of(Code.NO_MODEL_IN_DIRECTORY)
def _(_: Patch) -> None:
    Path("voices/news").mkdir(parents=True)
    save(Path("voices/news/checkpoint_5000.pth"), small_state())


@_of(Code.MALFORMED_CONFIG)
def _(_: Patch) -> None:
    voice(Path("voices/news"))
    Path("voices/news/config.json").write_text("[]", encoding="utf-8")


@_of(Code.NOT_A_VOCABULARY)
def _(_: Patch) -> None:
    Path("news.json").write_text(json.dumps(config_of(NEWS)), encoding="utf-8")


@_of(Code.VOCABULARY_IDS)
def _(_: Patch) -> None:
    data = vocabulary({"[STOP]": 0, "[UNK]": 1, "a": 3, "b": 2})
    data["added_tokens"].append({**data["added_tokens"][0], "id": 4, "content": "[calm]"})
    data["model"]["vocab"]["[en]"] = 5
    Path("news.json").write_text(json.dumps(data), encoding="utf-8")


@_of(Code.VOCABULARY_MERGES)
def _(_: Patch) -> None:
    write_vocabulary(Path("news.json"), NEWS, ["a b", "a n"])


@_of(Code.DIGEST_DIFFERS)
def _(_: Patch) -> None:
    write_safetensors(Path("news.safetensors"), {"encoder.weight": torch.ones(2, 3)}, {})


@_of(Code.NO_MATCHING_KEY)
def _(_: Patch) -> None:
    save(Path("news.pth"), small_state())


@_of(Code.NO_COMPONENTS)
def _(_: Patch) -> None:
    _plain("other")


def _run_folder(*losses: float) -> None:
    Path("runs/news").mkdir(parents=True)
    for number, loss in enumerate(losses, 1):
        losses_of_it = {"train_loss": 2.1, "eval_loss": loss}
        save(Path(f"runs/news/checkpoint_{number}000.pth"), small_state(number), model_loss=losses_of_it)


@_of(Code.TOO_FEW_CHECKPOINTS)
def _(_: Patch) -> None:
    _run_folder(2.6, 2.5)
    shutil.copy("runs/news/checkpoint_2000.pth", "runs/news/best_model.pth")


@_of(Code.NO_EVAL_LOSS)
def _(_: Patch) -> None:
    _run_folder(float("nan"), float("nan"))


# --- recipe and checkpoints -------------------------------------------------------------------------------------


@_of(Code.DIFFERENT_MODELS)
def _(_: Patch) -> None:
    save(Path("news.pth"), xtts_state())
    save(Path("audiobook.pth"), v1_state())


@_of(Code.DIFFERENT_ARCHITECTURES)
def _(_: Patch) -> None:
    for name, heads in (("news", 16), ("audiobook", 8)):
        save(Path(f"{name}.pth"), small_state(), config={"model_args": {"gpt_n_heads": heads}})


@_of(Code.MISSING_TENSORS)
def _(_: Patch) -> None:
    _plain("audiobook")
    _plain("news", **{"encoder.bias": torch.ones(3), "encoder.scale": torch.ones(3)})


@_of(Code.UNEQUAL_SHAPES)
def _(_: Patch) -> None:
    for name, rows in (("news", 6681), ("audiobook", 6700)):
        save(Path(f"{name}.pth"), text_state(rows))


@_of(Code.UNEQUAL_TYPES)
def _(_: Patch) -> None:
    _plain("news", **{"encoder.steps": torch.tensor([1])})
    _plain("audiobook", **{"encoder.steps": torch.tensor([1.5])})


@_of(Code.WRONG_VOCABULARY)
def _(_: Patch) -> None:
    _fine_tunes(NEWS, NEWS)
    write_vocabulary(Path("audiobook.json"), {**NEWS, "more": 8})


@_of(Code.UNKNOWN_VOCABULARY)
def _(_: Patch) -> None:
    _fine_tunes(NEWS, AUDIOBOOK, NEWS)


@_of(Code.CANCELLING_WEIGHTS)
def _(_: Patch) -> None:
    _fine_tunes({"s": 0, "x": 1}, {"s": 0, "x": 1}, {"s": 0, "y": 1})


@_of(Code.TEXT_TENSORS_APART)
def _(_: Patch) -> None:
    _fine_tunes(NEWS, AUDIOBOOK)


@_of(Code.ORDER_WITHOUT_ROWS)
def _(_: Patch) -> None:
    _fine_tunes(NEWS, AUDIOBOOK, NEWS)


@_of(Code.INCOMPATIBLE_VOCABULARIES)
def _(_: Patch) -> None:
    _fine_tunes(NEWS, {**AUDIOBOOK, "##b": 8, "ab": 9})
    data = json.loads(Path("audiobook.json").read_text("utf-8"))
    data["model"] |= {"continuing_subword_prefix": "##", "merges": ["a ##b"]}
    Path("audiobook.json").write_text(json.dumps(data), encoding="utf-8")


@_of(Code.METHOD_BY_TOKEN)
def _(_: Patch) -> None:
    _fine_tunes(NEWS, NEWS, AUDIOBOOK)
    Path("calm.json").rename("original.json")
    Path("calm.pth").rename("original.pth")


@_of(Code.NOT_FOR_SAFETENSORS)
def _(_: Patch) -> None:
    _plain("news", **{"encoder.phase": torch.ones(2, dtype=torch.complex128)})


@_of(Code.ONLY_FOR_XTTS)
def _(_: Patch) -> None:
    _plain("news")


@_of(Code.DIRECTORY_WITHOUT_VOCABULARY)
def _(_: Patch) -> None:
    for name in ("news", "audiobook"):
        save(Path(f"{name}.pth"), text_state(8), config=config_of(NEWS))


@_of(Code.DIRECTORY_WITHOUT_CONFIG)
def _(_: Patch) -> None:
    _fine_tunes(NEWS)


@_of(Code.CONFIG_OF_ANOTHER_NETWORK)
def _(_: Patch) -> None:
    voice(Path("voices/news"))
    save(Path("voices/news/model.pth"), text_state(8))
    Path("voices/news/config.json").write_text(json.dumps(config_of(NEWS, gpt_layers=30)), encoding="utf-8")


# --- the output -------------------------------------------------------------------------------------------------


def _merged_directory() -> None:
    Path("voices").mkdir()
    two_voices(Path("voices"))
    api.run(api.load_recipe("recipe.yaml"))


@_of(Code.OUTPUT_IS_INPUT)
def _(_: Patch) -> None:
    _plain()


@_of(Code.NOT_MADE_BY_XTTSRECIPE)
def _(_: Patch) -> None:
    _plain("news", "audiobook", "merged")


@_of(Code.CHANGED_SINCE_WRITTEN)
def _(_: Patch) -> None:
    _merged_directory()
    torch.save({"anna": 1}, "merged/speakers_xtts.pth")


@_of(Code.FILE_OR_DIRECTORY)
def _(_: Patch) -> None:
    _plain()
    Path("merged.pth").mkdir()


@_of(Code.IRREPLACEABLE_OUTPUT)
def _(_: Patch) -> None:
    _plain()
    os.mkfifo("merged.pth")


@_of(Code.FOREIGN_FILES)
def _(_: Patch) -> None:
    _merged_directory()
    Path("merged/reference.wav").write_bytes(b"RIFF")


@_of(Code.UNSET_VARIABLE)
def _(patch: Patch) -> None:
    _plain()
    patch.delenv("MERGED_VOICES", raising=False)


@_of(Code.NO_ROOM)
def _(patch: Patch) -> None:
    _plain()
    patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 512, 512))


@_of(Code.UNWRITABLE)
def _(_: Patch) -> None:
    _plain()


@_of(Code.ANOTHER_RUN)
def _(_: Patch) -> Generator[None, None, None]:
    _plain()
    with claim(Path("merged.pth").absolute()):
        yield


@_of(Code.CHANGED_MEANWHILE)
def _(patch: Patch) -> None:
    _plain()
    _instead_of_importing_torch(patch, lambda: Path("merged.pth").write_bytes(b"somebody's"))


@_of(Code.NOT_ON_DISK)
def _(patch: Patch) -> None:
    _plain()
    original = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        original(descriptor)

    patch.setattr(os, "fsync", fsync)


@_of(Code.RECIPE_EXISTS)
def _(_: Patch) -> None:
    _plain()


# --- running ----------------------------------------------------------------------------------------------------


def _with_torch(text: str) -> dict[str, str]:
    """The environment of a Python that imports this instead of torch."""
    Path("other").mkdir()
    Path("other/torch.py").write_text(text, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(Path("other").absolute()), *sys.path])}


@_of(Code.TORCH_MISSING)
def _(_: Patch) -> dict[str, str]:
    _plain()
    return _with_torch("raise ModuleNotFoundError('No module named torch', name='torch')")


@_of(Code.UNUSABLE_TORCH)
def _(_: Patch) -> dict[str, str]:
    _plain()
    return _with_torch(
        "raise ImportError('libtorch_cpu.so: cannot open shared object file: No such file or directory')"
    )


@_of(Code.UNUSABLE_DEVICE)
def _(patch: Patch) -> None:
    _plain()
    original = torch.empty

    def empty(*sizes: Any, **more: Any) -> torch.Tensor:
        if str(more.get("device")) == "cuda":
            raise AssertionError("Torch not compiled with CUDA enabled")
        return original(*sizes, **more)

    patch.setattr(torch, "empty", empty)


@_of(Code.NO_MORE_THREADS)
def _(patch: Patch) -> None:
    _plain()

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    patch.setattr(threading.Thread, "start", start)


@_of(Code.SOURCE_CHANGED)
def _(patch: Patch) -> None:
    _plain()
    _instead_of_importing_torch(patch, lambda: _plain("news", **{"encoder.bias": torch.ones(9)}))


@_of(Code.OVERFLOW)
def _(_: Patch) -> None:
    _plain("news", "audiobook", **{"encoder.scale": torch.tensor([1e6, 1.0])})


@_of(Code.NOT_FINITE)
def _(_: Patch) -> None:
    _plain("news", **{"encoder.bias": torch.tensor([float("nan"), 1.0, float("inf")])})
    _plain("audiobook", **{"encoder.bias": torch.ones(3)})


@_of(Code.NOT_ENOUGH_MEMORY)
def _(patch: Patch) -> None:
    _plain()

    def allocated() -> None:
        raise MemoryError

    _instead_of_importing_torch(patch, allocated)


@_of(Code.UNWRITABLE_RESULTS)
def _(_: Patch) -> dict[str, str]:
    return {"PYTHONDONTWRITEBYTECODE": "1"}  # a stdout of its own


# --- git, and comparing -----------------------------------------------------------------------------------------


def _repository() -> Path:
    """The current folder as a repository that has the recipe on its branch main. Returns the folder."""
    scratch = Scratch.made(HERE.resolve())
    scratch.commit()
    return scratch.root


@_of(Code.GIT_MISSING)
def _(patch: Patch) -> None:
    patch.setenv("PATH", "")


@_of(Code.NO_REPOSITORY)
def _(patch: Patch) -> None:
    patch.setenv("GIT_CEILING_DIRECTORIES", str(HERE.resolve().parent))


@_of(Code.GIT_FAILED)
def _(_: Patch) -> None:
    (_repository() / ".git" / "config").write_text("[core\n", encoding="utf-8")


@_of(Code.UNKNOWN_REVISION)
def _(_: Patch) -> None:
    _repository()


@_of(Code.NOT_IN_REVISION)
def _(_: Patch) -> None:
    _repository()


@_of(Code.FILE_AND_FOLDER)
def _(_: Patch) -> None:
    Path("voices").mkdir()


SAFETENSORS = "checkpoints: {news: news.safetensors, audiobook: audiobook.safetensors}\noutput: {path: merged.pth}\n"


def _locked(recipe: str = SAFETENSORS) -> None:
    """Sources whose bytes are the same whatever torch writes, and the recipe's lock."""
    Path("recipe.yaml").write_text(recipe, encoding="utf-8")
    for seed, name in enumerate(("news", "audiobook")):
        write_safetensors(Path(f"{name}.safetensors"), small_state(seed), {"step": str(100 * (seed + 1))})
    assert invoke("lock", "recipe.yaml").code == 0


@_of(Code.NO_LOCK)
def _(_: Patch) -> None:
    _plain()


@_of(Code.MALFORMED_LOCK)
def _(_: Patch) -> None:
    _locked()
    lock = Path("recipe.lock.yaml")
    lock.write_text(lock.read_text("utf-8").replace("layout: release", "layout: [release]"), encoding="utf-8")


@_of(Code.LOCK_VERSION)
def _(_: Patch) -> None:
    Path("recipe.lock.yaml").write_text("lock: 2\n", encoding="utf-8")


@_of(Code.LOCK_OF_ANOTHER_PLAN)
def _(_: Patch) -> None:
    _locked(Path("recipe.yaml").read_text("utf-8").replace("0.7", "0.6").replace("0.3", "0.4"))
    recipe = Path("recipe.yaml")
    recipe.write_text(recipe.read_text("utf-8").replace("0.6", "0.7").replace("0.4", "0.3"), encoding="utf-8")


@_of(Code.SOURCE_NOT_AS_LOCKED)
def _(_: Patch) -> None:
    _locked()
    write_safetensors(Path("news.safetensors"), small_state(9), {"step": "900"})


@_of(Code.OUTPUT_NOT_AS_LOCKED)
def _(_: Patch) -> None:
    _locked()
    assert invoke("run", "recipe.yaml").code == 0
    lock = Path("recipe.lock.yaml")
    text = re.sub(r"tensors_sha256: .*", f"tensors_sha256: {'f' * 64}", lock.read_text("utf-8"))
    lock.write_text(text, encoding="utf-8")


@_of(Code.CANNOT_BE_LOCKED)
def _(_: Patch) -> None:
    _plain("news", "audiobook", **{"blocks.{0..3}.bias": torch.ones(2)})


@_of(Code.NO_PROVENANCE)
def _(_: Patch) -> None:
    _plain("news")


@_of(Code.CANNOT_BE_VERIFIED)
def _(_: Patch) -> None:
    _plain()
    assert invoke("run", "recipe.yaml").code == 0
    Path("audiobook.pth").unlink()


@_of(Code.SOURCE_NOT_AS_MADE_FROM)
def _(_: Patch) -> None:
    _locked()
    assert invoke("run", "recipe.yaml").code == 0
    write_safetensors(Path("news.safetensors"), small_state(9), {"step": "900"})


@_of(Code.NOT_AS_MADE)
def _(_: Patch) -> None:
    _plain()
    assert invoke("run", "recipe.yaml").code == 0
    content = torch.load("merged.pth", weights_only=True)
    content["model"]["encoder.weight"][0, 1] = 5
    torch.save(content, "merged.pth")


@_of(Code.ONE_LOCK_FOR_TWO)
def _(_: Patch) -> None:
    _plain()
    shutil.copy("recipe.yaml", "recipe.yml")
