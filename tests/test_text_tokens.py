"""What configs say of the vocabulary follows the output: in the checkpoint and in config.json, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.builders import save
from tests.merging import loaded, recipe_of
from tests.voices import AUDIOBOOK, NEWS, config_of, rows_of, text_state, two_voices, voice, write_vocabulary
from xttsrecipe.api import inspect, make_plan, run
from xttsrecipe.text_tokens import TextTokens, with_text_tokens

TEXT = "gpt.text_{embedding,head}.*"
LONGER = AUDIOBOOK | {"more": 11}


def arguments(config: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    given = config["model_args"]
    return given["gpt_number_text_tokens"], given["gpt_start_text_token"], given["gpt_stop_text_token"]


def merged_configs(folder: Path, checkpoints: Mapping[str, str], **fields: Any) -> tuple[dict[str, Any], bytes]:
    """The config in the output's model.pth, and its config.json as it stands."""
    run(recipe_of(folder, checkpoints, output="out/", **fields))
    config: dict[str, Any] = loaded(folder / "out/model.pth")["config"]
    return config, (folder / "out/config.json").read_bytes()


# --- one config --------------------------------------------------------------------------------------------------


def test_only_the_three_fields_change() -> None:
    config = config_of(NEWS, gpt_n_heads=16)
    changed = with_text_tokens(config, TextTokens(10, 5, 6))
    assert arguments(changed) == (10, 5, 6)
    assert arguments(config) == (8, 3, 0)
    assert changed == {**config, "model_args": {**config["model_args"], **changed["model_args"]}}
    assert list(changed["model_args"]) == list(config["model_args"])


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        (config_of(NEWS), None),
        (config_of(NEWS), TextTokens(8, 3, 0)),
        (config_of(NEWS), TextTokens(8, None, None)),
        ({"model": "xtts"}, TextTokens(9, 3, 0)),
        ({"model_args": None}, TextTokens(9, 3, 0)),
        ({"model_args": [1]}, TextTokens(9, 3, 0)),
        ("pickled text", TextTokens(9, 3, 0)),
        (None, TextTokens(9, 3, 0)),
    ],
)
def test_where_nothing_is_to_change_it_is_the_config_itself(config: Any, tokens: TextTokens | None) -> None:
    assert with_text_tokens(config, tokens) is config


def test_what_a_config_leaves_open_is_filled_in() -> None:
    config = {"model_args": {"gpt_start_text_token": None}}
    assert with_text_tokens(config, TextTokens(9, 3, 0)) == {
        "model_args": {"gpt_start_text_token": 3, "gpt_number_text_tokens": 9, "gpt_stop_text_token": 0}
    }


# --- merges ------------------------------------------------------------------------------------------------------


def test_start_stop_and_number_follow_the_merged_vocabulary_in_both_places(tmp_path: Path) -> None:
    config, text = merged_configs(tmp_path, two_voices(tmp_path), vocabulary={"order": "audiobook"})
    merged = json.loads((tmp_path / "out/vocab.json").read_bytes())["model"]["vocab"]
    expected = (rows_of(merged), merged["[START]"], merged["[STOP]"])
    assert expected == (10, AUDIOBOOK["[START]"], 0)
    assert arguments(config) == expected
    written = json.loads(text)
    assert arguments(written) == expected
    original = json.loads((tmp_path / "news/config.json").read_bytes())
    assert written == {**original, "model_args": {**original["model_args"], **written["model_args"]}}
    assert list(written) == list(original)
    assert config["run_name"] == "news"
    assert inspect(tmp_path / "out").entries["config"] == written


def test_special_tokens_that_move_take_their_ids_along(tmp_path: Path) -> None:
    first = {"a": 0, "b": 1}
    second = {"[START]": 0, "[STOP]": 1, "a": 2}
    voice(tmp_path / "plain", first, 1)
    voice(tmp_path / "special", second, 2)
    config, text = merged_configs(tmp_path, {"plain": "plain", "special": "special"})
    assert arguments(config) == arguments(json.loads(text)) == (4, 2, 3)


def test_a_vocabulary_without_special_tokens_leaves_their_fields_alone(tmp_path: Path) -> None:
    voice(tmp_path / "one", {"a": 0, "b": 1}, 1)
    voice(tmp_path / "two", {"a": 0, "c": 1}, 2)
    for name in ("one", "two"):
        (tmp_path / name / "config.json").write_text(
            json.dumps(config_of({"a": 1}, gpt_start_text_token=261, gpt_stop_text_token=0))
        )
    config, _ = merged_configs(tmp_path, {"one": "one", "two": "two"})
    assert arguments(config) == (3, 261, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"weights": {"news": 1, "audiobook": 0}},
        {"overrides": {TEXT: "from news"}},
        {"overrides": {TEXT: "from news"}, "weights": {"news": 0.1, "audiobook": 0.9}, "companions": "from news"},
    ],
)
def test_a_config_that_fits_is_copied_byte_for_byte(fields: dict[str, Any], tmp_path: Path) -> None:
    config, text = merged_configs(tmp_path, two_voices(tmp_path), **fields)
    assert text == (tmp_path / "news/config.json").read_bytes()
    assert b"\r\n" in text
    assert config == json.loads(text)


def test_a_merged_vocabulary_that_is_one_parents_leaves_that_parents_config_alone(tmp_path: Path) -> None:
    voice(tmp_path / "base", NEWS, 1)
    voice(tmp_path / "more", NEWS | {"more": 8}, 2)
    checkpoints = {"base": "base", "more": "more"}
    _, text = merged_configs(tmp_path, checkpoints, companions="from more")
    assert text == (tmp_path / "more/config.json").read_bytes()
    config, text = merged_configs(tmp_path, checkpoints)
    assert arguments(config) == arguments(json.loads(text)) == (9, 3, 0)


