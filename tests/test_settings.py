from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xttsrecipe.api import load_recipe
from xttsrecipe.codes import Code
from xttsrecipe.document import join_path
from xttsrecipe.errors import RecipeError
from xttsrecipe.recipe import Merge, Method, Take
from xttsrecipe.recipe import load_recipe as read_recipe
from xttsrecipe.settings import output_setting, parse_setting
from xttsrecipe.specs import DType

from .builders import write_recipe
from .loading import BASE, load, only_problem


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The recipe's folder; the current one is another."""
    made = tmp_path / "recipes"
    made.mkdir()
    return made


@pytest.mark.parametrize(
    ("text", "path", "value", "is_file"),
    [
        ("checkpoints.news=/data/x.pth", ("checkpoints", "news"), "/data/x.pth", True),
        ("checkpoints.news.path=1e5", ("checkpoints", "news", "path"), "1e5", True),
        ("checkpoints.news.sha256=ab", ("checkpoints", "news", "sha256"), "ab", False),
        ('checkpoints."news.v2"=x.pth', ("checkpoints", "news.v2"), "x.pth", True),
        ("output.path=a=b.pth", ("output", "path"), "a=b.pth", True),
        ("output.path=", ("output", "path"), "", True),
        ("output.dtype=float16", ("output", "dtype"), "float16", False),
        ("weights.news=0.7", ("weights", "news"), 0.7, False),
        ("weights.news=1e-3", ("weights", "news"), 0.001, False),
        ("weights={news: 1, audiobook: 0}", ("weights",), {"news": 1, "audiobook": 0}, False),
        ("normalize=true", ("normalize",), True, False),
        ("name=", ("name",), "", False),
        ("output.path=merged/", ("output", "path"), "merged/", True),
        ("output.layout=trainer", ("output", "layout"), "trainer", False),
        ("vocabulary.news=1e5", ("vocabulary", "news"), "1e5", True),
        ('vocabulary."news.v2"=a b.json', ("vocabulary", "news.v2"), "a b.json", True),
        ("vocabulary.order=news", ("vocabulary", "order"), "news", False),
        ("vocabulary={news: x.json}", ("vocabulary",), {"news": "x.json"}, False),
        ("companions=from news", ("companions",), "from news", False),
        ("companions.from=news", ("companions", "from"), "news", False),
        ("description=a: b".replace(": ", "; "), ("description",), "a; b", False),
        ('overrides."*encoder*"=from news', ("overrides", "*encoder*"), "from news", False),
        ('overrides."gpt.gpt.h.{0..9}.*".from=news', ("overrides", "gpt.gpt.h.{0..9}.*", "from"), "news", False),
        ('overrides."a=b"=from news', ("overrides", "a=b"), "from news", False),
        ("overrides.*encoder*=from news", ("overrides", "*encoder*"), "from news", False),
    ],
)
def test_a_setting_is_a_field_and_a_value(text: str, path: tuple[str, ...], value: object, is_file: bool) -> None:
    setting = parse_setting(text)
    assert (setting.path, setting.value, setting.text, setting.names_a_file) == (path, value, text, is_file)


@pytest.mark.parametrize("text", ["", "=", "news", "=x", "a..b=1", ".a=1", "a.=1", 'a"b=1', '"a=1', 'a."b=1', '"a"b=1'])
def test_what_is_not_field_and_value_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not of the form FIELD=VALUE, as in checkpoints\.news=/data/news\.pth"
    ) as caught:
        parse_setting(text)
    assert repr(text) in str(caught.value)


@given(
    st.lists(st.text(st.characters(exclude_characters='"', exclude_categories=["Cs"])), min_size=1, max_size=4),
    st.integers() | st.booleans() | st.none() | st.sampled_from(["a", "from news", "a.b"]),
)
def test_a_field_as_messages_write_it_can_be_set(path: list[str], value: Any) -> None:
    assume((path[0], len(path)) != ("checkpoints", 2))
    setting = parse_setting(f"{join_path(path)}={json.dumps(value)}")
    assert setting.path == tuple(path)
    assert setting.names_a_file or setting.value == value


def test_a_setting_names_a_file_from_the_current_folder_not_from_the_recipes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load(folder, BASE, "checkpoints.news=x/n.pth", "output.path=m.safetensors")
    assert recipe.sources[0].path == tmp_path / "x" / "n.pth"
    assert recipe.sources[1].path == folder / "audiobook.pth"
    assert (recipe.output.path, recipe.output.format) == (tmp_path / "m.safetensors", "safetensors")


def test_a_setting_may_name_a_file_anywhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/voice")
    monkeypatch.setenv("VOICES", "/data")
    recipe = load(
        folder, BASE, "checkpoints.news=~/n.pth", "checkpoints.audiobook=${VOICES}/a.pth", "output.path=/o.pt"
    )
    assert [source.path for source in recipe.sources] == [Path("/home/voice/n.pth"), Path("/data/a.pth")]
    assert recipe.output.path == Path("/o.pt")


