"""The files beside a merged model: which, whose, and what a user is warned of, each warning exactly when it is due."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.builders import save
from tests.merging import folder_bytes, recipe_of
from tests.voices import AUDIOBOOK, NEWS, config_of, text_state, two_voices, voice, write_vocabulary
from xttsrecipe.api import make_plan, run
from xttsrecipe.companions import vocabulary_name
from xttsrecipe.errors import Problem, RecipeError, XttsRecipeError
from xttsrecipe.plan import Plan
from xttsrecipe.xtts import TEXT_ROWS_PATTERN

COPIED = ("speakers_xtts.pth", "mel_stats.pth", "dvae.pth")
ALL = ("config.json", "vocab.json", *COPIED)
SPEAKERS = "the speaker latents in speakers_xtts.pth come from "
LISTENS = {"@encoder": "from news", "mel_stats": "from news"}


def plan_of(folder: Path, checkpoints: Mapping[str, str], output: str = "out/", **fields: Any) -> Plan:
    return make_plan(recipe_of(folder, checkpoints, output, **fields), card=False)


def problems_of(folder: Path, checkpoints: Mapping[str, str], **fields: Any) -> tuple[Problem, ...]:
    with pytest.raises(RecipeError) as caught:
        plan_of(folder, checkpoints, **fields)
    return caught.value.problems


def equal_voices(folder: Path, *names: str) -> dict[str, str]:
    """Directories of one vocabulary, each with companions of its own."""
    for seed, name in enumerate(names, 1):
        voice(folder / name, NEWS, seed)
    return {name: name for name in names}


def owners(plan: Plan) -> dict[str, str]:
    """Whose each copied file is."""
    copied = [(file.name, file.data) for file in plan.companions if not isinstance(file.data, bytes)]
    return {name: data.path.parent.name for name, data in copied}


# --- which, and whose --------------------------------------------------------------------------------------------


def test_a_directory_gets_all_that_the_client_and_the_trainer_want(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, two_voices(tmp_path))
    assert [(file.name, file.origin) for file in plan.companions] == [
        ("config.json", "of news, with the output's text tokens"),
        ("vocab.json", "merged from news and audiobook"),
        ("speakers_xtts.pth", "of news"),
        ("mel_stats.pth", "of news"),
        ("dvae.pth", "of news"),
    ]
    run(plan)
    written = folder_bytes(tmp_path / "out")
    assert set(written) == {"model.pth", *ALL}
    for name in COPIED:
        assert written[name] == (tmp_path / "news" / name).read_bytes()
    assert sum(file.nbytes for file in plan.companions) == sum(len(written[name] or b"") for name in ALL)


def test_a_copy_is_made_of_what_a_link_leads_to(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "news")
    (tmp_path / "news/speakers_xtts.pth").rename(tmp_path / "speakers.pth")
    (tmp_path / "news/speakers_xtts.pth").symlink_to("../speakers.pth")
    run(plan_of(tmp_path, checkpoints))
    copy = tmp_path / "out/speakers_xtts.pth"
    assert not copy.is_symlink()
    assert copy.read_bytes() == (tmp_path / "speakers.pth").read_bytes()


@pytest.mark.parametrize(
    ("weights", "owner"),
    [
        ([1 / 3, 1 / 3, 1 / 3], "a"),
        ([0.3, 0.4, 0.3], "b"),
        ([0.2, 0.4, 0.4], "b"),
        ([-1, 0, 2], "c"),
        ([0, 0.5, 0.5], "b"),
    ],
)
def test_they_are_the_heaviest_directorys_the_first_of_equals(weights: list[float], owner: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, equal_voices(tmp_path, "a", "b", "c"), weights=weights)
    assert set(owners(plan).values()) == {owner}


def test_a_heavier_file_has_none_to_give(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "a", "b")
    voice(tmp_path / "file", NEWS, 3)
    checkpoints = {"file": "file/model.pth", **checkpoints}
    plan = plan_of(tmp_path, checkpoints, weights=[0.8, 0.05, 0.15])
    assert set(owners(plan).values()) == {"b"}
    assert plan.metadata.config is not None
    assert plan.metadata.config["run_name"] == "model file"  # metadata.from, another matter


def test_nor_has_a_directory_with_nothing_but_a_model(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "bare", "full")
    for name in ALL:
        (tmp_path / "bare" / name).unlink()
    plan = plan_of(tmp_path, checkpoints, weights=[0.9, 0.1])
    assert set(owners(plan).values()) == {"full"}


@pytest.mark.parametrize("companions", ["from b", {"from": "b"}])
@pytest.mark.parametrize("weights", [[0.9, 0.1], [1, 0]])
def test_the_recipe_may_name_another(companions: object, weights: list[float], tmp_path: Path) -> None:
    plan = plan_of(tmp_path, equal_voices(tmp_path, "a", "b"), weights=weights, companions=companions)
    assert owners(plan) == dict.fromkeys(("config.json", *COPIED), "b")
    assert plan.metadata.config is not None
    assert plan.metadata.config["run_name"] == "a"


def test_what_its_owner_lacks_is_not_taken_from_another(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "a", "b")
    (tmp_path / "a/speakers_xtts.pth").unlink()
    (tmp_path / "a/dvae.pth").unlink()
    run(plan_of(tmp_path, checkpoints))
    assert set(folder_bytes(tmp_path / "out")) == {"model.pth", "config.json", "vocab.json", "mel_stats.pth"}


def test_where_the_owner_lacks_a_config_it_is_the_checkpoints(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "a", "b")
    (tmp_path / "b/config.json").unlink()
    plan = plan_of(tmp_path, checkpoints, companions="from b")
    config = plan.companions[0]
    assert (config.name, config.origin) == ("config.json", "the checkpoint's")
    assert isinstance(config.data, bytes)
    assert json.loads(config.data) == plan.metadata.config


def test_where_one_names_the_vocabulary_it_is_the_one_that_is_written(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "a")
    write_vocabulary(tmp_path / "other.json", NEWS, ["a b"])
    run(plan_of(tmp_path, checkpoints, vocabulary={"a": "other.json"}))
    assert (tmp_path / "out/vocab.json").read_bytes() == (tmp_path / "other.json").read_bytes()


def test_files_alone_make_a_directory_where_config_and_vocabulary_are_known(tmp_path: Path) -> None:
    for seed, name in enumerate("ab", 1):
        save(tmp_path / f"{name}.pth", text_state(8, seed), config=config_of(NEWS, name))
    write_vocabulary(tmp_path / "a.json", NEWS)
    plan = plan_of(tmp_path, {"a": "a.pth", "b": "b.pth"}, vocabulary={"a": "a.json"})
    run(plan)
    assert set(folder_bytes(tmp_path / "out")) == {"model.pth", "config.json", "vocab.json"}
    assert json.loads((tmp_path / "out/config.json").read_bytes()) == config_of(NEWS, "a")
    assert (tmp_path / "out/vocab.json").read_bytes() == (tmp_path / "a.json").read_bytes()
    assert plan.warnings == (
        "the vocabulary of b is not known: its rows are taken to mean what a's do",
        "no source is a model directory: the output has no speakers_xtts.pth",
    )


def test_an_output_is_a_source_like_any_other(tmp_path: Path) -> None:
    run(plan_of(tmp_path, two_voices(tmp_path)))
    plan = plan_of(tmp_path, {"out": "out"}, "again/")
    run(plan)
    first, second = folder_bytes(tmp_path / "out"), folder_bytes(tmp_path / "again")
    assert {name: first[name] for name in ALL} == {name: second[name] for name in ALL}
    assert plan.warnings == ()


# --- what cannot be written --------------------------------------------------------------------------------------


def test_without_any_config_there_is_no_directory(tmp_path: Path) -> None:
    save(tmp_path / "a.pth", text_state(8))
    write_vocabulary(tmp_path / "a.json", NEWS)
    (problem,) = problems_of(tmp_path, {"a": "a.pth"}, vocabulary={"a": "a.json"})
    assert problem.what == "an output directory needs a config.json, and no source has a config"
    assert problem.hint
    assert problem.where is not None
    assert problem.where.line


def test_a_config_that_is_text_is_none(tmp_path: Path) -> None:
    save(tmp_path / "a.pth", text_state(8), config="XttsConfig of a class that nobody knows")
    write_vocabulary(tmp_path / "a.json", NEWS)
    (problem,) = problems_of(tmp_path, {"a": "a.pth"}, vocabulary={"a": "a.json"})
    assert "needs a config.json" in problem.what


@pytest.mark.parametrize("rule", [None, {"gpt.text_{embedding,head}.*": "from b"}])
def test_without_a_vocabulary_there_is_no_directory(rule: object, tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "a", "b")
    for name in ("a", "b"):
        (tmp_path / name / "vocab.json").unlink()
    (problem,) = problems_of(tmp_path, checkpoints, **({"overrides": rule} if rule else {}))
    owner = "b" if rule else "a"
    assert problem.what.startswith(f"an output directory needs a vocab.json, and that of {owner}, whose text rows")
    assert problem.hint is not None
    assert f"vocabulary: {{{owner}: PATH}}" in problem.hint


def test_the_vocabulary_of_any_text_tensor_will_do_where_the_others_are_unknown(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "a", "b")
    (tmp_path / "a/vocab.json").unlink()
    plan = plan_of(tmp_path, checkpoints, overrides={"@text_embedding": "from a", "@text_head": "from b"})
    assert plan.companions[1].origin == "of b"


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    save(tmp_path / "a.pth", text_state(8))
    assert len(problems_of(tmp_path, {"a": "a.pth"})) == 2


def test_a_model_that_is_not_xtts_has_no_directory(tmp_path: Path) -> None:
    save(tmp_path / "a.pth", {"x": torch.ones(2)})
    (problem,) = problems_of(tmp_path, {"a": "a.pth"})
    assert problem.what == "a model directory is what the XTTS client loads, and the sources are not XTTS"


# --- warnings ----------------------------------------------------------------------------------------------------


def test_a_model_with_its_own_listeners_and_equal_parents_needs_no_warning(tmp_path: Path) -> None:
    assert plan_of(tmp_path, equal_voices(tmp_path, "news", "audiobook"), overrides=LISTENS).warnings == ()


def test_a_merge_into_a_file_warns_of_nothing_beside_it(tmp_path: Path) -> None:
    assert plan_of(tmp_path, equal_voices(tmp_path, "news", "audiobook"), "out.pth").warnings == ()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"companions": "from audiobook", "overrides": LISTENS},
        {"overrides": {"@conditioning": "from news"}},
        {"weights": [1, 0], "companions": "from audiobook"},
    ],
)
def test_speaker_latents_of_encoders_that_the_output_lacks_are_warned_of(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, equal_voices(tmp_path, "news", "audiobook"), **fields)
    owner = "audiobook" if "companions" in fields else "news"
    (warning,) = plan.warnings
    assert warning.startswith(f"{SPEAKERS}{owner}'s encoders, which the output does not have")


@pytest.mark.parametrize(
    "fields",
    [
        {"overrides": LISTENS},
        {"overrides": {"@encoder": "from news"}},  # as the warning says; mel_stats are the same in both
        {"weights": [1, 0]},
        {"weights": [0, 1]},
        {"companions": "from audiobook", "overrides": {"@encoder": "from audiobook"}},
        {"companions": "from audiobook", "overrides": {"*": "from audiobook"}},
    ],
)
def test_speaker_latents_of_the_outputs_own_encoders_are_not(fields: dict[str, Any], tmp_path: Path) -> None:
    assert plan_of(tmp_path, equal_voices(tmp_path, "news", "audiobook"), **fields).warnings == ()


def test_without_speaker_latents_nothing_is_said_of_them(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "news", "audiobook")
    (tmp_path / "news/speakers_xtts.pth").unlink()
    assert plan_of(tmp_path, checkpoints).warnings == ()


def of_kind(plan: Plan, word: str) -> list[str]:
    return [warning for warning in plan.warnings if word in warning]


def with_mel_stats(folder: Path, values: list[float], name: str) -> None:
    """A model directory whose model's mel_stats are these."""
    state = text_state(8, 3) | {"mel_stats": torch.tensor(values)}
    save(folder / name / "model.pth", state, config=config_of(NEWS))


