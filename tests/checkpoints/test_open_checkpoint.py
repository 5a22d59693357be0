from __future__ import annotations

import gzip
import json
import os
import pickle
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tests.builders import save, trainer_state, xtts_state
from tests.checkpoints.crafted import assert_stored, craft, entry, in_python, refusal, says, within, words
from xttsrecipe.checkpoints import open_checkpoint
from xttsrecipe.xtts import known_tensors, training_only_tensors

CONFIG = {"model": "xtts", "model_args": {"gpt_layers": 30}}


def save_pth(path: Path, names: Sequence[str]) -> Path:
    """One tensor under many names."""
    return save(path, dict.fromkeys(names, torch.ones(1)))


def save_safetensors(path: Path, names: Sequence[str]) -> Path:
    return craft(path, {name: entry([0], 0, 0) for name in names})


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One checkpoint per layout of XTTS_FACTS.md, with the same voice in it."""
    folder = tmp_path_factory.mktemp("layouts")
    release, trainer = xtts_state(), trainer_state()
    trained = {"config": CONFIG, "step": 5, "epoch": 1, "date": "June 01, 2024", "model_loss": 2.5}
    optimizer = {"state": {0: {"exp_avg": torch.zeros(100)}}, "param_groups": [{"lr": 1e-5}]}
    shrunk = {key: tensor for key, tensor in trainer.items() if "dvae" not in key}
    tied = release["gpt.mel_embedding.weight"]
    leftovers = release | {"gpt.gpt.wte.weight": tied, "gpt.gpt_inference.transformer.wte.weight": tied}
    bare = folder / "bare.pth"
    torch.save(release, bare)
    return {
        "release": save(folder / "release.pth", release, config=CONFIG),
        "trainer": save(
            folder / "trainer.pth", trainer, optimizer=optimizer, scheduler={"gamma": 0.5}, scaler=None, **trained
        ),
        "shrunk": save(folder / "shrunk.pth", shrunk, scaler=None, **trained),
        "leftovers": save(folder / "leftovers.pth", leftovers, config=CONFIG),
        "bare": bare,
    }


@pytest.mark.parametrize(
    ("file", "layout", "trainer_keys", "training_only", "leftovers"),
    [
        ("release", "release", False, 0, 0),
        ("trainer", "trainer", True, 60, 0),
        ("shrunk", "shrunk", True, 2, 0),
        ("leftovers", "release", False, 0, 2),
        ("bare", "bare", False, 0, 0),
    ],
)
def test_every_layout_has_the_963_tensors_under_canonical_keys(
    layouts: dict[str, Path], file: str, layout: str, trainer_keys: bool, training_only: int, leftovers: int
) -> None:
    header = open_checkpoint(layouts[file])
    assert set(header.tensors) == set(known_tensors())
    assert (header.layout, header.trainer_keys) == (layout, trainer_keys)
    assert len(header.training_only) == training_only
    assert set(header.training_only) <= set(training_only_tensors())
    assert len(header.leftovers) == leftovers
    assert header.version == "v2.0.3"
    assert header.format == "torch zip"


@pytest.mark.parametrize("file", ["release", "trainer", "shrunk", "leftovers", "bare"])
def test_every_layout_gives_the_same_bits(layouts: dict[str, Path], file: str) -> None:
    header = open_checkpoint(layouts[file])
    for key, tensor in xtts_state().items():
        assert_stored(layouts[file], header.tensors[key], tensor)


def test_tensors_remember_their_names_in_the_file(layouts: dict[str, Path]) -> None:
    header = open_checkpoint(layouts["trainer"])
    assert header.tensors["mel_stats"].name == "xtts.mel_stats"
    assert all(tensor.name == f"xtts.{key}" for key, tensor in header.tensors.items())
    assert all(tensor.name == key for key, tensor in header.training_only.items())
    assert "gpt.gpt.wte.weight" in open_checkpoint(layouts["leftovers"]).leftovers


def test_the_training_records_are_plain_data_and_the_optimizer_only_a_size(layouts: dict[str, Path]) -> None:
    header = open_checkpoint(layouts["trainer"])
    assert header.entries == {"config": CONFIG, "step": 5, "epoch": 1, "date": "June 01, 2024", "model_loss": 2.5}
    assert header.bulk == {"optimizer": 400, "scheduler": 0, "scaler": 0}
    assert open_checkpoint(layouts["bare"]).entries == {}


def test_a_header_stamps_the_file_it_was_read_from(layouts: dict[str, Path]) -> None:
    header, status = open_checkpoint(layouts["release"]), layouts["release"].stat()
    assert header.path == layouts["release"]
    assert (header.stamp.size, header.stamp.mtime_ns, header.stamp.inode) == (
        status.st_size, status.st_mtime_ns, status.st_ino, )  # fmt: skip


def test_reading_leaves_the_file_as_it_is(layouts: dict[str, Path]) -> None:
    before = layouts["release"].read_bytes()
    open_checkpoint(layouts["release"])
    assert layouts["release"].read_bytes() == before


def test_a_checkpoint_that_is_not_xtts_keeps_its_keys(tmp_path: Path) -> None:
    keys = ["encoder.weight_g", "encoder.weight_v", "dvae.codebook"]
    header = open_checkpoint(save(tmp_path / "other.pth", {key: torch.ones(2) for key in keys}))
    assert list(header.tensors) == keys
    assert (header.layout, header.version, header.training_only) == ("plain", None, {})


def test_old_weight_norm_names_are_the_new_ones(tmp_path: Path) -> None:
    stem = "hifigan_decoder.waveform_decoder.ups.0"
    state = {f"{stem}.weight_g": torch.full((2, 1, 1), 3.0), f"{stem}.weight_v": torch.full((2, 3, 4), 5.0)}
    path = save(tmp_path / "old.pth", state)
    header = open_checkpoint(path)
    assert list(header.tensors) == [f"{stem}.parametrizations.weight.original{n}" for n in (0, 1)]
    for stored, tensor in zip(header.tensors.values(), state.values(), strict=True):
        assert_stored(path, stored, tensor)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("gpt.mel_head.bias", "xtts.gpt.mel_head.bias"),
        (
            "hifigan_decoder.waveform_decoder.ups.0.weight_g",
            "hifigan_decoder.waveform_decoder.ups.0.parametrizations.weight.original0",
        ),
        (
            "hifigan_decoder.waveform_decoder.ups.0.weight_v",
            "xtts.hifigan_decoder.waveform_decoder.ups.0.parametrizations.weight.original1",
        ),
    ],
)
def test_two_names_for_one_tensor_are_refused(tmp_path: Path, first: str, second: str) -> None:
    problem = refusal(save(tmp_path / "both.pth", {first: torch.ones(2), second: torch.ones(2)}))
    says(problem, "two tensors", first, second)
    assert problem.hint


def test_the_name_of_a_file_says_nothing_of_its_format(layouts: dict[str, Path], tmp_path: Path) -> None:
    for name in ("model.safetensors", "voice.bin", "noextension", "ünï cödé.pth"):
        renamed = tmp_path / name
        renamed.write_bytes(layouts["release"].read_bytes())
        header = open_checkpoint(renamed)
        assert header.format == "torch zip"
        assert len(header.tensors) == 963


def test_safetensors_are_recognised_under_any_name(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    text = json.dumps({"gpt.mel_head.bias": entry}, separators=(",", ":")).encode()
    path = tmp_path / "model.pth"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    assert open_checkpoint(path).format == "safetensors"


def test_a_link_is_followed(layouts: dict[str, Path], tmp_path: Path) -> None:
    link = tmp_path / "link.pth"
    link.symlink_to(layouts["bare"])
    assert open_checkpoint(link).path == link


@pytest.mark.parametrize("save_as", [save_pth, save_safetensors])
def test_a_name_longer_than_any_is_refused(tmp_path: Path, save_as: Callable[[Path, Sequence[str]], Path]) -> None:
    open_checkpoint(save_as(tmp_path / "model", ["w" * 500]))
    says(
        refusal(save_as(tmp_path / "model", ["w", "w" * 501])), "a tensor whose name has 501 characters", "at most 500"
    )


@pytest.mark.parametrize("save_as", [save_pth, save_safetensors])
def test_more_tensors_than_any_model_has_are_refused(
    tmp_path: Path, save_as: Callable[[Path, Sequence[str]], Path]
) -> None:
    names = list(map(str, range(20_001)))
    assert len(open_checkpoint(save_as(tmp_path / "model", names[1:])).tensors) == 20_000
    says(refusal(save_as(tmp_path / "model", names)), "holds 20,001 tensors", "at most 20,000")


# -- what is not a checkpoint


def _html(path: Path) -> None:
    path.write_text("\n<!DOCTYPE html><html><body>Access denied</body></html>")


def _lfs(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1868000000\n")


def _gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(b"PK\x03\x04" + bytes(100)))


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"model": {"w": [1.0]}}, protocol=2))


def _old_torch(path: Path) -> None:
    torch.save({"model": {"w": torch.ones(3)}}, path, _use_new_zipfile_serialization=False)


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def _zipped_checkpoint(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("voices/model.pth", "PK")


def _two_checkpoints(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", "")
        archive.writestr("b/data.pkl", "")


@pytest.mark.parametrize(
    ("make", "phrases"),
    [
        (Path.touch, ("is empty", "again")),
        (lambda path: path.write_bytes(bytes(4096)), ("zeros", "again")),
        (lambda path: path.write_bytes(b"\0"), ("zeros", "again")),
        (lambda path: path.write_text("Dear diary, this is no checkpoint."), ("not a checkpoint", "Dear dia")),
        (lambda path: path.write_bytes(b"PK"), ("not a checkpoint",)),
        (lambda path: path.write_bytes(b"\xfe\xed\xfa\xcf" * 20), ("not a checkpoint", "expected|zip")),
        (_html, ("web page", "get the file itself")),
        (_lfs, ("Git LFS pointer", "git lfs pull")),
        (_gzip, ("gzip", "unpack")),
        (_pickle, ("bare pickle", r"torch\.save")),
        (_old_torch, (r"before 1\.6", "save it again")),
        (_zip, ("no torch checkpoint", r"data\.pkl")),
        (_zipped_checkpoint, ("ordinary zip", r"voices/model\.pth", "unpack it")),
        (_two_checkpoints, ("no torch checkpoint", "2 data")),
        (lambda path: path.write_bytes(b"GGUF" + bytes(60)), ("GGUF",)),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(60)), ("HDF5",)),
        (lambda path: path.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(60)), ("7z", "unpack")),
        (lambda path: path.write_bytes(b"Rar!\x1a\x07" + bytes(60)), ("RAR", "unpack")),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00" + bytes(60)), ("numpy",)),
    ],
)
def test_a_file_that_is_no_checkpoint_is_called_what_it_is(
    tmp_path: Path, make: object, phrases: tuple[str, ...]
) -> None:
    path = tmp_path / "model.pth"
    assert callable(make)
    make(path)
    says(refusal(path), *phrases)


@pytest.mark.parametrize("cut", [1, 22, 1_000, 50_000, 100_000])
@pytest.mark.parametrize("file", ["release", "trainer"])
def test_a_truncated_checkpoint_is_refused(layouts: dict[str, Path], tmp_path: Path, file: str, cut: int) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(layouts[file].read_bytes()[:-cut])
    says(refusal(path), "cut short", "again")


def test_a_checkpoint_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.pth", {"a": torch.ones(3), "b": torch.ones(2, 2)}, step=5).read_bytes()
    path = tmp_path / "model.pth"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        says(refusal(path), "cut short|empty|not a checkpoint")


def test_a_directory_without_a_model_is_refused_with_the_checkpoints_in_it(tmp_path: Path) -> None:
    for name in ("checkpoint_9.pth", "dvae.pth", "voice.safetensors", "config.json"):
        (tmp_path / name).touch()
    problem = refusal(tmp_path)
    says(problem, "is a directory without a model", r"model\.pth or best_model\.pth")
    says(problem, r"name a file in it: checkpoint_9\.pth, voice\.safetensors")
    assert "config.json" not in words(problem)


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    says(refusal(tmp_path), "is a directory", r"name a \.pth or \.safetensors file")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    says(refusal(tmp_path / "nowhere.pth"), "cannot be read", "No such file")


def test_an_unset_variable_in_a_path_is_pointed_out(tmp_path: Path) -> None:
    says(refusal(tmp_path / "${XTTSRECIPE_UNSET}" / "model.pth"), "No such file", "environment variable")


@pytest.mark.parametrize("name", ["broken", "loop", "a\0b", "n" * 5000])
def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    says(refusal(tmp_path / name), "cannot be read")


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pth").touch()
    says(refusal(tmp_path / "model.pth" / "model.pth"), "cannot be read")


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "pipe.pth"
    os.mkfifo(path)
    with within(5):
        says(refusal(path), "pipe")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(device: str) -> None:
    with within(5):
        says(refusal(Path(device)), "device")


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Root may read everything: be someone else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that everyone may enter (pytest's own are private to the user)."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_an_unreadable_file_is_refused(public_folder: Path) -> None:
    path = save(public_folder / "model.pth", {"w": torch.ones(2)})
    path.chmod(0)
    with _as_nobody():
        problem = refusal(path)
    says(problem, "Permission denied", "read permission")


def test_a_file_in_an_unreadable_directory_is_refused(public_folder: Path) -> None:
    private = public_folder / "private"
    private.mkdir(mode=0)
    with _as_nobody():
        problem = refusal(private / "model.pth")
    says(problem, "Permission denied", "read permission")


def test_an_unreadable_directory_is_refused(public_folder: Path) -> None:
    private = public_folder / "private"
    private.mkdir(mode=0)
    with _as_nobody():
        problem = refusal(private)
    says(problem, "is a directory|Permission denied")


# -- torch stays out


@pytest.mark.parametrize("file", ["release", "trainer", "bare"])
def test_reading_imports_no_torch(layouts: dict[str, Path], file: str) -> None:
    code = """
import sys
from pathlib import Path
from xttsrecipe.checkpoints import open_checkpoint
assert len(open_checkpoint(Path(sys.argv[1])).tensors) == 963
assert not {"torch", "numpy", "safetensors"} & set(sys.modules), "torch was imported"
"""
    done = in_python(code, layouts[file])
    assert done.returncode == 0, done.stderr


def test_refusing_imports_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    _old_torch(path)
    code = """
import sys
from pathlib import Path
from xttsrecipe.checkpoints import open_checkpoint
from xttsrecipe.errors import CheckpointError
try:
    open_checkpoint(Path(sys.argv[1]))
except CheckpointError:
    assert "torch" not in sys.modules
    print("refused")
"""
    assert in_python(code, path).stdout == "refused\n"


def test_digests_are_equal_where_the_tensors_are(layouts: dict[str, Path], tmp_path: Path) -> None:
    same, other = tmp_path / "same.pth", tmp_path / "other.pth"
    torch.save(xtts_state(0), same)
    torch.save(xtts_state(1), other)
    bare = open_checkpoint(layouts["bare"]).digest
    assert open_checkpoint(same).digest == bare
    assert open_checkpoint(other).digest != bare
