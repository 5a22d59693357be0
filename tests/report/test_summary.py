from __future__ import annotations

from pathlib import Path

import torch

from tests.merging import plan_of
from xttsrecipe.report.summary import nonfinite_text, summary_text
from xttsrecipe.specs import DType
from xttsrecipe.summary import NonFinite, Summary


def summary(*nonfinite: NonFinite) -> Summary:
    return Summary(Path("out.pth"), 963, 1_867_000_000, 1_868_000_000, 0.5, nonfinite)


def test_a_run_is_summed_up_in_a_line(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, [{"x": torch.ones(3)}])
    assert summary_text(plan, summary()) == "out.pth: 963 tensors, 1.87 GB in 0.5 s (3.73 GB/s)\n"


def test_nothing_is_said_where_all_is_finite() -> None:
    assert nonfinite_text(summary()) == ""


def test_what_is_not_finite_is_listed_with_whose_it_is() -> None:
    found = [
        NonFinite("gpt.a", DType.FLOAT16, 1200, 0, {"news": 1200}),
        NonFinite("gpt.b", DType.FLOAT16, 3, 1, {"news": 2, "audiobook": 1}),
    ]
    assert nonfinite_text(summary(*found)) == (
        "warning: 2 tensors hold values that are NaN or infinite [XR607]\n"
        "    gpt.a: 1,200 from news\n"
        "    gpt.b: 2 from news, 1 from audiobook, 1 too large for float16\n"
    )
    assert nonfinite_text(summary(found[0])).startswith("warning: 1 tensor holds values")


def test_all_are_named_and_names_from_a_file_cannot_steer_the_terminal() -> None:
    found = [NonFinite(f"\x1b[2J{number}", DType.FLOAT32, 1, 0, {"a": 1}) for number in range(30)]
    text = nonfinite_text(summary(*found))
    assert "\x1b" not in text
    assert text.endswith("29: 1 from a\n")
