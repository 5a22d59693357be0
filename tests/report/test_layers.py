from __future__ import annotations

import json
from pathlib import Path

import torch

from tests import samples
from tests.builders import save
from tests.golden import check_golden
from xttsrecipe.plan import Plan
from xttsrecipe.report.layers import layers_text

from .plans import planned

NAMES = ("original", "news", "audiobook")


def over_layers(layers: int = 5, **fields: object) -> Plan:
    """The plan of a recipe over checkpoints with so many layers."""
    for seed, name in enumerate(NAMES):
        more = {f"gpt.gpt.h.{layer}.ln_1.weight": torch.full((3,), float(seed)) for layer in range(layers)}
        save(Path(f"{name}.pth"), samples.small_state(seed) | more)
    recipe = {"checkpoints": {name: f"{name}.pth" for name in NAMES}, "output": {"path": "merged.pth"}, **fields}
    return planned(json.dumps(recipe, indent=1))


GRADIENTS = {"original": 0, "news": {"layers": [1, 0.5, 0]}, "audiobook": {"layers": [0, 0.5, 1]}}


def test_weights_over_layers_look_as_agreed() -> None:
    check_golden("report/layers_weights.txt", layers_text(over_layers(weights=GRADIENTS)))


def test_parameters_over_layers_look_as_agreed() -> None:
    method = {
        "name": "ties",
        "density": {"news": {"layers": [0.1, 0.5], "rest": 0.2}, "audiobook": 0.3},
        "lambda": {"layers": [1, 0]},
    }
    plan = over_layers(base="original", method=method, weights={"news": 1, "audiobook": 1})
    check_golden("report/layers_parameters.txt", layers_text(plan))


def test_nothing_is_said_where_nothing_varies() -> None:
    assert layers_text(over_layers()) == ""


def test_what_varies_alike_is_one_table_for_all_that_do() -> None:
    overrides = {
        "gpt.gpt.h.*": {"weights": GRADIENTS},
        "mel_stats": {"weights": {"original": 0, "news": 1, "audiobook": 0}},
        "gpt.text_head.*": {"method": "nuslerp", "weights": {**GRADIENTS, "news": {"layers": [1, 1]}}},
    }
    text = layers_text(over_layers(weights=GRADIENTS, overrides=overrides))
    titles = [line for line in text.splitlines() if line.startswith("layer by layer")]
    assert titles == ['layer by layer, "gpt.gpt.h.*", global weights', 'layer by layer, "gpt.text_head.*"']


def test_weights_are_shown_as_they_are_used_divided_by_their_sum() -> None:
    weights = {"original": 1, "news": {"layers": [1, 3]}, "audiobook": 0}
    text = layers_text(over_layers(2, normalize=True, weights=weights))
    assert [line.split() for line in text.splitlines()[1:]] == [
        ["layer", "original", "news"],
        ["before", "the", "layers", "0.5", "0.5"],
        ["layer", "0", "0.5", "0.5"],
        ["layer", "1", "0.25", "0.75"],
        ["after", "the", "layers", "0.25", "0.75"],
    ]


def test_t_of_slerp_is_shown_as_weights() -> None:
    weights = {"original": 0, "news": 1, "audiobook": 1}
    text = layers_text(over_layers(2, method={"name": "slerp", "t": {"layers": [0, 1]}}, weights=weights))
    assert text.splitlines()[3].split() == ["layer", "0", "1", "0"]


def test_a_pattern_does_nothing_to_a_terminal() -> None:
    text = layers_text(over_layers(overrides={"gpt.gpt.h.*{,\u001b}": {"weights": GRADIENTS}}))
    assert "\x1b" not in text
    assert "\\x1b" in text
