"""The one place that knows XTTS: its keys, layouts, versions, components and architecture.

A canonical key is the name a tensor has in a released model.pth. Layouts and key names were measured on coqui-tts; the
tensors of XTTS-V2 (2.0.3) are in ``data/xtts_v2_keys.tsv``.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bracex

from .codes import Code
from .errors import CheckpointError, Location, Problem
from .patterns import KeyTest, compile_pattern
from .specs import DType, FileStamp, Header, RawCheckpoint, StoredTensor, TensorSpec

# What ``Header.layout`` may be.
LAYOUTS = ("release", "trainer", "shrunk", "bare", "plain")
TRAINER_PREFIX = "xtts."
# The training wrapper's own modules, not part of the voice: carried from one source or dropped, never averaged.
_TRAINING_ONLY = ("dvae.", "torch_mel_spectrogram_")
# Tied to gpt.mel_embedding and gpt.gpt by init_gpt_for_inference; loading the model makes them anew.
_INFERENCE_COPIES = ("gpt.gpt_inference.", "gpt.gpt.wte.")
# Weight norm's names before and after TTS 0.20.3 (torch.nn.utils.parametrizations).
_WEIGHT_NORM = {
    ".weight_g": ".parametrizations.weight.original0",
    ".weight_v": ".parametrizations.weight.original1",
}

# What a model directory holds: the model, under one of these names, and what the client and the trainer load with it.
MODEL_FILES = ("model.pth", "best_model.pth")
CONFIG_FILE, VOCABULARY_FILE, SPEAKERS_FILE, MEL_STATS_FILE = (
    "config.json", "vocab.json", "speakers_xtts.pth", "mel_stats.pth",
)  # fmt: skip
COMPANION_FILES = (CONFIG_FILE, VOCABULARY_FILE, SPEAKERS_FILE, MEL_STATS_FILE, "dvae.pth")

# What Hugging Face shows of a model.
CARD_FILE = "README.md"

# All that a directory of ours may hold.
OUTPUT_FILES = (MODEL_FILES[0], *COMPANION_FILES, CARD_FILE)

# The tensors with a row for every token of the vocabulary.
TEXT_ROWS = ("gpt.text_embedding.weight", "gpt.text_head.weight", "gpt.text_head.bias")
TEXT_ROWS_PATTERN = "gpt.text_{embedding,head}.*"


@dataclass(frozen=True, slots=True)
class Component:
    """A part of XTTS that patterns may name. ``about``: what it is, for people; a group also has its ``leaves``."""

    about: str
    patterns: tuple[str, ...]
    leaves: tuple[str, ...] = ()


# Every tensor of XTTS-V2 belongs to exactly one.
LEAVES: Mapping[str, Component] = {
    "text_embedding": Component("text tokens into the GPT", ("gpt.text_embedding.*",)),
    "mel_embedding": Component("audio codes into the GPT", ("gpt.mel_embedding.*",)),
    "positions": Component("where tokens and codes stand", ("gpt.{text,mel}_pos_embedding.*",)),
    "conditioning_encoder": Component("the reference voice into the GPT", ("gpt.conditioning_encoder.*",)),
    "conditioning_perceiver": Component("the reference voice as 32 vectors", ("gpt.conditioning_perceiver.*",)),
    "attention": Component("self-attention of the GPT's layers", ("gpt.gpt.h.*.attn.*",)),
    "mlp": Component("feed-forward of the GPT's layers", ("gpt.gpt.h.*.mlp.*",)),
    "norms": Component("layer norms of the GPT", ("gpt.gpt.h.*.ln_{1,2}.*", "gpt.gpt.ln_f.*", "gpt.final_norm.*")),
    "text_head": Component("text tokens out of the GPT", ("gpt.text_head.*",)),
    "mel_head": Component("audio codes out of the GPT", ("gpt.mel_head.*",)),
    "speaker_encoder": Component("the reference voice as one vector", ("hifigan_decoder.speaker_encoder.*",)),
    "vocoder": Component("HiFi-GAN: GPT latents to sound", ("hifigan_decoder.waveform_decoder.*",)),
    "mel_stats": Component("scale of the 80 mel bands", ("mel_stats",)),
}


def _group(about: str, *leaves: str) -> Component:
    return Component(about, tuple(pattern for leaf in leaves for pattern in LEAVES[leaf].patterns), leaves)


_CONDITIONING = ("conditioning_encoder", "conditioning_perceiver")

# Names for several leaves together; one may lie within another.
GROUPS: Mapping[str, Component] = {
    "gpt": _group(
        "text and voice to audio codes", "text_embedding", "mel_embedding", "positions", *_CONDITIONING,
        "attention", "mlp", "norms", "text_head", "mel_head"),
    "conditioning": _group("what the GPT hears of the voice", *_CONDITIONING),
    "encoder": _group("listens to the reference voice", *_CONDITIONING, "speaker_encoder"),
    "decoder": _group("GPT latents to sound", "vocoder"),
}  # fmt: skip

# What ``@name`` stands for in a pattern, leaves first.
COMPONENTS: Mapping[str, tuple[str, ...]] = {name: part.patterns for name, part in {**LEAVES, **GROUPS}.items()}

# Fields of config.model_args that are a size of a tensor: key, dimension, and how much larger the tensor is (start,
# stop and conditioning have positions too).
_SIZES = {
    "gpt_n_model_channels": ("gpt.final_norm.weight", 0, 0),
    "gpt_num_audio_tokens": ("gpt.mel_embedding.weight", 0, 0),
    "gpt_max_text_tokens": ("gpt.text_pos_embedding.emb.weight", 0, 2),
    "gpt_max_audio_tokens": ("gpt.mel_pos_embedding.emb.weight", 0, 3),
    "decoder_input_dim": ("hifigan_decoder.waveform_decoder.conv_pre.weight", 1, 0),
    "d_vector_dim": ("hifigan_decoder.waveform_decoder.cond_layer.weight", 1, 0),
}
_LAYER = re.compile(r"gpt\.gpt\.h\.(\d+)\.")

# Fields of config.model_args on which the network's shapes or arithmetic depend. The text token counts are not among
# them: rows are checked by shape, and a rule may settle them.
_ARCHITECTURE = (
    "gpt_layers", "gpt_n_model_channels", "gpt_n_heads", "gpt_max_audio_tokens", "gpt_max_text_tokens",
    "gpt_max_prompt_tokens", "gpt_num_audio_tokens", "gpt_start_audio_token", "gpt_stop_audio_token",
    "gpt_code_stride_len", "gpt_use_perceiver_resampler", "input_sample_rate", "output_sample_rate",
    "output_hop_length", "decoder_input_dim", "d_vector_dim", "cond_d_vector_in_each_upsampling_layer",
    "duration_const", )  # fmt: skip
# Those that say what the rows of the text tensors are.
_TEXT_TOKENS = ("gpt_number_text_tokens", "gpt_start_text_token", "gpt_stop_text_token")


def canonical_key(stored: str) -> str:
    """The release name of a tensor that a file calls ``stored``."""
    key = stored.removeprefix(TRAINER_PREFIX)
    for old, new in _WEIGHT_NORM.items():
        if key.endswith(old):
            return key.removesuffix(old) + new
    return key


@functools.cache
def _component_tests() -> Mapping[str, KeyTest]:
    return {name: compile_pattern(f"@{name}", COMPONENTS) for name in LEAVES}


def component_of(key: str) -> str:
    """The leaf component that a canonical key belongs to; for a key that is none of XTTS-V2's, its first part."""
    for name, test in _component_tests().items():
        if test(key):
            return name
    return key.partition(".")[0]


