"""Model directories as people have them: which file is the model, what lies beside it, what its config.json says."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.builders import save
from tests.samples import write_safetensors
from tests.voices import NEWS, config_of, text_state, trained, voice
from xttsrecipe import inspect
from xttsrecipe.checkpoints import open_checkpoint
from xttsrecipe.errors import CheckpointError, Problem

ALL = ["config.json", "vocab.json", "speakers_xtts.pth", "mel_stats.pth", "dvae.pth"]


def refusal(path: Path) -> Problem:
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(path)
    (problem,) = caught.value.problems
    return problem


# --- which file is the model -------------------------------------------------------------------------------------


def test_a_directory_is_the_model_in_it_with_what_belongs_to_it(tmp_path: Path) -> None:
    header = open_checkpoint(voice(tmp_path / "news"))
    assert (header.path, header.directory) == (tmp_path / "news/model.pth", tmp_path / "news")
    assert header.place == tmp_path / "news"
    found = [(name, file.path) for name, file in header.companions.items()]
    assert found == [(name, tmp_path / "news" / name) for name in ALL]
    assert header.layout == "release"
    assert header.vocabulary is None  # read by those who need it


def test_a_file_is_no_directory_even_beside_its_companions(tmp_path: Path) -> None:
    path = voice(tmp_path / "news") / "model.pth"
    header = open_checkpoint(path)
    assert (header.path, header.directory, header.place, dict(header.companions)) == (path, None, path, {})
    assert header.entries["config"]["run_name"] == "model news"


def test_best_model_stands_in_where_there_is_no_model(tmp_path: Path) -> None:
    folder = voice(tmp_path / "news")
    save(folder / "best_model.pth", text_state(8, 9), step=9)
    assert open_checkpoint(folder).path.name == "model.pth"
    (folder / "model.pth").unlink()
    header = open_checkpoint(folder)
    assert header.path.name == "best_model.pth"
    assert header.entries["step"] == 9


def test_the_model_is_found_by_its_exact_name_only(tmp_path: Path) -> None:
    folder = voice(tmp_path / "news")
    (folder / "model.pth").rename(folder / "MODEL.pth")
    problem = refusal(folder)
    assert problem.what == "is a directory without a model"
    assert problem.hint == "name a file in it: MODEL.pth"


def test_companions_are_not_taken_for_models(tmp_path: Path) -> None:
    problem = refusal(voice(tmp_path / "news", without=["model.pth"]))
    assert problem.hint == "name a .pth or .safetensors file"


def test_a_model_that_cannot_be_read_is_named_and_no_other_stands_in(tmp_path: Path) -> None:
    folder = voice(tmp_path / "news")
    shutil.copy(folder / "model.pth", folder / "best_model.pth")
    with (folder / "model.pth").open("r+b") as file:
        file.truncate(1000)
    problem = refusal(folder)
    assert problem.where is not None
    assert problem.where.file == str(folder / "model.pth")


def test_a_model_that_is_a_folder_is_called_one(tmp_path: Path) -> None:
    folder = voice(tmp_path / "news", without=["model.pth"])
    (folder / "model.pth").mkdir()
    assert refusal(folder).what == "is a directory"


def test_a_model_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    folder = voice(tmp_path / "news", without=["model.pth"])
    os.mkfifo(folder / "model.pth")
    assert "pipe" in refusal(folder).what


def test_a_link_that_leads_nowhere_is_an_unreadable_model(tmp_path: Path) -> None:
    folder = voice(tmp_path / "news", without=["model.pth"])
    (folder / "model.pth").symlink_to("gone.pth")
    assert refusal(folder).what.startswith("cannot be read: No such file")


def test_links_are_followed_but_the_names_are_those_that_were_given(tmp_path: Path) -> None:
    real = voice(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "store").mkdir()
    for name in ("model.pth", "speakers_xtts.pth"):
        (real / name).rename(tmp_path / "store" / name)
        (real / name).symlink_to(tmp_path / "store" / name)
    header = open_checkpoint(tmp_path / "link")
    assert header.place == tmp_path / "link"
    assert header.companions["speakers_xtts.pth"].path == tmp_path / "link/speakers_xtts.pth"


@pytest.mark.parametrize("name", ["news voice", os.fsdecode(b"caf\xe9"), "a\nb", "模型", "model.pth"])
def test_directories_may_have_any_name(name: str, tmp_path: Path) -> None:
    header = inspect(voice(tmp_path / name))
    assert header.place == tmp_path / name
    assert list(header.companions) == ALL


def test_a_directory_named_with_a_slash_or_as_the_current_one_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(voice(tmp_path / "news"))
    assert inspect(".").path == Path("model.pth")
    assert inspect(f"{tmp_path}/news/").path == tmp_path / "news/model.pth"


# --- what lies beside it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_file_that_is_not_there_is_no_companion(name: str, tmp_path: Path) -> None:
    header = open_checkpoint(voice(tmp_path / "news", without=[name]))
    assert list(header.companions) == [other for other in ALL if other != name]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (Path.mkdir, "is no file"),
        (os.mkfifo, "is no file"),
        (lambda path: path.symlink_to("gone"), "cannot be read: No such file or directory"),
        (lambda path: path.symlink_to(path.name), "cannot be read: Too many levels of symbolic links"),
    ],
    ids=["folder", "pipe", "dangling", "circle"],
)
def test_a_companion_that_is_no_file_is_refused(
    make: Callable[[Path], None], what: str, name: str, tmp_path: Path
) -> None:
    folder = voice(tmp_path / "news", without=ALL)
    make(folder / name)
    problem = refusal(folder)
    assert problem.what == what
    assert problem.where is not None
    assert problem.where.file == str(folder / name)


def test_other_files_are_none(tmp_path: Path) -> None:
    folder = voice(tmp_path / "news", without=ALL)
    for name in ("Config.json", "vocab.json.bak", "reference.wav", "hash.md5"):
        (folder / name).write_bytes(b"x")
    assert dict(open_checkpoint(folder).companions) == {}


# --- config.json -------------------------------------------------------------------------------------------------


def test_the_config_is_that_of_config_json(tmp_path: Path) -> None:
    folder = voice(tmp_path / "news", step=7)
    header = open_checkpoint(folder)
    assert header.entries == {"config": config_of(NEWS, "news"), "step": 7}


def test_without_config_json_the_model_has_its_own(tmp_path: Path) -> None:
    folder = voice(tmp_path / "news", without=["config.json"])
    assert open_checkpoint(folder).entries["config"]["run_name"] == "model news"


@pytest.mark.parametrize(
    "content",
    [
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b' \n{"a": 1}\n\n',
        b'{"a": 2, "a": 1}',
    ],
    ids=["byte order mark", "utf-16", "space", "twice"],
)
def test_a_config_as_python_reads_it(content: bytes, tmp_path: Path) -> None:
    folder = voice(tmp_path / "news")
    (folder / "config.json").write_bytes(content)
    assert open_checkpoint(folder).entries["config"] == {"a": 1}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "cannot be read as JSON"),
        (b'{"a": 1', "cannot be read as JSON"),
        (b"{'a': 1}", "cannot be read as JSON"),
        (b'{"a": "\xff"}', "cannot be read as JSON"),
        (b"\0" * 100, "cannot be read as JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "cannot be read as JSON"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "cannot be read as JSON: metadata that is nested too deeply"),
        (b'{"a": "' + b"x" * (16 << 20) + b'"}', "is larger than 16 MiB, which no config is"),
        (b'{"a":' + b"[" + b"[]," * 1_000_000 + b"0]}", "cannot be read as JSON: more than 1,000,000 values"),
        (
            b'{"a":' + b"[" + b"0," * 250_000 + b"0]}",
            "cannot be read as JSON: metadata that is nested too deeply, too l",
        ),
        (b"[1, 2]", "holds no JSON object"),
        (b'"text"', "holds no JSON object"),
        (b"null", "holds no JSON object"),
    ],
    ids=lambda value: repr(value[:12]) if isinstance(value, bytes) else "",
)
def test_a_config_that_is_none_is_refused_by_name_and_no_bug(content: bytes, what: str, tmp_path: Path) -> None:
    folder = voice(tmp_path / "news")
    (folder / "config.json").write_bytes(content)
    problem = refusal(folder)
    assert problem.what.startswith(what)
    assert problem.where is not None
    assert problem.where.file == str(folder / "config.json")
    assert problem.hint is not None
    assert "name the model's file instead" in problem.hint
    open_checkpoint(folder / "model.pth")  # as the hint says


def test_a_large_config_is_read_to_its_end(tmp_path: Path) -> None:
    folder = voice(tmp_path / "news")
    (folder / "config.json").write_text(json.dumps({"languages": ["en"] * 100_000, "last": 1}))
    assert open_checkpoint(folder).entries["config"]["last"] == 1


def test_nothing_else_beside_the_model_is_read(tmp_path: Path) -> None:
    folder = voice(tmp_path / "news")
    for name in ALL[1:]:
        (folder / name).write_bytes(b"\0garbage")
    assert list(open_checkpoint(folder).companions) == ALL


# --- the digest of mel_stats -------------------------------------------------------------------------------------


def digest(path: Path, mel_stats: Any, **state: Any) -> str | None:
    found = open_checkpoint(save(path, {**text_state(8), "mel_stats": mel_stats, **state})).mel_stats
    assert found is None or str(found[0]) == str(mel_stats.dtype).removeprefix("torch.")
    return found[1] if found else None


def test_mel_stats_are_told_by_their_bytes(tmp_path: Path) -> None:
    values = torch.arange(80.0)
    raw = bytes(values.view(torch.uint8).tolist())
    assert digest(tmp_path / "a.pth", values) == hashlib.sha256(raw).hexdigest()
    assert digest(tmp_path / "b.pth", values, other=torch.ones(3)) == digest(tmp_path / "a.pth", values)
    changed = values.clone()
    changed[79] = 79.5
    assert digest(tmp_path / "c.pth", changed) != digest(tmp_path / "a.pth", values)


def test_mel_stats_are_the_same_in_every_layout_and_format(tmp_path: Path) -> None:
    state = text_state(8)
    expected = open_checkpoint(save(tmp_path / "a.pth", state)).mel_stats
    assert expected
    assert open_checkpoint(save(tmp_path / "b.pth", trained(state))).mel_stats == expected
    assert open_checkpoint(write_safetensors(tmp_path / "c.safetensors", state, {})).mel_stats == expected


@pytest.mark.parametrize(
    "mel_stats",
    [torch.ones(20_000), torch.ones(80, 2).T[0:1].T, torch.ones(4, 4).T],
    ids=["large", "strided", "turned"],
)
def test_mel_stats_that_are_large_or_lie_scattered_have_no_digest(mel_stats: torch.Tensor, tmp_path: Path) -> None:
    assert digest(tmp_path / "a.pth", mel_stats) is None


def test_without_mel_stats_there_is_no_digest(tmp_path: Path) -> None:
    state = text_state(8)
    del state["mel_stats"]
    assert open_checkpoint(save(tmp_path / "a.pth", state)).mel_stats is None
