"""The recipes that ship: valid, explained, and doing what their comments say."""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.builders import write_recipe
from tests.commands import PROJECT, demo_checkpoints, invoke

RECIPES = sorted((PROJECT / "recipes").rglob("*.y*ml"))
NAMES = [recipe.stem for recipe in RECIPES]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_checkpoints(tmp_path_factory)


@pytest.fixture(scope="module")
def merges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder for what runs of the recipes write, each once; gone afterwards, for that is a third of a gigabyte."""
    folder = tmp_path_factory.mktemp("merges")
    yield folder
    shutil.rmtree(folder)


def recipe(name: str) -> Path:
    return PROJECT / "recipes" / f"{name}.yaml"


def data(name: str) -> Any:
    return yaml.safe_load(recipe(name).read_text("utf-8"))


def settings(name: str, checkpoints: Path, output: Path) -> list[str]:
    """The options that make a recipe use these checkpoints, and write there."""
    places = {source: checkpoints / path for source, path in paths(name).items()}
    return [
        *(part for source, path in places.items() for part in ("--set", f"checkpoints.{source}={path}")),
        *("-o", str(output)),
    ]


def paths(name: str) -> dict[str, str]:
    """Where a recipe's checkpoints lie below those of the demo, by source."""
    return {source: path.removeprefix("../demo/checkpoints/") for source, path in data(name)["checkpoints"].items()}


@functools.cache
def keys(name: str, checkpoints: Path) -> dict[str, dict[str, Any]]:
    """The plan's keys."""
    shown = invoke("plan", recipe(name), *settings(name, checkpoints, checkpoints / "absent.pth"), "--json")
    assert shown.code == 0, shown.err
    return {entry["key"]: entry for entry in json.loads(shown.out)["keys"]}


def test_these_are_the_recipes() -> None:
    assert NAMES == [
        "back_to_base", "equal_average", "keep_encoder", "last_five", "layer_blend", "layer_gradient",
        "news_audiobook", "task_arithmetic", "ties_three_voices", "vocoder_from_base",
    ]  # fmt: skip


def test_the_readme_lists_them_all() -> None:
    listed = re.findall(r"\]\(recipes/(\w+)\.yaml\)", (PROJECT / "README.md").read_text("utf-8"))
    assert sorted(listed) == NAMES


def test_all_recipes_validate_together_without_their_checkpoints(tmp_path: Path) -> None:
    folder = shutil.copytree(PROJECT / "recipes", tmp_path / "recipes")
    shown = invoke("validate", folder)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.count(": valid, without its checkpoints (") == len(RECIPES)
    assert shown.out.count("patterns were checked against the keys of XTTS-V2\n") == len(RECIPES)


