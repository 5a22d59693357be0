"""XTTS models with vocabularies of their own, and the directories that they come in: small, as fine-tunes have them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tests.builders import save
from xttsrecipe.xtts import TEXT_ROWS

SPECIALS = ("[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]")
# Two vocabularies of as many rows that share six tokens, one of them under another id.
NEWS = {"[STOP]": 0, "[UNK]": 1, "[SPACE]": 2, "[START]": 3, "a": 4, "b": 5, "ab": 6, "n": 7}
AUDIOBOOK = {"[STOP]": 0, "[UNK]": 1, "[SPACE]": 2, "a": 3, "[START]": 4, "b": 5, "o": 6, "u": 7}


def vocabulary(tokens: Mapping[str, int], merges: Sequence[str] = (), **top: Any) -> dict[str, Any]:
    """A vocab.json as those of XTTS are; its special tokens are added tokens too."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": tokens[token], "content": token, **flags} for token in SPECIALS if token in tokens]
    model = {"type": "BPE", "unk_token": "[UNK]", "vocab": dict(tokens), "merges": list(merges)}
    return {"version": "1.0", "added_tokens": added, "normalizer": None, "model": model, **top}


def vocabulary_of_one_merged_token(ways: int) -> dict[str, Any]:
    """A vocab.json whose merges all join to one token: what is cut from their right parts is not looked at."""
    parts = [f"{number:06}n" for number in range(ways)]
    data = vocabulary({token: number for number, token in enumerate(["a", "an", *parts])})
    data["model"] |= {"continuing_subword_prefix": "######", "merges": [["a", part] for part in parts]}
    return data


def write_vocabulary(path: Path, tokens: Mapping[str, int], merges: Sequence[str] = (), **top: Any) -> Path:
    path.write_text(json.dumps(vocabulary(tokens, merges, **top), ensure_ascii=False), encoding="utf-8")
    return path


def rows_of(tokens: Mapping[str, int]) -> int:
    return max(tokens.values()) + 1


def text_state(rows: int, seed: int = 0, width: int = 2, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """The three text tensors with that many rows, in that type, and one tensor of each other part of XTTS."""
    generator = torch.Generator().manual_seed(seed)

    def floats(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    return {
        "gpt.text_embedding.weight": floats(rows, width).to(dtype),
        "gpt.conditioning_encoder.init.bias": floats(4),
        "gpt.gpt.h.0.ln_1.weight": floats(3),
        "gpt.text_head.weight": floats(rows, width).to(dtype),
        "gpt.text_head.bias": floats(rows).to(dtype),
        "hifigan_decoder.waveform_decoder.conv_pre.bias": floats(4),
        "hifigan_decoder.speaker_encoder.fc.bias": floats(3),
        "hifigan_decoder.speaker_encoder.bn1.num_batches_tracked": torch.tensor(7 + seed),
        "mel_stats": torch.tensor([1.0, 2.0, 3.0]),
    }


def trained(state: Mapping[str, torch.Tensor], seed: int = 0, dvae: bool = True) -> dict[str, torch.Tensor]:
    """The same model under trainer names, with a few training-only tensors; shrunk without dvae."""
    generator = torch.Generator().manual_seed(900 + seed)
    wrapped = {f"xtts.{key}": tensor for key, tensor in state.items()}
    wrapped["torch_mel_spectrogram_style_encoder.mel_stft.spectrogram.window"] = torch.rand(5, generator=generator)
    if dvae:
        wrapped["dvae.decoder.0.conv.bias"] = torch.rand(4, generator=generator)
        wrapped["dvae.codebook.cluster_size"] = torch.randint(0, 99, (3,), generator=generator)
    return wrapped


def config_of(tokens: Mapping[str, int], run: str = "voice", **arguments: Any) -> dict[str, Any]:
    """A config.json whose model_args fit a vocabulary."""
    text = {
        "gpt_number_text_tokens": rows_of(tokens),
        "gpt_start_text_token": tokens.get("[START]"),
        "gpt_stop_text_token": tokens.get("[STOP]"),
    }
    return {
        "model": "xtts",
        "run_name": run,
        "model_args": {"gpt_layers": 1, **text, **arguments},
        "languages": ["en"],
    }


def voice(
    folder: Path,
    tokens: Mapping[str, int] = NEWS,
    seed: int = 0,
    *,
    state: Mapping[str, torch.Tensor] | None = None,
    merges: Sequence[str] = (),
    without: Sequence[str] = (),
    **entries: Any,
) -> Path:
    """A model directory with all that the XTTS client and the trainer want, but for the files in ``without``.

    ``entries`` lie beside the model in model.pth.
    """
    folder.mkdir(parents=True)
    model = text_state(rows_of(tokens), seed) if state is None else state
    save(folder / "model.pth", model, **{"config": config_of(tokens, f"model {folder.name}"), **entries})
    config = json.dumps(config_of(tokens, folder.name), indent=2)
    (folder / "config.json").write_text(config.replace("\n", "\r\n"), encoding="utf-8", newline="")
    write_vocabulary(folder / "vocab.json", tokens, merges)
    torch.save({folder.name: {"gpt_cond_latent": torch.full((1, 2), float(seed))}}, folder / "speakers_xtts.pth")
    torch.save(torch.arange(4.0), folder / "mel_stats.pth")
    (folder / "dvae.pth").write_bytes(b"dvae of " + folder.name.encode("utf-8", "surrogateescape"))
    for name in without:
        (folder / name).unlink()
    return folder


def two_voices(folder: Path) -> dict[str, str]:
    """news/ and audiobook/ with different vocabularies: what a recipe's ``checkpoints`` says of them."""
    voice(folder / "news", NEWS, 1)
    voice(folder / "audiobook", AUDIOBOOK, 2)
    return {"news": "news", "audiobook": "audiobook"}


def row_tensors(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: state[key] for key in TEXT_ROWS}
