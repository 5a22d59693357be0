from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from xttsrecipe import checkpoints
from xttsrecipe.api import load_recipe, make_plan
from xttsrecipe.codes import Code
from xttsrecipe.lock import lock_path, write_lock
from xttsrecipe.locking import new_lock
from xttsrecipe.outcome import Validation
from xttsrecipe.report.problems import problems_text
from xttsrecipe.specs import Header
from xttsrecipe.validation import validate

from .builders import save, trainer_state, write_recipe, xtts_state
from .golden import FOLDER, check_golden

RECIPES = Path(__file__).parent / "recipes"
SHIPPED = Path(__file__).parent.parent / "recipes"
INVALID = sorted(RECIPES.glob("invalid/*.yaml"))
VALID = sorted([*RECIPES.glob("valid/*.yaml"), *SHIPPED.glob("*.yaml")])
TWO = "checkpoints: {news: news.pth, audiobook: audiobook.pth}\noutput: {path: out.pth}\n"
WITHOUT = "without its checkpoints (%s not here): patterns were checked against the keys of XTTS-V2"


def only(path: Path) -> Validation:
    (result,) = validate([path])
    assert result.file == path
    return result


def message(path: Path) -> str:
    return problems_text(only(path).problems).replace(f"{path.parent}{os.sep}", "recipes/")


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with news.pth (release) and audiobook.pth (trainer)."""
    folder = tmp_path_factory.mktemp("voices")
    config = {"model_args": {"gpt_layers": 30}}
    save(folder / "news.pth", xtts_state(1), config=config)
    save(folder / "audiobook.pth", trainer_state(2), config=config, step=7)
    return folder


# --- recipes in tests/recipes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_recipe_is_explained(path: Path) -> None:
    """The message of ``recipes/invalid/NAME.yaml`` is ``golden/problems/NAME.txt``; see ``golden`` on writing it."""
    result = only(path)
    assert result.problems
    assert result.extent == ""
    check_golden(f"problems/{path.stem}.txt", message(path))


@pytest.mark.parametrize("path", VALID, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_valid_recipe_has_no_problems(path: Path) -> None:
    assert message(path) == ""


def test_every_golden_message_has_its_recipe() -> None:
    # What begins with file_ is of files that are no text; test_document makes them.
    golden = {path.stem for path in FOLDER.glob("problems/*.txt") if not path.stem.startswith("file_")}
    assert golden == {path.stem for path in INVALID}
    assert len(golden) >= 50


@pytest.mark.parametrize("path", sorted(FOLDER.glob("problems/*.txt")), ids=lambda path: path.stem)
def test_every_message_names_the_file_and_fits_a_wide_terminal_but_for_what_it_quotes(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert lines[0].startswith("recipes/")
    assert all(line.startswith(("recipes/", " ")) for line in lines)
    assert not any(line != line.rstrip() for line in lines if "|" not in line)
    assert str(Path.cwd()) not in path.read_text("utf-8")


# --- what is checked --------------------------------------------------------------------------------------------


def test_without_checkpoints_patterns_are_checked_against_the_known_keys_and_it_says_so(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, TWO + "overrides: {'*encoder*': from news}")
    assert only(path) == Validation(path, (), WITHOUT % "news, audiobook")
    path = write_recipe(tmp_path, TWO + "overrides: {'*encodr*': from news}")
    assert [problem.what for problem in only(path).problems] == ["rule '*encodr*' matches no key"]


def test_with_all_checkpoints_their_headers_are_checked_too(voices: Path) -> None:
    path = write_recipe(voices, TWO + "overrides: {'*encoder*': from news}")
    result = only(path)
    assert (result.problems, result.extent) == ((), "its checkpoints' headers too")


def test_with_all_checkpoints_warnings_and_notes_are_those_of_the_plan_and_no_problems(voices: Path) -> None:
    path = write_recipe(voices, TWO)
    plan = make_plan(load_recipe(path))
    result = only(path)
    assert (result.problems, result.warnings, result.notes) == ((), plan.warnings, plan.notes)
    assert result.warnings
    assert result.notes


def test_with_all_checkpoints_patterns_are_checked_against_their_keys(voices: Path, tmp_path: Path) -> None:
    state = xtts_state(1)
    del state["mel_stats"]
    for name in ("news", "audiobook"):
        save(tmp_path / f"{name}.pth", state)
    path = write_recipe(tmp_path, TWO + "overrides: {mel_stats: from news}")
    assert [problem.what for problem in only(path).problems] == ["rule 'mel_stats' matches no key"]


def test_with_all_checkpoints_what_does_not_fit_is_found(voices: Path, tmp_path: Path) -> None:
    state = xtts_state(1)
    del state["mel_stats"]
    save(tmp_path / "audiobook.pth", state)
    (tmp_path / "news.pth").symlink_to(voices / "news.pth")
    (problem,) = only(write_recipe(tmp_path, TWO)).problems
    assert problem.what == "1 tensor is missing in audiobook"
    assert problem.details == ("mel_stats",)


def test_with_some_checkpoints_it_names_those_that_are_not_there(voices: Path, tmp_path: Path) -> None:
    (tmp_path / "news.pth").symlink_to(voices / "news.pth")
    path = write_recipe(tmp_path, TWO)
    assert only(path) == Validation(path, (), WITHOUT % "audiobook")


def test_with_some_checkpoints_their_own_keys_count(tmp_path: Path) -> None:
    save(tmp_path / "news.pth", xtts_state(1) | {"gpt.extra.weight": xtts_state(1)["mel_stats"]})
    path = write_recipe(tmp_path, TWO + "overrides: {gpt.extra.*: from news, mel_stats: from audiobook}")
    assert only(path).problems == ()


def test_a_checkpoint_that_is_there_but_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "news.pth").write_bytes(b"")
    (problem,) = only(write_recipe(tmp_path, TWO)).problems
    assert problem.where is not None
    assert problem.where.file == str(tmp_path / "news.pth")
    assert "is empty" in problem.what


def test_recipes_that_share_checkpoints_have_each_header_read_once(
    voices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("news", "audiobook"):
        (tmp_path / f"{name}.pth").symlink_to(voices / f"{name}.pth")
    for name in ("a.yaml", "b.yaml", "c.yaml"):
        write_recipe(tmp_path, TWO, name)
    opened: list[Path] = []
    original = checkpoints.open_checkpoint

    def counted(path: Path) -> Header:
        opened.append(path)
        return original(path)

    monkeypatch.setattr(checkpoints, "open_checkpoint", counted)
    assert [result.problems for result in validate([tmp_path])] == [(), (), ()]
    assert sorted(path.name for path in opened) == ["audiobook.pth", "news.pth"]


def test_all_checkpoints_that_cannot_be_read_are_named_as_the_sources_they_are(tmp_path: Path) -> None:
    (tmp_path / "news.pth").write_bytes(b"")
    (tmp_path / "audiobook.pth").mkdir()
    found = only(write_recipe(tmp_path, TWO)).problems
    assert [problem.what.split()[:3] for problem in found] == [
        ["source", "'news'", "is"],
        ["source", "'audiobook'", "is"],
    ]


def test_where_one_checkpoint_is_absent_the_unreadable_ones_are_named_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "news.pth").write_bytes(b"")
    (tmp_path / "audiobook.pth").write_bytes(b"")
    text = "checkpoints: {news: news.pth, audiobook: audiobook.pth, base: base.pth}\noutput: {path: out.pth}\n"
    found = only(write_recipe(tmp_path, text)).problems
    assert [problem.what for problem in found] == [
        "source 'news' is empty (0 bytes)",
        "source 'audiobook' is empty (0 bytes)",
    ]


def test_a_recipe_may_be_anywhere_and_its_paths_stay_its_own(voices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recipe(voices, TWO, "there.yaml")
    monkeypatch.chdir(voices.parent)
    path = Path(voices.name) / "there.yaml"
    assert only(path).extent == "its checkpoints' headers too"


# --- files and folders ------------------------------------------------------------------------------------------


def test_a_folder_is_searched_for_recipes_by_name(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "sub/c.yaml", "sub/d.txt", ".hidden/e.yaml", ".f.yaml", "schema.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(TWO)
    results = list(validate([tmp_path]))
    assert [result.file.relative_to(tmp_path).as_posix() for result in results] == ["a.yml", "b.yaml", "sub/c.yaml"]
    assert all(result.problems == () for result in results)


def test_a_folder_in_a_hidden_folder_can_be_named(tmp_path: Path) -> None:
    folder = tmp_path / ".voices"
    folder.mkdir()
    path = write_recipe(folder, TWO)
    assert [result.file for result in validate([folder])] == [path]


def test_a_file_that_is_named_is_checked_whatever_it_is_called(tmp_path: Path) -> None:
    assert only(write_recipe(tmp_path, TWO, ".recipe.txt")).problems == ()


def test_files_and_folders_are_checked_in_the_order_given(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    first = write_recipe(tmp_path, TWO, "z.yaml")
    inside = write_recipe(tmp_path / "sub", TWO)
    last = write_recipe(tmp_path, TWO, "a.yaml")
    assert [result.file for result in validate([first, tmp_path / "sub", last])] == [first, inside, last]


def test_a_folder_without_recipes_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    (problem,) = only(tmp_path).problems
    assert problem.what == "there is no recipe in this folder"
    assert problem.expected == "*.yaml or *.yml"


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    assert (
        message(tmp_path / "x.yaml") == "recipes/x.yaml: the recipe cannot be read: No such file or directory [XR001]\n"
    )


def test_one_bad_recipe_does_not_hide_the_others(tmp_path: Path) -> None:
    write_recipe(tmp_path, "name: [", "a.yaml")
    write_recipe(tmp_path, TWO, "b.yaml")
    write_recipe(tmp_path, "name: x\n", "c.yaml")
    assert [len(result.problems) for result in validate([tmp_path])] == [1, 0, 2]


def test_nothing_is_written(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, TWO)
    before = path.stat()
    assert only(path).problems == ()
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_a_folder_that_is_called_like_a_recipe_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "voices.yaml").mkdir()
    path = write_recipe(tmp_path / "voices.yaml", TWO)
    assert [(result.file, result.problems) for result in validate([tmp_path])] == [(path, ())]


def test_a_vocabulary_that_is_there_is_read_though_its_checkpoint_is_not(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, f"{TWO}vocabulary: {{news: news.json, audiobook: gone.json}}\n")
    (tmp_path / "news.json").write_text("{}", encoding="utf-8")
    (problem,) = only(path).problems
    assert problem.what == "the vocabulary of 'news' is not a tokenizers file: it has no model.vocab"
    (tmp_path / "news.json").unlink()
    assert only(path).extent == WITHOUT % "news, audiobook"


NAMES = ("news", "audiobook")


def drift(recipe: Path) -> list[str]:
    result = only(recipe)
    assert result.problems == ()
    return [problem.what for problem in result.drift]


# --- locks ----------------------------------------------------------------------------------------------------------


def test_a_lock_stands_for_its_recipe(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, TWO)
    lock = tmp_path / "recipe.lock.yaml"
    lock.write_text("lock: 1\n")
    found = list(validate([recipe, lock, tmp_path]))
    assert [result.file for result in found] == [recipe, recipe]
    assert [problem.code for problem in found[0].problems] == [Code.MALFORMED_LOCK]
    (gone,) = validate([tmp_path / "gone.lock.yaml"])
    assert gone.file == tmp_path / "gone.yaml"
    assert gone.problems[0].code is Code.UNREADABLE_RECIPE


def test_a_lock_takes_the_place_of_checkpoints(voices: Path, tmp_path: Path) -> None:
    voices = shutil.copytree(voices, tmp_path / "voices")
    text = f"checkpoints: {{news: {voices}/news.pth, audiobook: {voices}/audiobook.pth}}\noutput: {{path: out.pth}}\n"
    recipe = write_recipe(tmp_path, text)
    plan = make_plan(load_recipe(recipe))
    write_lock(lock_path(recipe), new_lock(plan, None))
    assert only(recipe).extent == "its checkpoints' headers too"
    assert only(recipe).drift == ()
    write_recipe(tmp_path, text.replace(str(voices), "gone"))
    assert only(recipe).extent == "with what its lock says of news and audiobook, not here"
    assert drift(recipe) == [f"the recipe names another file for {name} than recipe.lock.yaml" for name in NAMES]
    for name in NAMES:
        (voices / f"{name}.pth").unlink()
    write_recipe(tmp_path, text)
    assert only(recipe).extent == "with what its lock says of news and audiobook, not here"
    assert drift(recipe) == []
    write_recipe(tmp_path, text + "weights: {news: 0.9, audiobook: 0.1}\n")
    assert drift(recipe) == ["is of another plan: the recipe was changed since, or --set changes it"]
    write_recipe(tmp_path, text.replace("news:", "renamed:"))
    assert drift(recipe) == ["knows nothing of renamed"]
    write_recipe(tmp_path, text.replace(str(voices), "gone") + 'overrides: {"dvae.*": from news}\n')
    assert only(recipe).problems