MEL = "the mel_stats of {} differ: their models were trained on sound scaled differently"


def test_mel_stats_that_differ_in_the_models_are_warned_of(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "a", "b", "c")
    with_mel_stats(tmp_path, [1.0, 2.0, 3.5], "b")
    plan = plan_of(tmp_path, checkpoints)
    assert of_kind(plan, "mel_stats of") == [MEL.format("a, b and c")]


def test_with_other_mel_stats_the_encoder_alone_is_not_the_parents(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "news", "audiobook")
    with_mel_stats(tmp_path, [1.0, 2.0, 3.5], "audiobook")
    (warning,) = of_kind(plan_of(tmp_path, checkpoints, overrides={"@encoder": "from news"}), SPEAKERS)
    assert "take '@encoder' and mel_stats from it" in warning
    assert of_kind(plan_of(tmp_path, checkpoints, overrides=LISTENS), SPEAKERS) == []


def test_mel_stats_that_differ_as_files_are_warned_of(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "a", "b", "c")
    torch.save(torch.arange(4.0) + 1, tmp_path / "c/mel_stats.pth")
    (tmp_path / "b/mel_stats.pth").unlink()
    assert of_kind(plan_of(tmp_path, checkpoints), "mel_stats of") == [MEL.format("a and c")]


def test_mel_stats_that_one_source_alone_has_do_not_differ(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "a", "b")
    (tmp_path / "b/mel_stats.pth").unlink()
    assert of_kind(plan_of(tmp_path, checkpoints), "mel_stats of") == []


