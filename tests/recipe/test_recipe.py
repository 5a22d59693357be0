from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.loading import BASE, load, only_problem, problems
from xttsrecipe.api import load_recipe
from xttsrecipe.recipe import Merge, Method, Take
from xttsrecipe.specs import DType

OWN_FOLDER = Path(__file__).parent.parent / "recipes"
SHIPPED = Path(__file__).parent.parent.parent / "recipes"
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The recipe's folder; the current one is another."""
    made = tmp_path / "recipes"
    made.mkdir()
    return made


# --- whole recipes ----------------------------------------------------------------------------------------------


def test_the_least_that_a_recipe_says(folder: Path) -> None:
    recipe = load(folder, "checkpoints: {news: news.pth}\noutput: {path: out.pth}\n")
    assert (recipe.name, recipe.description) == ("recipe", "")
    assert [(source.name, source.path, source.sha256) for source in recipe.sources] == [
        ("news", folder / "news.pth", None)
    ]
    assert recipe.default == Merge((1.0,), Method("linear", {}))
    assert recipe.rules == ()
    assert [source.vocabulary for source in recipe.sources] == [None]
    assert (recipe.metadata_from, recipe.companions_from, recipe.vocabulary_order) == (None, None, None)
    assert (recipe.output.path, recipe.output.format, recipe.output.dtype) == (folder / "out.pth", "torch zip", None)
    assert (recipe.output.layout, recipe.output.is_directory) == ("preserve", False)
    assert recipe.settings == ()


def test_everything_that_a_recipe_can_say(folder: Path) -> None:
    text = f"""\
name: both
description: "Two."
checkpoints:
  news: news.pth
  audiobook: {{path: a.safetensors, sha256: {"aB" * 32}}}
weights: {{audiobook: 0.25, news: 0.75}}
normalize: false
method: {{name: linear}}
overrides:
  "*encoder*": from news
  mel_stats: {{from: audiobook}}
  "gpt.gpt.h.{{0..9}}.*": {{weights: {{news: 0.8, audiobook: 0.2}}, method: linear}}
  "gpt.*": {{method: {{name: linear}}}}
vocabulary: {{order: audiobook, news: n.json, audiobook: /a.json}}
companions: from news
metadata: {{from: audiobook}}
output: {{path: out.safetensors, dtype: bfloat16, layout: trainer}}
"""
    recipe = load(folder, text)
    assert (recipe.name, recipe.description, recipe.text) == ("both", "Two.", text)
    assert recipe.file == folder / "recipe.yaml"
    assert [source.name for source in recipe.sources] == ["news", "audiobook"]
    assert recipe.sources[1].path == folder / "a.safetensors"
    assert recipe.sources[1].sha256 == "ab" * 32
    linear = Method("linear", {})
    assert recipe.default == Merge((0.75, 0.25), linear)
    assert [(rule.pattern, rule.decision) for rule in recipe.rules] == [
        ("*encoder*", Take(0)),
        ("mel_stats", Take(1)),
        ("gpt.gpt.h.{0..9}.*", Merge((0.8, 0.2), linear)),
        ("gpt.*", Merge((0.75, 0.25), linear)),
    ]
    assert [source.vocabulary for source in recipe.sources] == [folder / "n.json", Path("/a.json")]
    assert (recipe.metadata_from, recipe.companions_from, recipe.vocabulary_order) == (1, 0, 1)
    assert (recipe.output.format, recipe.output.dtype) == ("safetensors", DType.BFLOAT16)
    assert (recipe.output.layout, recipe.output.is_directory) == ("trainer", False)


