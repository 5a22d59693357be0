from __future__ import annotations

from pathlib import Path

from tests.reviews import TWO, differing
from xttsrecipe.changes import LayerRun, MadeFrom
from xttsrecipe.diff.layer_runs import layer_runs


def rules(*decisions: tuple[str, str]) -> str:
    return TWO + "overrides:\n" + "".join(f'  "{pattern}": {decision}\n' for pattern, decision in decisions)


def shares(making: MadeFrom | None) -> dict[str, object] | None:
    return dict(making.shares) if making else None


def told(run: LayerRun) -> tuple[int, int, list[tuple[tuple[str, ...], object, object]]]:
    return run.first, run.last, [(its.parts, shares(its.old), shares(its.new)) for its in run.changes]


def weighted(news: float) -> str:
    return f"{{weights: {{news: {news}, audiobook: {round(1 - news, 3)}}}}}"


def test_layers_that_change_alike_are_told_together(tmp_path: Path) -> None:
    old = rules(("gpt.gpt.h.{0..9}.*", weighted(0.8)), ("gpt.gpt.h.{10..29}.*", weighted(0.5)))
    new = rules(("gpt.gpt.h.{0..9}.*", weighted(0.6)), ("gpt.gpt.h.{20..29}.*", "from audiobook"))
    assert [told(run) for run in differing(tmp_path, old, new).layers] == [
        (0, 9, [((), {"news": 0.8, "audiobook": 0.2}, {"news": 0.6, "audiobook": 0.4})]),
        (10, 19, []),
        (20, 29, [((), {"news": 0.5, "audiobook": 0.5}, {"audiobook": 1.0})]),
    ]


def test_where_all_layers_change_alike_there_is_nothing_to_tell(tmp_path: Path) -> None:
    new = rules(("gpt.gpt.h.*.attn.*", "from news"))
    assert differing(tmp_path, TWO, new).layers == ()


def test_where_no_layer_changes_there_is_nothing_to_tell(tmp_path: Path) -> None:
    old = rules(("gpt.gpt.h.0.*", "from news"))
    new = rules(("gpt.gpt.h.0.*", "from news"), ("@vocoder", "from news"))
    assert differing(tmp_path, old, new).layers == ()


def test_layers_that_were_blended_and_are_not_any_more_are_told(tmp_path: Path) -> None:
    old = rules(("gpt.gpt.h.{0..1}.*", weighted(0.8)))
    runs = differing(tmp_path, old, TWO).layers
    assert [(run.first, run.last, len(run.changes)) for run in runs] == [(0, 1, 1), (2, 29, 0)]


def test_components_of_a_layer_are_named_where_not_all_of_it_changes(tmp_path: Path) -> None:
    new = rules(
        ("gpt.gpt.h.{0..4}.attn.*", "from news"),
        ("gpt.gpt.h.{0..4}.mlp.c_fc.bias", "from news"),
        ("gpt.gpt.h.7.ln_{1,2}.*", "from audiobook"),
    )
    assert [told(run) for run in differing(tmp_path, TWO, new).layers] == [
        (0, 4, [(("attention", "mlp.c_fc.bias"), {"news": 0.5, "audiobook": 0.5}, {"news": 1.0})]),
        (5, 6, []),
        (7, 7, [(("norms",), {"news": 0.5, "audiobook": 0.5}, {"audiobook": 1.0})]),
        (8, 29, []),
    ]


def test_parts_of_a_layer_that_change_otherwise_are_told_apart(tmp_path: Path) -> None:
    new = rules(("gpt.gpt.h.0.*", weighted(0.9)), ("gpt.gpt.h.0.ln_{1,2}.*", "from news"))
    (run, _) = differing(tmp_path, TWO, new).layers
    assert {its.parts for its in run.changes} == {("attention", "mlp"), ("norms",)}


def test_layers_with_a_gap_are_not_told_as_one(tmp_path: Path) -> None:
    new = rules(("gpt.gpt.h.{0,2}.*", "from news"))
    assert [(run.first, run.last) for run in differing(tmp_path, TWO, new).layers] == [(0, 0), (1, 1), (2, 2), (3, 29)]


def test_other_keys_have_no_layers() -> None:
    assert layer_runs({"a": 1, "gpt.gpt.ln_f.weight": 2, "gpt.gpt.h.x.y": 3}, {}) == ()
