from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

import xttsrecipe
from tests import samples
from tests.builders import save, v1_state, write_recipe
from tests.golden import check_golden
from tests.strict_json import strictly
from tests.voices import voice
from xttsrecipe.patterns import PatternError
from xttsrecipe.report.inspection import inspection_json, inspection_keys_text, inspection_text

WITH_METADATA = ("release", "trainer", "shrunk", "leftovers", "merged", "merged_safetensors")
ALL = (*samples.LAYOUTS, "merged", "merged_safetensors")


def made(layout: str) -> Path:
    """A checkpoint of that layout in the current folder."""
    if not layout.startswith("merged"):
        return samples.make(layout, Path())
    recipe = samples.pair(Path())
    output = Path("merged.safetensors" if layout == "merged_safetensors" else "merged.pth")
    xttsrecipe.run(xttsrecipe.load_recipe(recipe, [f"output.path={output}"]))
    return output


def steady(text: str) -> str:
    """Without what depends on the torch that wrote the file."""
    text = re.sub(r"[0-9a-f]{64}", "<digest>", text).replace(f'"torch": "{torch.__version__}"', '"torch": "<version>"')
    text = re.sub(r"(format +(?:torch zip|safetensors), ).*", r"\1<size>", text)
    return re.sub(r'^(  "bytes": |  +"size": )\d+', r"\1<size>", text, flags=re.MULTILINE)


@pytest.mark.parametrize("layout", ALL)
def test_a_checkpoint_looks_as_agreed(layout: str) -> None:
    check_golden(f"report/inspect_{layout}.txt", steady(inspection_text(xttsrecipe.inspect(made(layout)))))


@pytest.mark.parametrize("layout", ALL)
def test_the_json_of_a_checkpoint_looks_as_agreed(layout: str) -> None:
    check_golden(f"report/inspect_{layout}.json", steady(inspection_json(xttsrecipe.inspect(made(layout)), None)))


@pytest.mark.parametrize("layout", ["trainer", "leftovers", "plain", "safetensors"])
def test_keys_look_as_agreed(layout: str) -> None:
    pattern = (
        "*" if layout == "plain" else "{gpt.*_head.*,*mel_embedding*,*encoder.bn1.num_batches_tracked,dvae.decoder.0.*}"
    )
    text = inspection_keys_text(xttsrecipe.inspect(made(layout)), pattern)
    check_golden(f"report/inspect_{layout}_keys.txt", text)


@pytest.mark.parametrize("layout", ALL)
def test_components_add_up_to_all_tensors(layout: str) -> None:
    header = xttsrecipe.inspect(made(layout))
    data = json.loads(inspection_json(header, "*"))
    assert sum(part["tensors"] for part in data["components"].values()) == len(header.tensors)
    assert len(data["keys"]) == len(header.tensors) + len(header.training_only)
    rows = inspection_text(header).split("component")[1].partition("\n\n")[0].splitlines()[1:]
    assert sum(int(row.split()[1]) for row in rows[:-1]) == int(rows[-1].split()[2])


def test_json_has_keys_only_where_a_pattern_asks_for_them() -> None:
    header = xttsrecipe.inspect(made("release"))
    assert "keys" not in json.loads(inspection_json(header, None))
    assert json.loads(inspection_json(header, "mel_stats"))["keys"] == [
        {"key": "mel_stats", "stored": "mel_stats", "shape": [3], "dtype": "float32"}
    ]


def test_keys_may_be_asked_for_by_component() -> None:
    header = xttsrecipe.inspect(made("release"))
    keys = [line.split()[0] for line in inspection_keys_text(header, "@attention").splitlines()]
    assert len(keys) == 120
    assert all(".attn." in key for key in keys)


def test_keys_may_be_asked_for_by_group_of_components() -> None:
    header = xttsrecipe.inspect(made("trainer"))
    keys = [line.split()[0] for line in inspection_keys_text(header, "@gpt").splitlines()]
    assert keys == [key for key in header.tensors if key.startswith("gpt.")]
    assert len(keys) == 426