@pytest.mark.parametrize("path", sorted(OWN_FOLDER.glob("valid/*.yaml")), ids=lambda path: path.stem)
def test_a_valid_recipe_loads(path: Path) -> None:
    recipe = load_recipe(path)
    if recipe.default.method.entry.weights_sum_to_one:
        assert math.isclose(math.fsum(recipe.default.shares), 1, abs_tol=1e-12)
    assert recipe.text == path.read_text("utf-8")


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_that_ships_loads_and_is_called_what_its_file_is(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert recipe.description
    assert recipe.text.startswith("# yaml-language-server: $schema=../schema/recipe.schema.json\n")


def test_there_are_recipes_to_collect() -> None:
    assert {path.stem for path in SHIPPED.glob("*.yaml")} >= {
        "news_audiobook", "equal_average", "keep_encoder", "layer_blend", "vocoder_from_base",
    }  # fmt: skip
    assert len(list(OWN_FOLDER.glob("valid/*.yaml"))) >= 5


def test_a_rule_and_a_source_know_where_they_stand(folder: Path) -> None:
    recipe = load(folder, BASE + 'overrides:\n  "*encoder*": from news\n')
    assert str(recipe.rules[0].where) == f"{folder / 'recipe.yaml'}:6:3"
    assert str(recipe.sources[1].where) == f"{folder / 'recipe.yaml'}:3:14"
    assert str(recipe.output.where) == f"{folder / 'recipe.yaml'}:4:16"


def test_a_rule_matches_what_its_pattern_does(folder: Path) -> None:
    rule, component = load(folder, BASE + "overrides: {'a.{0..2}.*': from news, '@vocoder': from news}").rules
    assert [rule.matches(key) for key in ("a.0.x", "a.2.x.y", "a.3.x", "a.0")] == [True, True, False, False]
    assert component.matches("hifigan_decoder.waveform_decoder.conv_pre.bias")


# --- weights ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
def test_weights_are_equal_where_the_recipe_has_none(folder: Path, count: int) -> None:
    names = ", ".join(f"c{number}: c{number}.pth" for number in range(count))
    assert load(folder, f"checkpoints: {{{names}}}\noutput: {{path: o.pth}}").default.weights == (1 / count,) * count


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("{news: 0.6, audiobook: 0.4}", (0.6, 0.4)),
        ("{audiobook: 0.4, news: 0.6}", (0.6, 0.4)),
        ("{news: 1, audiobook: 0}", (1.0, 0.0)),
        ("{news: 1.5, audiobook: -0.5}", (1.5, -0.5)),
        ("{news: 1e-3, audiobook: 0.999}", (0.001, 0.999)),
        ("{news: 0.3333333333, audiobook: 0.6666666667}", (0.3333333333, 0.6666666667)),
    ],
)
def test_weights_that_sum_to_1_stay_as_they_are_in_the_order_of_the_sources(
    folder: Path, weights: str, expected: tuple[float, ...]
) -> None:
    assert load(folder, f"{BASE}weights: {weights}").default.weights == expected
    recipe = load(folder, f"{BASE}overrides: {{'*x*': {{weights: {weights}}}}}")
    assert recipe.default.weights == (0.5, 0.5)
    assert isinstance(recipe.rules[0].decision, Merge)
    assert recipe.rules[0].decision.weights == expected


