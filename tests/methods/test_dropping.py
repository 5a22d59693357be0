"""What random_methods.json says of DARE and DELLA, over its 400 seeds, and what else they promise."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.merging import assert_same_bits
from tests.methods.cases import VECTORS, draws
from xttsrecipe.methods.draws import draw_of
from xttsrecipe.methods.dropping import dare_linear, dare_ties, della, della_linear, della_refusal
from xttsrecipe.methods.sparse import ties
from xttsrecipe.methods.task_vectors import task_arithmetic

WANTED = json.loads((VECTORS / "random_methods.json").read_text("utf-8"))
SETTING, DROP = WANTED["setting"], WANTED["drop"]
ROWS, LENGTH = SETTING["shape"]
DENSITY, EPSILON, SEEDS, LAMBDA = (SETTING[name] for name in ("density", "epsilon", "seeds", "lambda"))
WEIGHTS = [0.6, 0.4]
LINEAR: dict[str, Callable[..., torch.Tensor]] = {"dare_linear": dare_linear, "della_linear": della_linear}
ELECTED: dict[str, Callable[..., torch.Tensor]] = {"dare_ties": dare_ties, "della": della}
ALL = {**LINEAR, **ELECTED}


def family(name: str) -> str:
    return name.partition("_")[0]


def parameters(name: str, sources: int = 2, density: float = DENSITY) -> dict[str, Any]:
    """With the epsilon that DELLA takes."""
    return {"density": [density] * sources, **({"epsilon": [EPSILON] * sources} if family(name) == "della" else {})}


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


BASE = normal(0, ROWS, LENGTH)
DELTAS = [0.1 * normal(seed, ROWS, LENGTH) for seed in (1, 2)]
TENSORS = [BASE + delta for delta in DELTAS]


def probabilities(name: str, delta: torch.Tensor) -> torch.Tensor:
    """What an element is kept with, by the file's own table for DELLA."""
    if family(name) == "dare":
        return torch.full_like(delta, DENSITY)
    by_rank = torch.tensor(DROP["della"]["keep_probability_by_rank"], dtype=torch.float64)
    return by_rank[delta.abs().argsort(-1).argsort(-1)]


def dropped(name: str, delta: torch.Tensor, seed: int, source: str = "0", **others: Any) -> torch.Tensor:
    """The task vector of one source over a base of zeros: dropped and scaled, and nothing else."""
    given = {**parameters(name, 1), **others}
    return ALL[name]([delta], [1.0], delta * 0, draws=[draw_of(seed, "gpt.h.0", source)], **given)


@pytest.fixture(scope="module", params=["dare_linear", "della_linear"])
def over_seeds(request: pytest.FixtureRequest) -> tuple[str, torch.Tensor]:
    """The dropped task vector of the first source, for every seed."""
    name = request.param
    return name, torch.stack([dropped(name, DELTAS[0], seed) for seed in range(SEEDS)])


def test_elements_are_kept_as_often_as_they_should(over_seeds: tuple[str, torch.Tensor]) -> None:
    name, found = over_seeds
    wanted = DROP[family(name)]
    rate = (found != 0).double().mean().item()
    sigmas = wanted["within_sigmas"] * wanted["sigma_of_that_mean"]
    assert abs(rate - wanted["mean_keep_rate_over_seeds"]) < sigmas


def test_what_is_kept_is_divided_by_its_probability(over_seeds: tuple[str, torch.Tensor]) -> None:
    """Each element by its own in DELLA, where mergekit divides by another number."""
    name, found = over_seeds
    expected = (DELTAS[0] / probabilities(name, DELTAS[0])).expand(found.shape)
    kept = found != 0
    torch.testing.assert_close(found[kept], expected[kept], rtol=1e-12, atol=0)


