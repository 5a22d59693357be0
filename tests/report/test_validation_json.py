from __future__ import annotations

from pathlib import Path

from tests import samples
from tests.golden import check_golden
from tests.strict_json import strictly
from xttsrecipe.codes import Code
from xttsrecipe.errors import Location, Problem
from xttsrecipe.outcome import Validation
from xttsrecipe.report.validation_json import validation_json
from xttsrecipe.validation import validate

from .validations import mixed


def test_json_looks_as_agreed() -> None:
    check_golden("report/validation.json", validation_json(mixed()))


def test_all_results_are_valid_or_not_together() -> None:
    data = strictly(validation_json(mixed()))
    assert data["valid"] is False
    assert [file["valid"] for file in data["files"]] == [True, False, False, False, False, False]
    valid = [result for result in mixed() if not result.problems]
    assert strictly(validation_json(valid))["valid"] is True
    assert strictly(validation_json([])) == {"valid": True, "files": []}


def test_warnings_and_notes_make_no_recipe_invalid() -> None:
    recipe = samples.pair(Path())
    (result,) = validate([recipe])
    assert result.warnings
    data = strictly(validation_json([result]))
    assert (data["valid"], data["files"][0]["valid"], data["files"][0]["problems"]) == (True, True, [])
    assert data["files"][0]["warnings"] == list(result.warnings)
    assert data["files"][0]["extent"] == "its checkpoints' headers too"
    (result,) = validate([recipe.with_name("absent.yaml")])
    assert (result.warnings, result.notes) == ((), ())


def test_a_problem_that_says_everything_is_said_whole() -> None:
    where = Location("r.yaml", 3, 5, "    weights: x", 7)
    full = Problem(Code.WRONG_TYPE, "what", where, "found", "expected", "hint", tuple("abcdefghijklmnopq"))
    bare = Problem(Code.TORCH_MISSING, "what")
    data = strictly(validation_json([Validation(Path("r.yaml"), (full, bare), "")]))
    assert data["files"][0]["problems"] == [
        {
            "code": "XR203", "name": "wrong-type", "message": "what", "file": "r.yaml", "line": 3, "column": 5,
            "endColumn": 12, "found": "found", "expected": "expected", "hint": "hint",
            "details": list("abcdefghijklmnopq"),
        },
        {
            "code": "XR601", "name": "torch-missing", "message": "what", "file": None, "line": None, "column": None,
            "endColumn": None, "found": None, "expected": None, "hint": None, "details": [],
        },
    ]  # fmt: skip


def test_half_a_character_is_no_bug_and_reaches_nobody() -> None:
    odd = "\udcff\ud83d"
    problem = Problem(Code.MISSING_FILE, odd, Location(odd), odd, odd, odd, (odd,))
    text = validation_json([Validation(Path(odd), (problem,), "", (odd,), (odd,))])
    assert "\\ud" not in text.replace("\\\\ud", "")
    assert strictly(text)["files"][0]["problems"][0]["file"] == "\\udcff\\ud83d"


def test_what_drifted_from_a_lock_is_told_as_problems_are_and_makes_nothing_invalid() -> None:
    problem = Problem(Code.LOCK_OF_ANOTHER_PLAN, "is of another plan", Location("a.lock.yaml"))
    data = strictly(validation_json([Validation(Path("a.yaml"), (), "all", drift=(problem,))]))
    (file,) = data["files"]
    assert (data["valid"], file["valid"]) == (True, True)
    assert [(found["code"], found["file"]) for found in file["drift"]] == [("XR704", "a.lock.yaml")]
