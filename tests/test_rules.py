from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.api import load_recipe
from xttsrecipe.errors import Problem
from xttsrecipe.recipe import Recipe
from xttsrecipe.rules import deciding_rules, rule_problems
from xttsrecipe.xtts import known_tensors

from .builders import write_recipe

KEYS = tuple(known_tensors())
FEW = ("gpt.a.weight", "gpt.a.bias", "gpt.b.weight", "hifigan.a.weight", "mel_stats")
PATTERNS = ("*", "gpt.*", "*.weight", "*.bias", "{gpt,hifigan}.a.*", "mel_stats", "*stats", "gpt.c.*", "?pt.b.weight")


def recipe_of(folder: Path, patterns: Iterable[str]) -> Recipe:
    rules = "".join(f"  '{pattern}': from {'ab'[number % 2]}\n" for number, pattern in enumerate(patterns))
    text = "checkpoints: {a: a.pth, b: b.pth}\noutput: {path: o.pth}\noverrides:\n" + (rules or "  {}\n")
    return load_recipe(write_recipe(folder, text))


def decisions(recipe: Recipe, keys: Iterable[str]) -> dict[str, str | None]:
    return {key: rule.pattern if rule else None for key, rule in deciding_rules(recipe, tuple(keys)).items()}


def only_problem(folder: Path, *patterns: str) -> Problem:
    (problem,) = rule_problems(recipe_of(folder, patterns), KEYS)
    return problem


def hint(folder: Path, pattern: str) -> str:
    problem = only_problem(folder, pattern)
    assert problem.what == f"rule {pattern!r} matches no key"
    return problem.hint or ""


# --- deciding ---------------------------------------------------------------------------------------------------


def test_the_last_rule_that_matches_decides(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, ["gpt.*", "*.weight", "gpt.b.*"])
    assert decisions(recipe, FEW) == {
        "gpt.a.weight": "*.weight",
        "gpt.a.bias": "gpt.*",
        "gpt.b.weight": "gpt.b.*",
        "hifigan.a.weight": "*.weight",
        "mel_stats": None,
    }


def test_a_rule_for_everything_at_the_end_decides_everything(tmp_path: Path) -> None:
    assert set(decisions(recipe_of(tmp_path, ["gpt.*", "*"]), KEYS).values()) == {"*"}


def test_without_rules_the_global_weights_decide(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, [])
    assert set(decisions(recipe, KEYS).values()) == {None}
    assert rule_problems(recipe, KEYS) == []


def test_keys_keep_their_order(tmp_path: Path) -> None:
    assert list(decisions(recipe_of(tmp_path, ["*.weight", "mel_stats"]), KEYS[::-1])) == list(KEYS[::-1])


@given(st.lists(st.sampled_from(PATTERNS), unique=True, max_size=6), st.sets(st.sampled_from(FEW)))
def test_deciding_and_problems_agree_with_reading_the_rules_from_the_end(
    tmp_path_factory: pytest.TempPathFactory, patterns: list[str], keys: set[str]
) -> None:
    recipe = recipe_of(tmp_path_factory.getbasetemp(), patterns)
    expected = {
        key: next((rule.pattern for rule in reversed(recipe.rules) if rule.matches(key)), None) for key in sorted(keys)
    }
    assert decisions(recipe, sorted(keys)) == expected
    useless = [pattern for pattern in patterns if pattern not in expected.values()]
    assert [problem.where for problem in rule_problems(recipe, sorted(keys))] == [
        rule.where for rule in recipe.rules if rule.pattern in useless
    ]


# --- rules that decide nothing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern", ["*encoder*", "gpt.gpt.h.{0..9}.*", "gpt.gpt.h.{29..40}.*", "@vocoder", "mel_stats", "*.original0", "*"]
)
def test_a_rule_that_decides_something_is_no_problem(tmp_path: Path, pattern: str) -> None:
    assert rule_problems(recipe_of(tmp_path, [pattern]), KEYS) == []


def test_a_rule_that_later_rules_leave_nothing_is_a_problem_that_names_them(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "*encoder*", "gpt.*", "hifigan_decoder.*")
    assert problem.what == "rule '*encoder*' decides no key: later rules decide all 333 keys that it matches"
    assert problem.found == "decided by 'gpt.*', 'hifigan_decoder.*'"
    assert problem.hint == "the last matching rule decides: move this rule below those, or remove it"
    assert problem.where is not None
    assert (problem.where.line, problem.where.column, problem.where.length) == (4, 3, len("'*encoder*'"))


def test_a_rule_that_later_rules_leave_something_is_no_problem(tmp_path: Path) -> None:
    assert rule_problems(recipe_of(tmp_path, ["*", "gpt.*", "hifigan_decoder.*"]), KEYS) == []  # mel_stats is left


def test_earlier_rules_are_not_named(tmp_path: Path) -> None:
    assert only_problem(tmp_path, "*", "hifigan_decoder.*", "mel_stats", "*decoder*").found == "decided by '*decoder*'"


def test_only_rules_that_decide_are_named_as_deciding(tmp_path: Path) -> None:
    first, second = rule_problems(recipe_of(tmp_path, ["mel_stats", "mel_*", "*"]), KEYS)
    assert second.found == "decided by '*'"
    assert first.found == "decided by '*'"