def test_files_of_equal_mel_stats_are_equal_whatever_their_archive_is_called(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "a", "b")
    torch.save(torch.arange(4.0), tmp_path / "other_name.pth")
    shutil.move(tmp_path / "other_name.pth", tmp_path / "b/mel_stats.pth")
    assert (tmp_path / "a/mel_stats.pth").read_bytes() != (tmp_path / "b/mel_stats.pth").read_bytes()
    assert of_kind(plan_of(tmp_path, checkpoints), "mel_stats of") == []


def test_mel_stats_of_torch_before_1_6_are_compared_too(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "a", "b")
    for name, count in (("a", 4), ("b", 4)):
        torch.save(torch.arange(float(count)), tmp_path / name / "mel_stats.pth", _use_new_zipfile_serialization=False)
    assert of_kind(plan_of(tmp_path, checkpoints), "mel_stats of") == []


def damage(content: bytes) -> dict[str, bytes]:
    start = content.find(b"PK\x01\x02")
    return {
        "empty": b"",
        "cut": content[:-30],
        "text": b"not a checkpoint",
        "name": content[: start + 46] + b"\xff" + content[start + 47 :],
        "flags": content[: start + 6] + b"\xff\xff\xff\xff" + content[start + 10 :],
        "zeros": bytes(len(content)),
    }


