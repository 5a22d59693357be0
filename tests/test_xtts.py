from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.errors import CheckpointError
from xttsrecipe.patterns import compile_pattern
from xttsrecipe.specs import (
    DType,
    FileStamp,
    Header,
    RawCheckpoint,
    StoredTensor,
    TensorSpec,
    contiguous_strides,
    shape_text,
)
from xttsrecipe.xtts import (
    COMPONENTS,
    GROUPS,
    LEAVES,
    TEXT_ROWS,
    architecture,
    canonical_key,
    component_of,
    generation,
    header_of,
    is_training_only,
    known_tensors,
    size_misfits,
    training_only_tensors,
)

# sha256 of the lines "key<TAB>shape<TAB>type" measured on the real classes (xtts_v2_release_keys.tsv; for the second,
# the lines of xtts_v2_trainer_keys.tsv without the prefix xtts.), in the order of those files.
RELEASE_DIGEST = "5b2d6306938e686fc3a96e4019b327f47a8a030df5f3a5832be6b036d7ef2d47"
TRAINING_ONLY_DIGEST = "059179525f08c3e7f2febf0cb420c29aa7c45c8692bfdbcc29fd4fd505d292a7"

KNOWN = tuple(known_tensors())
OLD_NAMES = {".parametrizations.weight.original0": ".weight_g", ".parametrizations.weight.original1": ".weight_v"}


def digest(tensors: Mapping[str, TensorSpec]) -> str:
    lines = "".join(f"{key}\t{shape_text(spec.shape)}\t{spec.dtype}\n" for key, spec in tensors.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def header(
    specs: Mapping[str, TensorSpec], *, wrapped: bool = True, kind: str = "torch zip", entries: object = None
) -> Header:
    """The header of a file that holds these tensors, wherever."""
    tensors = {key: StoredTensor(key, spec, 64, contiguous_strides(spec.shape)) for key, spec in specs.items()}
    raw = RawCheckpoint(kind, tensors, {"config": entries}, {}, wrapped, "0" * 64)
    return header_of(raw, Path("model.pth"), FileStamp(1, 2, 3))


def floats(*shape: int) -> TensorSpec:
    return TensorSpec(shape, DType.FLOAT32)


# -- the table of keys


def test_the_tables_are_the_measured_ones() -> None:
    assert (len(known_tensors()), len(training_only_tensors())) == (963, 60)
    assert digest(known_tensors()) == RELEASE_DIGEST
    assert digest(training_only_tensors()) == TRAINING_ONLY_DIGEST


def test_the_table_has_the_figures_of_the_published_model() -> None:
    specs = known_tensors().values()
    assert sum(spec.dtype is DType.FLOAT32 for spec in specs) == 926
    assert sum(spec == TensorSpec((), DType.INT64) for spec in specs) == 37
    assert round(sum(spec.numel for spec in specs) / 1e6, 1) == 466.9
    assert max(specs, key=lambda spec: spec.nbytes) == floats(6681, 1024)
    assert sum(key.startswith("gpt.") for key in KNOWN) == 426
    assert sum(key.startswith("hifigan_decoder.") for key in KNOWN) == 536


def test_known_keys_are_canonical_and_none_is_training_only() -> None:
    assert all(canonical_key(key) == key and not is_training_only(key) for key in KNOWN)
    assert all(canonical_key(key) == key and is_training_only(key) for key in training_only_tensors())


def test_text_rows_are_what_depends_on_the_vocabulary() -> None:
    assert {key for key, spec in known_tensors().items() if 6681 in spec.shape} == set(TEXT_ROWS)


# -- components


def keys_of(name: str) -> set[str]:
    """The keys of XTTS-V2 that a component has."""
    return set(filter(compile_pattern(f"@{name}", COMPONENTS), KNOWN))


def test_every_known_key_belongs_to_exactly_one_leaf() -> None:
    tests = {name: compile_pattern(f"@{name}", COMPONENTS) for name in LEAVES}
    for key in KNOWN:
        assert [name for name, test in tests.items() if test(key)] == [component_of(key)]


def test_every_leaf_has_keys() -> None:
    assert {component_of(key) for key in KNOWN} == set(LEAVES)


@pytest.mark.parametrize("name", COMPONENTS)
def test_no_component_has_training_only_keys(name: str) -> None:
    test = compile_pattern(f"@{name}", COMPONENTS)
    assert not any(map(test, training_only_tensors()))
    assert not any(test(f"xtts.{key}") for key in KNOWN)  # rules are over canonical keys
    assert name not in {component_of(key) for key in training_only_tensors()}


def test_components_are_leaves_and_groups_of_them_under_names_of_their_own() -> None:
    assert list(COMPONENTS) == [*LEAVES, *GROUPS]
    assert not set(LEAVES) & set(GROUPS)
    assert not any(part.leaves for part in LEAVES.values())
    assert all(part.about for part in (*LEAVES.values(), *GROUPS.values()))


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_is_its_leaves(name: str) -> None:
    leaves = GROUPS[name].leaves
    assert set(leaves) <= set(LEAVES)
    assert len(set(leaves)) == len(leaves)
    assert keys_of(name) == set().union(*map(keys_of, leaves))


@pytest.mark.parametrize(
    ("name", "starts"),
    [
        ("gpt", ("gpt.",)),
        ("conditioning", ("gpt.conditioning_encoder.", "gpt.conditioning_perceiver.")),
        ("encoder", ("gpt.conditioning_", "hifigan_decoder.speaker_encoder.")),
        ("decoder", ("hifigan_decoder.waveform_decoder.",)),
    ],
)
def test_a_group_has_what_its_name_promises(name: str, starts: tuple[str, ...]) -> None:
    assert keys_of(name) == {key for key in KNOWN if key.startswith(starts)}


def test_the_readme_has_the_components_of_the_code() -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    section = text.partition("\n## Components\n")[2].partition("\n## ")[0]
    table, parts = section.split("\n| component |")[1].split("\n| part |")
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines() if "`" in line[:4]]
    code = {f"`@{name}`": (part.about, part.patterns) for name, part in LEAVES.items()}
    code |= {f"`@{name}`": (part.about, tuple(f"@{leaf}" for leaf in part.leaves)) for name, part in GROUPS.items()}
    assert [(name, (about, tuple(re.findall(r"`(.+?)`", what)))) for name, about, what in rows] == list(code.items())
    assert set(re.findall(r"`@(\w+)`", parts)) <= set(COMPONENTS)
    assert re.findall(r"(?m)^\| ([\w-]+) \| ", parts) == ["encoder", "decoder", "attention", "post-net"]


