from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.methods.draws import draw_of


def numbers(seed: int = 0, key: str = "gpt.h.0", source: str = "news", count: int = 50_000) -> torch.Tensor:
    return draw_of(seed, key, source)(count)


def test_the_same_three_give_the_same_numbers_on_every_machine() -> None:
    assert numbers(count=3).tolist() == [0.619834427290117, 0.6708688398623096, 0.7327011154725642]


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=8))
def test_it_does_not_matter_in_which_portions_they_are_asked_for(counts: list[int]) -> None:
    draw = draw_of(7, "k", "s")
    portions = [draw(count) for count in counts]
    assert [len(portion) for portion in portions] == counts
    assert torch.equal(torch.cat(portions), numbers(7, "k", "s", sum(counts)))


def test_they_are_uniform() -> None:
    found = numbers(count=100_000)
    assert found.dtype == torch.float64
    assert ((found >= 0) & (found < 1)).all()
    assert len(set(found.tolist())) == len(found)
    counts = found.mul(100).floor().long().bincount(minlength=100)
    assert ((counts - 1000).abs() < 5.5 * 1000**0.5).all()
    assert found.mul(2.0**53).floor().remainder(2).mean().item() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"seed": -1},
        {"seed": 1 << 32},
        {"seed": 1 << 200},
        {"key": "gpt.h.1"},
        {"source": "base"},
        {"key": "gpt.h.0news", "source": ""},
        {"key": "", "source": 'gpt.h.0", "news'},
        {"key": "\ud800é"},
    ],
)
def test_another_seed_key_or_source_gives_others(other: dict[str, object]) -> None:
    given = {"seed": 0, "key": "gpt.h.0", "source": "news", **other}
    found, first = numbers(**given), numbers()  # type: ignore[arg-type]
    agreeing = ((found < 0.5) == (first < 0.5)).double().mean().item()
    assert abs(agreeing - 0.5) < 5 * (0.25 / len(first)) ** 0.5