def test_all_recipes_validate_where_they_are() -> None:
    assert invoke("validate", PROJECT / "recipes").code == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_editor_finds_the_schema(name: str) -> None:
    first = recipe(name).read_text("utf-8").splitlines()[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert match
    schema = (recipe(name).parent / match[1]).resolve()
    assert schema == PROJECT / "schema" / "recipe.schema.json"
    assert schema.is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_explained(name: str) -> None:
    lines = recipe(name).read_text("utf-8").splitlines()
    assert [line for line in lines[1:] if re.search(r"(^|\s)# \w", line)]
    assert data(name)["name"] == name
    assert len(data(name)["description"]) > 40


@pytest.mark.parametrize("name", NAMES)
def test_recipes_differ_in_their_output(name: str) -> None:
    assert data(name)["output"]["path"] == f"../demo/merged/{name}.pth"


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_plans_and_runs(name: str, checkpoints: Path, merges: Path) -> None:
    planned = keys(name, checkpoints)
    merged = merge(name, checkpoints, merges)
    model = {key.removeprefix("xtts."): tensor for key, tensor in merged["model"].items()}
    carried = [key for key, entry in planned.items() if entry["method"] == "carried"]
    assert len(planned) - len(carried) == 963
    assert list(model) == list(planned)
    states = {source: load(checkpoints / path) for source, path in paths(name).items()}
    for key, entry in planned.items():
        expected, size = expectation(entry, {source: state[key].double() for source, state in states.items()})
        assert bool(((model[key].double() - expected).abs() <= 3e-7 * size).all()), key
    assert merged["config"]["model"] == "xtts"
    kept = merged["xttsrecipe"]["training"] if data(name)["output"].get("layout") == "release" else merged
    assert (kept["step"], kept["epoch"]) == ((6000, 12) if name == "last_five" else (5000, 9))


def merge(name: str, checkpoints: Path, merges: Path) -> Any:
    """What a run of the recipe writes."""
    output = merges / f"{name}.pth"
    if not output.exists():
        shown = invoke("run", recipe(name), *settings(name, checkpoints, output))
        assert shown.code == 0, shown.err
        assert "warning" not in shown.err or "layout" not in data(name)["output"]
    return torch.load(output, weights_only=True, mmap=True)


def expectation(entry: dict[str, Any], inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """A tensor by the formula of its paper, and what errors are measured by: the sum of its parts' sizes."""
    weights, parameters = entry["weights"], entry["parameters"]
    if entry["method"] in ("from", "carried", "linear"):
        parts = torch.stack([weight * inputs[source] for source, weight in weights.items()])
        return parts.sum(0), parts.abs().sum(0)
    base = inputs[entry["base"]]
    vectors = torch.stack([inputs[source] - base for source in weights])
    shares = torch.tensor(list(weights.values()), dtype=torch.float64).reshape(-1, *[1] * base.dim())
    if entry["method"] == "task_arithmetic":
        changed = (shares * vectors).sum(0)
    else:
        assert entry["method"] == "ties"
        kept = [largest(vector, share) for vector, share in zip(vectors, parameters["density"], strict=True)]
        pulls = shares * torch.stack(kept)
        agree = (pulls.sign() == pulls.sum(0).sign()) & (pulls != 0)
        weight = (shares * agree).sum(0)
        changed = (pulls * agree).sum(0) / torch.where(weight == 0, 1, weight)
    return base + parameters["lambda"] * changed, base.abs() + vectors.abs().sum(0)


def largest(vector: torch.Tensor, share: float) -> torch.Tensor:
    """The vector with so large a share of its largest magnitudes, and 0 in place of the others."""
    count = max(int(share * vector.numel() + 1e-9), 1)
    least = vector.abs().flatten().sort(descending=True).values[count - 1]
    return torch.where(vector.abs() >= least, vector, 0)


@functools.cache
def load(path: Path) -> dict[str, torch.Tensor]:
    model = torch.load(path, weights_only=True, mmap=True)["model"]
    return {key.removeprefix("xtts."): tensor for key, tensor in model.items()}


def floats(planned: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {key: entry for key, entry in planned.items() if entry["dtype"] != "int64"}


def test_equal_average_takes_a_third_of_each(checkpoints: Path) -> None:
    third = {"base": pytest.approx(1 / 3), "news": pytest.approx(1 / 3), "audiobook": pytest.approx(1 / 3)}
    assert [key for key, entry in floats(keys("equal_average", checkpoints)).items() if entry["weights"] != third] == []


def test_equal_average_has_the_config_of_news(checkpoints: Path, merges: Path) -> None:
    assert merge("equal_average", checkpoints, merges)["config"]["run_name"] == "news_ft"


def test_adding_a_checkpoint_to_equal_average_needs_no_other_change(checkpoints: Path, tmp_path: Path) -> None:
    changed, sources = re.subn(
        r"(?m)^(  audiobook:.*)$",
        rf"\1\n  more: {checkpoints / 'news.pth'}",
        recipe("equal_average").read_text("utf-8"),
    )
    assert sources == 1
    more = write_recipe(tmp_path, changed)
    shown = invoke("plan", more, *settings("equal_average", checkpoints, tmp_path / "absent.pth"))
    assert shown.code == 0, shown.err
    assert "base 0.25, news 0.25, audiobook 0.25, more 0.25" in shown.out


def test_keep_encoder_takes_310_tensors_and_the_perceiver_from_news(checkpoints: Path) -> None:
    planned = keys("keep_encoder", checkpoints)
    encoders = {key for key, entry in planned.items() if entry["rule"] == "*encoder*"}
    said = re.search(r"(\d+) tensors", recipe("keep_encoder").read_text("utf-8"))
    assert said
    assert len([key for key in planned if "encoder" in key]) == int(said[1])
    assert {key.split(".")[1] for key in encoders} == {"conditioning_encoder", "speaker_encoder"}
    for key, entry in floats(planned).items():
        whole = "encoder" in key or "conditioning_perceiver" in key
        assert entry["weights"] == ({"news": 1.0} if whole else {"news": 0.5, "audiobook": 0.5}), key


def test_layer_blend_goes_from_news_to_audiobook(checkpoints: Path) -> None:
    for key, entry in floats(keys("layer_blend", checkpoints)).items():
        layer = re.match(r"gpt\.gpt\.h\.(\d+)\.(ln_)?", key)
        if layer is None:
            assert (entry["rule"], entry["weights"]) == (None, {"news": 0.5, "audiobook": 0.5})
        elif layer[2]:
            assert (entry["method"], entry["weights"]) == ("from", {"news": 1.0})
        else:
            news = (0.8, 0.5, 0.2)[int(layer[1]) // 10]
            assert entry["weights"] == pytest.approx({"news": news, "audiobook": 1 - news})


def test_layer_blend_names_every_layer_and_both_norms_of_each(checkpoints: Path) -> None:
    rules = Counter(entry["rule"] for entry in keys("layer_blend", checkpoints).values())
    assert rules["gpt.gpt.h.*.ln_{1,2}.*"] == 30 * 4
    assert [rules[f"gpt.gpt.h.{{{span}}}.*"] for span in ("0..9", "10..19", "20..29")] == [80, 80, 80]


def test_news_audiobook_is_six_to_four(checkpoints: Path) -> None:
    weights = {json.dumps(entry["weights"]) for entry in floats(keys("news_audiobook", checkpoints)).values()}
    assert weights == {'{"news": 0.6, "audiobook": 0.4}'}
    text = " ".join(recipe("news_audiobook").read_text("utf-8").split())
    assert "news voice at 0.6" in text
    assert "audiobook voice at 0.4" in text


def test_vocoder_from_base_takes_the_vocoder_and_nothing_else_from_base(checkpoints: Path) -> None:
    for key, entry in keys("vocoder_from_base", checkpoints).items():
        vocoder = key.startswith("hifigan_decoder.waveform_decoder.")
        assert ("base" in entry["weights"]) == vocoder
        if vocoder:
            assert entry["weights"] == {"base": 1.0}


def test_last_five_is_what_init_writes_for_the_run(checkpoints: Path) -> None:
    written = yaml.safe_load(invoke("init", "--last", "5", checkpoints / "run").out)
    ours = data("last_five")
    assert written["weights"] == ours["weights"]
    assert written["metadata"] == ours["metadata"]
    names = {source: Path(path).name for source, path in written["checkpoints"].items()}
    assert names == {source: Path(path).name for source, path in ours["checkpoints"].items()}


def test_last_five_says_what_ema_would_make_of_it(checkpoints: Path) -> None:
    written = yaml.safe_load(invoke("init", "--last", "5", "--ema", "0.9", checkpoints / "run").out)
    numbers = ", ".join(map(str, written["weights"].values()))
    assert f"--ema 0.9 makes that {numbers}." in " ".join(
        recipe("last_five").read_text("utf-8").replace("# ", "").split()
    )


def test_last_five_leaves_out_the_copy_that_it_speaks_of(checkpoints: Path) -> None:
    best, fifth = (load(checkpoints / "run" / f"{name}.pth") for name in ("best_model", "checkpoint_5000"))
    assert all(torch.equal(tensor, fifth[key]) for key, tensor in best.items())


def test_last_five_makes_a_file_to_train_on_from(checkpoints: Path, merges: Path) -> None:
    merged = merge("last_five", checkpoints, merges)
    newest = torch.load(checkpoints / "run" / "checkpoint_6000.pth", weights_only=True, mmap=True)
    assert merged["model"].keys() == newest["model"].keys()
    assert merged["config"] == newest["config"]


def test_back_to_base_lies_halfway_but_for_the_vocoder(checkpoints: Path) -> None:
    for key, entry in floats(keys("back_to_base", checkpoints)).items():
        vocoder = key.startswith("hifigan_decoder.waveform_decoder.")
        assert entry["weights"] == ({"audiobook": 1.0} if vocoder else {"base": 0.5, "audiobook": 0.5}), key


def test_back_to_base_is_task_arithmetic_said_in_another_way(checkpoints: Path, merges: Path, tmp_path: Path) -> None:
    text = recipe("back_to_base").read_text("utf-8")
    weights = "weights:\n  base: 0.5\n  audiobook: 0.5\n"
    other = "base: base\nmethod: {name: task_arithmetic, lambda: 0.5}\n"
    assert weights in text
    path = write_recipe(tmp_path, text.replace(weights, other))
    options = settings("back_to_base", checkpoints, tmp_path / "other.pth")
    assert invoke("run", path, *options).code == 0
    same, made = merge("back_to_base", checkpoints, merges)["model"], torch.load(tmp_path / "other.pth")["model"]
    for key, tensor in same.items():
        assert torch.allclose(tensor, made[key], rtol=1e-6, atol=1e-7), key


def test_layer_gradient_goes_in_a_straight_line_from_news_to_audiobook(checkpoints: Path) -> None:
    before = ("gpt.text_emb", "gpt.mel_emb", "gpt.text_pos", "gpt.mel_pos", "gpt.conditioning", "mel_stats")
    for key, entry in floats(keys("layer_gradient", checkpoints)).items():
        layer = re.match(r"gpt\.gpt\.h\.(\d+)\.", key)
        share = int(layer[1]) / 29 if layer else 0 if key.startswith(before) else 1
        expected = {"news": 1 - share, "audiobook": share}
        assert entry["weights"] == pytest.approx({name: part for name, part in expected.items() if part}), key


def test_task_arithmetic_at_a_half_is_the_mean_of_both(checkpoints: Path, tmp_path: Path) -> None:
    options = [*settings("task_arithmetic", checkpoints, tmp_path / "half.pth"), "--set", "method.lambda=0.5"]
    assert invoke("run", recipe("task_arithmetic"), *options).code == 0
    made = torch.load(tmp_path / "half.pth")["model"]
    news, audiobook = (load(checkpoints / f"{name}.pth") for name in ("news", "audiobook"))
    for key, tensor in made.items():
        if tensor.is_floating_point():
            assert torch.allclose(tensor, (news[key] + audiobook[key]) / 2, rtol=1e-6, atol=1e-7), key


def test_ties_keeps_what_its_comments_say(checkpoints: Path) -> None:
    for key, entry in floats(keys("ties_three_voices", checkpoints)).items():
        if key.startswith("hifigan_decoder.waveform_decoder."):
            assert (entry["method"], entry["weights"]) == ("from", {"base": 1.0})
        else:
            assert (entry["method"], entry["base"]) == ("ties", "base")
            assert entry["weights"] == {"news": 1, "audiobook": 1, "drama": 0.5}
            assert entry["parameters"]["density"] == [0.2, 0.3, 0.2]
