from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.checkpoints.crafted import within
from xttsrecipe.patterns import PatternError, compile_pattern, compile_patterns, suggestions
from xttsrecipe.xtts import COMPONENTS, LEAVES, known_tensors

KEYS = tuple(known_tensors())

# A pattern with what its braces expand to, made together: the expansions hold no braces but may hold * and ?.
Expanded = tuple[str, tuple[str, ...]]


def in_a_row(parts: list[Expanded]) -> Expanded:
    text = "".join(part for part, _ in parts)
    return text, tuple("".join(choice) for choice in itertools.product(*(globs for _, globs in parts)))


def in_braces(parts: list[Expanded]) -> Expanded:
    return "{" + ",".join(text for text, _ in parts) + "}", tuple(glob for _, globs in parts for glob in globs)


def in_range(start: int, stop: int) -> Expanded:
    step = 1 if start <= stop else -1
    return f"{{{start}..{stop}}}", tuple(map(str, range(start, stop + step, step)))


SIMPLE = st.text("ab.0_", min_size=1, max_size=3) | st.sampled_from(["*", "?", "gpt.gpt.h.", ".attn."])
PARTS = SIMPLE.map(lambda text: (text, (text,))) | st.builds(in_range, st.integers(0, 12), st.integers(0, 12))
ROWS = st.lists(PARTS, max_size=3).map(in_a_row)
PATTERNS = st.recursive(
    st.lists(PARTS, max_size=4).map(in_a_row),
    lambda below: st.tuples(ROWS, st.lists(below, min_size=2, max_size=3).map(in_braces), ROWS).map(
        lambda parts: in_a_row(list(parts))
    ),
    max_leaves=4,
)


def fits(glob: str, key: str) -> bool:
    """Whether a glob of characters, * and ? fits a whole key, the slow and simple way."""
    if not glob:
        return not key
    if glob[0] == "*":
        return fits(glob[1:], key) or (bool(key) and fits(glob, key[1:]))
    return bool(key) and glob[0] in ("?", key[0]) and fits(glob[1:], key[1:])


def hits(pattern: str) -> list[str]:
    return list(filter(compile_pattern(pattern, COMPONENTS), KEYS))


@given(PATTERNS, st.data())
def test_a_pattern_fits_what_its_expansions_fit(pattern: Expanded, data: st.DataObject) -> None:
    text, globs = pattern
    assume(0 < len(globs) <= 300)
    test = compile_pattern(text, {})
    filled = st.sampled_from(globs).map(lambda glob: glob.replace("*", "a.b").replace("?", "."))
    key = data.draw(filled | st.text("ab.0_123", max_size=8) | filled.map(lambda key: key + "0"))
    assume(key)  # no tensor has an empty name, and bracex drops what expands to nothing
    assert test(key) == any(fits(glob, key) for glob in globs)


@given(st.text("abz.09_", min_size=1))
def test_a_pattern_without_marks_fits_itself_alone(key: str) -> None:
    test = compile_pattern(key, {})
    assert test(key)
    assert not test(key + "x")
    assert not test("x" + key)
    assert compile_pattern("*", {})(key)


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("*", 963), ("gpt.*", 426), ("hifigan_decoder.*", 536), ("mel_stats", 1), ("*encoder*", 333),
        ("gpt.gpt.h.{0..9}.*", 120), ("gpt.gpt.h.{9..0}.*", 120), ("gpt.gpt.h.{0,1,2}.attn.*", 12),
        ("gpt.gpt.h.[0-4].*", 60), ("gpt.gpt.h.?.*", 120), ("gpt.gpt.h.??.*", 240), ("gpt.gpt.h.[!0].*", 108),
        ("gpt.gpt.h.{0..2}.ln_{1,2}.*", 12), ("gpt.gpt.h", 0), ("gpt", 0), ("GPT.*", 0), ("*ENCODER*", 0),
        ("gpt.gpt.h.{25..35}.*", 60), ("gpt.gpt.h.{00..09}.*", 0), ("gpt.gpt.h.{0..9..3}.*", 48),
    ],
)  # fmt: skip
def test_patterns_count_the_tensors_of_xtts_v2(pattern: str, count: int) -> None:
    assert len(hits(pattern)) == count