@pytest.mark.parametrize("kind", damage(b""))
def test_mel_stats_that_cannot_be_read_stop_nothing(kind: str, tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "a", "b")
    path = tmp_path / "a/mel_stats.pth"
    path.write_bytes(damage(path.read_bytes())[kind])
    plan = plan_of(tmp_path, checkpoints)
    run(plan)
    assert (tmp_path / "out/mel_stats.pth").read_bytes() == path.read_bytes()


def test_vocabularies_that_differ_are_warned_of(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, two_voices(tmp_path), overrides=LISTENS)
    assert plan.warnings == ("the vocab.json of news and audiobook differ: tokens are merged by their text",)


@pytest.mark.parametrize("owner", ["news", "audiobook"])
def test_of_vocabularies_that_differ_the_output_may_have_one(owner: str, tmp_path: Path) -> None:
    rule = {"gpt.text_{embedding,head}.*": f"from {owner}"}
    plan = plan_of(tmp_path, two_voices(tmp_path), overrides={**LISTENS, **rule})
    assert plan.warnings == (f"the vocab.json of news and audiobook differ: the output has that of {owner}",)
    run(plan)
    assert (tmp_path / "out/vocab.json").read_bytes() == (tmp_path / owner / "vocab.json").read_bytes()


def test_vocabularies_of_equal_tokens_in_other_words_do_not_differ(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "news", "audiobook")
    content = json.loads((tmp_path / "news/vocab.json").read_bytes())
    content["model"]["vocab"] = dict(reversed(content["model"]["vocab"].items()))
    (tmp_path / "audiobook/vocab.json").write_text(json.dumps(content, indent=4))
    assert plan_of(tmp_path, checkpoints, overrides=LISTENS).warnings == ()