@pytest.mark.parametrize("name", ["2024", "1e5", "true", "~nosuchuser", "a: b", "[x]", "'quoted'", "*.pth"])
def test_the_file_name_in_a_setting_is_not_yaml(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert load(folder, BASE, f"checkpoints.news={name}").sources[0].path == folder / name


@pytest.mark.parametrize("field", ["checkpoints.news", "checkpoints.news.path"])
def test_a_file_kept_elsewhere_must_still_have_its_digest(folder: Path, field: str) -> None:
    digest = "0f" * 32
    text = f"checkpoints: {{news: {{path: n.pth, sha256: {digest}}}}}\noutput: {{path: o.pth}}\n"
    (source,) = load(folder, text, f"{field}=/data/n.pth").sources
    assert (source.path, source.sha256) == (Path("/data/n.pth"), digest)


def test_a_digest_can_be_set(folder: Path) -> None:
    text = "checkpoints: {news: {path: n.pth}}\noutput: {path: o.pth}\n"
    assert load(folder, text, f"checkpoints.news.sha256={'0F' * 32}").sources[0].sha256 == "0f" * 32


def test_settings_reach_every_field(folder: Path) -> None:
    recipe = load(
        folder,
        BASE + "overrides: {'*x*': from news}\n",
        "name=other",
        "weights.news=0.7",
        "weights.audiobook=0.3",
        'overrides."*x*"=from audiobook',
        'overrides."*y*".weights={news: 0, audiobook: 1}',
        "metadata.from=audiobook",
        "output.dtype=float16",
        "output.layout=trainer",
        "companions.from=audiobook",
        "vocabulary.order=audiobook",
    )
    assert recipe.name == "other"
    assert recipe.default.weights == (0.7, 0.3)
    assert [(rule.pattern, rule.decision) for rule in recipe.rules] == [
        ("*x*", Take(1)),
        ("*y*", Merge((0.0, 1.0), Method("linear", {}))),
    ]
    assert (recipe.metadata_from, recipe.output.dtype, recipe.output.layout) == (1, DType.FLOAT16, "trainer")
    assert (recipe.companions_from, recipe.vocabulary_order) == (1, 1)


def test_an_output_given_on_the_command_line_is_relative_to_the_current_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_recipe(folder, BASE)
    recipe = read_recipe(path, [parse_setting("output.path=/ignored.pth"), output_setting("m=1.safetensors")])
    assert (recipe.output.path, recipe.output.format) == (tmp_path / "m=1.safetensors", "safetensors")
    assert recipe.settings == ()


@pytest.mark.parametrize("name", ["merged", "merged.bin"])
def test_a_problem_with_an_output_given_on_the_command_line_is_told_there(folder: Path, name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_recipe(write_recipe(folder, BASE), [output_setting(name)])
    (problem,) = caught.value.problems
    assert problem.what.startswith("output.path: ")
    assert str(problem.where) == f"-o {name}"


def test_of_two_settings_of_a_field_the_last_one_holds(folder: Path) -> None:
    assert load(folder, BASE, "name=a", "name=b").name == "b"


def test_a_setting_can_give_what_the_file_lacks(folder: Path) -> None:
    recipe = load(folder, "checkpoints: {news: n.pth}\n", "output.path=/o.pth")
    assert recipe.output.path == Path("/o.pth")


def test_a_recipe_remembers_its_settings_but_not_where_files_are_kept(folder: Path) -> None:
    recipe = load(folder, BASE, "checkpoints.news=/n.pth", "name=x", "output.path=/o.pth", "output.dtype=float16")
    assert recipe.settings == ("name=x", "output.dtype=float16")
    assert recipe.text == BASE


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("wieghts.news=1", "no field named 'wieghts'; did you mean 'weights'?"),
        ("output.dtype=fp16", "output.dtype: 'fp16' is not known here"),
        ("weights.news=0,7", "weights.news: expected a number, found '0,7'"),
        ("output.path=merged", "output.path: "),
        ("checkpoints.nwes=/n.pth", "no source named 'nwes'; did you mean 'news'?"),
        ("checkpoints.more.path=/m.pth", "no source named 'more'"),
        ("name.x=1", "cannot set 'x' in something that is not a mapping"),
        ("checkpoints.news.v2=x", "cannot set 'v2' in something that is not a mapping"),
        ("metadata.from=nws", "metadata.from: no source named 'nws'; did you mean 'news'?"),
        ("companions=from nws", "companions: no source named 'nws'; did you mean 'news'?"),
        ("companions=news", "companions: "),
        ("vocabulary.order=nws", "vocabulary.order: no source named 'nws'; did you mean 'news'?"),
        ("vocabulary.nws=x.json", "the recipe names no vocabulary for 'nws'"),
        ("output.layout=Trainer", "output.layout: 'Trainer' is not known here"),
    ],
)
def test_a_problem_with_a_setting_is_told_at_the_setting(folder: Path, setting: str, what: str) -> None:
    text = BASE + "name: a\nweights: {news: 0.5, audiobook: 0.5}\n"
    problem = only_problem(folder, text, setting)
    assert problem.what.startswith(what)
    assert str(problem.where) == f"--set {setting}"


