from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.report.markdown import code, fenced, inert_line, size_of, table

# Text of every kind, and of what Markdown, HTML, GitHub and workflows act on.
HOSTILE = st.text(
    st.one_of(st.characters(), st.sampled_from("`|\\\n\r<>&@#:[]()!*_~$\"'-+ \t\u2028\u202e\x1b")), max_size=300
)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("news", "`news`"),
        ("a|b", "`a\\x7cb`"),
        ("a\\|b", "`a\\\\x7cb`"),
        ("`", "`\\x60`"),
        ("@octocat <!-- <b> [x](http://x)", "`@octocat <!-- <b> [x](http://x)`"),
        ("a\nb", "`a\\nb`"),
        ("", '`""`'),
        ("  ", '`""`'),
        ("::error::x", "`\\x3a:error::x`"),
        ("x ##[error]y", "`x \\x23#[error]y`"),
        ("ends in \\", "`ends in \\`"),
    ],
)
def test_foreign_text_stands_in_a_code_span(text: str, span: str) -> None:
    assert code(text) == span


@given(HOSTILE)
def test_nothing_ends_a_code_span_but_its_end(text: str) -> None:
    span = code(text)
    assert re.fullmatch(r"`[^`|\n\r]+`", span)
    assert span.isprintable()
    assert span.strip("` ") != ""
    assert "##[" not in span
    assert len(span) < 1000


@given(st.lists(HOSTILE.map(lambda text: "".join(character if character.isprintable() else "?" for character in text))))
def test_nothing_ends_a_block_of_code_but_its_end(lines: list[str]) -> None:
    block = fenced(lines).split("\n")
    assert block[0] == "```text"
    assert block[-2:] == ["```", ""]
    assert len(block) == len(lines) + 3
    assert not any("```" in line or "##[" in line or line.lstrip().startswith("::") for line in block[1:-2])


@given(HOSTILE)
def test_a_line_that_is_inert_stays_as_it_is(line: str) -> None:
    assert inert_line(inert_line(line)) == inert_line(line)


def test_sizes_count_bytes_and_line_breaks_twice() -> None:
    assert size_of("aé→𝄞\n") == 1 + 2 + 3 + 4 + 2
    assert size_of("\udcff") == 3


def test_a_table_has_as_many_rows_as_there_is_room_for() -> None:
    rows = [["a", str(number)] for number in range(100)]
    whole = table(["", "n"], rows, (1,), 10_000)
    assert whole.startswith("|  | n |\n| --- | --: |\n| a | 0 |\n")
    assert whole.count("\n") == 102
    some = table(["", "n"], rows, (1,), 300)
    assert size_of(some) <= 300
    left = re.search(r"\| … and (\d+) rows more \|  \|\n\Z", some)
    assert left
    assert int(left[1]) == 100 - (some.count("\n") - 3)
    assert table(["", "n"], rows, (1,), 0).endswith("| … and 100 rows more |  |\n")
