from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import xttsrecipe
from tests.builders import save, trainer_state, write_recipe, xtts_state
from tests.commands import PROJECT
from tests.commands import xttsrecipe as command
from tests.merging import (
    assert_same_bits,
    assert_weighted_sum,
    folder_bytes,
    loaded,
    loaded_model,
    recipe_of,
    save_all,
)

RECIPE = """\
name: news_audiobook
checkpoints:
  news: news.pth
  audiobook: audiobook.pth
weights: {news: 0.6, audiobook: 0.4}
overrides:
  "*encoder*": from news
  "gpt.gpt.h.{0..9}.*": {weights: {news: 0.8, audiobook: 0.2}}
output: {path: merged/news_audiobook.pth}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release and a trainer checkpoint, and the recipe that merges them."""
    folder = tmp_path_factory.mktemp("voices")
    save(folder / "news.pth", xtts_state(1), config={"model_args": {"gpt_layers": 30}, "run": "news"})
    save(
        folder / "audiobook.pth", trainer_state(2), config={"model_args": {"gpt_layers": 30}, "run": "audiobook"},
        step=700, epoch=7, model_loss=3.5, optimizer={"state": {0: torch.ones(5)}}, scheduler=None, date="today",
    )  # fmt: skip
    write_recipe(folder, RECIPE)
    return folder


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_recipe_becomes_a_merged_checkpoint(suffix: str, folder: Path) -> None:
    output = folder / "merged" / f"voice{suffix}"
    plan = xttsrecipe.make_plan(xttsrecipe.load_recipe(folder / "recipe.yaml", [f"output.path={output}"]))
    summary = xttsrecipe.run(plan)
    assert (summary.output, summary.tensors) == (output, 963)
    if suffix == ".pth":
        model = loaded_model(output)
    else:
        with safe_open(output, framework="pt") as file:
            model = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    news, audiobook = xtts_state(1), xtts_state(2)
    assert set(model) == set(news)
    for key, tensor in model.items():
        layer = int(key.split(".")[3]) if key.startswith("gpt.gpt.h.") else None
        if "encoder" in key or not tensor.is_floating_point():
            assert_same_bits(tensor, news[key])
        elif layer is not None and layer <= 9:
            assert_weighted_sum(tensor, [news[key], audiobook[key]], [0.8, 0.2])
        elif tensor.numel() < 5000:
            assert_weighted_sum(tensor, [news[key], audiobook[key]], [0.6, 0.4])


def test_the_output_is_what_clients_load(folder: Path) -> None:
    output = folder / "merged/client.pth"
    recipe = xttsrecipe.load_recipe(folder / "recipe.yaml", [f"output.path={output}"])
    content = loaded(xttsrecipe.run(recipe).output)
    assert list(content) == ["config", "model", "step", "epoch", "model_loss", "xttsrecipe"]
    assert content["config"]["run"] == "news"
    assert (content["step"], content["epoch"], content["model_loss"]) == (700, 7, 3.5)
    assert content["xttsrecipe"]["recipe"] == RECIPE
    mapped = torch.load(output, weights_only=True, mmap=True)["model"]
    assert all(torch.equal(mapped[key], tensor) for key, tensor in content["model"].items())
    check = subprocess.run([sys.executable, "-m", "zipfile", "-t", output], capture_output=True, text=True, check=True)
    assert check.stdout == "Done testing\n"


def test_the_output_can_be_a_source_again(folder: Path) -> None:
    output = folder / "merged/first.pth"
    xttsrecipe.run(xttsrecipe.load_recipe(folder / "recipe.yaml", [f"output.path={output}"]))
    recipe = recipe_of(folder / "merged", {"old": "first.pth", "news": "../news.pth"}, "second.pth", weights=[1, 0])
    xttsrecipe.run(recipe)
    first, second = loaded_model(output), loaded_model(folder / "merged/second.pth")
    assert list(first) == list(second)
    for key, tensor in first.items():
        assert_same_bits(second[key], tensor)


def test_inspect_gives_the_header(folder: Path) -> None:
    header = xttsrecipe.inspect(folder / "audiobook.pth")
    assert (header.layout, header.version, len(header.tensors)) == ("trainer", "v2.0.3", 963)
    assert header.entries["step"] == 700


def test_paths_may_be_text(folder: Path) -> None:
    assert xttsrecipe.load_recipe(str(folder / "recipe.yaml")).name == "news_audiobook"
    assert xttsrecipe.inspect(str(folder / "news.pth")).layout == "release"