def test_della_keeps_by_rank() -> None:
    found = torch.stack([dropped("della_linear", DELTAS[0], seed) for seed in range(SEEDS)]) != 0
    order = DELTAS[0].abs().argsort(-1)
    rates = found.double().mean(0).gather(-1, order).mean(0)
    wanted = torch.tensor(DROP["della"]["keep_probability_by_rank"], dtype=torch.float64)
    sigma = (wanted * (1 - wanted) / (ROWS * SEEDS)).sqrt()
    assert ((rates - wanted).abs() < 5 * sigma).all()


@pytest.mark.parametrize("name", LINEAR)
def test_dropped_elements_are_the_base_exactly(name: str) -> None:
    found = ALL[name]([TENSORS[0]], [1.0], BASE, draws=draws(1), **parameters(name, 1))
    kept = dropped(name, TENSORS[0] - BASE, 0) != 0
    assert torch.equal(found == BASE, ~kept)


@pytest.mark.parametrize("name", LINEAR)
def test_over_seeds_it_is_task_arithmetic_with_the_right_variance(name: str) -> None:
    found = torch.stack(
        [
            ALL[name](TENSORS, WEIGHTS, BASE, draws=draws(2, seed), lambda_=LAMBDA, **parameters(name))
            for seed in range(SEEDS)
        ]
    )
    expected = task_arithmetic(TENSORS, WEIGHTS, BASE, lambda_=LAMBDA)
    variance = torch.zeros_like(BASE)
    for delta, weight in zip(DELTAS, WEIGHTS, strict=True):
        share = probabilities(name, delta)
        variance += (LAMBDA * weight * delta).square() * (1 - share) / share
    scores = (found.mean(0) - expected) / (variance / SEEDS).sqrt()
    assert scores.abs().max() < 6
    assert abs(scores.square().mean().item() - 1) < 6 * math.sqrt(2 / BASE.numel())
    assert 0.9 < (found.var(0) / variance).mean().item() < 1.1


@pytest.mark.parametrize("name", ELECTED)
@pytest.mark.parametrize("normalize", [True, False])
def test_what_is_left_is_elected_and_merged_as_by_ties(name: str, normalize: bool) -> None:
    linear = name.replace("_ties", "_linear") if "_ties" in name else "della_linear"
    zeros = BASE * 0
    for seed in range(SEEDS // 10):
        left = [dropped(linear, delta, seed, source) for delta, source in zip(DELTAS, "01", strict=True)]
        expected = ties(left, WEIGHTS, zeros, density=[1.0, 1.0], normalize=normalize)
        found = ALL[name](DELTAS, WEIGHTS, zeros, draws=draws(2, seed), normalize=normalize, **parameters(name))
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
        assert torch.equal(dropped(name, DELTAS[0], seed), dropped(linear, DELTAS[0], seed))


@pytest.mark.parametrize("name", ALL)
def test_at_density_one_nothing_is_dropped(name: str) -> None:
    found = ALL[name](TENSORS, WEIGHTS, BASE, draws=draws(2), lambda_=0.7, **parameters(name, density=1.0))
    expected = (
        task_arithmetic(TENSORS, WEIGHTS, BASE, lambda_=0.7)
        if name in LINEAR
        else ties(TENSORS, WEIGHTS, BASE, density=[1.0, 1.0], lambda_=0.7)
    )
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("density", [0, 0.0])
def test_at_density_zero_everything_is(name: str, density: float) -> None:
    given = {"density": [density] * 2, **({"epsilon": [EPSILON] * 2} if family(name) == "della" else {})}
    assert_same_bits(ALL[name](TENSORS, WEIGHTS, BASE, draws=draws(2), **given), BASE)


def test_an_outlier_does_not_change_the_factor() -> None:
    delta = torch.tensor([10.0] + [0.001] * 999, dtype=torch.float64)
    kept_outlier = 0
    for seed in range(50):
        found = dropped("dare_linear", delta, seed)
        assert torch.equal(found[found != 0], 2 * delta[found != 0])
        kept_outlier += bool(found[0] != 0)
    assert 10 < kept_outlier < 40


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(), (1,), (4, 1)])
def test_rows_of_one_element_are_kept_with_the_density(name: str, shape: tuple[int, ...]) -> None:
    delta = torch.full(shape, 0.3, dtype=torch.float64)
    found = torch.stack([dropped(name, delta, seed) for seed in range(200)])
    assert found.shape[1:] == shape
    assert {round(value, 12) for value in found.flatten().tolist()} == {0.0, 0.6}
    assert abs((found != 0).double().mean().item() - DENSITY) < 5 * math.sqrt(0.25 / found.numel())


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3)])
def test_nothing_to_drop_is_nothing(name: str, shape: tuple[int, ...]) -> None:
    assert dropped(name, torch.zeros(shape), 0).shape == shape