def merges_differ(folder: Path) -> dict[str, str]:
    """Two vocabularies of the same tokens and ids, which each joins in its own way."""
    tokens = NEWS | {"ba": 8}
    voice(folder / "news", tokens, 1, merges=["a b"])
    voice(folder / "audiobook", tokens, 2, merges=["b a"])
    return {"news": "news", "audiobook": "audiobook"}


def test_vocabularies_that_differ_in_their_merges_alone_are_merged_written_and_warned_of(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, merges_differ(tmp_path), overrides=LISTENS)
    assert plan.warnings == ("the vocab.json of news and audiobook differ: the output has the merges of all",)
    assert plan.companions[1].origin == "merged from news and audiobook"
    assert plan.companions[0].origin == "of news"
    run(plan)
    assert json.loads((tmp_path / "out/vocab.json").read_bytes())["model"]["merges"] == ["a b", "b a"]


def test_a_vocabulary_merged_of_merges_alone_is_written_beside_a_file_too(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, merges_differ(tmp_path), "out.pth")
    run(plan)
    assert json.loads((tmp_path / "out.vocab.json").read_bytes())["model"]["merges"] == ["a b", "b a"]
    assert len(plan.warnings) == 1


def test_a_vocabulary_that_is_one_parents_to_the_byte_is_called_that_parents(tmp_path: Path) -> None:
    voice(tmp_path / "base", NEWS, 1)
    voice(tmp_path / "more", NEWS | {"ab n": 8}, 2)
    checkpoints = {"base": "base", "more": "more"}
    plan = plan_of(tmp_path, checkpoints, vocabulary={"order": "more"})
    run(plan)
    assert (tmp_path / "out/vocab.json").read_bytes() == (tmp_path / "more/vocab.json").read_bytes()
    assert plan.companions[1].origin == "of more"


def test_companions_of_a_file_are_none_and_it_is_said(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "news", "audiobook")
    plan = plan_of(tmp_path, {**checkpoints, "news": "news/model.pth"}, companions="from news", overrides=LISTENS)
    assert plan.warnings == (
        "the vocabulary of news is not known: its rows are taken to mean what audiobook's do",
        "companions names news, which is not a model directory: none are copied",
    )
    run(plan)
    assert set(folder_bytes(tmp_path / "out")) == {"model.pth", "config.json", "vocab.json"}


def test_companions_of_a_directory_with_nothing_but_a_model_are_none_and_it_is_said(tmp_path: Path) -> None:
    checkpoints = equal_voices(tmp_path, "news", "audiobook")
    for name in ALL:
        (tmp_path / "news" / name).unlink()
    plan = plan_of(tmp_path, checkpoints, companions="from news")
    assert plan.warnings == (
        "the vocabulary of news is not known: its rows are taken to mean what audiobook's do",
        "companions names news, which has no files beside its model: none are copied",
    )


def test_companions_named_for_a_file_are_warned_of(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, equal_voices(tmp_path, "a", "b"), "out.pth", companions="from a")
    assert plan.warnings == ("companions are written to an output directory only, and output.path names a file",)
    assert plan.companions == ()


# --- beside a file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["out.pth", "deep/er/voice v1.2.safetensors"])
def test_a_merged_vocabulary_lies_beside_a_file_under_its_name(output: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, two_voices(tmp_path), output)
    path = tmp_path / output
    name = vocabulary_name(path)
    assert name == f"{path.stem}.vocab.json"
    run(plan)
    assert {found.name for found in path.parent.iterdir() if found.is_file()} >= {path.name, name}
    tokens = json.loads((path.parent / name).read_bytes())["model"]["vocab"]
    assert len(tokens) == len(NEWS.keys() | AUDIOBOOK.keys())
    assert plan.warnings == (
        f"the vocabularies differ: the model is to be loaded with {name}, merged from news and audiobook (as "
        "vocab_path, or renamed to vocab.json)",
    )


def test_a_companion_that_went_away_is_an_error_and_no_bug(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, equal_voices(tmp_path, "a"))
    (tmp_path / "a/dvae.pth").unlink()
    before = folder_bytes(tmp_path)
    with pytest.raises(XttsRecipeError, match=r"dvae\.pth: cannot be read"):
        run(plan)
    assert folder_bytes(tmp_path) == before