@pytest.mark.parametrize(
    ("weights", "total"),
    [("{news: 0.6, audiobook: 0.5}", "1.1"), ("{news: 0.33, audiobook: 0.66}", "0.99"),
     ("{news: 0, audiobook: 0}", "0"), ("{news: 1, audiobook: -1}", "0"),
     ("{news: 0.5, audiobook: 0.500001}", "1.000001"),
     ("{news: -0.5, audiobook: -0.5}", "-1")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("around", "field"),
    [("weights: %s", "weights"), ("overrides: {'*x*': {weights: %s}}", 'overrides."*x*".weights')],
)
def test_weights_that_do_not_sum_to_1_are_an_error_that_names_the_sum(
    folder: Path, weights: str, total: str, around: str, field: str
) -> None:
    problem = only_problem(folder, BASE + around % weights)
    assert problem.what == f"{field}: the weights sum to {total}, not to 1"
    assert problem.hint == "change them, or write 'normalize: true' to have them divided by their sum"
    assert problem.where is not None
    assert problem.where.text == around % weights
    assert problem.where.column == problem.where.text.index("weights") + 1


@pytest.mark.parametrize(
    ("weights", "expected"),
    [("{news: 3, audiobook: 1}", (0.75, 0.25)), ("{news: 3, audiobook: -1}", (1.5, -0.5)),
     ("{news: 0.5, audiobook: 0.5}", (0.5, 0.5)), ("{news: 0.001, audiobook: 0}", (1.0, 0.0))],
)  # fmt: skip
def test_normalize_divides_weights_by_their_sum_here_and_in_overrides(
    folder: Path, weights: str, expected: tuple[float, ...]
) -> None:
    recipe = load(folder, f"{BASE}normalize: true\nweights: {weights}\noverrides: {{'*x*': {{weights: {weights}}}}}")
    assert recipe.default.weights == pytest.approx(expected, rel=1e-15)
    assert isinstance(recipe.rules[0].decision, Merge)
    assert recipe.rules[0].decision.weights == recipe.default.weights


@given(
    weights=st.dictionaries(
        NAMES, st.floats(-1e6, 1e6, allow_subnormal=False) | st.integers(-9, 9), min_size=1, max_size=8
    )
)
def test_normalized_weights_sum_to_1_and_keep_their_proportions(
    tmp_path_factory: pytest.TempPathFactory, weights: dict[str, float]
) -> None:
    total, extent = math.fsum(weights.values()), math.fsum(map(abs, weights.values()))
    assume(abs(total) > 1e-3 * extent)
    assume(abs(total) > 1e-6)
    data = {
        "checkpoints": {name: f"{name}.pth" for name in weights},
        "weights": weights,
        "normalize": True,
        "output": {"path": "out.pth"},
    }
    made = load(tmp_path_factory.getbasetemp(), json.dumps(data)).default.shares
    assert math.fsum(made) == pytest.approx(1, abs=1e-9)
    assert made == pytest.approx([weight / total for weight in weights.values()])


def test_weights_that_sum_to_0_cannot_be_normalized(folder: Path) -> None:
    problem = only_problem(folder, BASE + "normalize: true\nweights: {news: 1, audiobook: -1}")
    assert problem.what == "weights: weights that sum to 0 cannot be normalized"


def test_every_source_needs_a_weight(folder: Path) -> None:
    text = "checkpoints: {a: a.pth, b: b.pth, c: c.pth}\noutput: {path: o.pth}\nweights: {b: 1}\n"
    problem = only_problem(folder, text)
    assert problem.what == "weights: no weight for a and c"
    assert problem.hint == "name every source; a: 0 leaves it out"
    assert problem.where is not None
    assert (problem.where.line, problem.where.column) == (3, 1)


def test_a_weight_for_what_is_no_source_is_an_error_at_its_name(folder: Path) -> None:
    unknown, absent = problems(folder, BASE + "weights: {news: 0.6, audiobok: 0.4}")
    assert unknown.what == "weights.audiobok: no source named 'audiobok'; did you mean 'audiobook'?"
    assert unknown.expected == "one of news, audiobook"
    assert unknown.where is not None
    assert (unknown.where.line, unknown.where.column, unknown.where.length) == (5, 22, 8)
    assert absent.what == "weights: no weight for audiobook"


@pytest.mark.parametrize("weight", [".nan", ".inf", "-.inf", "1e999", "1e7", "-1000001"])
@pytest.mark.parametrize("normalize", ["true", "false"])
def test_a_weight_that_is_no_usable_number_is_an_error(folder: Path, weight: str, normalize: str) -> None:
    problem = only_problem(folder, f"{BASE}normalize: {normalize}\nweights: {{news: {weight}, audiobook: 1}}")
    assert problem.what.startswith("weights.news: ")
    assert problem.what.endswith(" is not usable as a weight")
    assert problem.expected == "a finite number, seldom beyond -1 and 2"


@pytest.mark.parametrize("weight", ["1" + "0" * 350, "0x" + "f" * 300, "-" + "9" * 390], ids=["ten", "hex", "negative"])
def test_a_weight_beyond_all_floats_is_an_error_and_no_bug(folder: Path, weight: str) -> None:
    problem = only_problem(folder, f"{BASE}weights: {{news: {weight}, audiobook: 1}}")
    assert problem.what.endswith(" is not usable as a weight")


# --- names of sources -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("overrides: {'*x*': from audiobok}",
         "overrides.\"*x*\": no source named 'audiobok'; did you mean 'audiobook'?"),
        ("overrides: {'*x*': {from: audiobok}}",
         "overrides.\"*x*\".from: no source named 'audiobok'; did you mean 'audiobook'?"),
        ("overrides: {'*x*': from News}", "overrides.\"*x*\": no source named 'News'; did you mean 'news'?"),
        ("overrides: {'*x*': from zzz}", "overrides.\"*x*\": no source named 'zzz'"),
        ("metadata: {from: nws}", "metadata.from: no source named 'nws'; did you mean 'news'?"),
    ],
)  # fmt: skip
def test_a_source_that_is_not_named_is_an_error_with_what_was_meant(folder: Path, text: str, what: str) -> None:
    problem = only_problem(folder, BASE + text)
    assert problem.what == what
    assert problem.expected == "one of news, audiobook"


