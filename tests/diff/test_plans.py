from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import samples
from tests.builders import save
from tests.reviews import TWO, counts, differing, kinds, reviewed
from xttsrecipe.changes import Amount, Amounts, Kind
from xttsrecipe.diff.plans import diff_plans
from xttsrecipe.xtts import LEAVES, component_of, known_tensors

# Of XTTS-V2.
TENSORS, PARAMETERS, BYTES = (
    len(known_tensors()),
    sum(spec.numel for spec in known_tensors().values()),
    sum(spec.nbytes for spec in known_tensors().values()),
)
INTEGERS = [key for key, spec in known_tensors().items() if not spec.dtype.averages]
FLOATS = TENSORS - len(INTEGERS)


def weights(news: float, audiobook: float) -> str:
    return f"weights: {{news: {news}, audiobook: {audiobook}}}\n"


# --- what is the same -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (TWO, f"# a comment\n{TWO}"),
        (TWO, "name: other\ndescription: Another.\n" + TWO),
        (TWO, TWO + weights(0.5, 0.5)),
        (TWO + weights(0.6, 0.4), TWO + "normalize: true\n" + weights(3, 2)),
        (TWO + weights(1, 0), TWO + weights(1, 0) + 'overrides: {"gpt.*": from news}\n'),
        (
            TWO + 'overrides: {"@attention": from news, "@mlp": from news}\n',
            TWO + 'overrides: {"@{attention,mlp}": {weights: {news: 1, audiobook: 0}}}\n',
        ),
        (TWO, TWO.replace("out.pth", "./out.pth").replace(" news.pth", " ../{}/news.pth")),
        (TWO, TWO + "method: linear\n"),
        (TWO, TWO.replace("out.pth}", "out.pth, layout: preserve, dtype: keep}")),
    ],
)
def test_recipes_that_do_the_same_do_not_differ(old: str, new: str, tmp_path: Path) -> None:
    diff = differing(tmp_path, old, new.replace("{}", tmp_path.name))
    assert diff.is_empty
    assert (diff.by_rule, diff.by_component, diff.layers) == ((), (), ())