def test_the_config_of_another_source_than_the_rows_follows_the_rows(tmp_path: Path) -> None:
    """Config and companions from one, the text tensors from another."""
    voice(tmp_path / "news", NEWS, 1)
    voice(tmp_path / "audiobook", LONGER, 2)
    config, text = merged_configs(
        tmp_path, {"news": "news", "audiobook": "audiobook"}, overrides={TEXT: "from audiobook"}
    )
    assert arguments(config) == arguments(json.loads(text)) == (12, 4, 0)
    assert (tmp_path / "out/vocab.json").read_bytes() == (tmp_path / "audiobook/vocab.json").read_bytes()


def test_where_no_vocabulary_is_known_a_config_follows_the_source_of_the_rows(tmp_path: Path) -> None:
    save(tmp_path / "a.pth", text_state(8, 1), config=config_of(NEWS, "a"))
    save(tmp_path / "b.pth", text_state(12, 2), config=config_of(LONGER, "b"))
    run(recipe_of(tmp_path, {"a": "a.pth", "b": "b.pth"}, overrides={TEXT: "from b"}))
    config = loaded(tmp_path / "out.pth")["config"]
    assert (config["run_name"], arguments(config)) == ("a", (12, 4, 0))


@pytest.mark.parametrize("config", [None, {}, {"model_args": {}}, {"model_args": "text"}, "text"], ids=repr)
def test_where_no_vocabulary_is_known_and_that_source_says_nothing_the_number_alone_follows(
    config: Any, tmp_path: Path
) -> None:
    save(tmp_path / "a.pth", text_state(8, 1), config=config_of(NEWS, "a"))
    save(tmp_path / "b.pth", text_state(12, 2), **({} if config is None else {"config": config}))
    run(recipe_of(tmp_path, {"a": "a.pth", "b": "b.pth"}, overrides={TEXT: "from b"}))
    assert arguments(loaded(tmp_path / "out.pth")["config"]) == (12, 3, 0)


def test_rows_of_several_sources_whose_vocabulary_is_unknown_leave_configs_alone(tmp_path: Path) -> None:
    """What they say of it may differ, and nothing tells which is right."""
    save(tmp_path / "a.pth", text_state(8, 1), config=config_of(NEWS, "a"))
    save(tmp_path / "b.pth", text_state(8, 2), config=config_of(AUDIOBOOK, "b"))
    run(recipe_of(tmp_path, {"a": "a.pth", "b": "b.pth"}, metadata={"from": "b"}))
    assert loaded(tmp_path / "out.pth")["config"] == config_of(AUDIOBOOK, "b")


def test_a_model_without_text_tensors_keeps_its_config(tmp_path: Path) -> None:
    state = {key: tensor for key, tensor in text_state(8).items() if "gpt.text" not in key}
    save(tmp_path / "a.pth", state, config=config_of(NEWS, "a"))
    write_vocabulary(tmp_path / "a.json", NEWS)
    run(recipe_of(tmp_path, {"a": "a.pth"}, vocabulary={"a": "a.json"}))
    assert loaded(tmp_path / "out.pth")["config"] == config_of(NEWS, "a")


def test_safetensors_carry_the_text_tokens_too(tmp_path: Path) -> None:
    run(recipe_of(tmp_path, two_voices(tmp_path), output="out.safetensors"))
    assert arguments(inspect(tmp_path / "out.safetensors").entries["config"]) == (10, 3, 0)


def test_text_that_no_file_can_hold_does_not_make_a_config_unreadable(tmp_path: Path) -> None:
    """Half of a surrogate pair, as JSON may escape it: the client reads config.json as UTF-8."""
    checkpoints = two_voices(tmp_path)
    path = tmp_path / "news/config.json"
    path.write_text(json.dumps(config_of(NEWS, "half \ud800 é")), encoding="ascii")
    _, text = merged_configs(tmp_path, checkpoints)
    assert json.loads(text.decode("utf-8"))["run_name"] == "half \ud800 é"


def test_the_plan_itself_holds_the_config_that_is_written(tmp_path: Path) -> None:
    plan = make_plan(recipe_of(tmp_path, two_voices(tmp_path), output="out/"))
    run(plan)
    assert plan.metadata.config == loaded(tmp_path / "out/model.pth")["config"]
    written = next(companion for companion in plan.companions if companion.name == "config.json")
    assert isinstance(written.data, bytes)
    assert written.data == (tmp_path / "out/config.json").read_bytes()
    assert written.nbytes == len(written.data)
    assert written.origin == "of news, with the output's text tokens"


def test_what_a_config_says_wrongly_of_its_own_vocabulary_is_put_right(tmp_path: Path) -> None:
    wrong = {"gpt_number_text_tokens": 6681, "gpt_start_text_token": 1, "gpt_stop_text_token": None}
    for seed, name in enumerate("ab", 1):
        voice(tmp_path / name, NEWS, seed)
        config = {**config_of(NEWS), "model_args": {"gpt_layers": 1, **wrong}}
        (tmp_path / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
    run(make_plan(recipe_of(tmp_path, {"a": "a", "b": "b"}, output="out/")))
    right = {"gpt_number_text_tokens": 8, "gpt_start_text_token": NEWS["[START]"], "gpt_stop_text_token": None}
    written = json.loads((tmp_path / "out/config.json").read_bytes())["model_args"]
    assert written == {"gpt_layers": 1, **right}
    assert loaded(tmp_path / "out/model.pth")["config"]["model_args"] == written