# --- a config of another network ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "said", "found"),
    [("gpt_layers", 3, 1), ("gpt_layers", "1", 1)],
)
def test_a_config_that_no_client_could_load_the_model_with_is_refused(
    field: str, said: object, found: int, tmp_path: Path
) -> None:
    for seed, name in enumerate(("a", "b"), 1):
        voice(tmp_path / name, NEWS, seed)
        config = config_of(NEWS, "voice", **{field: said})
        (tmp_path / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
        save(tmp_path / name / "model.pth", text_state(8, seed))  # which has no config of its own to disagree with
    (problem,) = problems_of(tmp_path, {"a": "a", "b": "b"})
    assert problem.what == "the config.json for the output directory (of a) describes another network"
    assert problem.found == f"model_args.{field} is {said!r}, the tensors have {found}"
    assert problem.hint == "'companions: from NAME' takes it from another source"


def test_a_config_that_disagrees_with_the_one_in_its_checkpoint_is_refused(tmp_path: Path) -> None:
    equal_voices(tmp_path, "a", "b")
    config = config_of(NEWS, gpt_n_heads=3)
    (tmp_path / "a/config.json").write_text(json.dumps(config), encoding="utf-8")
    save(tmp_path / "a/model.pth", text_state(8, 1), config=config_of(NEWS, gpt_n_heads=2))
    (problem,) = problems_of(tmp_path, {"a": "a", "b": "b"})
    assert problem.what == "the configs of a and the checkpoint of a itself describe different networks"
    assert problem.found == "model_args.gpt_n_heads is 3 in a and 2 in the checkpoint of a itself"


# --- the vocabulary beside a file --------------------------------------------------------------------------------


def test_where_vocabularies_differ_the_one_that_was_taken_lies_beside_the_file(tmp_path: Path) -> None:
    """Else the one of an earlier merge would lie there still, and be loaded with rows that it does not fit."""
    checkpoints = two_voices(tmp_path)
    run(plan_of(tmp_path, checkpoints, "out.pth"))
    merged = (tmp_path / "out.vocab.json").read_bytes()
    plan = plan_of(tmp_path, checkpoints, "out.pth", overrides={TEXT_ROWS_PATTERN: "from audiobook"})
    run(plan)
    taken = (tmp_path / "out.vocab.json").read_bytes()
    assert taken == (tmp_path / "audiobook/vocab.json").read_bytes() != merged
    (warning,) = plan.warnings
    assert "with out.vocab.json, of audiobook (as" in warning
    run(plan_of(tmp_path, checkpoints, "out.pth"))
    assert (tmp_path / "out.vocab.json").read_bytes() == merged


def test_a_vocabulary_that_is_there_as_it_would_be_written_is_no_obstacle(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, two_voices(tmp_path), "out.pth")
    run(plan)
    (tmp_path / "out.pth").unlink()
    run(plan)


# --- extended vocabularies that are not known --------------------------------------------------------------------


def test_extended_vocabularies_that_are_not_known_are_warned_of(tmp_path: Path) -> None:
    for seed, name in enumerate("ab", 1):
        save(tmp_path / f"{name}.pth", text_state(6700, seed, width=1))
    checkpoints = {"a": "a.pth", "b": "b.pth"}
    (warning,) = plan_of(tmp_path, checkpoints, "out.pth").warnings
    assert warning.startswith("the vocabulary of a and b was extended, and is not known: rows of the text tensors")
    rule = {TEXT_ROWS_PATTERN: "from a"}
    assert plan_of(tmp_path, checkpoints, "out.pth", overrides=rule).warnings == ()


@pytest.mark.parametrize(
    ("top", "differ"),
    [({"normalizer": {"type": "NFKC"}}, True), ({"added_tokens": []}, True), ({"padding": None}, False)],
)
def test_vocabularies_of_equal_tokens_may_differ_in_other_ways(
    top: dict[str, Any], differ: bool, tmp_path: Path
) -> None:
    checkpoints = equal_voices(tmp_path, "a", "b")
    write_vocabulary(tmp_path / "b/vocab.json", NEWS, **top)
    warnings = of_kind(plan_of(tmp_path, checkpoints), "differ")
    assert warnings == (["the vocab.json of a and b differ: the output has that of a"] if differ else [])
    plan = plan_of(tmp_path, checkpoints, "out.pth")
    assert [companion.name for companion in plan.companions] == (["out.vocab.json"] if differ else [])
