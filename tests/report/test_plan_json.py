from __future__ import annotations

import json
import re
from pathlib import Path

from tests.golden import check_golden
from tests.voices import two_voices
from xttsrecipe.report.plan_json import plan_json

from .plans import RULES, of_a_pair, planned


def machine(text: str) -> str:
    """A plan's JSON without what depends on the place, or on the torch that wrote the sources."""
    text = text.replace(str(Path.cwd()), "<folder>")
    text = re.sub(r"[0-9a-f]{64}", "<digest>", text)
    text = re.sub(r'("(?:disk|memory)": )\d+', r"\1<estimate>", text)
    return re.sub(r'("version": .*\n +"bytes": )\d+', r"\1<size>", text)


def test_json_looks_as_agreed() -> None:
    check_golden("report/plan.json", machine(plan_json(of_a_pair(RULES))))


def test_json_of_keys_names_shape_type_rule_and_weights() -> None:
    keys = {entry["key"]: entry for entry in json.loads(plan_json(of_a_pair(RULES)))["keys"]}
    assert keys["gpt.gpt.h.0.attn.c_attn.weight"] == {
        "key": "gpt.gpt.h.0.attn.c_attn.weight",
        "name": "gpt.gpt.h.0.attn.c_attn.weight",
        "shape": [2, 3],
        "dtype": "float32",
        "rule": "gpt.gpt.h.*",
        "method": "linear",
        "parameters": {},
        "base": None,
        "by_token": False,
        "weights": {"news": -0.25, "audiobook": 1.25},
    }
    assert keys["mel_stats"]["weights"] == {"audiobook": 1.0}


def test_what_is_taken_whole_has_weight_1() -> None:
    keys = json.loads(plan_json(of_a_pair("weights: {news: 0.6, audiobook: 0.4}\n")))["keys"]
    assert {json.dumps(entry["weights"]) for entry in keys if entry["method"] == "from"} == {'{"news": 1.0}'}


def test_json_of_a_plan_says_how_many_inputs_change_their_type() -> None:
    data = json.loads(plan_json(of_a_pair(output="{path: half.pth, dtype: float16}")))
    assert data["dtype_changes"] == [{"from": "float32", "to": "float16", "inputs": 16}]
    assert json.loads(plan_json(of_a_pair()))["dtype_changes"] == []


def test_json_of_rules_has_the_global_weights_last() -> None:
    rules = json.loads(plan_json(of_a_pair(RULES)))["rules"]
    linear: dict[str, object] = {"method": "linear", "parameters": {}, "base": None}
    assert [(rule["pattern"], rule["decision"]) for rule in rules] == [
        ("*encoder*", {"from": "news"}),
        ("gpt.gpt.h.*", {**linear, "weights": {"news": -0.25, "audiobook": 1.25}}),
        ("mel_stats", {"from": "audiobook"}),
        (None, {**linear, "weights": {"news": 0.6, "audiobook": 0.4}}),
    ]


def test_json_of_directories_and_vocabularies_says_all_that_the_text_says() -> None:
    checkpoints = two_voices(Path())
    plan = planned(f"checkpoints: {json.dumps(checkpoints)}\noutput: {{path: merged/}}\n")
    data = json.loads(plan_json(plan))
    for source, name in zip(data["sources"], ("news", "audiobook"), strict=True):
        assert (source["path"], source["directory"]) == (str(Path(name, "model.pth")), name)
    assert (data["output"]["path"], data["output"]["directory"]) == ("merged", True)
    assert [companion["name"] for companion in data["output"]["companions"]] == [
        "config.json", "vocab.json", "speakers_xtts.pth", "mel_stats.pth", "dvae.pth", "README.md",
    ]  # fmt: skip
    assert {companion["name"]: companion["origin"] for companion in data["output"]["companions"]} == {
        file.name: file.origin for file in plan.companions
    }
    assert data["vocabulary"]["only"] == {"news": 2, "audiobook": 2}
    assert data["warnings"] == list(plan.warnings)
    assert len(data["warnings"]) == 2
    assert {entry["key"] for entry in data["keys"] if entry["by_token"]} == {
        "gpt.text_embedding.weight", "gpt.text_head.weight", "gpt.text_head.bias",
    }  # fmt: skip
    assert next(entry["shape"] for entry in data["keys"] if entry["key"] == "gpt.text_head.bias") == [10]


def test_json_of_a_file_has_no_directory() -> None:
    data = json.loads(plan_json(of_a_pair()))
    assert (data["output"]["directory"], data["output"]["companions"], data["vocabulary"]) == (False, [], None)
    assert [source["directory"] for source in data["sources"]] == [None, None]
