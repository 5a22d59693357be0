from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests import samples
from tests.builders import save, v1_state
from tests.reviews import TWO, reviewed
from xttsrecipe.errors import CheckpointError, RecipeError
from xttsrecipe.xtts import known_tensors


def test_without_checkpoints_the_tensors_are_those_of_xtts(tmp_path: Path) -> None:
    made = reviewed(tmp_path, TWO)
    assert made.basis == "assumed: XTTS-V2"
    assert made.assumed == ("news", "audiobook")
    assert {step.key: step.spec for step in made.plan.steps} == known_tensors()
    assert made.known.stated == {}


def test_with_checkpoints_the_plan_is_the_one_that_is_run(tmp_path: Path) -> None:
    samples.pair(tmp_path)
    made = reviewed(tmp_path, TWO)
    assert (made.basis, made.assumed) == ("from the checkpoints", ())
    assert len(made.plan.steps) == len(samples.small_state())


def test_a_checkpoint_that_is_not_here_is_taken_to_be_like_one_that_is(tmp_path: Path) -> None:
    save(tmp_path / "audiobook.pth", v1_state())
    made = reviewed(tmp_path, TWO)
    assert made.basis == "from the checkpoints: audiobook; assumed: like the others: news"
    assert made.assumed == ("news",)
    assert "gpt.prompt_embedding.weight" in {step.key for step in made.plan.steps}


def test_digests_are_those_of_the_recipe(tmp_path: Path) -> None:
    digest = "AB" * 32
    made = reviewed(
        tmp_path, f"checkpoints: {{a: {{path: a.pth, sha256: {digest}}}, b: b.pth}}\noutput: {{path: o.pth}}\n"
    )
    assert made.known.stated == {"a": digest.lower()}


@pytest.mark.parametrize(
    "more",
    [
        "companions: from audiobook\n",
        "vocabulary: {news: news.json}\n",
        'overrides: {"gpt.text_{embedding,head}.*": from news}\n',
    ],
)
def test_without_checkpoints_an_output_directory_is_planned_too(more: str, tmp_path: Path) -> None:
    made = reviewed(tmp_path, TWO.replace("out.pth", "out/") + more)
    assert made.plan.recipe.output.is_directory
    assert len(made.plan.steps) == len(known_tensors())
    assert made.plan.companions == ()


def test_a_rule_that_matches_nothing_is_refused_without_checkpoints_too(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="matches no key"):
        reviewed(tmp_path, TWO + "overrides: {gpt.txt_head.*: from news}\n")


def test_a_checkpoint_that_is_here_and_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "news.pth").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match="source 'news' is not a checkpoint"):
        reviewed(tmp_path, TWO)


def test_what_is_here_must_fit_together(tmp_path: Path) -> None:
    save(tmp_path / "news.pth", samples.small_state())
    save(tmp_path / "audiobook.pth", samples.small_state() | {"mel_stats": torch.ones(5)})
    with pytest.raises(RecipeError, match="1 tensor is of unequal shape"):
        reviewed(tmp_path, TWO)