@pytest.mark.parametrize(("copies", "version"), [(True, "v1"), (False, "v1.1")])
def test_v1_is_told_from_v1_1(copies: bool, version: str) -> None:
    save(Path("old.pth"), v1_state(copies=copies))
    header = xttsrecipe.inspect("old.pth")
    text = inspection_text(header)
    assert re.search(rf"^model +XTTS {re.escape(version)}$", text, flags=re.MULTILINE)
    assert re.search(r"^  other gpt +2 ", text, flags=re.MULTILINE)  # the prompt embedding, in no component
    assert json.loads(inspection_json(header, None))["version"] == version


def test_keys_that_match_nothing_are_no_text() -> None:
    assert inspection_keys_text(xttsrecipe.inspect(made("bare")), "nothing*") == ""


def test_an_unknown_component_is_refused() -> None:
    with pytest.raises(PatternError, match="@attention"):
        inspection_keys_text(xttsrecipe.inspect(made("bare")), "@atention")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")], ids=str)
def test_json_is_json_whatever_a_checkpoint_says_of_itself(value: float) -> None:
    losses = {"train_loss": value, "eval_loss": [value, {"deep": value}], value: 1}
    save(Path("odd.pth"), samples.small_state(), config={"lr": value}, step=value, model_loss=losses)
    header = xttsrecipe.inspect("odd.pth")
    assert strictly(inspection_json(header, None))["layout"] == "release"
    assert inspection_text(header)


@pytest.mark.parametrize("layout", WITH_METADATA)
def test_the_config_is_shown_field_by_field(layout: str) -> None:
    text = inspection_text(xttsrecipe.inspect(made(layout)))
    assert re.search(r"^  model_args\.gpt_layers +30$", text, flags=re.MULTILINE)


def test_a_merged_checkpoint_says_how_it_was_made() -> None:
    for layout in ("merged", "merged_safetensors"):
        text = inspection_text(xttsrecipe.inspect(made(layout)))
        made_by = f"made by +xttsrecipe {xttsrecipe.__version__}, recipe recipe, from news, audiobook$"
        assert re.search(made_by, text, flags=re.MULTILINE)


def test_provenance_that_someone_made_up_is_no_error() -> None:
    save(Path("odd.pth"), samples.small_state(), xttsrecipe={"sources": "none", "version": None})
    assert "made by" in inspection_text(xttsrecipe.inspect("odd.pth"))


def test_long_values_are_cut() -> None:
    save(Path("odd.pth"), samples.small_state(), config={"text": "x" * 1000, "list": list(range(1000))})
    lines = inspection_text(xttsrecipe.inspect("odd.pth")).splitlines()
    assert max(map(len, lines)) < 130


def test_many_entries_that_are_no_tensors_are_a_line_each() -> None:
    save(Path("odd.pth"), samples.small_state(), note="first\nsecond", date="today")
    text = inspection_text(xttsrecipe.inspect("odd.pth"))
    assert "  note  first second\n" in text
    assert "  date  today\n" in text


@pytest.mark.parametrize("key", ["a\nb", "a\x1b[2Jb", "a\rb"], ids=["line break", "escape", "carriage return"])
def test_a_key_is_one_harmless_line_whatever_is_in_it(key: str) -> None:
    save(Path("odd.pth"), {key: torch.ones(1), "c": torch.ones(1)})
    text = inspection_keys_text(xttsrecipe.inspect("odd.pth"), "*")
    assert len(text.splitlines()) == 2
    assert not [character for character in text if character < " " and character != "\n"]


@pytest.mark.parametrize("entry", ["step", "date", "note"])
def test_an_entry_does_not_write_to_the_terminal_what_is_not_text(entry: str) -> None:
    save(Path("odd.pth"), samples.small_state(), **{entry: "\x1b[2J\x1b]0;title\x07x"})
    text = inspection_text(xttsrecipe.inspect("odd.pth"))
    assert not [character for character in text if character < " " and character != "\n"]


