from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.api import inspect, load_recipe
from xttsrecipe.document import parse_document
from xttsrecipe.errors import RecipeError
from xttsrecipe.recipe import Merge, Recipe
from xttsrecipe.rules import rule_problems
from xttsrecipe.specs import Header
from xttsrecipe.starter import starter_recipe
from xttsrecipe.validation import validate

from .builders import save, trainer_state, write_recipe, xtts_state
from .golden import check_golden

CONFIG = {"model_args": {"gpt_layers": 30}}


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with news.pth (release) and trained/best_model.pth (trainer)."""
    folder = tmp_path_factory.mktemp("voices")
    (folder / "trained").mkdir()
    save(folder / "news.pth", xtts_state(1), config=CONFIG)
    save(folder / "trained" / "best_model.pth", trainer_state(2), config=CONFIG, step=7, epoch=2)
    return folder


@pytest.fixture(scope="module")
def header(voices: Path) -> Header:
    return inspect(voices / "news.pth")


def starter(folder: Path, header: Header, *names: str) -> Recipe:
    """The starter recipe for files of these names in ``folder``, loaded from there."""
    headers = [dataclasses.replace(header, path=folder / name) for name in names]
    return load_recipe(write_recipe(folder, starter_recipe(headers, folder)))


def test_the_recipe_for_two_checkpoints_is_the_golden_one(voices: Path) -> None:
    headers = [inspect(voices / "news.pth"), inspect(voices / "trained" / "best_model.pth")]
    text = starter_recipe(headers, voices)
    # Sizes depend on how torch lays out the file, which changes with its versions.
    check_golden("starter.yaml", re.sub(r"[\d.]+ [KM]B", "SIZE", text))


def test_the_recipe_is_valid_with_the_checkpoints_that_it_was_made_for(voices: Path, tmp_path: Path) -> None:
    headers = [inspect(voices / "news.pth"), inspect(voices / "trained" / "best_model.pth")]
    path = write_recipe(tmp_path, starter_recipe(headers, tmp_path))
    (result,) = validate([path])
    assert (result.problems, result.extent) == ((), "its checkpoints' headers too")


def test_the_rules_that_it_offers_in_comments_work(voices: Path, header: Header) -> None:
    headers = [header, inspect(voices / "trained" / "best_model.pth")]
    text = starter_recipe(headers, voices)
    start = text.index("# overrides:")
    rules = text[start : text.index("\n\n", start)]
    recipe = load_recipe(write_recipe(voices, text.replace(rules, re.sub(r"(?m)^# ?", "", rules))))
    assert len(recipe.rules) == 2
    assert isinstance(recipe.rules[1].decision, Merge)
    assert recipe.rules[1].decision.weights == recipe.default.weights == (0.5, 0.5)
    assert rule_problems(recipe, tuple(header.tensors)) == []


def test_every_field_of_the_schema_is_shown_but_those_that_starters_do_without(header: Header, tmp_path: Path) -> None:
    text = starter_recipe([header], tmp_path)
    assert list(parse_document(text, "f").data) == [
        "name", "description", "checkpoints", "weights", "metadata", "output",
    ]  # fmt: skip
    assert text.startswith("# yaml-language-server: $schema=recipe.schema.json\n")


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 9, 11, 13, 64, 100])
def test_weights_are_equal_and_sum_to_1(tmp_path: Path, header: Header, count: int) -> None:
    recipe = starter(tmp_path, header, *(f"v{number}.pth" for number in range(count)))
    weights = recipe.default.shares
    assert math.isclose(math.fsum(weights), 1, abs_tol=1e-9)
    assert max(weights) - min(weights) <= 0.01
    assert recipe.metadata_from == 0


@pytest.mark.parametrize("count", [3, 64])
def test_weights_have_few_digits(tmp_path: Path, header: Header, count: int) -> None:
    text = starter_recipe(
        [dataclasses.replace(header, path=tmp_path / f"v{number}.pth") for number in range(count)], tmp_path
    )
    assert all(len(weight) <= 6 for weight in re.findall(r"(?m)^  v\d+: ([\d.]+)$", text))


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["news.pth", "audiobook.safetensors"], ["news", "audiobook"]),
        (["news/model.pth", "audiobook/best_model.pth"], ["news", "audiobook"]),
        (["a/news.pth", "b/news.pth", "c/news.pth"], ["news", "news_2", "news_3"]),
        (["news_2.pth", "a/news.pth", "b/news.pth"], ["news_2", "news", "news_3"]),
        (["news v1.2 (final).pth"], ["news_v1_2_final"]),
        (["2024-run.pth"], ["model_2024-run"]),
        (["-x.pth"], ["x"]),
        (["true.pth", "null.pth", "2024.pth"], ["model_true", "model_null", "model_2024"]),
        (["模型.pth", "Grüße.pth"], ["model", "Gr_e"]),
        (["checkpoint_10000.pth"], ["checkpoint_10000"]),
    ],
)
def test_checkpoints_are_named_after_their_files(
    tmp_path: Path, header: Header, files: list[str], names: list[str]
) -> None:
    recipe = starter(tmp_path, header, *files)
    assert [source.name for source in recipe.sources] == names
    assert [source.path for source in recipe.sources] == [tmp_path / file for file in files]


def test_the_merged_model_is_called_after_its_sources_and_is_none_of_them(tmp_path: Path, header: Header) -> None:
    recipe = starter(tmp_path, header, "a.pth", "b.pth", "c.pth", "d.pth")
    assert (recipe.name, recipe.output.path) == ("a_b_c", tmp_path / "a_b_c_merged.pth")


def test_paths_are_relative_to_the_recipes_folder(tmp_path: Path, header: Header) -> None:
    headers = [dataclasses.replace(header, path=tmp_path / "voices" / "news.pth")]
    data = parse_document(starter_recipe(headers, tmp_path / "recipes"), "f").data
    assert data["checkpoints"] == {"news": "../voices/news.pth"}


def test_a_path_given_relative_to_the_current_folder_is_found_from_the_recipes(
    voices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(voices / "trained")
    text = starter_recipe([inspect("../news.pth"), inspect("best_model.pth")], Path())
    assert parse_document(text, "f").data["checkpoints"] == {"news": "../news.pth", "trained": "best_model.pth"}
    text = starter_recipe([inspect("best_model.pth")], Path(".."))
    assert parse_document(text, "f").data["checkpoints"] == {"trained": "trained/best_model.pth"}


def test_what_is_known_of_a_checkpoint_stands_beside_it(voices: Path) -> None:
    headers = [inspect(voices / "news.pth"), inspect(voices / "trained" / "best_model.pth")]
    lines = starter_recipe(headers, voices).splitlines()
    news, trained = (lines[lines.index(line) - 1] for line in ("  news: news.pth", "  trained: trained/best_model.pth"))
    assert news.startswith("  # release layout, XTTS v2.0.3, ")
    assert trained.startswith("  # trainer layout, XTTS v2.0.3, ")
    assert "step 7" in trained


@given(
    st.lists(
        st.from_regex(r"[a-z][A-Za-z0-9 _(),:#'\"{}\[\]*&!%@$=+.-]{0,12}\.pth", fullmatch=True).filter(
            lambda file: "${" not in file
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_file_names_give_a_valid_recipe_with_distinct_names(
    tmp_path_factory: pytest.TempPathFactory, header: Header, files: list[str]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    paths = [folder / str(number) / file for number, file in enumerate(files)]
    headers = [dataclasses.replace(header, path=path) for path in paths]
    recipe = load_recipe(write_recipe(folder, starter_recipe(headers, folder)))
    assert [source.path for source in recipe.sources] == paths
    assert len({source.name for source in recipe.sources}) == len(files)


@pytest.mark.parametrize("file", ["2024", "1e5", "true", "null", "0x10", ".inf", "1.5"])
def test_a_file_without_suffix_called_like_a_number_gives_a_valid_recipe(
    tmp_path: Path, header: Header, file: str
) -> None:
    assert starter(tmp_path, header, file, "news.pth").sources[0].path == tmp_path / file


@pytest.mark.parametrize(
    "file",
    [
        "Grüße.pth",
        "a\x7fb.pth",
        "a\nb.pth",
        "voix 😀.pth",
        "~news.pth",
        "$HOME.pth",
        "%HOME%.pth",
    ],
)
def test_a_file_name_of_any_characters_gives_a_valid_recipe(tmp_path: Path, header: Header, file: str) -> None:
    assert [source.path for source in starter(tmp_path, header, file).sources] == [tmp_path / file]


@pytest.mark.parametrize("file", ["${HOME}.pth", "${x/news.pth", "a${}b/news.pth"])
def test_a_name_that_recipes_would_replace_is_refused(tmp_path: Path, header: Header, file: str) -> None:
    with pytest.raises(RecipeError) as caught:
        starter(tmp_path, header, file)
    (problem,) = caught.value.problems
    assert str(problem) == f"{tmp_path / file}: has ${{ in its name, which recipes replace"
    assert problem.hint == "rename it"
