from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests import samples
from tests.builders import save, write_recipe
from tests.commands import invoke
from tests.golden import check_golden
from tests.merging import loaded
from tests.voices import voice
from xttsrecipe.api import load_recipe, make_plan
from xttsrecipe.provenance.model_card import card_text
from xttsrecipe.version import __version__


def steady(text: str) -> str:
    return text.replace(f"xttsrecipe {__version__}", "xttsrecipe <version>")


def test_a_card_looks_as_agreed(tmp_path: Path) -> None:
    recipe = samples.pair(tmp_path)
    recipe.write_text("name: news_audiobook\ndescription: Clear, and lively.\n" + recipe.read_text())
    text = card_text(make_plan(load_recipe(recipe)))
    check_golden("card.md", steady(text))
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["base_model"] == ["coqui/XTTS-v2"]
    assert front["base_model_relation"] == "merge"
    assert "merge" in front["tags"]
    assert "license" not in front


def test_a_model_that_is_not_xtts_has_no_base_model(tmp_path: Path) -> None:
    samples.plain(tmp_path / "a.pth")
    recipe = write_recipe(tmp_path, "checkpoints: {a: a.pth}\noutput: {path: out.pth}\n")
    front = yaml.safe_load(card_text(make_plan(load_recipe(recipe))).split("---\n")[1])
    assert front == {"tags": ["merge", "xttsrecipe"]}


@pytest.mark.parametrize("arguments", [(), ("--card",), ("--no-card",)], ids=["default", "--card", "--no-card"])
@pytest.mark.parametrize("output", ["merged/", "merged.pth"])
def test_a_directory_has_one_and_a_file_on_request(output: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    voice(tmp_path / "news")
    recipe = write_recipe(tmp_path, f"checkpoints: {{news: news}}\noutput: {{path: {output}}}\n")
    assert invoke("run", *arguments, recipe).code == 0
    card = tmp_path / ("merged/README.md" if output.endswith("/") else "merged.README.md")
    assert card.exists() == (arguments != ("--no-card",) and (output.endswith("/") or arguments == ("--card",)))
    assert "tensor" in invoke("run", "--force", *arguments, recipe).out


def test_a_card_that_was_edited_is_not_replaced(tmp_path: Path) -> None:
    voice(tmp_path / "news")
    recipe = write_recipe(tmp_path, "checkpoints: {news: news}\noutput: {path: merged/}\n")
    assert invoke("run", recipe).code == 0
    (tmp_path / "merged/README.md").write_text("mine")
    done = invoke("run", recipe)
    assert (done.code, "holds README.md other than xttsrecipe wrote" in done.err) == (1, True)
    assert (tmp_path / "merged/README.md").read_text() == "mine"


HOSTILE = "<script>alert(1)</script> | `x` [a](b) @team \\n---\\n# big <!-- -->"


def test_what_a_recipe_says_means_nothing_in_the_card(tmp_path: Path) -> None:
    save(tmp_path / "a|b.pth", samples.small_state())
    recipe = write_recipe(
        tmp_path,
        f'name: "{HOSTILE}"\ndescription: "{HOSTILE}"\ncheckpoints: {{a: "a|b.pth", b: "a|b.pth"}}\n'
        'overrides: {"gpt.{mel_embedding,text_head}.*": from a}\n# ``` out of the fence\noutput: {path: out.pth}\n',
    )
    text = card_text(make_plan(load_recipe(recipe)))
    prose, _, quoted = text.partition("## Recipe\n\n")
    assert "\\<script\\>alert(1)\\</script\\> \\| \\`x\\` \\[a\\](b) \\@team" in prose
    assert "<!--" not in prose.replace("\\<", "")
    assert prose.count("\n---\n") == 1
    fence = quoted.partition("yaml\n")[0]
    assert fence == "````"
    assert quoted.rstrip().endswith(fence)
    rows = [line for line in prose.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") in (5, 7) for line in rows)


@pytest.mark.parametrize(
    ("text", "shown"), [("- a", "\\- a"), ("1. a", "1\\. a"), ("2.5 of it", "2.5 of it"), ("-5", "-5")]
)
def test_a_description_begins_no_list(text: str, shown: str, tmp_path: Path) -> None:
    recipe = samples.pair(tmp_path)
    recipe.write_text(f"description: '{text}'\n" + recipe.read_text())
    assert f"\n\n{shown}\n\n" in card_text(make_plan(load_recipe(recipe)))


def test_no_number_of_backticks_ends_a_pattern(tmp_path: Path) -> None:
    recipe = samples.pair(tmp_path)
    recipe.write_text(recipe.read_text().replace('"*encoder*"', '"{*encoder*,x``<b>``}"'))
    assert "```{*encoder*,x``<b>``}```" in card_text(make_plan(load_recipe(recipe)))


def test_the_card_of_a_first_generation_model_names_its_own_base(tmp_path: Path) -> None:
    plan = make_plan(load_recipe(samples.pair(tmp_path)))
    first = replace(plan, headers=tuple(replace(header, version="v1.1") for header in plan.headers))
    assert yaml.safe_load(card_text(first).split("---\n")[1])["base_model"] == ["coqui/XTTS-v1"]


def test_what_a_variable_stands_for_is_in_no_card_and_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWS", "secret-project.pth")
    monkeypatch.setenv("VOICES", str(tmp_path / "secret-folder"))
    (tmp_path / "secret-folder").mkdir()
    for path in ("secret-project.pth", "secret-folder/b.pth"):
        save(tmp_path / path, samples.small_state())
    text = 'checkpoints: {a: "${NEWS}", b: "${VOICES}/b.pth"}\noutput: {path: out.pth}\n'
    recipe = write_recipe(tmp_path, text)
    assert invoke("run", "--card", recipe).code == 0
    sources = loaded(tmp_path / "out.pth")["xttsrecipe"]["sources"]
    assert [source["file"] for source in sources] == ["${NEWS}", "b.pth"]
    card = (tmp_path / "out.README.md").read_text()
    assert "| a | \\${NEWS} |" in card
    assert "| b | b.pth |" in card
    assert "secret" not in card
    assert invoke("verify", tmp_path / "out.pth").code == 0