@pytest.mark.parametrize(
    ("pattern", "key", "fitting"),
    [
        ("*.bias", "a.b.bias", True), ("a*z", "a.b/c.z", True), ("?", ".", True), ("?", "", False),
        ("a.b", "axb", False), ("*.x", ".x", True), ("*x", ".hidden.x", True), ("[ab]", "b", True),
        ("[ab]", "ab", False), ("a\\*", "a*", True), ("a\\*", "ab", False), ("{a}", "{a}", True), ("{a}", "a", False),
        ("!a", "!a", True), ("a|b", "a|b", True), ("a|b", "a", False), ("+(a)", "+(a)", True), ("~a", "~a", True),
        ("a$", "a$", True), ("^a", "^a", True), ("a", "a\nb", False), ("a*", "a\nb", True), ("C", "c", False),
        ("*", "", True), ("a", "a\n", False), ("[!ab]", "c", True), ("[^ab]", "c", True), ("[^ab]", "^", True),
        ("[^ab]", "a", False), ("a\\?", "a?", True), ("a\\?", "ab", False), ("\\[ab]", "[ab]", True),
        ("\\[ab]", "a", False), ("\\a\\.b", "a.b", True), ("a\\", "a", True), ("[*]", "*", True), ("[]a]", "]", True),
        ("[a-c]", "b", True), ("[a-c]", "d", False), ("[", "[", True), ("\\\\a", "\\a", True),
    ],
)  # fmt: skip
def test_only_the_documented_marks_have_a_meaning(pattern: str, key: str, fitting: bool) -> None:
    assert compile_pattern(pattern, {})(key) is fitting


# --- components -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_stands_for_its_patterns(name: str) -> None:
    either = [compile_pattern(pattern, {}) for pattern in COMPONENTS[name]]
    found = hits(f"@{name}")
    assert found == [key for key in KEYS if any(test(key) for test in either)]
    assert found


def test_every_tensor_is_in_exactly_one_leaf() -> None:
    found = [key for name in LEAVES for key in hits(f"@{name}")]
    assert sorted(found) == sorted(KEYS)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("@vocodr", "no component is named '@vocodr'; did you mean '@vocoder'?"),
        ("@Vocoder", "no component is named '@Vocoder'; did you mean '@vocoder'?"),
        ("@conditionning", "no component is named '@conditionning'; did you mean '@conditioning'?"),
        ("@decodr", "no component is named '@decodr'; did you mean '@decoder'?"),
        ("@vocoder.*", "no component is named '@vocoder.*'; did you mean '@vocoder'?"),
        ("@", "no component is named '@'; there are " + ", ".join(f"@{name}" for name in COMPONENTS)),
        ("@zzz", "no component is named '@zzz'; there are " + ", ".join(f"@{name}" for name in COMPONENTS)),
    ],
)
def test_an_unknown_component_is_an_error_that_names_the_nearest_or_all(pattern: str, text: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern, COMPONENTS)
    assert str(caught.value) == text


# --- limits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        "{0..1000}",
        "{0..999999999}",
        "{0..9}{0..9}{0..9}{0..9}",
        "{a,b}" * 30,
        "{a,b}{0..500}",
    ],
)
def test_a_pattern_of_more_than_a_thousand_alternatives_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern, {})
    assert str(caught.value) == "the pattern expands to more than 1,000 alternatives"


def test_a_pattern_of_a_thousand_alternatives_works() -> None:
    test = compile_pattern("x.{1..1000}", {})
    assert [test("x.0"), test("x.1"), test("x.1000"), test("x.1001")] == [False, True, True, False]


def test_a_pattern_of_long_alternatives_is_refused() -> None:
    with pytest.raises(PatternError, match=r"^the pattern expands to more than 20,000 characters$"):
        compile_pattern("{" + "0" * 500 + "..900}", {})


@pytest.mark.parametrize("pattern", ["x" * 1_001, "{" * 60_000, "{a..b" * 12_000, "*e" * 30_000])
def test_a_pattern_longer_than_anyone_writes_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match=rf"^the pattern has {len(pattern):,} characters, more than 1,000$"):
        compile_pattern(pattern, {})


@pytest.mark.parametrize(
    "pattern", ["*e" * 40 + "*Z", "*?" * 60 + "Z", "*[a-z]" * 60 + "Z", "*.*" * 99 + "Z", "**a" * 99]
)
def test_no_number_of_stars_makes_an_endless_search(pattern: str) -> None:
    key = "hifigan_decoder.speaker_encoder.layer1.0.conv1.weight" * 20
    with within(30):
        assert not compile_pattern(pattern, {})(key)


@pytest.mark.parametrize(
    "pattern", ["{" * 500, "[" * 500, "{a," * 300 + "}" * 300, "(" * 500, "\\" * 99, "[z-a]", "[]"]
)
def test_a_strange_pattern_is_a_test_or_a_pattern_error(pattern: str) -> None:
    try:
        test = compile_pattern(pattern, COMPONENTS)
    except PatternError:
        return
    assert not any(map(test, KEYS))


@given(st.text("ab*?[]{}!-,.0\\@|()+^$~\n", max_size=12))
def test_any_text_is_a_test_or_a_pattern_error(pattern: str) -> None:
    try:
        test = compile_pattern(pattern, COMPONENTS)
    except PatternError:
        return
    assert test("ab") in (True, False)