@given(st.permutations(["news", "audiobook", "base"]))
def test_the_order_of_sources_does_not_matter(tmp_path_factory: pytest.TempPathFactory, order: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp()
    shares = {"news": 0.5, "audiobook": 0.3, "base": 0.2}

    def recipe(names: list[str]) -> str:
        sources = ", ".join(f"{name}: {name}.pth" for name in names)
        given = ", ".join(f"{name}: {shares[name]}" for name in names)
        return (
            f"checkpoints: {{{sources}}}\nweights: {{{given}}}\nmetadata: {{from: news}}\noutput: {{path: out.pth}}\n"
        )

    assert differing(folder, recipe(list(shares)), recipe(order)).is_empty


# --- weights, methods, types ----------------------------------------------------------------------------------------


def test_other_global_weights_change_every_tensor_that_is_averaged(tmp_path: Path) -> None:
    diff = differing(tmp_path, TWO + weights(0.6, 0.4), TWO + weights(0.7, 0.3))
    assert counts(diff.amounts) == {"weights": FLOATS, "in all": FLOATS}
    assert diff.weights is not None
    assert [its and its.shares for its in diff.weights] == [
        (("news", 0.6), ("audiobook", 0.4)),
        (("news", 0.7), ("audiobook", 0.3)),
    ]
    (rule,) = diff.by_rule
    assert rule.old is not None
    assert rule.new is not None
    assert (rule.old.pattern, rule.new.pattern) == (None, None)
    assert rule.amounts == diff.amounts
    assert [its.component for its in diff.by_component] == list(LEAVES)
    assert sum(its.amounts.in_all.tensors for its in diff.by_component) == FLOATS
    assert (diff.sources, diff.output, diff.layers, diff.new_warnings) == ((), (), (), ())


def test_integers_change_with_whoever_weighs_most(tmp_path: Path) -> None:
    diff = differing(tmp_path, TWO + weights(0.6, 0.4), TWO + weights(0.4, 0.6))
    assert counts(diff.amounts) == {"weights": FLOATS, "source": len(INTEGERS), "in all": TENSORS}
    assert {key: kinds(diff)[key] for key in INTEGERS} == dict.fromkeys(INTEGERS, (Kind.SOURCE,))
    assert diff.amounts.in_all == Amount(TENSORS, PARAMETERS, BYTES)


def test_taken_instead_of_merged_is_another_source_and_weight(tmp_path: Path) -> None:
    diff = differing(tmp_path, TWO, TWO + 'overrides: {"@vocoder": from news}\n')
    vocoder = [key for key in known_tensors() if component_of(key) == "vocoder"]
    assert kinds(diff) == dict.fromkeys(vocoder, (Kind.SOURCE, Kind.WEIGHTS))
    (rule,) = diff.by_rule
    assert rule.old is not None
    assert rule.new is not None
    assert (rule.old.pattern, rule.old.method) == (None, "linear")
    assert (rule.new.pattern, rule.new.method, rule.new.shares) == ("@vocoder", "from", (("news", 1.0),))
    assert counts(rule.amounts) == {"source": len(vocoder), "weights": len(vocoder), "in all": len(vocoder)}
    assert [its.component for its in diff.by_component] == ["vocoder"]
    assert diff.weights is None


def test_from_another_source_is_another_source_only(tmp_path: Path) -> None:
    old, new = (TWO + f'overrides: {{"mel_stats": from {name}}}\n' for name in ("news", "audiobook"))
    assert kinds(differing(tmp_path, old, new)) == {"mel_stats": (Kind.SOURCE,)}


def test_another_type_changes_every_tensor_of_numbers_with_fractions(tmp_path: Path) -> None:
    diff = differing(tmp_path, TWO, TWO.replace("out.pth", "out.pth, dtype: float16"))
    assert counts(diff.amounts) == {"dtype": FLOATS, "in all": FLOATS}
    assert [(its.field, its.old, its.new) for its in diff.output] == [("dtype", "keep", "float16")]
    floats = [key for key in known_tensors() if key not in INTEGERS]
    assert diff.amounts.in_all.nbytes == sum(known_tensors()[key].numel for key in floats) * 2


def test_a_tensor_may_change_in_several_ways_and_counts_once_in_all(tmp_path: Path) -> None:
    new = TWO.replace("out.pth", "out.pth, dtype: float16") + weights(0.6, 0.4)
    assert counts(differing(tmp_path, TWO, new).amounts) == {"weights": FLOATS, "dtype": FLOATS, "in all": FLOATS}


def test_another_method_is_told_from_other_weights(tmp_path: Path) -> None:
    ties = (
        TWO.replace("audiobook.pth}", "audiobook.pth, base: base.pth}")
        + "base: base\nmethod: {name: ties, density: %s}\n"
    )
    arithmetic = ties.replace("{name: ties, density: %s}", "task_arithmetic")
    diff = differing(tmp_path, arithmetic, ties % 0.3)
    assert counts(diff.amounts) == {"method": FLOATS, "in all": FLOATS}
    assert diff.weights is not None
    diff = differing(tmp_path, ties % 0.3, ties % 0.5)
    assert counts(diff.amounts) == {"method": FLOATS, "in all": FLOATS}
    assert differing(tmp_path, ties % 0.2, ties.replace("{name: ties, density: %s}", "ties")).is_empty


THREE = TWO.replace("audiobook.pth}", "audiobook.pth, base: base.pth}") + "base: base\n"


def test_random_numbers_depend_on_what_a_source_is_called(tmp_path: Path) -> None:
    dare = THREE + "method: {name: dare_linear, density: 0.5, seed: 1}\n"
    assert counts(differing(tmp_path, dare, dare.replace("news:", "voice:")).amounts) == {
        "method": FLOATS,
        "in all": FLOATS,
    }
    assert differing(tmp_path, dare, dare.replace("seed: 1", "seed: 2")).weights
    ties = THREE + "method: ties\n"
    assert not differing(tmp_path, ties, ties.replace("news:", "voice:")).tensors


def test_the_order_of_sources_is_told_where_it_matters(tmp_path: Path) -> None:
    turned = THREE.replace("news: news.pth, audiobook: audiobook.pth", "audiobook: audiobook.pth, news: news.pth")
    assert turned != THREE
    diff = differing(tmp_path, THREE + "method: add_difference\n", turned + "method: add_difference\n")
    assert counts(diff.amounts)["method"] == FLOATS
    assert "method" not in counts(differing(tmp_path, THREE + "method: ties\n", turned + "method: ties\n").amounts)


def test_parameters_that_vary_are_told_layer_by_layer(tmp_path: Path) -> None:
    diff = differing(tmp_path, THREE + "method: ties\n", THREE + "method: {name: ties, lambda: {layers: [1, 0.5]}}\n")
    assert len(diff.layers) == 30  # the first stays as it was
    assert [run.changes[0].new.parameters["lambda"] for run in diff.layers[1:] if run.changes[0].new][-1] == 0.5


def test_the_last_bit_of_a_weight_is_no_difference_but_one_that_is_written_is(tmp_path: Path) -> None:
    three = TWO.replace("audiobook.pth}", "audiobook.pth, base: base.pth}") + "normalize: true\n"
    shares = [f"weights: {{news: 0.{zero}7, audiobook: 0.{zero}2, base: 0.{zero}1}}\n" for zero in ("", "0")]
    assert differing(tmp_path, *(three + share for share in shares)).is_empty
    diff = differing(tmp_path, TWO + weights(0.6, 0.4), TWO + weights(0.60000000001, 0.39999999999))
    assert counts(diff.amounts)["weights"] == FLOATS
    assert diff.weights


@pytest.mark.parametrize(
    ("new", "changes"),
    [
        (TWO.replace("news:", "voice:"), False),
        (TWO.replace("book.pth}", "book.pth, b: b.pth}") + "weights: {news: 0.5, audiobook: 0.5, b: 0}\n", False),
        (TWO.replace("out.pth", "other.pth"), True),
        (TWO + "metadata: {from: audiobook}\n", True),
        (TWO.replace("news.pth", "news_v2.pth"), True),
        (TWO + weights(0.6, 0.4), True),
    ],
)
def test_a_model_is_another_where_its_tensors_or_what_goes_with_them_are(
    new: str, changes: bool, tmp_path: Path
) -> None:
    diff = differing(tmp_path, TWO, new)
    assert not diff.is_empty
    assert diff.changes_model == changes


def test_a_model_is_another_where_a_file_is_known_to_be(tmp_path: Path) -> None:
    samples.pair(tmp_path)
    old = reviewed(tmp_path, TWO)
    save(tmp_path / "news.pth", samples.small_state(7), step=12345)
    diff = diff_plans(old, reviewed(tmp_path, TWO))
    assert diff.sources
    assert diff.changes_model


def test_global_weights_go_with_the_files_whatever_they_are_called(tmp_path: Path) -> None:
    names = "checkpoints: {audiobook: news.pth, news: audiobook.pth}\noutput: {path: out.pth}\n"
    diff = differing(tmp_path, TWO + weights(0.6, 0.4), names + weights(0.4, 0.6))
    assert (diff.weights, diff.tensors) == (None, ())


# --- rules ----------------------------------------------------------------------------------------------------------


def test_tensors_are_counted_by_what_decided_them_before_and_after(tmp_path: Path) -> None:
    old = TWO + 'overrides: {"@attention": from news, "@mlp": from news}\n'
    new = TWO + 'overrides: {"@attention": from audiobook, "gpt.gpt.h.0.*": {weights: {news: 0.9, audiobook: 0.1}}}\n'
    diff = differing(tmp_path, old, new)
    assert [(its.old and its.old.pattern, its.new and its.new.pattern) for its in diff.by_rule] == [
        ("@attention", "@attention"),
        ("@attention", "gpt.gpt.h.0.*"),
        ("@mlp", "gpt.gpt.h.0.*"),
        (None, "gpt.gpt.h.0.*"),
        ("@mlp", None),
    ]
    assert sum(its.amounts.in_all.tensors for its in diff.by_rule) == len(diff.tensors)


def test_a_rule_that_changes_nothing_is_no_difference(tmp_path: Path) -> None:
    old = TWO + 'overrides: {"@attention": from news}\n'
    new = TWO + 'overrides: {"gpt.gpt.h.{0..14}.attn.*": from news, "gpt.gpt.h.{15..29}.attn.*": from news}\n'
    assert differing(tmp_path, old, new).is_empty


# --- sources --------------------------------------------------------------------------------------------------------


def test_another_name_for_the_same_file_changes_no_tensor(tmp_path: Path) -> None:
    diff = differing(tmp_path, TWO, TWO.replace("news:", "voice:"))
    (source,) = diff.sources
    assert (source.what, source.old_name, source.new_name, source.same_file) == ("renamed", "news", "voice", True)
    assert not diff.tensors
    assert diff.weights is None
    assert not diff.is_empty


def test_another_file_of_the_same_name_changes_every_tensor_with_it(tmp_path: Path) -> None:
    old = TWO + 'overrides: {"@vocoder": from audiobook}\n'
    diff = differing(tmp_path, old, old.replace("news.pth", "news_v2.pth"))
    (source,) = diff.sources
    assert (source.what, source.same_file) == ("changed", False)
    assert not [key for key in kinds(diff) if component_of(key) == "vocoder"]
    assert set(kinds(diff).values()) == {(Kind.SOURCE,)}
    assert diff.weights is None


def test_names_that_are_exchanged_exchange_the_weights_of_files(tmp_path: Path) -> None:
    new = "checkpoints: {news: audiobook.pth, audiobook: news.pth}\noutput: {path: out.pth}\n" + weights(0.6, 0.4)
    diff = differing(tmp_path, TWO + weights(0.6, 0.4), new)
    assert counts(diff.amounts) == {"weights": FLOATS, "source": len(INTEGERS), "in all": TENSORS}
    assert [(its.what, its.new_name) for its in diff.sources] == [("changed", "news"), ("changed", "audiobook")]


def test_a_file_with_two_names_weighs_what_both_do(tmp_path: Path) -> None:
    old = "checkpoints: {a: a.pth, b: b.pth}\nweights: {a: 0.75, b: 0.25}\noutput: {path: out.pth}\n"
    new = (
        "checkpoints: {a: a.pth, a2: a.pth, b: b.pth}\nweights: {a: 0.5, a2: 0.25, b: 0.25}\noutput: {path: out.pth}\n"
    )
    diff = differing(tmp_path, old, new)
    assert not diff.tensors
    assert [(its.what, its.new_name) for its in diff.sources] == [("added", "a2")]


def test_a_source_of_weight_0_is_added_and_changes_nothing_but_what_is_taken_from_it(tmp_path: Path) -> None:
    new = (
        "checkpoints: {news: news.pth, audiobook: audiobook.pth, base: base.pth}\noutput: {path: out.pth}\n"
        "weights: {news: 0.5, audiobook: 0.5, base: 0}\noverrides: {mel_stats: from base}\n"
    )
    diff = differing(tmp_path, TWO, new)
    assert kinds(diff) == {"mel_stats": (Kind.SOURCE, Kind.WEIGHTS)}
    assert [(its.what, its.new_name) for its in diff.sources] == [("added", "base")]
    assert diff.weights is None


# --- keys and shapes ------------------------------------------------------------------------------------------------


def _state(**tensors: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return {name: torch.ones(shape) for name, shape in tensors.items()}


def test_keys_that_come_and_go_and_shapes_that_change_are_told(tmp_path: Path) -> None:
    save(tmp_path / "one.pth", _state(same=(2, 3), shape=(2, 3), gone=(4,)))
    save(tmp_path / "two.pth", _state(same=(2, 3), shape=(5, 3), new=(6,)))
    old, new = (f"checkpoints: {{x: {name}.pth}}\noutput: {{path: out.pth}}\n" for name in ("one", "two"))
    diff = differing(tmp_path, old, new)
    assert kinds(diff) == {
        "same": (Kind.SOURCE,),
        "shape": (Kind.SOURCE, Kind.SHAPE),
        "new": (Kind.ADDED,),
        "gone": (Kind.REMOVED,),
    }
    assert (diff.tensors_before, diff.tensors_after) == (3, 3)
    assert diff.amounts.of_kind[Kind.SHAPE] == Amount(1, 15, 60)
    assert diff.amounts.of_kind[Kind.REMOVED] == Amount(1, 4, 16)
    assert [(its.old is None, its.new is None) for its in diff.by_rule] == [
        (False, False),
        (True, False),
        (False, True),
    ]


def test_training_only_tensors_that_are_carried_are_added(tmp_path: Path) -> None:
    samples.make("trainer", tmp_path)
    old = "checkpoints: {x: trainer.pth}\noutput: {path: out.pth, layout: release}\n"
    diff = differing(tmp_path, old, old.replace("release", "trainer"))
    assert counts(diff.amounts) == {"added": 60, "in all": 60}
    (rule,) = diff.by_rule
    assert rule.new is not None
    assert rule.new.method == "carried"
    assert {its.field for its in diff.output} >= {"layout"}


def test_without_an_old_plan_everything_is_added(tmp_path: Path) -> None:
    diff = diff_plans(None, reviewed(tmp_path, TWO + 'overrides: {"@mlp": from news}\n'))
    assert counts(diff.amounts) == {"added": TENSORS, "in all": TENSORS}
    assert [its.what for its in diff.sources] == ["added", "added"]
    assert [its.new and its.new.pattern for its in diff.by_rule] == ["@mlp", None]
    assert all(its.old is None for its in diff.output)
    assert diff.layers == ()
    assert (diff.tensors_before, diff.tensors_after) == (0, TENSORS)


def test_new_warnings_are_told_where_headers_are_known(tmp_path: Path) -> None:
    samples.pair(tmp_path)
    old = TWO.replace("out.pth", "out.pth, layout: release")
    diff = differing(tmp_path, old, TWO)
    assert len(diff.new_warnings) == 1
    assert "restore_path" in diff.new_warnings[0]
    assert differing(tmp_path, TWO, old).new_warnings == ()


# --- sums -----------------------------------------------------------------------------------------------------------

RULES = st.dictionaries(
    st.sampled_from(
        ["@attention", "@mlp", "@vocoder", "*encoder*", "gpt.gpt.h.{0..9}.*", "*.bias", "mel_stats", "gpt.*"]
    ),
    st.sampled_from(["from news", "from audiobook", "{weights: {news: 0.8, audiobook: 0.2}}"]),
    max_size=4,
)


def picked(amounts: Amounts, kind: Kind | None) -> Amount:
    return amounts.of_kind.get(kind, Amount(0, 0, 0)) if kind else amounts.in_all


@settings(max_examples=15)
@given(RULES, RULES, st.sampled_from([0.5, 0.6]))
def test_parts_sum_to_the_whole_and_there_and_back_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, old: dict[str, str], new: dict[str, str], weight: float
) -> None:
    folder = tmp_path_factory.getbasetemp()
    texts = []
    for rules, share in ((old, 0.5), (new, weight)):
        lines = "".join(f'  "{pattern}": {decision}\n' for pattern, decision in rules.items())
        texts.append(TWO + weights(share, round(1 - share, 3)) + (f"overrides:\n{lines}" if rules else ""))
    try:
        there, back = differing(folder, *texts), differing(folder, *reversed(texts))
    except Exception as error:  # a rule that decides nothing is refused, which other tests look at
        assert "decides no key" in str(error)  # noqa: PT017
        return
    assert kinds(there).keys() == kinds(back).keys()
    for diff, groups in itertools.product((there, back), ("by_rule", "by_component")):
        parts = [part.amounts for part in getattr(diff, groups)]
        for kind in (None, *Kind):
            some = [picked(part, kind) for part in parts]
            assert picked(diff.amounts, kind) == Amount(
                sum(its.tensors for its in some), sum(its.parameters for its in some), sum(its.nbytes for its in some)
            )
    assert (not there.tensors) == (not back.tensors)
