from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.report.layout import columns, count_text, counted, printable, short, size_text


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (1234, "1.23 KB"),
        (999_499, "999 KB"),
        (999_500, "1 MB"),
        (27_400_000, "27.4 MB"),
        (1_868_000_000, "1.87 GB"),
        (5_610_000_000, "5.61 GB"),
        (12_000_000_000_000, "12 TB"),
    ],
)
def test_sizes_have_decimal_units_and_three_digits(nbytes: int, text: str) -> None:
    assert size_text(nbytes) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1000, "1 K"),
        (65_700, "65.7 K"),
        (466_900_000, "467 M"),
        (2_000_000_000, "2 G"),
    ],
)
def test_counts_have_no_unit_but_a_magnitude(count: int, text: str) -> None:
    assert count_text(count) == text


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert columns([["a", "bb", "c"], ["aaa", "b", "cc"]]) == "  a    bb  c\n  aaa  b   cc"


def test_columns_align_to_the_right_where_asked() -> None:
    assert columns([["name", "12"], ["n", "3"]], right=(1,)) == "  name  12\n  n      3"


def test_columns_take_any_indent() -> None:
    assert columns([["a", "b"]], indent="") == "a  b"


def test_columns_leave_no_space_at_the_end_of_a_line() -> None:
    assert columns([["a", ""], ["b", "long"]]).splitlines()[0] == "  a"


def test_no_rows_are_no_text() -> None:
    assert columns([]) == ""


def test_rows_may_come_from_a_generator() -> None:
    assert columns([str(number), "x"] for number in range(2)) == "  0  x\n  1  x"


def test_a_row_stays_on_one_line_and_aligned_whatever_its_cells_hold() -> None:
    assert columns([["a\nb", "c"], ["d", "f"]]) == "  a\\nb  c\n  d     f"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße, 模型 😀", "Grüße, 模型 😀"),
        ("a\tb\nc\rd", "a\\tb\\nc\\rd"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("\x9b2J\x7f", "\\x9b2J\\x7f"),
        ("\u202egnp.exe\u2028", "\\u202egnp.exe\\u2028"),
        ("caf\udce9", "caf\\udce9"),
    ],
)
def test_what_would_do_something_to_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_printable_text_is_one_line_that_any_utf_8_terminal_shows(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode("utf-8")
    assert printable(shown) == shown


@pytest.mark.parametrize(("count", "text"), [(0, "0 tensors"), (1, "1 tensor"), (2, "2 tensors")])
def test_nouns_are_counted_in_singular_and_plural(count: int, text: str) -> None:
    assert counted(count, "tensor") == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("a  b\n c", "a b c"),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 97 + "…"),
        (" " * 9_000 + "x", "x"),
        (" " * 90_000 + "x", "…"),
        ("x y " * 1_000_000, "x y " * 24 + "x…"),
    ],
    ids=range(7),
)
def test_text_for_a_cell_is_short_and_on_one_line(text: str, shown: str) -> None:
    assert short(text) == shown


def test_a_cell_may_be_longer_where_that_is_asked_for() -> None:
    assert short("x" * 300, 250) == "x" * 247 + "…"
