from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from tests import samples
from tests.builders import save, v1_state
from tests.golden import check_golden
from tests.strict_json import strictly
from tests.voices import NEWS, config_of, text_state, trained, two_voices
from xttsrecipe.plan import Plan
from xttsrecipe.report.plan import plan_keys_text, plan_text
from xttsrecipe.report.plan_json import plan_json

from .plans import RULES, of_a_pair, planned


def sized(text: str) -> str:
    """Without what depends on the torch that wrote a source, and without estimates that measuring may change."""
    text = re.sub(r"(XTTS \S+|not XTTS)( +)\d\S* [KM]B", r"\1\2<size>", text)
    text = re.sub(r"at most \d\S* [KM]B on disk", "at most <disk> on disk", text)
    return re.sub(r"(memory +about )\d\S* [KM]B", r"\1<memory>", text)


def steady_sizes(text: str) -> str:
    """Without the sizes of sources with a vocabulary of their own and of files that torch wrote."""
    text = re.sub(r"(vocabulary \(\d+ rows\)) +\d\S* [KM]?B", r"\1  <size>", text)
    return re.sub(r"(_xtts\.pth|mel_stats\.pth)(.*)\(.*\)", r"\1\2(<size>)", text)


def test_a_plan_of_rules_looks_as_agreed() -> None:
    check_golden("report/plan_rules.txt", sized(plan_text(of_a_pair(RULES))))


def test_a_plan_of_global_weights_looks_as_agreed() -> None:
    check_golden("report/plan_equal.txt", sized(plan_text(of_a_pair())))


def test_a_plan_that_changes_types_says_so() -> None:
    text = plan_text(of_a_pair(output="{path: half.safetensors, dtype: float16}"))
    row = "  data types   float16 (8 tensors), int64 (1 tensor); changes: float32 to float16 in 16 inputs\n"
    assert row in text


def test_integers_that_weights_would_decide_are_told_apart() -> None:
    line = "  of these, 1 tensor of integers or booleans, never averaged: from "
    assert f"{line}news\n" in plan_text(of_a_pair())
    assert f"{line}audiobook\n" in plan_text(of_a_pair("weights: {news: 0.4, audiobook: 0.6}\n"))
    assert line not in plan_text(of_a_pair("overrides: {'*num_batches_tracked': from news}\n"))


def test_a_plan_of_trainer_files_carries_what_is_for_training_only() -> None:
    samples.trainer(Path("one.pth"))
    samples.trainer(Path("two.pth"))
    text = plan_text(planned("checkpoints: {one: one.pth, two: two.pth}\noutput: {path: merged.pth}\n"))
    check_golden("report/plan_trainer.txt", sized(text))


@pytest.mark.parametrize(("copies", "version"), [(True, "v1"), (False, "v1.1")])
def test_a_plan_says_which_v1_a_source_is(copies: bool, version: str) -> None:
    save(Path("old.pth"), v1_state(copies=copies))
    text = plan_text(planned("checkpoints: {old: old.pth}\noutput: {path: merged.pth}\n"))
    assert re.search(rf"^  old  release  XTTS {re.escape(version)}  ", text, flags=re.MULTILINE)


def test_a_plan_of_many_layouts_notes_what_is_left_out() -> None:
    samples.release(Path("release.pth"))
    samples.trainer(Path("trainer.pth"))
    text = plan_text(
        planned("checkpoints: {release: release.pth, trainer: trainer.pth}\noutput: {path: merged.safetensors}\n")
    )
    check_golden("report/plan_mixed.txt", sized(text))


def test_a_plan_of_a_single_source_looks_as_agreed() -> None:
    samples.leftovers(Path("leftovers.pth"))
    text = plan_text(planned("checkpoints: {only: leftovers.pth}\noutput: {path: merged.pth}\n"))
    check_golden("report/plan_single.txt", sized(text))


def test_a_plan_of_a_model_that_is_not_xtts_looks_as_agreed() -> None:
    samples.plain(Path("one.pt"))
    samples.plain(Path("two.pt"))
    text = plan_text(planned("checkpoints: {one: one.pt, two: two.pt}\noutput: {path: merged.pt}\n"))
    check_golden("report/plan_plain.txt", sized(text))


def test_keys_show_shape_rule_and_weights_of_every_tensor() -> None:
    check_golden("report/plan_keys.txt", plan_keys_text(of_a_pair(RULES)))


def test_keys_of_a_trainer_file_are_shown_as_the_output_has_them() -> None:
    state = {"xtts.gpt.text_head.bias": torch.zeros(3), "xtts.mel_stats": torch.zeros(2), "dvae.a": torch.zeros(1)}
    save(Path("one.pth"), state)
    save(Path("two.pth"), state)
    plan = planned("checkpoints: {one: one.pth, two: two.pth}\nmetadata: {from: two}\noutput: {path: merged.pth}\n")
    check_golden("report/plan_keys_trainer.txt", plan_keys_text(plan))