def test_encoder_and_decoder_share_nothing() -> None:
    assert not keys_of("encoder") & keys_of("decoder")


@pytest.mark.parametrize(("key", "name"), [("encoder.layer.0.bias", "encoder"), ("bias", "bias"), ("", "")])
def test_a_key_of_another_model_belongs_to_its_first_part(key: str, name: str) -> None:
    assert component_of(key) == name


# -- canonical keys


@pytest.mark.parametrize(
    ("stored", "key"),
    [
        ("gpt.mel_head.bias", "gpt.mel_head.bias"),
        ("xtts.gpt.mel_head.bias", "gpt.mel_head.bias"),
        ("xtts.mel_stats", "mel_stats"),
        ("dvae.codebook.embed", "dvae.codebook.embed"),
        ("a.weight_g", "a.parametrizations.weight.original0"),
        ("xtts.a.weight_v", "a.parametrizations.weight.original1"),
        ("a.weight_g.b", "a.weight_g.b"),
        ("weight_g", "weight_g"),
        ("not.xtts.a", "not.xtts.a"),
        ("xttsx.a", "xttsx.a"),
    ],
)
def test_canonical_keys(stored: str, key: str) -> None:
    assert canonical_key(stored) == key


@given(st.sampled_from(KNOWN), st.booleans(), st.booleans())
def test_every_stored_form_of_a_key_leads_to_it(key: str, prefixed: bool, old: bool) -> None:
    stored = key
    for new, former in OLD_NAMES.items() if old else ():
        if key.endswith(new):
            stored = key.removesuffix(new) + former
    stored = f"xtts.{stored}" if prefixed else stored
    assert canonical_key(stored) == key
    assert canonical_key(canonical_key(stored)) == key


