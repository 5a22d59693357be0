from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.golden import check_golden
from tests.showcase import TWO, showcase
from xttsrecipe.changes import (
    Amount,
    Amounts,
    ComponentChange,
    Decided,
    Kind,
    LayerPart,
    LayerRun,
    MadeFrom,
    OutputChange,
    PlanDiff,
    RecipeChange,
    Review,
    RuleChange,
    Side,
    SourceChange,
    SourceFacts,
    Status,
    TensorChange,
)
from xttsrecipe.codes import Code
from xttsrecipe.diff.recipes import compare
from xttsrecipe.errors import Location, Problem
from xttsrecipe.report.diff_markdown import diff_markdown
from xttsrecipe.report.markdown import MOST, size_of
from xttsrecipe.specs import DType, TensorSpec

LIMIT = 65_536


@pytest.fixture
def review(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Review:
    """Of a repository in which recipes change in every way."""
    monkeypatch.chdir(showcase(tmp_path / "work").root)
    return compare("main")


def one(review: Review, stem: str) -> Review:
    return replace(review, recipes=tuple(its for its in review.recipes if Path(its.name).stem == stem))


def listed_keys(text: str) -> list[str]:
    return re.findall(r"(?m)^  (\S+)$", text)


# --- what it looks like ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="paths look otherwise there")
def test_markdown_looks_as_agreed(review: Review) -> None:
    """But for most of the keys."""
    text = re.sub(r"(?m)^((?:  \S+\n){3})(?:  \S+\n)+", r"\1  …\n", diff_markdown(review))
    check_golden("diff/markdown.md", text)


@pytest.mark.parametrize("stem", ["text", "gone", "broken", "renamed"])
@pytest.mark.skipif(sys.platform == "win32", reason="paths look otherwise there")
def test_markdown_of_one_recipe_looks_as_agreed(stem: str, review: Review) -> None:
    check_golden(f"diff/markdown_{stem}.md", diff_markdown(one(review, stem)))


def test_markdown_of_nothing_says_so(review: Review) -> None:
    assert diff_markdown(replace(review, recipes=())) == "### `main` → work tree: no recipe differs\n"


def test_every_key_is_listed_where_there_is_room(review: Review) -> None:
    for stem, count in (("layer_blend", 321), ("sources", 963)):
        text = diff_markdown(one(review, stem))
        assert len(set(listed_keys(text))) == count
        assert "for which there is no room" not in text
        assert f"<summary>All {count} tensors that change</summary>" in text


def test_details_are_folded_as_github_wants_it(review: Review) -> None:
    """A blank line between the HTML and the Markdown in it."""
    text = diff_markdown(one(review, "layer_blend"))
    assert re.search(r"\n\n<details>\n<summary>[^\n]+</summary>\n\n```text\n(?s:.+)\n```\n\n</details>\n\Z", text)


# --- what fits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [5_000, 30_000, MOST])
def test_it_is_never_longer_than_it_may_be_and_counts_what_is_left_out(most: int, review: Review) -> None:
    text = diff_markdown(review, most)
    assert size_of(text) <= most
    for its in review.recipes:
        assert its.diff is None or its.status is not Status.CHANGED or not its.diff.tensors or _all_counted(text, its)


def _all_counted(text: str, change: RecipeChange) -> bool:
    """Whether those keys that are not listed are counted; a recipe that is left out whole is."""
    assert change.diff is not None
    _, found, section = text.partition(f"#### `{change.name}`\n")
    if not found:
        return "left out here" in text
    section = section.partition("\n#### ")[0]
    left = re.search(r"… and (\d+) tensors? more", section)
    return len(listed_keys(section)) + (int(left[1]) if left else 0) == len(change.diff.tensors)


def test_recipes_for_which_there_is_no_room_are_counted(review: Review) -> None:
    many = tuple(
        replace(its, name=f"{number}/{its.name}") for number in range(100) for its in one(review, "sources").recipes
    )
    text = diff_markdown(replace(review, recipes=many))
    assert size_of(text) <= MOST
    sections = text.count("\n#### ")
    assert 0 < sections < 100
    assert f"{100 - sections} recipes left out here" in text
    listed = text.count("\n- `")
    assert f"- … and {100 - listed} recipes more" in text


def test_what_short_lists_leave_long_ones_have(review: Review) -> None:
    few = tuple(its for its in review.recipes if Path(its.name).stem in ("layer_blend", "sources"))
    text = diff_markdown(replace(review, recipes=few), 40_000)
    assert size_of(text) > 38_000
    assert "All 321 tensors" in text


# --- hostile names --------------------------------------------------------------------------------------------------

NAMES = st.text(
    st.one_of(st.characters(), st.sampled_from("`|\\\n<>&@#:[]()!*_~$ \u202e")), min_size=1, max_size=400
) | st.sampled_from(
    ["@octocat", "</details>", "<!--", "```\n", "::error::x", "\n::stop-commands::x", "##[error]x", "a|b"]
)
SPECS = st.sampled_from([TensorSpec((2, 3), DType.FLOAT32), TensorSpec((), DType.INT64)])
SHARES = st.lists(st.tuples(NAMES, st.floats(allow_nan=False)), min_size=1, max_size=12).map(tuple)
MAKINGS = st.builds(MadeFrom, SPECS, st.sampled_from(["from", "linear", "carried"]), st.booleans(), SHARES)
DECIDED = st.builds(
    Decided,
    st.none() | NAMES,
    st.sampled_from(["from", "linear", "carried"]),
    st.dictionaries(st.sampled_from(["density", "seed"]), st.floats(0, 1), max_size=2),
    SHARES,
)
FACTS = st.builds(
    SourceFacts, NAMES.map(lambda name: Path(name.replace("\0", ""))), st.none() | NAMES, st.none() | st.integers(0),
    st.sampled_from([None, "release"]), st.sampled_from([None, "v2.0.3"]), st.none() | NAMES, st.none() | st.integers(),
)  # fmt: skip
AMOUNT = Amount(1, 6, 24)
AMOUNTS = st.just(Amounts({Kind.WEIGHTS: AMOUNT}, AMOUNT))
PARTS = st.lists(st.builds(LayerPart, st.tuples(NAMES), MAKINGS, MAKINGS)).map(tuple)
DIFFS = st.builds(
    PlanDiff,
    sources=st.lists(st.builds(SourceChange, NAMES, NAMES, FACTS, FACTS, st.booleans()), max_size=3).map(tuple),
    weights=st.none() | st.tuples(DECIDED, DECIDED),
    output=st.lists(st.builds(OutputChange, NAMES, NAMES, st.none() | NAMES), max_size=3).map(tuple),
    tensors=st.lists(
        st.builds(TensorChange, NAMES, NAMES, MAKINGS, MAKINGS, st.just((Kind.WEIGHTS,))), min_size=1, max_size=20
    ).map(tuple),
    amounts=AMOUNTS,
    by_rule=st.lists(st.builds(RuleChange, st.none() | DECIDED, DECIDED, AMOUNTS), max_size=5).map(tuple),
    by_component=st.lists(st.builds(ComponentChange, NAMES, AMOUNTS), max_size=5).map(tuple),
    layers=st.lists(
        st.builds(
            LayerRun,
            st.just(0),
            st.just(3),
            st.lists(st.builds(LayerPart, st.tuples(NAMES), MAKINGS, MAKINGS)).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    tensors_before=st.just(9),
    tensors_after=st.just(9),
    new_warnings=st.lists(NAMES, max_size=2).map(tuple),
)
PROBLEMS = st.builds(
    Problem,
    st.sampled_from(list(Code)),
    NAMES,
    st.builds(Location, NAMES, st.just(3), st.just(2), NAMES),
    NAMES,
    NAMES,
    NAMES,
)


def _sides(problems: st.SearchStrategy[tuple[Problem, ...]]) -> st.SearchStrategy[Side]:
    return st.builds(Side, NAMES, st.just(Path("a.yaml")), st.none() | NAMES, problems)


COMPARISONS = st.one_of(
    st.builds(
        RecipeChange, NAMES, st.just(Status.CHANGED), _sides(st.just(())), _sides(st.just(())), st.just(1),
        st.just(True),
        st.just(False), DIFFS,
    ),
    st.builds(
        RecipeChange, NAMES, st.just(Status.INVALID),
        _sides(st.lists(PROBLEMS, min_size=1, max_size=3).map(tuple)), st.none(),
        st.just(1), st.just(True), st.just(False),
    ),
)  # fmt: skip


def test_of_many_problems_of_a_recipe_the_first_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = TWO + "overrides:\n" + "".join(f"  x{number}.*: from nobody{number}\n" for number in range(40))
    names = [f"{number:02}.yaml" for number in range(20)]
    monkeypatch.chdir(showcase(tmp_path / "work", dict.fromkeys(names, TWO), dict.fromkeys(names, many)).root)
    text = diff_markdown(compare("main"))
    assert text.count("[XR101]") == 20 * 5
    assert text.count("… and 35 problems more; `--format json` has everything.") == 20
    assert "left out here" not in text


OURS = {
    "heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "text", "code_inline", "fence",
    "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close", "table_open", "table_close",
    "thead_open", "thead_close", "tbody_open", "tbody_close", "tr_open", "tr_close", "th_open", "th_close", "td_open",
    "td_close", "strong_open", "strong_close", "hardbreak", "softbreak", "html_block", "html_inline",
}  # fmt: skip


def parsed(text: str) -> list[Token]:
    """What a parser of Markdown with tables takes it for."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    return [its for token in tokens for its in (token, *(token.children or []))]


def outside_of_code(text: str) -> str:
    """What Markdown acts on: all but code blocks and code spans, as CommonMark finds them."""
    text = re.sub(r"(?ms)^```text\n.*?^```$", "", text)
    return re.sub(r"`[^`\n]+`", "CODE", text)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(COMPARISONS, min_size=1, max_size=3), NAMES, st.none() | NAMES, st.sampled_from([6_000, 20_000, MOST]))
def test_nothing_foreign_is_outside_of_code_whatever_it_is(
    recipes: list[RecipeChange], old: str, new: str | None, most: int
) -> None:
    text = diff_markdown(Review(old, new, tuple(recipes)), most)
    assert size_of(text) <= most
    assert len(text) < LIMIT
    assert all(line.isprintable() for line in text.split("\n"))
    outside = outside_of_code(text)
    # All that is left is ours.
    assert "`" not in outside
    assert not re.search(r"[@\[\]\\!$~](?!\n)", outside), outside
    assert set(re.findall(r"<[^>]*>", outside)) <= {
        "<sub>",
        "</sub>",
        "<details>",
        "</details>",
        "<summary>",
        "</summary>",
    }
    assert "<" not in re.sub(r"</?(sub|details|summary)>", "", outside)
    assert outside.count("<details>") == outside.count("</details>")
    tokens = parsed(text)
    assert {token.type for token in tokens} <= OURS
    html = "".join(token.content for token in tokens if token.type.startswith("html_"))
    assert re.sub(r"<summary>(The tensor|All \d+ tensors) that changes?</summary>|</?(sub|details)>|\s", "", html) == ""
    # Every row of a table has the cells that its head has.
    for block in re.findall(r"(?m)(?:^\|.*\n)+", outside):
        assert len({line.count("|") for line in block.splitlines()}) == 1
    # Nor is a line a command where this passes through the log of a workflow.
    assert not any(line.lstrip().startswith("::") or "##[" in line for line in text.split("\n"))
