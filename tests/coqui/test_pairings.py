"""Two models in every pairing of layouts: what xttsrecipe merges, the real client loads, and speaks with."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from . import client
from .checkpoints import LAYOUTS, PAIRINGS, Checkpoints, canonical_state, row
from .command import merge

WEIGHTS = (0.6, 0.4)

# One of each kind: rows, attention, convolution under weight norm, its scale, running statistics, a buffer.
SOME_KEYS = (
    "gpt.text_embedding.weight",
    "gpt.text_head.bias",
    "gpt.gpt.h.1.attn.c_attn.weight",
    "gpt.conditioning_perceiver.latents",
    "hifigan_decoder.waveform_decoder.ups.0.parametrizations.weight.original0",
    "hifigan_decoder.waveform_decoder.ups.0.parametrizations.weight.original1",
    "hifigan_decoder.speaker_encoder.bn1.running_var",
    "mel_stats",
)


@dataclass(frozen=True)
class Blend:
    """0.6 of model a in one layout and 0.4 of model b in another."""

    layouts: tuple[str, str]
    merged: Path


@pytest.fixture(scope="module", params=PAIRINGS, ids=[row(*pairing) for pairing in PAIRINGS])
def blend(
    request: pytest.FixtureRequest, checkpoints: Checkpoints, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Blend]:
    folder = tmp_path_factory.mktemp("blend")
    yield Blend(request.param, merge(folder, _sources(checkpoints, request.param), WEIGHTS))
    shutil.rmtree(folder)


def _sources(checkpoints: Checkpoints, pairing: tuple[str, str]) -> dict[str, Path]:
    first, second = pairing
    return {"a": checkpoints.path(first, "a"), "b": checkpoints.path(second, "b")}


@pytest.mark.claim("loads strictly, speaks")
def test_loads_strictly_and_speaks(blend: Blend, checkpoints: Checkpoints) -> None:
    wave = client.speak(checkpoints.load(blend.merged), checkpoints.reference)
    client.assert_speech(wave)
    for layout, name in zip(blend.layouts, "ab", strict=True):
        assert not torch.equal(wave, checkpoints.voice(layout, name)), "a blend sounds like neither parent"


@pytest.mark.claim("is 0.6 a + 0.4 b")
def test_is_the_weighted_sum(blend: Blend, checkpoints: Checkpoints) -> None:
    a, b = (checkpoints.state(layout, name) for layout, name in zip(blend.layouts, "ab", strict=True))
    merged = canonical_state(blend.merged)
    for key in SOME_KEYS:
        # Half where both sources are; the sum is rounded to it once.
        half = a[key].dtype == b[key].dtype == torch.float16
        assert merged[key].dtype == (torch.float16 if half else torch.float32), key
        terms = 0.6 * a[key].double(), 0.4 * b[key].double()
        error = (merged[key].double() - sum(terms)).abs()
        bound = (2**-10 if half else 3e-7) * (terms[0].abs() + terms[1].abs())
        assert (error <= bound + (2**-24 if half else 0)).all(), key
    counters = [
        key for key, tensor in a.items() if key.endswith("num_batches_tracked") and not torch.equal(tensor, b[key])
    ]
    assert counters
    assert all(torch.equal(merged[key], a[key]) for key in counters), "counters come from the heavier"


@pytest.mark.claim("left as it is")
def test_client_loads_it_safely_and_leaves_it_as_it_is(blend: Blend, checkpoints: Checkpoints) -> None:
    before = hashlib.sha256(blend.merged.read_bytes()).digest()
    entries = torch.load(blend.merged, weights_only=True, mmap=True)
    assert not {"optimizer", "scheduler", "scaler"} & entries.keys()
    assert isinstance(entries["config"], dict)
    checkpoints.load(blend.merged)
    assert hashlib.sha256(blend.merged.read_bytes()).digest() == before


@pytest.mark.claim("weight 1: the parent's voice")
@pytest.mark.parametrize("pairing", PAIRINGS, ids=[row(*pairing) for pairing in PAIRINGS])
def test_weight_one_is_that_parents_voice(pairing: tuple[str, str], checkpoints: Checkpoints, scratch: Path) -> None:
    sources = _sources(checkpoints, pairing)
    with ThreadPoolExecutor() as pool:  # two commands at a time
        all_a = pool.submit(merge, scratch, sources, (1, 0), "all_a.pth")
        all_b = pool.submit(merge, scratch, sources, (0, 1), "all_b.pth")
    for merged, layout, name in ((all_a, pairing[0], "a"), (all_b, pairing[1], "b")):
        wave = client.speak(checkpoints.load(merged.result()), checkpoints.reference)
        assert torch.equal(wave, checkpoints.voice(layout, name))


@pytest.mark.claim("with itself: its own voice")
@pytest.mark.parametrize("layout", LAYOUTS, ids=[row(layout, "itself") for layout in LAYOUTS])
def test_with_itself_is_its_own_voice(layout: str, checkpoints: Checkpoints, scratch: Path) -> None:
    path = checkpoints.path(layout, "a")
    merged = merge(scratch, {"one": path, "same": path}, WEIGHTS)
    wave = client.speak(checkpoints.load(merged), checkpoints.reference)
    client.assert_speech(wave)
    assert torch.equal(wave, checkpoints.voice(layout, "a"))