def test_a_rule_for_a_single_key_is_told_in_the_singular(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "mel_stats", "mel_*")
    assert problem.what == "rule 'mel_stats' decides no key: later rules decide the only key that it matches"


def test_every_useless_rule_is_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = rule_problems(recipe_of(tmp_path, ["aaa", "mel_stats", "bbb", "*"]), KEYS)
    assert [problem.what.split("'")[1] for problem in found] == ["aaa", "mel_stats", "bbb"]


# --- what was meant ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("*encodr*", "*encoder*"),
        ("gpt.txt_head.*", "gpt.text_head.*"),
        ("gpt.gpt.h.{0..9}.atn.*", "gpt.gpt.h.{0..9}.attn.*"),
        ("*Encoder*", "*encoder*"),
        ("speaker_encoder", "@speaker_encoder"),
        ("mel_stat", "mel_stats"),
        ("*.bais", "*.bias"),
    ],
)
def test_a_typo_is_told_what_it_may_have_meant(tmp_path: Path, pattern: str, meant: str) -> None:
    assert hint(tmp_path, pattern).startswith(f"did you mean {meant!r}")


@pytest.mark.parametrize(
    ("pattern", "canonical"),
    [
        ("xtts.gpt.gpt.h.*", "gpt.gpt.h.*"),
        ("xtts.*encoder*", "*encoder*"),
        ("xtts.mel_stats", "mel_stats"),
        ("xtts.gpt.txt_head.*", "gpt.text_head.*"),
        ("hifigan_decoder.*.weight_g", "hifigan_decoder.*.parametrizations.weight.original0"),
        ("*.weight_v", "*.parametrizations.weight.original1"),
        ("xtts.hifigan_decoder.*.weight_v", "hifigan_decoder.*.parametrizations.weight.original1"),
    ],
)
def test_names_of_other_layouts_are_explained_with_the_canonical_pattern(
    tmp_path: Path, pattern: str, canonical: str
) -> None:
    said = hint(tmp_path, pattern)
    assert said.startswith("rules use the names of a released model.pth, without 'xtts.' and with today's weight-norm")
    assert said.endswith(f": {canonical!r}")


LAYERS = "the GPT layers are gpt.gpt.h.0 to gpt.gpt.h.29"


@pytest.mark.parametrize(
    "pattern",
    [
        "gpt.gpt.h.30.*",
        "gpt.gpt.h.{30..35}.*",
        "gpt.gpt.h.{30,31}.attn.*",
        "gpt.gpt.h.30.ln_1.*",
        "gpt.gpt.h.{30..35}.ln_{1,2}.weight",
        "xtts.gpt.gpt.h.{30..35}.*",
        "gpt.gpt.h.99*",
    ],
)
def test_a_layer_that_is_not_there_is_explained(tmp_path: Path, pattern: str) -> None:
    assert hint(tmp_path, pattern) == LAYERS


def test_the_layers_are_those_of_the_checkpoints(tmp_path: Path) -> None:
    keys = [f"gpt.gpt.h.{layer}.ln_1.bias" for layer in range(4)]
    (problem,) = rule_problems(recipe_of(tmp_path, ["gpt.gpt.h.{4..9}.*"]), keys)
    assert problem.hint == "the GPT layers are gpt.gpt.h.0 to gpt.gpt.h.3"


@pytest.mark.parametrize(
    "pattern",
    [
        "dvae.*",
        "dvae*",
        "*dvae*",
        "xtts.dvae.*",
        "{dvae,x}.*",
        "dvae.decoder.*.weight",
        "dvae.codebook",
        "torch_mel_spectrogram_*",
    ],
)
def test_training_only_tensors_are_explained_however_they_are_named(tmp_path: Path, pattern: str) -> None:
    assert hint(tmp_path, pattern) == (
        "training-only tensors (dvae, torch_mel_spectrogram) are never merged: metadata.from gives them whole"
    )


def test_a_pattern_far_from_everything_is_told_where_the_keys_are(tmp_path: Path) -> None:
    assert hint(tmp_path, "zzzzzzzz") == "xttsrecipe inspect CHECKPOINT --keys '*' lists the keys"


def test_without_keys_every_rule_is_a_problem(tmp_path: Path) -> None:
    (problem,) = rule_problems(recipe_of(tmp_path, ["*"]), [])
    assert problem.what == "rule '*' matches no key"


def test_of_very_many_rules_not_all_are_told_what_they_might_have_meant(tmp_path: Path) -> None:
    found = rule_problems(recipe_of(tmp_path, [f"gpt.gpt.h.{number}.atn.*" for number in range(60)]), KEYS)
    assert len(found) == 60
    assert [problem.hint is None for problem in found] == [False] * 50 + [True] * 10


def test_a_pattern_that_is_too_long_under_its_new_name_is_told_where_the_names_are(tmp_path: Path) -> None:
    pattern = "x" * 980 + ".weight_g"
    recipe = load_recipe(
        write_recipe(
            tmp_path,
            f"checkpoints: {{a: a.pth}}\noutput: {{path: o.pth}}\noverrides:\n  ? '{pattern}'\n  : from a\n",
        )
    )
    (problem,) = rule_problems(recipe, KEYS)
    assert problem.hint == "xttsrecipe inspect CHECKPOINT --keys '*' lists the keys"