def test_all_checkpoints_can_be_set_at_once(folder: Path) -> None:
    recipe = load(folder, BASE, "checkpoints={a: /a.pth, b: /b.pth}")
    assert [source.path for source in recipe.sources] == [Path("/a.pth"), Path("/b.pth")]


# --- directories and vocabularies --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["merged/", "merged//", "./merged/", "a/../merged/", "merged/."])
def test_a_slash_at_the_end_says_directory_however_it_is_given(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_recipe(folder, BASE)
    if name.endswith("."):
        with pytest.raises(RecipeError, match=r"output\.path"):
            load_recipe(path, output=name)
        return
    for output in (load_recipe(path, output=name).output, load_recipe(path, [f"output.path={name}"]).output):
        assert (output.path, output.is_directory, output.format) == (tmp_path / "merged", True, "torch zip")


def test_a_slash_stays_behind_a_home_and_a_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/voice")
    monkeypatch.setenv("MERGED", "/data/merged")
    for name, path in (("~/merged/", "/home/voice/merged"), ("${MERGED}/", "/data/merged"), ("~/", "/home/voice")):
        output = load(folder, BASE, f"output.path={name}").output
        assert (output.path, output.is_directory) == (Path(path), True)


@pytest.mark.parametrize("name", ["there", "there/", "./there", "link", ".", "../current"])
def test_the_name_of_a_folder_that_is_there_stands_for_it_after_o(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = tmp_path / "current"
    (current / "there").mkdir(parents=True)
    (current / "link").symlink_to("there")
    monkeypatch.chdir(current)
    output = load_recipe(write_recipe(folder, BASE), output=name).output
    assert output.is_directory
    assert output.path.samefile(current / name)


def test_a_path_object_of_a_folder_that_is_there_loses_nothing(folder: Path, tmp_path: Path) -> None:
    """It has no slash at its end, whatever it was made from."""
    (tmp_path / "merged").mkdir()
    assert load_recipe(write_recipe(folder, BASE), output=Path(f"{tmp_path}/merged/")).output.is_directory


def test_a_folder_at_home_or_behind_a_variable_is_there_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "merged").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VOICES", str(tmp_path))
    for name in ("~/merged", "${VOICES}/merged"):
        assert load_recipe(write_recipe(folder, BASE), output=name).output.is_directory


def test_a_folder_called_like_a_file_is_a_folder_after_o(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "merged.pth").mkdir()
    assert load_recipe(write_recipe(folder, BASE), output="merged.pth").output.is_directory
    assert not load(folder, BASE, "output.path=merged.pth").output.is_directory  # as in a recipe


@pytest.mark.parametrize("name", ["a\0b", "n" * 5000, "", "gone/../there"])
def test_what_cannot_be_a_folder_is_no_folder_and_no_bug(name: str) -> None:
    assert output_setting(name).value == name


def test_a_problem_with_an_output_folder_is_told_as_it_was_given(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "merged").mkdir()
    assert output_setting(str(tmp_path / "merged")).origin == f"-o {tmp_path}/merged"


@pytest.mark.parametrize("name", ["a b.json", "1e5", "true", "sub/vocab.json", "~nosuchuser", "caf\udce9.json"])
def test_a_vocabulary_that_is_set_is_relative_to_the_current_folder(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = BASE + "vocabulary: {news: n.json, audiobook: a.json}\n"
    recipe = load(folder, text, f"vocabulary.news={name}")
    assert [source.vocabulary for source in recipe.sources] == [tmp_path / name, folder / "a.json"]
    assert recipe.settings == ()


def test_a_vocabulary_that_the_recipe_does_not_name_cannot_be_added(folder: Path) -> None:
    """It would be nowhere in the output's record: file names on a command line are this machine's own."""
    for text, expected in ((BASE, None), (BASE + "vocabulary: {audiobook: a.json, order: news}\n", "one of audiobook")):
        with pytest.raises(RecipeError) as caught:
            load(folder, text, "vocabulary.news=/n.json")
        (problem,) = caught.value.problems
        assert (problem.code, problem.expected) == (Code.UNKNOWN_SOURCE, expected)
        assert problem.what == "the recipe names no vocabulary for 'news'"
        assert problem.hint == "name it in the recipe: vocabulary: {news: PATH}"
    both = load(folder, BASE, "vocabulary={news: n.json}", "vocabulary.news=/n.json", "vocabulary.order=audiobook")
    assert [source.vocabulary for source in both.sources] == [Path("/n.json"), None]
    assert both.settings == ("vocabulary={news: n.json}", "vocabulary.order=audiobook")


def test_a_whole_mapping_that_is_set_has_the_recipes_file_names(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load(folder, BASE, "vocabulary={news: n.json}")
    assert recipe.sources[0].vocabulary == folder / "n.json"


def test_a_directory_can_be_set_for_a_source(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("voices/news", "voices/news/", "./voices/news"):
        assert os.fspath(load(folder, BASE, f"checkpoints.news={name}").sources[0].path) == f"{tmp_path}/voices/news"