def test_the_caret_is_under_the_name_that_is_wrong(folder: Path) -> None:
    where = only_problem(folder, BASE + 'overrides:\n  "gpt.text_head.*": from audiobok\n').where
    assert where is not None
    assert (where.line, where.column, where.length) == (6, 27, len("audiobok"))


@pytest.mark.parametrize("name", ["news.v2", "news-2", "_n", "N", "from", "a.b.c"])
def test_a_source_may_have_any_allowed_name(folder: Path, name: str) -> None:
    text = f"""\
checkpoints: {{{name}: a.pth, other: b.pth}}
weights: {{{name}: 0.5, other: 0.5}}
overrides: {{a: from {name}, b: {{from: {name}}}, c: {{weights: {{{name}: 1, other: 0}}}}}}
metadata: {{from: {name}}}
output: {{path: o.pth}}
"""
    recipe = load(folder, text)
    assert [rule.decision for rule in recipe.rules] == [Take(0), Take(0), Merge((1.0, 0.0), Method("linear", {}))]
    assert recipe.metadata_from == 0


# --- decisions --------------------------------------------------------------------------------------------------


def test_from_in_short_is_from_in_full(folder: Path) -> None:
    recipe = load(folder, BASE + "overrides: {a: from audiobook, b: {from: audiobook}}")
    assert recipe.rules[0].decision == recipe.rules[1].decision == Take(1)


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ("weights: {news: 1, audiobook: 0}", "weights"),
        ("method: linear", "method"),
        ("weights: {news: 1, audiobook: 0}, method: linear", "weights and method"),
        ("method: linear, weights: {zzz: 3}", "method and weights"),
    ],
)
def test_from_stands_alone(folder: Path, extra: str, named: str) -> None:
    problem = only_problem(folder, BASE + f"overrides: {{'*x*': {{from: news, {extra}}}}}")
    field = extra.partition(":")[0]
    assert problem.what == f"overrides.\"*x*\".{field}: 'from' takes tensors as they are; {named} cannot go with it"
    assert problem.where is not None
    assert problem.where.text is not None
    assert problem.where.text[problem.where.column - 1 if problem.where.column else 0 :].startswith(field)


def test_a_method_alone_keeps_the_global_weights(folder: Path) -> None:
    recipe = load(folder, BASE + "weights: {news: 0.9, audiobook: 0.1}\noverrides: {a: {method: linear}}")
    assert recipe.rules[0].decision == Merge((0.9, 0.1), Method("linear", {}))


