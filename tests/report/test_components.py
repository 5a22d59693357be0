from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

import xttsrecipe
from tests import samples
from tests.builders import save, v1_state
from tests.golden import check_golden
from tests.strict_json import strictly
from tests.voices import voice
from xttsrecipe.report.components import components_json, components_text
from xttsrecipe.specs import Header
from xttsrecipe.xtts import COMPONENTS, GROUPS, LEAVES, known_tensors

PARTS = ("tensors", "parameters", "bytes")


def small() -> Header:
    """Nine tensors of XTTS-V2: most components have none of theirs."""
    save(Path("small.pth"), samples.small_state())
    return xttsrecipe.inspect("small.pth")


def old() -> Header:
    save(Path("v1.pth"), v1_state())
    return xttsrecipe.inspect("v1.pth")


def extended() -> Header:
    """Five tensors that are none of XTTS-V2's."""
    more = {f"gpt.dialect.{number}.weight": torch.ones(2) for number in range(5)}
    save(Path("extended.pth"), samples.small_state() | more)
    return xttsrecipe.inspect("extended.pth")


def row(text: str, name: str) -> list[str]:
    """The cells of a component's first line, those with spaces within taken apart at two."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"  {name} "))
    return re.split(r"  +", line.strip())


# -- for people


def test_the_components_look_as_agreed() -> None:
    check_golden("report/components.txt", components_text(None))


@pytest.mark.parametrize("layout", ["release", "trainer"])
def test_the_components_of_a_checkpoint_look_as_agreed(layout: str) -> None:
    header = xttsrecipe.inspect(samples.make(layout, Path()))
    check_golden(f"report/components_{layout}.txt", components_text(header))


def test_what_is_in_no_component_looks_as_agreed() -> None:
    check_golden("report/components_v1.txt", components_text(old()))


def test_the_built_in_table_is_named_where_its_tensors_are_shown_and_only_there() -> None:
    assert "XTTS-V2 2.0.3, from the built-in table" in components_text(None)
    assert "built-in" not in components_text(small())


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_has_a_row_with_what_it_is(name: str) -> None:
    part = {**LEAVES, **GROUPS}[name]
    assert row(components_text(None), f"@{name}")[3] == part.about
    assert all(pattern in components_text(None) for pattern in part.patterns)
    assert row(components_text(small()), f"@{name}")


def test_a_component_without_tensors_is_shown_as_0() -> None:
    assert row(components_text(small()), "@mlp")[1:4] == ["0", "-", "-"]
    assert row(components_text(small()), "@attention")[1:4] == ["1", "6", "24 B"]


def test_tensors_in_no_component_have_a_row_with_some_of_their_keys() -> None:
    cells = row(components_text(extended()), "(in no component)")
    keys = "gpt.dialect.0.weight, gpt.dialect.1.weight, gpt.dialect.2.weight and 2 more"
    assert cells[1:] == ["5", "10", "40 B", keys]
    assert "(in no component)" not in components_text(small())
    assert row(components_text(extended()), "@gpt") == row(components_text(small()), "@gpt")


@pytest.mark.parametrize("key", ["gpt.a\nb", "gpt.a\x1b[2Jb"], ids=["line break", "escape"])
def test_a_key_does_nothing_to_the_terminal(key: str) -> None:
    save(Path("odd.pth"), samples.small_state() | {key: torch.ones(1)})
    text = components_text(xttsrecipe.inspect("odd.pth"))
    assert not [character for character in text if character < " " and character != "\n"]


@pytest.mark.parametrize("layout", ["", *(layout for layout in samples.LAYOUTS if layout != "plain")])
def test_no_line_is_wider_than_a_reader_likes(layout: str) -> None:
    header = xttsrecipe.inspect(samples.make(layout, Path())) if layout else None
    assert max(map(len, components_text(header).splitlines())) <= 120


# -- for machines


def test_the_json_of_the_built_in_table_says_so() -> None:
    data = strictly(components_json(None))
    assert (data["path"], data["built_in_table"], data["version"]) == (None, "XTTS-V2 2.0.3", None)
    assert data["in_all"]["tensors"] == len(known_tensors())
    assert data["in_no_component"] == {"tensors": 0, "parameters": 0, "bytes": 0, "keys": []}
    assert "training_only" not in data


def test_the_json_has_every_component_with_what_it_is() -> None:
    data = strictly(components_json(None))
    assert list(data["components"]) == list(LEAVES)
    assert list(data["groups"]) == list(GROUPS)
    assert data["components"]["norms"] == {
        "about": "layer norms of the GPT",
        "patterns": ["gpt.gpt.h.*.ln_{1,2}.*", "gpt.gpt.ln_f.*", "gpt.final_norm.*"],
        "tensors": 124,
        "parameters": 126_976,
        "bytes": 507_904,
    }
    assert data["groups"]["encoder"]["components"] == [
        "conditioning_encoder",
        "conditioning_perceiver",
        "speaker_encoder",
    ]


@pytest.mark.parametrize("kind", ["small", "v1", "extended", "trainer"])
def test_leaves_and_the_rest_add_up_and_groups_are_sums_of_leaves(kind: str) -> None:
    makers = {"small": small, "v1": old, "extended": extended}
    header = makers[kind]() if kind in makers else xttsrecipe.inspect(samples.make(kind, Path()))
    data = json.loads(components_json(header))
    assert (data["path"], data["built_in_table"]) == (str(header.path), None)
    assert (data["layout"], data["version"]) == (header.layout, header.version)
    assert data["training_only"]["tensors"] == len(header.training_only)
    leaves = data["components"]
    for part in PARTS:
        whole = sum(leaf[part] for leaf in leaves.values()) + data["in_no_component"][part]
        assert whole == data["in_all"][part]
        for group in data["groups"].values():
            assert group[part] == sum(leaves[name][part] for name in group["components"])
    assert data["in_all"]["tensors"] == len(header.tensors)


def test_the_json_lists_every_key_in_no_component() -> None:
    keys = json.loads(components_json(extended()))["in_no_component"]["keys"]
    assert keys == [f"gpt.dialect.{number}.weight" for number in range(5)]


def test_a_model_directory_has_the_components_of_its_model() -> None:
    voice(Path("news"))
    header = xttsrecipe.inspect("news")
    assert row(components_text(header), "@text_head")[1:3] == ["2", "24"]
    data = strictly(components_json(header))
    assert data["path"] == str(Path("news/model.pth"))
    assert data["in_all"]["tensors"] == 9
