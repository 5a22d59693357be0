from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.strict_json import strictly
from xttsrecipe.outcome import Validation
from xttsrecipe.report.validation import ValidationFormat, show_validations
from xttsrecipe.validation import validate

from .validations import OUTPUT, SOURCES, commands, mixed, recipe, twelve_problems


@pytest.mark.parametrize("form", ValidationFormat)
def test_whether_all_are_valid_is_said_of_all(form: ValidationFormat) -> None:
    results = mixed()
    assert [show_validations([result], form) for result in results] == [not result.problems for result in results]
    assert show_validations(results, form) is False
    assert show_validations(results[:1], form) is True
    assert show_validations([], form) is True


def test_as_text_results_come_as_they_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    recipe("a.yaml", SOURCES + OUTPUT)
    recipe("b.yaml", "x: 1\n")
    seen: list[tuple[str, str]] = []

    def found() -> Iterator[Validation]:
        for result in validate([Path("b.yaml"), Path("a.yaml")]):
            yield result
            out, err = capsys.readouterr()
            seen.append((out, err))

    assert show_validations(found(), ValidationFormat.TEXT) is False
    (out, err), (later_out, later_err) = seen
    assert (out, later_err) == ("", "")
    assert err.startswith("b.yaml:1:1: ")
    assert later_out.startswith("a.yaml: valid, ")


@pytest.mark.parametrize("form", [ValidationFormat.GITHUB, ValidationFormat.JSON, ValidationFormat.SARIF])
def test_other_formats_are_one_document_on_stdout(form: ValidationFormat, capsys: pytest.CaptureFixture[str]) -> None:
    show_validations(mixed(), form)
    out, err = capsys.readouterr()
    assert err == ""
    if form is ValidationFormat.GITHUB:
        assert len(commands(out)) == 6
    else:
        strictly(out)


def test_for_github_a_step_gets_its_summary_and_the_log_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = twelve_problems()
    show_validations(results, ValidationFormat.GITHUB)
    without = capsys.readouterr()
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    for form in ValidationFormat:
        show_validations(results, form)
        if form is ValidationFormat.GITHUB:
            assert capsys.readouterr() == without
        capsys.readouterr()
    assert summary.read_text("utf-8").count("[XR101]") == 12
    assert summary.stat().st_size < 1 << 20


def test_a_summary_of_many_problems_stays_within_what_github_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        recipe(f"recipes/{number}.yaml", "".join(f"field_{line}: 1\n" for line in range(800)))
    summary = tmp_path / "summary.md"
    summary.write_text("# Before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    show_validations(list(validate([Path("recipes")])), ValidationFormat.GITHUB)
    text = summary.read_text("utf-8")
    assert 1_000_000 < summary.stat().st_size <= 1 << 20
    assert text.startswith("# Before\n\n### xttsrecipe validate: 16040 problems in 20 of 20 recipes\n")
    left = 16_040 - text.count("[XR20")
    assert text.endswith(f"\n{left} problems more: see the log.\n")
    out = capsys.readouterr().out
    assert len(commands(out)) == 10
    assert out.count("[XR20") == 16_030