def test_weights_alone_keep_the_global_method(folder: Path) -> None:
    recipe = load(folder, BASE + "method: {name: linear}\noverrides: {a: {weights: {news: 0.9, audiobook: 0.1}}}")
    assert recipe.rules[0].decision == Merge((0.9, 0.1), recipe.default.method)


@pytest.mark.parametrize("method", ["linear", "{name: linear}"])
def test_a_method_is_a_name_or_an_object(folder: Path, method: str) -> None:
    assert load(folder, f"{BASE}method: {method}").default.method == Method("linear", {})


def test_rules_keep_the_order_of_the_file(folder: Path) -> None:
    patterns = ["z*", "a*", "@vocoder", "m*"]
    text = BASE + "overrides:\n" + "".join(f"  '{pattern}': from news\n" for pattern in patterns)
    assert [rule.pattern for rule in load(folder, text).rules] == patterns


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("@vocodr", "overrides.\"@vocodr\": no component is named '@vocodr'; did you mean '@vocoder'?"),
        ("{0..5000}", 'overrides."{0..5000}": the pattern expands to more than 1,000 alternatives'),
        ("x" * 1001, f"overrides.{'x' * 1001}: the pattern has 1,001 characters, more than 1,000"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_an_error_at_the_pattern(folder: Path, pattern: str, what: str) -> None:
    key = f"? '{pattern}'\n  " if len(pattern) > 1000 else f"'{pattern}'"  # longer than YAML lets a short key be
    problem = only_problem(folder, BASE + f"overrides:\n  {key}: from news\n")
    assert problem.what.startswith(what)
    assert problem.where is not None
    assert (problem.where.line, problem.where.column) == (6, 5 if len(pattern) > 1000 else 3)
    assert problem.where.length == len(pattern) + 2


def test_all_patterns_together_are_bounded_and_the_first_beyond_is_named(folder: Path) -> None:
    lines = [f"  'x{number}.{{1..1000}}': from news\n" for number in range(7)]
    load(folder, BASE + "overrides:\n" + "".join(lines[:5]))
    problem = only_problem(folder, BASE + "overrides:\n" + "".join(lines))
    assert problem.what.endswith('x5.{1..1000}": the patterns up to here expand to more than 5,000 alternatives')


def test_all_problems_are_told_together(folder: Path) -> None:
    text = BASE + "weights: {news: 2, audiobook: 0}\noverrides: {a: from x, '@b': from news}\nmetadata: {from: y}\n"
    assert [problem.what.partition(":")[0] for problem in problems(folder, text)] == [
        "weights", "overrides.a", 'overrides."@b"', "metadata.from",
    ]  # fmt: skip


def test_a_recipe_that_the_schema_refuses_is_told_so_with_every_problem(folder: Path) -> None:
    found = problems(folder, "checkpoints: {a: 1}\nout: {}\n")
    assert [problem.what for problem in found] == [
        "'output' is missing",
        "checkpoints.a: expected text or a mapping, found 1",
        "no field named 'out'; did you mean 'output'?",
    ]


# --- output -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "format_"),
    [(".pth", "torch zip"), (".pt", "torch zip"), (".PTH", "torch zip"), (".Pt", "torch zip"), (".pTh", "torch zip"),
     (".safetensors", "safetensors"), (".SafeTensors", "safetensors"), (".SAFETENSORS", "safetensors")],
)  # fmt: skip
def test_the_suffix_says_the_format_in_any_case(folder: Path, suffix: str, format_: str) -> None:
    output = load(folder, f"checkpoints: {{a: a.pth}}\noutput: {{path: v1.0{suffix}}}").output
    assert (output.format, output.path.name) == (format_, f"v1.0{suffix}")


@pytest.mark.parametrize("path", [".pth", "a/.pt", '"out.pth\\n"', "out", "out.bin", "out.pth.gz", "pth"])
def test_an_output_without_a_known_suffix_is_an_error(folder: Path, path: str) -> None:
    assert only_problem(folder, f"checkpoints: {{a: a.pth}}\noutput: {{path: {path}}}").what.startswith("output.path: ")