@given(st.lists(st.sampled_from(["xtts", "gpt", "weight_g", "weight_v", "parametrizations", "0", "", "é"]), max_size=5))
def test_a_canonical_key_is_its_own(parts: list[str]) -> None:
    stored = ".".join(parts)
    if not stored.startswith("xtts.xtts."):  # one wrapper is stripped, not what it wraps
        assert canonical_key(canonical_key(stored)) == canonical_key(stored)


# -- layouts

RELEASE = known_tensors()
TRAINER = {f"xtts.{key}": spec for key, spec in known_tensors().items()} | dict(training_only_tensors())
SHRUNK = {key: spec for key, spec in TRAINER.items() if "dvae" not in key}


@pytest.mark.parametrize(
    ("specs", "wrapped", "kind", "layout", "trainer_keys"),
    [
        (RELEASE, True, "torch zip", "release", False),
        (RELEASE, False, "torch zip", "bare", False),
        (RELEASE, False, "safetensors", "release", False),
        (TRAINER, True, "torch zip", "trainer", True),
        (TRAINER, False, "torch zip", "trainer", True),
        (TRAINER, False, "safetensors", "trainer", True),
        (SHRUNK, True, "torch zip", "shrunk", True),
    ],
)
def test_layouts(specs: Mapping[str, TensorSpec], wrapped: bool, kind: str, layout: str, trainer_keys: bool) -> None:
    found = header(specs, wrapped=wrapped, kind=kind)
    assert (found.layout, found.trainer_keys, found.version) == (layout, trainer_keys, "v2.0.3")
    assert set(found.tensors) == set(KNOWN)
    assert {key: tensor.spec for key, tensor in found.tensors.items()} == known_tensors()
    assert set(found.training_only) == {key for key in specs if is_training_only(key)}


def test_the_dvae_of_another_model_is_no_training_weight() -> None:
    found = header({"dvae.codebook": floats(2), "mel_stats": floats(80), "encoder.weight_g": floats(1)})
    assert (found.layout, found.training_only) == ("plain", {})
    assert list(found.tensors) == ["dvae.codebook", "mel_stats", "encoder.weight_g"]


@pytest.mark.parametrize("prefix", ["", "xtts."])
def test_copies_that_inference_leaves_are_set_aside(prefix: str) -> None:
    copies = ["gpt.gpt.wte.weight", "gpt.gpt_inference.transformer.wte.weight", "gpt.gpt_inference.lm_head.1.bias"]
    found = header({f"{prefix}{key}": floats(2) for key in ["gpt.mel_head.bias", *copies]})
    assert found.leftovers == tuple(f"{prefix}{key}" for key in copies)
    assert list(found.tensors) == ["gpt.mel_head.bias"]


def test_old_weight_norm_is_recognised_by_itself() -> None:
    key = "hifigan_decoder.waveform_decoder.ups.0.parametrizations.weight.original0"
    found = header({"hifigan_decoder.waveform_decoder.ups.0.weight_g": known_tensors()[key]})
    assert (found.layout, list(found.tensors)) == ("release", [key])