def test_all_sources_that_cannot_be_read_are_reported_together(tmp_path: Path) -> None:
    save_all(tmp_path, [{"x": torch.ones(1)}])
    (tmp_path / "empty.pth").touch()
    recipe = recipe_of(tmp_path, {"a": "a.pth", "gone": "gone.pth", "empty": "empty.pth"})
    with pytest.raises(xttsrecipe.CheckpointError) as caught:
        xttsrecipe.make_plan(recipe)
    assert len(caught.value.problems) == 2
    assert "'gone'" in caught.value.problems[0].what
    assert "'empty'" in caught.value.problems[1].what


def test_a_setting_of_no_form_is_a_value_error(folder: Path) -> None:
    with pytest.raises(ValueError, match="FIELD=VALUE"):
        xttsrecipe.load_recipe(folder / "recipe.yaml", ["weights"])


def test_settings_name_files_elsewhere(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "other.pth", xtts_state(3))
    monkeypatch.chdir(tmp_path)
    settings = ["checkpoints.news=other.pth", "output.path=out.pth", "overrides={'*': from news}"]
    summary = xttsrecipe.run(xttsrecipe.load_recipe(folder / "recipe.yaml", settings))
    assert summary.output == tmp_path / "out.pth"
    assert_same_bits(loaded_model(summary.output)["mel_stats"], xtts_state(3)["mel_stats"])


@pytest.mark.parametrize("what", ["plan", "recipe"])
def test_run_takes_a_plan_or_a_recipe(what: str, tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, save_all(tmp_path, [{"x": torch.ones(3)}]))
    xttsrecipe.run(xttsrecipe.make_plan(recipe) if what == "plan" else recipe)
    assert loaded_model(tmp_path / "out.pth")["x"].tolist() == [1, 1, 1]


def test_progress_is_told_in_bytes(tmp_path: Path) -> None:
    plan = xttsrecipe.make_plan(recipe_of(tmp_path, save_all(tmp_path, [{"x": torch.ones(300), "y": torch.ones(2)}])))
    pieces: list[int] = []
    xttsrecipe.run(plan, on_bytes=pieces.append)
    assert sum(pieces) == 1208


def test_force_replaces_what_we_did_not_make(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, save_all(tmp_path, [{"x": torch.ones(3)}]))
    (tmp_path / "out.pth").write_text("mine", encoding="utf-8")
    before = folder_bytes(tmp_path)
    with pytest.raises(xttsrecipe.OutputError):
        xttsrecipe.run(recipe)
    assert folder_bytes(tmp_path) == before
    xttsrecipe.run(recipe, force=True)
    assert "x" in loaded_model(tmp_path / "out.pth")


def test_everything_but_run_works_without_torch(folder: Path) -> None:
    script = (
        "import sys\nsys.modules['torch'] = None\nimport xttsrecipe\n"
        "recipe = xttsrecipe.load_recipe(sys.argv[1] + '/recipe.yaml')\n"
        "assert len(xttsrecipe.make_plan(recipe).steps) == 963\n"
        "assert xttsrecipe.inspect(sys.argv[1] + '/news.pth').layout == 'release'\n"
        "try:\n    xttsrecipe.run(recipe)\n"
        "except xttsrecipe.XttsRecipeError as error:\n    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True)
    assert "a run needs torch, which is not installed" in said.stdout
    assert not (folder / "merged/news_audiobook.pth").exists()


def test_a_torch_that_is_broken_is_told_from_a_bug(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch_cpu.so: no such file')", encoding="utf-8")
    done = command("run", folder / "recipe.yaml", PYTHONPATH=f"{tmp_path}:{PROJECT}")
    assert done.code == 1
    assert "torch cannot be loaded: libtorch_cpu.so: no such file [XR602]\n  help: see whether python -c" in done.err
    assert not (folder / "merged/news_audiobook.pth").exists()


def test_an_error_comes_whole_from_another_process() -> None:
    error = xttsrecipe.RecipeError(
        [
            xttsrecipe.Problem(xttsrecipe.Code.UNKNOWN_SOURCE, "one"),
            xttsrecipe.Problem(xttsrecipe.Code.UNKNOWN_SOURCE, "two", hint="three"),
        ]
    )
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.problems, str(again)) == (type(error), error.problems, "one\ntwo")


def test_what_the_package_offers_can_be_looked_up() -> None:
    script = "import xttsrecipe; print(*dir(xttsrecipe))"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.split() == sorted(xttsrecipe.__all__)


def test_what_the_package_offers_is_documented() -> None:
    for name in xttsrecipe.__all__:
        assert getattr(xttsrecipe, name).__doc__, name