@pytest.mark.parametrize("style", [">", "|"])
def test_a_line_break_at_the_end_of_a_path_is_shown(folder: Path, style: str) -> None:
    problem = only_problem(folder, f"checkpoints: {{a: a.pth}}\noutput:\n  path: {style}\n    out.pth\n")
    assert problem.what == r"output.path: 'out.pth\n' does not work as a path"


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("keep", None), ("float32", DType.FLOAT32), ("float16", DType.FLOAT16), ("bfloat16", DType.BFLOAT16)],
)
def test_the_output_type_is_one_of_four(folder: Path, dtype: str, expected: DType | None) -> None:
    text = f"checkpoints: {{a: a.pth}}\noutput: {{path: o.pth, dtype: {dtype}}}"
    assert load(folder, text).output.dtype is expected


@pytest.mark.parametrize("dtype", ["fp16", "float64", "int8", "Float16", "half", "", "16", "null"])
def test_another_output_type_is_an_error(folder: Path, dtype: str) -> None:
    problem = only_problem(folder, f"checkpoints: {{a: a.pth}}\noutput: {{path: o.pth, dtype: {dtype}}}")
    assert problem.what.startswith("output.dtype: ")
    assert problem.expected == "keep or float32 or float16 or bfloat16"


@pytest.mark.parametrize("path", ["merged/", "./merged/", "merged//", "a/../merged/", "merged.pth/../merged/"])
def test_a_slash_at_the_end_says_directory(folder: Path, path: str) -> None:
    output = load(folder, f"checkpoints: {{a: a.pth}}\noutput: {{path: {path}}}").output
    assert (output.path, output.is_directory, output.format) == (folder / "merged", True, "torch zip")


def test_a_directory_may_be_called_like_a_file(folder: Path) -> None:
    output = load(folder, "checkpoints: {a: a.pth}\noutput: {path: v2.safetensors/}").output
    assert (output.path.name, output.is_directory, output.format) == ("v2.safetensors", True, "torch zip")


def test_the_name_of_a_folder_without_a_slash_is_an_error_even_where_it_is_there(folder: Path) -> None:
    """A recipe must mean the same on every machine."""
    (folder / "merged").mkdir()
    problem = only_problem(folder, "checkpoints: {a: a.pth}\noutput: {path: merged}")
    assert problem.what.startswith("output.path: ")


@pytest.mark.parametrize("path", ['"merged/\\n"', '"merged/ "', '"\\0/"', "merged\\"])
def test_what_only_looks_like_a_directory_is_an_error(folder: Path, path: str) -> None:
    assert only_problem(folder, f"checkpoints: {{a: a.pth}}\noutput: {{path: {path}}}").what.startswith("output.path: ")


@pytest.mark.parametrize("layout", ["preserve", "release", "trainer"])
def test_the_layout_is_one_of_three(folder: Path, layout: str) -> None:
    text = f"checkpoints: {{a: a.pth}}\noutput: {{path: o.pth, layout: {layout}}}"
    assert load(folder, text).output.layout == layout


@pytest.mark.parametrize("layout", ["Release", "shrunk", "bare", "plain", "", "null", "[release]"])
def test_another_layout_is_an_error(folder: Path, layout: str) -> None:
    problem = only_problem(folder, f"checkpoints: {{a: a.pth}}\noutput: {{path: o.pth, layout: {layout}}}")
    assert problem.what.startswith("output.layout: ")
    assert problem.expected == "preserve or release or trainer"


# --- vocabularies and companions --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["from audiobook", "{from: audiobook}"])
def test_companions_have_a_short_and_a_full_form(folder: Path, text: str) -> None:
    assert load(folder, f"{BASE}companions: {text}\n").companions_from == 1