@pytest.mark.parametrize("name", ALL)
def test_a_zero_task_vector_is_the_base_bit_for_bit(name: str) -> None:
    base = BASE.float()
    base[0, 0] = -0.0
    assert_same_bits(ALL[name]([base.clone()] * 2, WEIGHTS, base, draws=draws(2), **parameters(name)), base)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("what", ["source", "key", "seed"])
def test_masks_are_independent(name: str, what: str) -> None:
    delta = normal(3, 200, LENGTH)
    others = {"source": (0, "gpt.h.0", "other"), "key": (0, "gpt.h.1", "a"), "seed": (1, "gpt.h.0", "a")}
    masks = [
        ALL[name]([delta], [1.0], delta * 0, draws=[draw_of(*given)], **parameters(name, 1)) != 0
        for given in ((0, "gpt.h.0", "a"), others[what])
    ]
    share = probabilities(name, delta)
    wanted = (share.square() + (1 - share).square()).mean().item()
    agreeing = (masks[0] == masks[1]).double().mean().item()
    assert abs(agreeing - wanted) < 5 * math.sqrt(wanted * (1 - wanted) / delta.numel())


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    delta = normal(4, 300, LENGTH)
    assert_same_bits(dropped(name, delta, 5), dropped(name, delta, 5))
    assert not torch.equal(dropped(name, delta, 5), dropped(name, delta, 6))


def test_each_source_may_have_its_density() -> None:
    tensors = [torch.ones(20_000, dtype=torch.float64), torch.full((20_000,), 100.0, dtype=torch.float64)]
    found = dare_linear(tensors, [1.0, 1.0], tensors[0] * 0, density=[0.25, 0.5], draws=draws(2))
    assert set(found.tolist()) == {0.0, 4.0, 200.0, 204.0}
    assert (found >= 200).double().mean().item() == pytest.approx(0.5, abs=0.02)


def test_rows_longer_than_a_piece_are_ranked_whole() -> None:
    delta = normal(5, 2, 100_000)
    found = dropped("della_linear", delta, 0)
    ratio = (delta / found)[found != 0]
    ranks = delta.abs().argsort(-1).argsort(-1)[found != 0]
    torch.testing.assert_close(ratio, 0.4 + 0.2 * ranks.double() / 99_999, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("density", "epsilon"), [(0.5, 0.5), (0.1, 0.1), (0.05, 0.1), (0.9, 0.1), (0.95, 0.1)])
def test_probabilities_beyond_0_and_1_are_refused(density: float, epsilon: float) -> None:
    """Refused where they reach them, too: an element that is always kept, or never, has no place in DELLA."""
    message = str(della_refusal([1.0, 1.0], {"density": [0.5, density], "epsilon": epsilon}))
    assert message.startswith(f"density {density:g} with epsilon {epsilon:g} ")
    assert "density - epsilon must be above 0 and density + epsilon below 1" in message
    with pytest.raises(ValueError, match="must be above 0"):
        della(TENSORS, WEIGHTS, BASE, density=[0.5, density], epsilon=[epsilon] * 2, draws=draws(2))


@pytest.mark.parametrize(("density", "epsilon"), [(1.0, 0.15), (0.0, 0.15), (0.5, 0.49), (0.2, 0.0)])
def test_others_are_not(density: float, epsilon: float) -> None:
    assert della_refusal([1.0], {"density": density, "epsilon": epsilon}) is None