# --- suggestions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("*encodr*", "*encoder*"),
        ("gpt.gpt.h.{0..9}.atn.*", "gpt.gpt.h.{0..9}.attn.*"),
        ("gpt.txt_head.*", "gpt.text_head.*"),
        ("GPT.*", "gpt.*"),
        ("*.bais", "*.bias"),
        ("gpt.gpt.h.*.ln1.*", "gpt.gpt.h.*.ln_1.*"),
        ("gpt/text_head/*", "@text_head"),
        ("speaker_encoder", "@speaker_encoder"),
        ("vocoder.*", "@vocoder"),
        ("decoder.*", "@decoder"),
        ("hifigan.encoder.*", "@encoder"),
        ("gpt", "@gpt"),
        ("gpt.conditioning.*", "@conditioning"),
        ("hifigan.*", "hifigan*"),
        ("perceiver", "*perceiver*"),
        ("gpt.ln_f", "*gpt.ln_f*"),
        ("gpt.gpt.ln_f", "gpt.gpt.ln_f*"),
        ("gpt.gpt.h.{30..35}.*", "gpt.gpt.h.*.*"),
        ("mel_stat", "mel_stats"),
    ],
)
def test_the_first_suggestion_is_what_was_meant(pattern: str, meant: str) -> None:
    assert suggestions(pattern, KEYS, COMPONENTS)[0] == meant


def test_where_nothing_is_near_there_is_no_suggestion() -> None:
    assert suggestions("zzzzzzzzzz", KEYS, COMPONENTS) == []
    assert suggestions("gpt.*", [], COMPONENTS) == []


@given(
    st.text("gpt.h*_{,}09@encodrxyz", max_size=14) | st.sampled_from(["@attention", "a.attention.b", "mlp{0..9999}"])
)
def test_every_suggestion_fits_some_key_and_no_two_fit_the_same(pattern: str) -> None:
    keys = KEYS[::40]
    found = suggestions(pattern, keys, COMPONENTS)
    assert len(found) <= 3
    fitting = [tuple(filter(compile_pattern(candidate, COMPONENTS), keys)) for candidate in found]
    assert all(fitting)
    assert len(set(fitting)) == len(fitting)


def test_a_component_that_fits_no_key_is_not_suggested() -> None:
    assert suggestions("vocoder.*", ["gpt.text_head.bias"], COMPONENTS) == []


@pytest.mark.parametrize(
    "pattern",
    [
        "*encodr*",
        "gpt.gpt.h.{0..9}.atn.*",
        "*.bais",
        "gpt.gpt.h.99*",
    ],
)
def test_a_suggestion_has_no_star_too_many(pattern: str) -> None:
    found = suggestions(pattern, KEYS, COMPONENTS)
    assert found
    assert not any("**" in candidate for candidate in found)


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("{@attention,mel_stats}", {"a.attn.x", "mel_stats"}),
        ("{@attention,@mlp}", {"a.attn.x", "a.mlp.x", "b.mlp.x"}),
        ("@{attention,mlp}", {"a.attn.x", "a.mlp.x", "b.mlp.x"}),
        ("{@mlp,a.*}", {"a.mlp.x", "b.mlp.x", "a.attn.x"}),
        ("a.{@mlp,attn.x}", {"a.attn.x"}),
    ],
)
def test_components_may_stand_in_braces(pattern: str, matched: set[str]) -> None:
    components = {"attention": ("*.attn.*",), "mlp": ("{a,b}.mlp.*",)}
    keys = ["a.attn.x", "a.mlp.x", "b.mlp.x", "mel_stats"]
    assert set(filter(compile_pattern(pattern, components), keys)) == matched


@pytest.mark.parametrize("pattern", ["{@atention,mel_stats}", "@{attention,mpl}"])
def test_an_unknown_component_in_braces_is_an_error_too(pattern: str) -> None:
    with pytest.raises(PatternError, match="no component is named"):
        compile_pattern(pattern, {"attention": ("*.attn.*",), "mlp": ("*.mlp.*",)})


def test_braces_with_components_are_bounded_too() -> None:
    with pytest.raises(PatternError, match="more than 1,000 alternatives"):
        compile_pattern("{@mlp,x{0..2000}}", {"mlp": ("*.mlp.*",)})


# --- several together -------------------------------------------------------------------------------------------


def test_several_patterns_are_tests_and_errors_in_their_order() -> None:
    first, second, third = compile_patterns(["a*", "@none", "b*"], COMPONENTS)
    assert isinstance(second, PatternError)
    assert not isinstance(first, PatternError)
    assert not isinstance(third, PatternError)
    assert [first("ax"), third("ax"), third("bx")] == [True, False, True]


def test_several_patterns_end_where_they_expand_to_too_much_together() -> None:
    found = list(compile_patterns([f"{name}{{1..1000}}" for name in "abcdefgh"], {}))
    assert [isinstance(each, PatternError) for each in found] == [False] * 5 + [True]
    assert str(found[-1]) == "the patterns up to here expand to more than 5,000 alternatives"