@pytest.mark.parametrize("text", ["from newz", "{from: newz}"])
def test_companions_of_what_is_no_source_are_an_error_at_its_name(folder: Path, text: str) -> None:
    problem = only_problem(folder, f"{BASE}companions: {text}\n")
    assert problem.what.endswith("no source named 'newz'; did you mean 'news'?")
    assert problem.where is not None
    assert problem.where.text is not None
    assert problem.where.column is not None
    assert problem.where.text[problem.where.column - 1 :][: problem.where.length] == "newz"


@pytest.mark.parametrize("text", ["null", "[]", "{}", "true", "''", "from", "{from: news, files: all}"])
def test_companions_that_name_no_source_are_an_error(folder: Path, text: str) -> None:
    assert problems(folder, f"{BASE}companions: {text}\n")


def test_a_vocabulary_belongs_to_the_source_of_its_name_whatever_the_order(folder: Path) -> None:
    recipe = load(folder, f"{BASE}vocabulary: {{audiobook: sub/a.json, order: audiobook}}\n")
    assert [source.vocabulary for source in recipe.sources] == [None, folder / "sub/a.json"]
    assert recipe.vocabulary_order == 1


def test_the_order_alone_is_enough_where_directories_have_vocabularies(folder: Path) -> None:
    recipe = load(folder, f"{BASE}vocabulary: {{order: audiobook}}\n")
    assert ([source.vocabulary for source in recipe.sources], recipe.vocabulary_order) == ([None, None], 1)