def test_a_checkpoint_made_from_a_recipe_with_settings_inspects() -> None:
    samples.pair(Path())
    recipe = write_recipe(Path(), "checkpoints: {a: news.pth, b: audiobook.pth}\noutput: {path: merged.pth}\n")
    xttsrecipe.run(xttsrecipe.load_recipe(recipe, ["weights={a: 0.25, b: 0.75}"]))
    entries = json.loads(inspection_json(xttsrecipe.inspect("merged.pth"), None))["entries"]
    assert entries["xttsrecipe"]["set"] == ["weights={a: 0.25, b: 0.75}"]
    assert entries["model_loss"] == pytest.approx(0.25 * 2.5 + 0.75 * 1.5)


def test_a_config_that_is_no_mapping_is_shown_as_it_is() -> None:
    save(Path("odd.pth"), samples.small_state(), config="a\x1b config")
    assert inspection_text(xttsrecipe.inspect("odd.pth")).endswith("\n\nconfig\n  a\\x1b config\n")


@pytest.mark.parametrize("entry", ["step", "note", "config"])
def test_an_integer_of_any_length_can_be_shown(entry: str) -> None:
    save(Path("odd.pth"), samples.small_state(), **{entry: {"big": 10**5000}})
    header = xttsrecipe.inspect("odd.pth")
    assert inspection_text(header)
    assert strictly(inspection_json(header, None))


def in_directory(text: str) -> str:
    """Without the sizes of files that torch wrote."""
    return re.sub(r"^( +\S+\.pth +)\d\S* [KM]?B$", r"\1<size>", steady(text), flags=re.MULTILINE)


def test_a_model_directory_looks_as_agreed() -> None:
    voice(Path("news"), step=7, epoch=2)
    check_golden("report/inspect_directory.txt", in_directory(inspection_text(xttsrecipe.inspect("news"))))


def test_the_json_of_a_model_directory_names_it_and_what_lies_beside() -> None:
    voice(Path("news"), without=["dvae.pth"])
    data = json.loads(inspection_json(xttsrecipe.inspect("news/"), None))
    assert (data["path"], data["directory"]) == (str(Path("news/model.pth")), "news")
    assert data["companions"] == ["config.json", "vocab.json", "speakers_xtts.pth", "mel_stats.pth"]
    assert data["entries"]["config"]["run_name"] == "news"
    data = json.loads(inspection_json(xttsrecipe.inspect("news/model.pth"), None))
    assert (data["directory"], data["companions"]) == (None, [])


@pytest.mark.parametrize("output", ["out.pth", "out.safetensors", "out/"])
def test_training_that_was_moved_aside_is_shown_like_any(output: str) -> None:
    voice(Path("news"), step=7, epoch=2, model_loss=0.5)
    recipe = write_recipe(Path(), f"checkpoints: {{news: news}}\noutput: {{path: {output}, layout: release}}\n")
    xttsrecipe.run(xttsrecipe.load_recipe(recipe))
    text = inspection_text(xttsrecipe.inspect(output))
    assert re.search(r"^training\n  step +7\n  epoch +2\n  model_loss +0\.5\n  made by", text, flags=re.MULTILINE)


def test_long_names_and_values_are_cut_to_a_table(tmp_path: Path) -> None:
    """Every row is as wide as the widest."""
    path = tmp_path / "model.pth"
    config = {"y" * 100_000: {"z" * 100_000: "v" * 100_000}, "run": "a"}
    save(path, {"w": torch.ones(1)}, config=config, step="s" * 100_000, **{"n" * 100_000: ["x"] * 100_000})
    text = inspection_text(xttsrecipe.inspect(path))
    assert max(map(len, text.splitlines())) < 400
    assert len(text) < 5_000
