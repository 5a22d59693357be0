"""Two models in every pairing of layouts: what xttsrecipe merges, the real client loads, and speaks with."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from TTS.tts.models.xtts import Xtts

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
    """Model a in one layout merged with model b in another: 0.6 and 0.4, and, while that is looked at, 1 and 0.

    ``model``: the first of these in the client, ``digest``: of its file before that was loaded.
    """

    layouts: tuple[str, str]
    merged: Path
    digest: bytes
    model: Xtts
    all_a: Future[Path]
    all_b: Future[Path]


@pytest.fixture(scope="module")
def kitchen() -> Iterator[ThreadPoolExecutor]:
    """Runs commands while the client is busy, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(scope="module", params=PAIRINGS, ids=[row(*pairing) for pairing in PAIRINGS])
def blend(
    request: pytest.FixtureRequest,
    checkpoints: Checkpoints,
    kitchen: ThreadPoolExecutor,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Blend]:
    folder = tmp_path_factory.mktemp("blend")
    first, second = request.param
    sources = {"a": checkpoints.path(first, "a"), "b": checkpoints.path(second, "b")}
    merged, all_a, all_b = (
        kitchen.submit(merge, folder, sources, weights, name)
        for weights, name in ((WEIGHTS, "merged.pth"), ((1, 0), "all_a.pth"), ((0, 1), "all_b.pth"))
    )
    path = merged.result()
    digest = _digest(path)
    yield Blend(request.param, path, digest, checkpoints.load(path), all_a, all_b)
    wait((all_a, all_b))
    shutil.rmtree(folder)


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


@pytest.fixture(scope="module")
def selves(
    checkpoints: Checkpoints, kitchen: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Path]]]:
    """Model a in every layout, merged with itself."""
    folder = tmp_path_factory.mktemp("selves")
    paths = {layout: checkpoints.path(layout, "a") for layout in LAYOUTS}
    selves = {
        layout: kitchen.submit(merge, folder, {"one": path, "same": path}, WEIGHTS, f"{layout}.pth")
        for layout, path in paths.items()
    }
    yield selves
    wait(selves.values())
    shutil.rmtree(folder)


@pytest.mark.claim("loads strictly, speaks")
def test_loads_strictly_and_speaks(blend: Blend, checkpoints: Checkpoints) -> None:
    wave = client.speak(blend.model, checkpoints.reference)
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
def test_client_has_loaded_it_safely_and_left_it_as_it_was(blend: Blend) -> None:
    assert _digest(blend.merged) == blend.digest
    entries = torch.load(blend.merged, weights_only=True, mmap=True)
    assert not {"optimizer", "scheduler", "scaler"} & entries.keys()
    assert isinstance(entries["config"], dict)


@pytest.mark.claim("weight 1: the parent's voice")
def test_weight_one_is_that_parents_voice(blend: Blend, checkpoints: Checkpoints) -> None:
    for merged, layout, name in ((blend.all_a, blend.layouts[0], "a"), (blend.all_b, blend.layouts[1], "b")):
        wave = client.speak(checkpoints.load(merged.result()), checkpoints.reference)
        assert torch.equal(wave, checkpoints.voice(layout, name))


@pytest.mark.claim("with itself: its own voice")
@pytest.mark.parametrize("layout", LAYOUTS, ids=[row(layout, layout) for layout in LAYOUTS])
def test_with_itself_is_its_own_voice(layout: str, selves: dict[str, Future[Path]], checkpoints: Checkpoints) -> None:
    wave = client.speak(checkpoints.load(selves[layout].result()), checkpoints.reference)
    client.assert_speech(wave)
    assert torch.equal(wave, checkpoints.voice(layout, "a"))
