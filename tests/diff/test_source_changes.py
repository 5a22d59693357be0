from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests import samples
from tests.reviews import TWO, reviewed
from xttsrecipe.changes import SourceFacts
from xttsrecipe.diff.source_changes import shared_files, source_changes, source_facts

FACTS = SourceFacts(Path("/x/a.pth"), None, None, None, None, None, None)
OTHER = replace(FACTS, path=Path("/x/b.pth"))


def known(facts: SourceFacts, digest: str) -> SourceFacts:
    """The recipe states the digest."""
    return replace(facts, sha256=digest * 64, is_stated=True)


def told(
    before: dict[str, SourceFacts], after: dict[str, SourceFacts]
) -> list[tuple[str, str | None, str | None, bool]]:
    changes = source_changes(before, after, shared_files(before, after))
    return [(its.what, its.old_name, its.new_name, its.same_file) for its in changes]


def test_sources_come_and_go(tmp_path: Path) -> None:
    assert told({"a": FACTS}, {"b": OTHER}) == [("added", None, "b", False), ("removed", "a", None, False)]
    assert told({"a": FACTS, "b": OTHER}, {"b": OTHER, "a": FACTS}) == []


def test_a_digest_says_more_than_a_path() -> None:
    assert told({"a": known(FACTS, "0")}, {"a": known(FACTS, "1")}) == [("changed", "a", "a", False)]
    assert told({"a": known(FACTS, "0")}, {"a": known(OTHER, "0")}) == [("changed", "a", "a", True)]
    assert told({"a": known(FACTS, "0")}, {"b": known(OTHER, "0")}) == [("renamed", "a", "b", True)]


def test_a_digest_that_only_locks_have_says_nothing_of_another_path() -> None:
    before, after = (replace(known(facts, "0"), is_stated=False) for facts in (FACTS, OTHER))
    assert told({"a": before}, {"a": after}) == [("changed", "a", "a", False)]
    assert told({"a": before}, {"a": replace(after, is_stated=True)}) == [("changed", "a", "a", True)]
    assert told({"a": before}, {"a": before}) == []


def test_that_more_is_known_is_no_change() -> None:
    more = replace(FACTS, sha256="0" * 64, size=5, layout="release", version="v2", step=1, epoch=2)
    assert told({"a": FACTS}, {"a": more}) == []
    assert told({"a": more}, {"a": FACTS}) == []


def test_other_training_is_a_change() -> None:
    before, after = replace(FACTS, size=5, step=1), replace(FACTS, size=6, step=2)
    assert told({"a": before}, {"a": after}) == [("changed", "a", "a", True)]


def test_a_number_that_is_none_is_no_change_to_itself() -> None:
    facts = replace(FACTS, step=float("nan"))
    assert told({"a": facts}, {"a": facts}) == []


def test_a_name_that_stays_is_not_taken_for_another() -> None:
    """Though the file that it named now has another name."""
    assert told({"a": FACTS}, {"a": OTHER, "b": FACTS}) == [("changed", "a", "a", False), ("added", None, "b", False)]
    assert told({"a": FACTS, "b": OTHER}, {"a": OTHER, "b": FACTS}) == [
        ("changed", "a", "a", False),
        ("changed", "b", "b", False),
    ]


def test_of_two_names_for_one_file_each_is_another_ones_new_name() -> None:
    assert told({"a": FACTS, "b": FACTS}, {"c": FACTS, "d": FACTS}) == [
        ("renamed", "a", "c", True),
        ("renamed", "b", "d", True),
    ]
    assert told({"a": FACTS}, {"b": FACTS, "c": FACTS}) == [("renamed", "a", "b", True), ("added", None, "c", False)]


def test_hundreds_of_sources_are_told_apart() -> None:
    before = {str(number): replace(FACTS, path=Path(f"/x/{number}.pth")) for number in range(256)}
    after = {f"new {name}": facts for name, facts in before.items()}
    assert {change[0] for change in told(before, after)} == {"renamed"}


def test_facts_are_those_of_the_headers(tmp_path: Path) -> None:
    samples.pair(tmp_path)
    facts = source_facts(reviewed(tmp_path, TWO))["audiobook"]
    path = tmp_path / "audiobook.pth"
    assert facts == SourceFacts(path, None, path.stat().st_size, "release", "v2.0.3", 300, 1)


def test_of_a_file_that_is_not_here_only_the_path_is_known(tmp_path: Path) -> None:
    digest = "a" * 64
    text = f"checkpoints: {{a: {{path: x/../a.pth, sha256: {digest}}}}}\noutput: {{path: out.pth}}\n"
    assert source_facts(reviewed(tmp_path, text)) == {
        "a": SourceFacts(tmp_path / "a.pth", digest, None, None, None, None, None, True)
    }
    assert source_facts(None) == {}