def test_json_and_text_agree() -> None:
    plan = of_a_pair(RULES)
    data = json.loads(plan_json(plan))
    text = plan_text(plan)
    assert data["name"] == "voices"
    assert [source["name"] for source in data["sources"]] == ["news", "audiobook"]
    for rule in data["rules"]:
        label = f'"{rule["pattern"]}"' if rule["pattern"] else "global weights"
        line = next(line for line in text.splitlines() if line.strip().startswith(label))
        assert line.split(label)[1].split()[0] == str(rule["tensors"])
    assert sum(rule["tensors"] for rule in data["rules"]) == data["output"]["tensors"] == len(data["keys"])
    assert sum(rule["bytes"] for rule in data["rules"]) == data["output"]["bytes"] == plan.nbytes


def test_sources_and_output_are_shown_relative_to_the_current_folder() -> None:
    Path("voices").mkdir()
    samples.pair(Path("voices"))
    plan = planned("checkpoints: {a: voices/news.pth, b: voices/audiobook.pth}\noutput: {path: voices/out.pth}\n")
    text = plan_text(plan)
    assert "  voices/news.pth\n" in text
    assert "  file         voices/out.pth\n" in text


def test_every_source_is_one_line_whatever_its_file_is_called() -> None:
    samples.pair(Path())
    Path("news.pth").rename("new\ns.pth")
    plan = planned('checkpoints: {news: "new\\ns.pth", audiobook: audiobook.pth}\noutput: {path: merged.pth}\n')
    assert len(plan_text(plan).partition("sources\n")[2].partition("\n\n")[0].splitlines()) == 2


def test_a_key_with_a_line_break_is_one_line() -> None:
    save(Path("odd.pth"), {"a\nb": torch.ones(2), "c": torch.ones(1)})
    plan = planned("checkpoints: {odd: odd.pth}\noutput: {path: merged.pth}\n")
    assert len(plan_keys_text(plan).splitlines()) == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")], ids=str)
def test_any_number_that_a_checkpoint_says_of_itself_can_be_shown(value: float) -> None:
    for name in ("news.pth", "audiobook.pth"):
        losses = {"train_loss": value, "eval_loss": value}
        save(Path(name), samples.small_state(), config={"lr": value}, step=value, epoch=value, model_loss=losses)
    plan = planned("checkpoints: {news: news.pth, audiobook: audiobook.pth}\noutput: {path: merged.pth}\n")
    assert f"step {value}, epoch {value}" in plan_text(plan)
    assert strictly(plan_json(plan))["output"]["tensors"] == 9


def test_nothing_in_a_plan_does_anything_to_a_terminal() -> None:
    samples.pair(Path())
    save(Path("odd.pth"), samples.small_state() | {"gpt.\x1b[2J": torch.ones(1)}, step="\x1b[2J")
    plan = planned("""\
name: "\\e[2J"
description: "\\e]0;title\\a"
checkpoints: {odd: odd.pth}
output: {path: "\\e.pth"}
""")
    for text in (plan_text(plan), plan_keys_text(plan)):
        assert "\\x1b" in text
        assert not [character for character in text if character < " " and character != "\n"]


def of_voices(output: str, extra: str = "") -> Plan:
    """The plan of a recipe over news/ and audiobook/, whose vocabularies differ; it makes them."""
    checkpoints = two_voices(Path())
    return planned(f"checkpoints: {json.dumps(checkpoints)}\noutput: {{path: {output}}}\n{extra}")


def test_a_plan_of_directories_and_vocabularies_looks_as_agreed() -> None:
    text = plan_text(of_voices("merged/both/", "vocabulary: {order: audiobook}\ncompanions: from audiobook\n"))
    check_golden("report/plan_directory.txt", steady_sizes(sized(text)))


def test_a_plan_of_a_file_with_a_vocabulary_beside_it_looks_as_agreed() -> None:
    check_golden("report/plan_vocabulary.txt", steady_sizes(sized(plan_text(of_voices("merged.pth")))))


def test_a_plan_that_moves_training_aside_says_so() -> None:
    for seed, name in enumerate(("one", "two"), 1):
        save(Path(f"{name}.pth"), trained(text_state(8, seed), seed), config=config_of(NEWS), step=seed, model_loss=0.5)
    recipe = "checkpoints: {one: one.pth, two: two.pth}\noutput: {path: out.pth, layout: release}\n"
    row = "  metadata     config from one, step 2, model_loss 0.5 (under xttsrecipe.training), provenance\n"
    assert row in plan_text(planned(recipe))
    assert "xttsrecipe.training" not in plan_text(planned(recipe.replace("release", "trainer")))


def test_a_tensor_merged_by_token_is_told_apart() -> None:
    lines = plan_keys_text(of_voices("merged/")).splitlines()
    by_token = [line.split()[0] for line in lines if "linear by token: news 0.5, audiobook 0.5" in line]
    assert by_token == ["gpt.text_embedding.weight", "gpt.text_head.weight", "gpt.text_head.bias"]


def test_a_directory_is_one_line_whatever_it_is_called() -> None:
    two_voices(Path())
    Path("news").rename("new\ns")
    plan = planned('checkpoints: {news: "new\\ns", audiobook: audiobook}\noutput: {path: "m\\n/"}\n')
    text = plan_text(plan)
    assert "  new\\ns/\n" in text
    assert "  directory    m\\n/\n" in text