def layer_of(key: str) -> tuple[int, str] | None:
    """The number of the GPT layer that a canonical key belongs to, and the rest of the key; None for any other key."""
    match = _LAYER.match(key)
    return (int(match[1]), key[match.end() :]) if match else None


def is_training_only(key: str) -> bool:
    """Whether a canonical key belongs to the training wrapper (dvae, spectrograms), not to the voice."""
    return key.startswith(_TRAINING_ONLY)


def has_dvae(header: Header) -> bool:
    """Whether a checkpoint has all that is for training only; shrunk ones lost the greater part."""
    return any(key.startswith("dvae.") for key in header.training_only)


def is_listening(key: str) -> bool:
    """Whether a tensor takes part in turning a reference recording into the latents of a voice."""
    return key == "mel_stats" or _encoder_test()(key)


@functools.cache
def _encoder_test() -> KeyTest:
    return compile_pattern("@encoder", COMPONENTS)


@functools.cache
def known_tensors() -> Mapping[str, TensorSpec]:
    """The tensors of XTTS-V2 (2.0.3, release layout, 963) by canonical key, in the order of the published file."""
    return {key: spec for key, spec in _table().items() if not is_training_only(key)}


@functools.cache
def training_only_tensors() -> Mapping[str, TensorSpec]:
    """The tensors that trainer checkpoints carry beside the model (60), in the trainer's order."""
    return {key: spec for key, spec in _table().items() if is_training_only(key)}