def test_a_vocabularys_path_is_expanded_like_any(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/voice")
    monkeypatch.setenv("VOICES", "/data")
    recipe = load(folder, f"{BASE}vocabulary: {{news: ~/n.json, audiobook: '${{VOICES}}/a.json'}}\n")
    assert [source.vocabulary for source in recipe.sources] == [Path("/home/voice/n.json"), Path("/data/a.json")]


def test_every_unknown_name_in_a_vocabulary_is_told_with_what_was_meant(folder: Path) -> None:
    found = problems(folder, f"{BASE}vocabulary: {{new: n.json, audiobok: a.json, order: nws}}\n")
    assert [problem.what for problem in found] == [
        "vocabulary.new: no source named 'new'; did you mean 'news'?",
        "vocabulary.audiobok: no source named 'audiobok'; did you mean 'audiobook'?",
        "vocabulary.order: no source named 'nws'; did you mean 'news'?",
    ]


@pytest.mark.parametrize("vocabulary", ["{news: n.json}", "{news: n.json, order: news}", "{order: order}"])
def test_a_source_called_order_and_a_vocabulary_do_not_go_together(folder: Path, vocabulary: str) -> None:
    text = f"checkpoints: {{news: n.pth, order: o.pth}}\nvocabulary: {vocabulary}\noutput: {{path: o.pth}}\n"
    problem = only_problem(folder, text)
    assert problem.what.startswith("checkpoints.order: a checkpoint cannot be called 'order'")
    assert problem.hint == "give it another name"
    load(folder, text.replace(f"vocabulary: {vocabulary}\n", ""))
    load(folder, text.replace("order: o.pth", "Order: o.pth").replace("order: order", "order: Order"))


@pytest.mark.parametrize("text", ["vocab.json", "[vocab.json]", "{}", "{news: 7}", "{news: {path: x}}", "{7: a.json}"])
def test_a_vocabulary_of_another_form_is_an_error(folder: Path, text: str) -> None:
    assert problems(folder, f"{BASE}vocabulary: {text}\n")


def test_a_vocabulary_whose_path_no_file_can_have_is_an_error_and_no_bug(folder: Path) -> None:
    (problem,) = problems(folder, BASE + 'vocabulary: {news: "\\uD800.json"}\n')
    assert problem.what.startswith("vocabulary.news: ")


# --- paths ------------------------------------------------------------------------------------------------------


def source_path(folder: Path, path: str) -> Path:
    both = f"checkpoints: {{a: {path}, b: {{path: {path}}}}}\noutput: {{path: o.pth}}\n"
    short, full = (source.path for source in load(folder, both).sources)
    assert short == full
    return short


def test_paths_are_relative_to_the_folder_of_the_recipe(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert source_path(folder, "a.pth") == folder / "a.pth"
    assert source_path(folder, "./b/a.pth") == folder / "b" / "a.pth"
    assert source_path(folder, "../a.pth") == tmp_path / "a.pth"
    assert source_path(folder, "/data/a.pth") == Path("/data/a.pth")
    recipe = load(folder, "checkpoints: {a: a.pth}\noutput: {path: ../merged/o.pth}")
    assert recipe.output.path == tmp_path / "merged" / "o.pth"
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("recipes/recipe.yaml")
    assert recipe.sources[0].path.absolute() == folder / "a.pth"
    assert recipe.output.path.absolute() == tmp_path / "merged" / "o.pth"


def test_a_path_through_a_symbolic_link_leads_where_the_system_says(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "deep"
    target.mkdir(parents=True)
    (folder / "link").symlink_to(target)
    (tmp_path / "elsewhere" / "a.pth").write_bytes(b"right")
    (folder / "a.pth").write_bytes(b"wrong")
    assert source_path(folder, "link/../a.pth").read_bytes() == b"right"


def test_a_tilde_is_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/voice")
    assert source_path(folder, "~/a.pth") == Path("/home/voice/a.pth")
    assert source_path(folder, "b/~/a.pth") == folder / "b/~/a.pth"
    recipe = load(folder, "checkpoints: {a: a.pth}\noutput: {path: ~/o.pth}")
    assert recipe.output.path == Path("/home/voice/o.pth")


def test_a_tilde_with_a_name_that_no_user_has_is_a_file_name(folder: Path) -> None:
    assert source_path(folder, "~nosuchuser/a.pth") == folder / "~nosuchuser" / "a.pth"


def test_variables_expand(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICES", "/data/voices")
    monkeypatch.setenv("WHICH", "news")
    monkeypatch.setenv("AT_HOME", "~/x")
    monkeypatch.setenv("HOME", "/home/voice")
    assert source_path(folder, '"${VOICES}/${WHICH}_${WHICH}.pth"') == Path("/data/voices/news_news.pth")
    assert source_path(folder, '"sub/${WHICH}.pth"') == folder / "sub/news.pth"
    assert source_path(folder, '"${AT_HOME}/a.pth"') == Path("/home/voice/x/a.pth")
    recipe = load(folder, 'checkpoints: {a: a.pth}\noutput: {path: "${VOICES}/${WHICH}.pt"}')
    assert recipe.output.path == Path("/data/voices/news.pt")


@pytest.mark.parametrize(
    "text", ["${NOT_SET}/a.pth", "$VOICES/a.pth", "${}/a.pth", "%VOICES%/a.pth", "${VO ICES}/a.pth"]
)
def test_what_is_no_variable_or_is_not_set_stays_as_written(
    folder: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICES", "/data/voices")
    monkeypatch.delenv("NOT_SET", raising=False)
    assert source_path(folder, json.dumps(text)) == folder / text


@pytest.mark.parametrize("name", ["Grüße.pth", "模型.pth", "a b.pth", "a#b.pth", "😀.pth"])
def test_file_names_may_hold_any_character(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    assert source_path(folder, f"'{name}'").exists()


def test_a_path_that_no_file_can_have_is_an_error_and_no_bug(folder: Path) -> None:
    assert only_problem(folder, 'checkpoints: {a: "a\\ud83d.pth"}\noutput: {path: o.pth}').what.startswith(
        "checkpoints.a"
    )


def test_a_recipe_that_is_ascii_json_may_name_any_file(folder: Path) -> None:
    assert source_path(folder, json.dumps("😀.pth")) == folder / "😀.pth"
