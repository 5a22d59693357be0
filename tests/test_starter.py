from __future__ import annotations

import dataclasses
import math
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.api import inspect, load_recipe
from xttsrecipe.document import parse_document
from xttsrecipe.errors import RecipeError
from xttsrecipe.recipe import Merge, Recipe
from xttsrecipe.rules import rule_problems
from xttsrecipe.run_folder import RunCheckpoint, Selection, last_checkpoints
from xttsrecipe.specs import Header
from xttsrecipe.starter import run_recipe, starter_recipe
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


def test_equal_weights_differ_in_the_last_digit_at_most(tmp_path: Path, header: Header) -> None:
    for count in (*range(1, 30), *range(31, 257, 25)):
        text = starter_recipe(
            [dataclasses.replace(header, path=tmp_path / f"v{n}.pth") for n in range(count)], tmp_path
        )
        weights = written_weights(text)
        assert (len(weights), sum(weights)) == (count, 1)
        assert max(weights) - min(weights) <= Decimal("0.0001")


def written_weights(text: str) -> list[Decimal]:
    """The global weights of a recipe as they stand there."""
    start = text.index("\nweights:\n")
    return [
        Decimal(found) for found in re.findall(r"(?m)^  \w[\w-]*: (\S+)$", text[start : text.index("\n\n", start + 1)])
    ]


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


def test_a_link_is_named_not_what_it_points_to(voices: Path, tmp_path: Path) -> None:
    (tmp_path / "latest.pth").symlink_to(voices / "news.pth")
    text = starter_recipe([inspect(tmp_path / "latest.pth")], tmp_path)
    assert parse_document(text, "f").data["checkpoints"] == {"latest": "latest.pth"}


# --- averages of a run ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training run with three checkpoints."""
    folder = tmp_path_factory.mktemp("training") / "GPT_XTTS_FT-June-01-2024_12+00PM-0000000"
    folder.mkdir()
    for step, loss in ((900, None), (1000, 2.5), (2000, 2.4)):
        losses = {"train_loss": 2.0, "eval_loss": loss}
        save(folder / f"checkpoint_{step}.pth", trainer_state(step), config=CONFIG, step=step, model_loss=losses)
    return folder


def chosen(folder: Path, header: Header, count: int) -> Selection:
    """So many checkpoints of a run that are not there."""
    checkpoints = [
        RunCheckpoint(step, dataclasses.replace(header, path=folder / f"checkpoint_{step}.pth"))
        for step in range(1000, 1000 * count + 1, 1000)
    ]
    return Selection(folder, "last", tuple(checkpoints))


@pytest.mark.parametrize("ema", [None, 0.9], ids=["equal", "ema"])
def test_the_recipe_for_a_run_is_the_golden_one(run: Path, ema: float | None) -> None:
    text = run_recipe(last_checkpoints(run, 3), run.parent, ema)
    check_golden(f"starter_run_{ema or 'equal'}.yaml", re.sub(r"[\d.]+ [KM]B", "SIZE", text))


def test_the_recipe_for_a_run_is_valid_and_takes_from_the_newest_what_one_gives(run: Path, tmp_path: Path) -> None:
    path = write_recipe(tmp_path, run_recipe(last_checkpoints(run, 3), tmp_path, 0.5))
    (result,) = validate([path])
    assert (result.problems, result.extent) == ((), "its checkpoints' headers too")
    recipe = load_recipe(path)
    assert [source.name for source in recipe.sources] == ["step_900", "step_1000", "step_2000"]
    assert recipe.default.shares == pytest.approx((1 / 7, 2 / 7, 4 / 7), abs=1e-4)
    assert recipe.metadata_from == 2


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 64, 256])
@pytest.mark.parametrize("ema", [5e-324, 1e-9, 0.01, 0.5, 0.9, 0.99, 0.999999, 0.123456789, 1.0, 1])
def test_weights_of_a_run_never_grow_with_age_and_sum_to_1_exactly(
    tmp_path: Path, header: Header, count: int, ema: float
) -> None:
    text = run_recipe(chosen(tmp_path, header, count), tmp_path, ema)
    weights = written_weights(text)
    assert (len(weights), sum(weights)) == (count, 1)
    assert weights == sorted(weights)
    assert all(len(str(weight)) <= 14 for weight in weights)
    assert load_recipe(write_recipe(tmp_path, text)).default.shares == tuple(map(float, weights))


@given(st.integers(1, 40), st.floats(0.3, 1))
def test_each_weighs_so_much_of_the_next_newer_one(
    tmp_path_factory: pytest.TempPathFactory, header: Header, count: int, ema: float
) -> None:
    folder = tmp_path_factory.getbasetemp()
    weights = written_weights(run_recipe(chosen(folder, header, count), folder, ema))
    total = math.fsum(ema**newer for newer in range(count))
    for newer, weight in enumerate(reversed(weights)):
        assert float(weight) == pytest.approx(ema**newer / total, rel=0.1, abs=1e-12)
        assert float(weight) == pytest.approx(ema**newer / total, abs=1e-4)


def test_ema_1_is_equal_parts(tmp_path: Path, header: Header) -> None:
    run = chosen(tmp_path, header, 5)
    assert run_recipe(run, tmp_path, 1) == run_recipe(run, tmp_path)


@pytest.mark.parametrize("ema", [0, -0.5, 1.0000001, math.nan, math.inf])
def test_ema_lies_above_0_and_at_most_at_1(tmp_path: Path, header: Header, ema: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        run_recipe(chosen(tmp_path, header, 2), tmp_path, ema)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("x", "x_last_2"),
        ("x/.", "x_last_2"),
        ("x/y/..", "x_last_2"),
        ("my run (1)", "my_run_1_last_2"),
        ("2024", "model_2024_last_2"),
        ("a\nb", "a_b_last_2"),
        ("r" * 255, "r" * 100 + "_last_2"),
    ],
)
def test_the_recipe_is_called_after_the_runs_folder(tmp_path: Path, header: Header, folder: str, name: str) -> None:
    recipe = load_recipe(write_recipe(tmp_path, run_recipe(chosen(tmp_path / folder, header, 2), tmp_path)))
    assert (recipe.name, recipe.output.path) == (name, tmp_path / f"{name}_merged.pth")