@functools.cache
def _table() -> Mapping[str, TensorSpec]:
    text = (Path(__file__).parent / "data" / "xtts_v2_keys.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    table: dict[str, TensorSpec] = {}
    for prefix, block in itertools.groupby(rows, key=lambda row: row[0][: row[0].find("}") + 1] or row[0]):
        lines = list(block)
        for start in bracex.expand(prefix):
            for key, shape, dtype in lines:
                sizes = () if shape == "scalar" else tuple(map(int, shape.split("x")))
                table[start + key[len(prefix) :]] = TensorSpec(sizes, DType[dtype.upper()])
    return table


def header_of(raw: RawCheckpoint, path: Path, stamp: FileStamp) -> Header:
    """What a checkpoint file is: its layout, version, and its tensors under canonical keys.

    A checkpoint that is not XTTS keeps its keys. Raises CheckpointError where two stored names mean one tensor.
    """
    plain = Header(
        path=path,
        stamp=stamp,
        format=raw.format,
        layout="plain",
        trainer_keys=False,
        version=None,
        tensors=raw.tensors,
        training_only={},
        leftovers=(),
        entries=raw.entries,
        bulk=raw.bulk,
        digest=raw.digest,
    )
    if not _is_xtts(raw.tensors):
        return plain
    tensors: dict[str, StoredTensor] = {}
    training_only: dict[str, StoredTensor] = {}
    leftovers: list[str] = []
    for stored, tensor in raw.tensors.items():
        key = canonical_key(stored)
        if key.startswith(_INFERENCE_COPIES):
            leftovers.append(stored)
            continue
        group = training_only if is_training_only(key) else tensors
        if key in group:
            raise CheckpointError(
                Problem(
                    Code.MIXED_LAYOUTS,
                    f"holds two tensors for {key}",
                    Location(str(path)),
                    found=f"{group[key].name} and {stored}",
                    expected="one of them",
                    hint="the file was put together from two layouts; save the model's state dict anew",
                )
            )
        group[key] = tensor
    trainer_keys = any(stored.startswith(TRAINER_PREFIX) for stored in raw.tensors)
    return replace(
        plain,
        layout=_layout(raw, trainer_keys),
        trainer_keys=trainer_keys,
        version=_version(tensors, leftovers),
        tensors=tensors,
        training_only=training_only,
        leftovers=tuple(leftovers),
    )


def _is_xtts(stored: Iterable[str]) -> bool:
    known = known_tensors()
    return any(
        name.startswith(TRAINER_PREFIX) or (canonical_key(name) in known and name != "mel_stats") for name in stored
    )


def _layout(raw: RawCheckpoint, trainer_keys: bool) -> str:
    if trainer_keys:
        return "trainer" if any(name.startswith("dvae.") for name in raw.tensors) else "shrunk"
    return "release" if raw.wrapped or raw.format == "safetensors" else "bare"


def _version(tensors: Mapping[str, StoredTensor], leftovers: Sequence[str]) -> str | None:
    """The XTTS version, told by shapes and keys: what the config says is often another model's."""
    if _is_v1(tensors):
        # Coqui's own test: of two equal networks v1 was published with the inference copies, v1.1 without.
        copies = any(canonical_key(name).startswith("gpt.gpt_inference.") for name in leftovers)
        return "v1" if copies else "v1.1"
    rows = _rows(tensors, TEXT_ROWS[0])
    if rows is None:
        return "v2" if _rows(tensors, "gpt.mel_embedding.weight") == 1026 else None
    match rows:
        case 6153:
            return "v2.0.0-2.0.2"
        case 6681:
            return "v2.0.3"
    return f"v2, {'extended' if rows > 6153 else 'own'} vocabulary ({rows} rows)"


def is_version(text: str) -> bool:
    """Whether this is what the version of a header may be."""
    return (
        re.fullmatch(r"v1(\.1)?|v2(\.0\.0-2\.0\.2|\.0\.3|, (extended|own) vocabulary \([0-9]+ rows\))?", text)
        is not None
    )


def _is_v1(tensors: Mapping[str, StoredTensor]) -> bool:
    if any(key.startswith("gpt.conditioning_perceiver.") for key in tensors):
        return False
    return "gpt.prompt_embedding.weight" in tensors or _rows(tensors, "gpt.mel_embedding.weight") == 8194


def _rows(tensors: Mapping[str, StoredTensor], key: str) -> int | None:
    return tensors[key].spec.rows or None if key in tensors else None


def generation(header: Header) -> str | None:
    """``v1`` (v1.1 too) or ``v2``: what cannot be merged across."""
    return header.version[:2] if header.version else None


def model_arguments(config: Any) -> Mapping[str, Any]:
    """``model_args`` of a config, as far as it has them."""
    arguments = config.get("model_args") if isinstance(config, Mapping) else None
    return arguments if isinstance(arguments, Mapping) else {}


def size_misfits(config: Any, specs: Mapping[str, TensorSpec]) -> list[str]:
    """Where a config says other sizes than the tensors (by canonical key) have, in words."""
    layers = [int(match[1]) for key in specs if (match := _LAYER.match(key))]
    found = {"gpt_layers": max(layers) + 1} if layers else {}
    for field, (key, dimension, more) in _SIZES.items():
        if key in specs and len(specs[key].shape) > dimension:
            found[field] = specs[key].shape[dimension] - more
    said = model_arguments(config)
    return [
        f"model_args.{field} is {said[field]!r}, the tensors have {size}"
        for field, size in found.items()
        if said.get(field) not in (None, size)
    ]


def planned_arguments(config: Any) -> Mapping[str, Any]:
    """The fields of a config that a plan looks at, as far as the config says them."""
    arguments = model_arguments(config)
    return {name: arguments[name] for name in (*_ARCHITECTURE, *_TEXT_TOKENS) if arguments.get(name) is not None}


def architecture(config: Any) -> Mapping[str, Any]:
    """The fields of a config on which the network depends, as far as the config says them."""
    arguments = model_arguments(config)
    return {name: arguments[name] for name in _ARCHITECTURE if arguments.get(name) is not None}
