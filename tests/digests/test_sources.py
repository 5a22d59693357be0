from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests import samples
from xttsrecipe.checkpoints import open_checkpoint
from xttsrecipe.digests import cache as digest_cache
from xttsrecipe.digests.sources import SourceDigests, sha256_of
from xttsrecipe.errors import CheckpointError
from xttsrecipe.specs import Header


@pytest.fixture
def header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Header:
    monkeypatch.setenv(digest_cache.VARIABLE, str(tmp_path / "cache"))
    return open_checkpoint(samples.release(tmp_path / "news.pth"))


def test_it_is_that_of_the_file(header: Header) -> None:
    expected = hashlib.sha256(header.path.read_bytes()).hexdigest()
    assert sha256_of({"news": header, "same": header}) == {"news": expected, "same": expected}


def test_a_file_that_changed_since_its_header_was_read_is_an_error(header: Header) -> None:
    with header.path.open("ab") as file:
        file.write(b"more")
    with SourceDigests([header]) as digests, pytest.raises(CheckpointError, match="was changed or replaced"):
        digests.of(header)


def test_a_file_that_is_gone_is_an_error_that_names_it(header: Header) -> None:
    header.path.unlink()
    with SourceDigests([header]) as digests, pytest.raises(CheckpointError, match=r"news\.pth: cannot be read"):
        digests.of(header)


def test_nobody_need_ask(header: Header) -> None:
    header.path.unlink()
    with SourceDigests([header]):
        pass
