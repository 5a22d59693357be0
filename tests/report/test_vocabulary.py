"""How a vocabulary looks in a plan: what parents share, what one alone knows, where they disagree."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.builders import save
from tests.golden import check_golden
from tests.merging import recipe_of
from tests.strict_json import strictly
from tests.voices import AUDIOBOOK, NEWS, rows_of, text_state, vocabulary
from xttsrecipe.api import make_plan
from xttsrecipe.plan import Plan
from xttsrecipe.report.plan import plan_text
from xttsrecipe.report.plan_json import plan_json
from xttsrecipe.report.vocabulary import vocabulary_data, vocabulary_text

NAMES = ("news", "audiobook", "drama")


def planned(*vocabularies: Mapping[str, Any], **fields: Any) -> Plan:
    """The plan over sources with these vocab.json contents, in the current folder."""
    names = NAMES[: len(vocabularies)]
    for seed, (name, content) in enumerate(zip(names, vocabularies, strict=True), 1):
        save(Path(f"{name}.pth"), text_state(rows_of(content["model"]["vocab"]), seed))
        Path(f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    vocabulary_field = {name: f"{name}.json" for name in names} | fields.pop("vocabulary", {})
    return make_plan(recipe_of(Path(), {name: f"{name}.pth" for name in names}, vocabulary=vocabulary_field, **fields))


def text_of(plan: Plan) -> str:
    assert plan.vocabulary is not None
    return vocabulary_text(plan.vocabulary, plan.recipe.source_names)


def data_of(plan: Plan) -> dict[str, Any]:
    data: dict[str, Any] = strictly(plan_json(plan))["vocabulary"]
    return data


def many(count: int, merges: Sequence[str] = (), shift: int = 0) -> dict[str, Any]:
    return vocabulary({f"t{number}": (number + shift) % count for number in range(count)}, merges)


def test_vocabularies_merged_by_token_look_as_agreed() -> None:
    first = vocabulary(NEWS, ["a b"])
    second = vocabulary(AUDIOBOOK | {"ab": 8, "oa": 9}, ["o a"], normalizer={"type": "Lowercase"})
    check_golden("report/vocabulary_merged.txt", text_of(planned(first, second)) + "\n")


def test_the_json_of_vocabularies_merged_by_token_looks_as_agreed() -> None:
    first = vocabulary(NEWS, ["a b"])
    second = vocabulary(AUDIOBOOK | {"ab": 8, "oa": 9}, ["o a"], normalizer={"type": "Lowercase"})
    check_golden("report/vocabulary_merged.json", json.dumps(data_of(planned(first, second)), indent=2) + "\n")


def test_a_token_that_each_joins_otherwise_looks_as_agreed() -> None:
    tokens = {"a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4, "abc": 5, "x": 6}
    first = vocabulary(tokens, ["a b", "ab c"])
    second = vocabulary(tokens, ["b c", "a bc", "a b", "ab c"])
    third = vocabulary(tokens)
    check_golden("report/vocabulary_merges.txt", text_of(planned(first, second, third)) + "\n")


def test_many_conflicts_are_cut_short_for_people_and_complete_for_machines() -> None:
    plan = planned(many(64), many(64, shift=1))
    lines = text_of(plan).splitlines()
    assert lines[1] == "  merged by token: 64 shared, 0 only in news, 0 only in audiobook; 64 tokens in 64 rows"
    assert lines[2] == "  64 conflicts:"
    assert lines[3] == "    id 0: 't0' in news, 't63' in audiobook"
    assert lines[-1] == "    … and 44 more (--json lists all)"
    assert len(lines) == 3 + 20 + 1
    assert [conflict["id"] for conflict in data_of(plan)["conflicts"]] == list(range(64))


@pytest.mark.parametrize("count", [19, 20, 21])
def test_twenty_conflicts_are_shown(count: int) -> None:
    text = text_of(planned(many(count), many(count, shift=1)))
    assert text.count("    id ") == min(count, 20)
    assert ("more" in text) == (count > 20)


def test_one_vocabulary_is_named() -> None:
    assert text_of(planned(vocabulary(NEWS))) == "vocabulary\n  8 tokens, of news"


def test_equal_vocabularies_are_called_the_same() -> None:
    plan = planned(*[vocabulary(NEWS)] * 3)
    assert text_of(plan) == "vocabulary\n  8 tokens, the same in news, audiobook and drama"
    assert data_of(plan) == {
        "by_token": False, "tokens": 8, "rows": 8, "shared": 8,
        "only": {"news": 0, "audiobook": 0, "drama": 0}, "settings_differ": [], "conflicts": [],
    }  # fmt: skip


def test_what_two_of_three_share_is_neither_shared_nor_only() -> None:
    plan = planned(vocabulary({"a": 0, "b": 1}), vocabulary({"a": 0, "b": 1, "c": 2}), vocabulary({"a": 0, "d": 1}))
    assert (
        "merged by token: 1 shared, 0 only in news, 1 only in audiobook, 1 only in drama, 1 in several but not all; 4 tokens in 4 rows"
        in (text_of(plan))
    )


def test_a_source_without_rows_in_the_output_is_not_counted() -> None:
    plan = planned(vocabulary(NEWS), vocabulary(AUDIOBOOK), weights=[1, 0])
    assert text_of(plan) == "vocabulary\n  8 tokens, of news"


def test_holes_make_more_rows_than_tokens() -> None:
    plan = planned(vocabulary({"a": 0, "b": 9}), vocabulary({"c": 0}))
    assert "3 tokens in 11 rows" in text_of(plan)
    assert (data_of(plan)["tokens"], data_of(plan)["rows"]) == (3, 11)


def test_sources_whose_vocabulary_is_unknown_are_not_named() -> None:
    for name in ("news", "audiobook"):
        save(Path(f"{name}.pth"), text_state(8))
    Path("n.json").write_text(json.dumps(vocabulary(NEWS)))
    recipe = recipe_of(Path(), {"news": "news.pth", "audiobook": "audiobook.pth"}, vocabulary={"audiobook": "n.json"})
    plan = make_plan(recipe)
    assert text_of(plan) == "vocabulary\n  8 tokens, of audiobook"
    assert data_of(plan)["only"] == {"audiobook": 8}


def test_without_a_vocabulary_a_plan_says_nothing_of_it() -> None:
    save(Path("news.pth"), text_state(8))
    plan = make_plan(recipe_of(Path(), {"news": "news.pth"}))
    assert "\nvocabulary\n" not in plan_text(plan)
    assert strictly(plan_json(plan))["vocabulary"] is None
    assert vocabulary_data(None, ["news"]) is None


def test_no_token_does_anything_to_a_terminal() -> None:
    first = vocabulary({"\x1b[2J": 0, "a\nb": 1, "\u202e": 2, "'": 3, "é": 4})
    second = vocabulary({"x": 0, "y": 1, "z": 2, "w": 3, "ü": 4})
    text = text_of(planned(first, second))
    assert len(text.splitlines()) == 3 + 5
    assert "'\\x1b[2J' in news" in text
    assert "'é' in news, 'ü' in audiobook" in text
    assert all(character.isprintable() or character == "\n" for character in text)