@pytest.mark.parametrize("twice", ["gpt.mel_head.bias", "dvae_is_not_this.mel_head", "torch_mel_spectrogram_dvae.x"])
def test_two_stored_names_of_one_tensor_are_an_error(twice: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        header({twice: floats(2), f"xtts.{twice}": floats(2)})
    (problem,) = caught.value.problems
    assert problem.what == f"holds two tensors for {twice}"
    assert problem.found == f"{twice} and xtts.{twice}"


# -- versions


def rows(
    text: int | None, mel: int | None = 1026, more: Mapping[str, TensorSpec] | None = None
) -> Mapping[str, TensorSpec]:
    specs = {"gpt.mel_head.bias": floats(2), **(more or {})}
    if text is not None:
        specs["gpt.text_embedding.weight"] = floats(text, 1024)
    if mel is not None:
        specs["gpt.mel_embedding.weight"] = floats(mel, 1024)
    return specs


PROMPT = {"gpt.prompt_embedding.weight": floats(8194, 1024)}
COPIES = {"gpt.gpt_inference.lm_head.1.bias": floats(2)}


@pytest.mark.parametrize(
    ("specs", "version", "major"),
    [
        (rows(6681), "v2.0.3", "v2"),
        (rows(6153), "v2.0.0-2.0.2", "v2"),
        (rows(6154), "v2, extended vocabulary (6154 rows)", "v2"),
        (rows(6700), "v2, extended vocabulary (6700 rows)", "v2"),
        (rows(7544), "v2, extended vocabulary (7544 rows)", "v2"),
        (rows(5024), "v2, own vocabulary (5024 rows)", "v2"),
        (rows(None), "v2", "v2"),
        (rows(None, mel=None), None, None),
        (rows(6153, mel=8194), "v1.1", "v1"),
        (rows(6153, mel=8194, more=COPIES), "v1", "v1"),
        (rows(6153, mel=8194, more={"gpt.gpt.wte.weight": floats(2)}), "v1.1", "v1"),
        (rows(5024, mel=None, more=PROMPT), "v1.1", "v1"),
        (rows(5024, mel=None, more={**PROMPT, **COPIES}), "v1", "v1"),
        ({f"xtts.{key}": spec for key, spec in rows(5024, mel=8194, more=COPIES).items()}, "v1", "v1"),
        (rows(6681, more=COPIES), "v2.0.3", "v2"),
        (rows(6681, mel=8194, more={"gpt.conditioning_perceiver.latents": floats(32, 1024)}), "v2.0.3", "v2"),
        ({"encoder.bias": floats(2)}, None, None),
    ],
)
def test_versions_are_told_by_shapes_and_keys(
    specs: Mapping[str, TensorSpec], version: str | None, major: str | None
) -> None:
    found = header(specs)
    assert (found.version, generation(found)) == (version, major)


def test_a_scalar_where_rows_are_expected_has_no_version() -> None:
    found = header({"gpt.text_embedding.weight": floats(), "gpt.mel_embedding.weight": floats()})
    assert found.version is None


# -- architecture


def test_the_architecture_is_what_the_network_depends_on() -> None:
    arguments = {"gpt_layers": 30, "d_vector_dim": 512, "tokenizer_file": "vocab.json", "gpt_n_heads": None}
    assert architecture({"model": "xtts", "model_args": arguments}) == {"gpt_layers": 30, "d_vector_dim": 512}


@pytest.mark.parametrize("config", [None, {}, {"model_args": None}, {"model_args": "XttsArgs"}, "XttsConfig", [1]])
def test_a_config_that_says_nothing_has_no_architecture(config: object) -> None:
    assert architecture(config) == {}


@pytest.mark.parametrize(
    ("arguments", "misfits"),
    [
        ({"gpt_layers": 30, "gpt_n_model_channels": 1024, "gpt_num_audio_tokens": 1026}, []),
        ({"gpt_layers": None, "gpt_number_text_tokens": 5}, []),
        ({}, []),
        ({"gpt_layers": 12}, ["model_args.gpt_layers is 12, the tensors have 30"]),
        (
            {"gpt_n_model_channels": 512, "gpt_num_audio_tokens": 8194},
            [
                "model_args.gpt_n_model_channels is 512, the tensors have 1024",
                "model_args.gpt_num_audio_tokens is 8194, the tensors have 1026",
            ],
        ),
    ],
)
def test_sizes_of_a_config_are_held_to_the_tensors(arguments: dict[str, object], misfits: list[str]) -> None:
    assert size_misfits({"model_args": arguments}, known_tensors()) == misfits
    assert size_misfits({"model_args": arguments}, {}) == []
    assert size_misfits(None, known_tensors()) == []
