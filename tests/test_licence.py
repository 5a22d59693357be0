from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xttsrecipe.checkpoints.content_digest import content_digest
from xttsrecipe.licence import card_digest, digest_at, licence_at

from . import samples
from .builders import write_recipe
from .commands import invoke
from .voices import voice

OURS = "license: other\nlicense_name: coqui-public-model-license\nlicense_link: https://coqui.ai/cpml.txt\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    voice(tmp_path / "news")
    path = write_recipe(tmp_path, "checkpoints: {news: news}\noutput: {path: merged/}\n")
    assert invoke("run", path).code == 0
    return path


def fill_in(card: Path, licence: str) -> None:
    lines = card.read_text().splitlines(keepends=True)
    at = next(index for index, line in enumerate(lines) if line.startswith("# license"))
    kept = [line for line in lines if not line.startswith("# license")]
    card.write_text("".join([*kept[:at], licence, *kept[at:]]))


def test_a_licence_that_was_filled_in_stays_from_run_to_run(recipe: Path) -> None:
    card = recipe.with_name("merged") / "README.md"
    fill_in(card, OURS)
    filled = card.read_text()
    done = invoke("run", recipe)
    assert (done.code, done.out.endswith("up to date\n")) == (0, True)
    assert invoke("verify", card.parent).code == 0
    recipe.write_text("description: anew\n" + recipe.read_text())
    done = invoke("run", recipe)
    assert (done.code, "tensor" in done.out) == (0, True)
    assert card.read_text() != filled
    assert yaml.safe_load(card.read_text().split("---\n")[1])["license_name"] == "coqui-public-model-license"
    assert "# license" not in card.read_text()
    assert invoke("run", recipe).out.endswith("up to date\n")


def test_what_else_is_changed_in_the_front_matter_is_a_change(recipe: Path) -> None:
    card = recipe.with_name("merged") / "README.md"
    card.write_text(card.read_text().replace("- xtts\n", "- xtts\n- german\n"))
    done = invoke("run", recipe)
    assert (done.code, "holds README.md other than xttsrecipe wrote" in done.err) == (1, True)


def test_a_word_on_licences_in_the_text_is_none(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("---\ntags:\n- merge\n---\n\nlicense: mit\n")
    assert licence_at(card) == ""
    assert digest_at(card) == content_digest(card)


@pytest.mark.parametrize(
    "content", [b"", b"---", b"---\nlicense: \xff\n---\n", b"license: mit\n", b"\x00" * (1 << 20) + b"\x00"]
)
def test_what_is_no_card_has_no_licence(content: bytes, tmp_path: Path) -> None:
    card = tmp_path / "model.README.md"
    card.write_bytes(content)
    assert licence_at(card) == ""
    digest_at(card)
    assert licence_at(tmp_path / "absent.README.md") == ""


def test_other_files_are_taken_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    file.write_text("---\nlicense: mit\n---\n")
    assert digest_at(file) == content_digest(file)


@given(
    st.lists(st.sampled_from(["license: mit\n", "license_link: x\n", "# license: yours\n"])),
    st.text("ab-\n", max_size=9),
)
def test_the_licence_does_not_change_the_digest(lines: list[str], text: str) -> None:
    bare = f"---\ntags: [x]\n---\n{text}".encode()
    assert card_digest(f"---\ntags: [x]\n{''.join(lines)}---\n{text}".encode()) == card_digest(bare)


def test_a_card_with_windows_line_ends_keeps_its_licence(recipe: Path) -> None:
    card = recipe.with_name("merged") / "README.md"
    fill_in(card, "license: mit\n")
    card.write_bytes(card.read_bytes().replace(b"\n", b"\r\n"))
    assert licence_at(card) == "license: mit\n"


@pytest.mark.parametrize(
    "licence",
    [
        "license:\n- mit\n- apache-2.0\n",
        "license:\n  - mit\n",
        "license: >-\n  other,\n\n  as agreed\nlicense_name: x\n",
        "license: other\nlicense_link: |\n  https://coqui.ai/cpml.txt\n",
    ],
)
def test_a_licence_over_several_lines_stays_whole(licence: str, recipe: Path) -> None:
    card = recipe.with_name("merged") / "README.md"
    fill_in(card, licence)
    assert licence_at(card) == licence
    said = yaml.safe_load(card.read_text().split("---\n")[1])
    assert invoke("run", recipe).out.endswith("up to date\n")
    recipe.write_text("description: anew\n" + recipe.read_text())
    assert invoke("run", recipe).code == 0
    assert licence_at(card) == licence
    assert yaml.safe_load(card.read_text().split("---\n")[1]) == said


def test_what_follows_a_reminder_is_none(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("---\ntags:\n# license: yours to say\n- merge\n  - x\n---\n")
    assert licence_at(card) == ""
    assert card_digest(card.read_bytes()) == card_digest(b"---\ntags:\n- merge\n  - x\n---\n")


def test_a_card_without_end_is_read_in_no_time() -> None:
    assert card_digest(b"---\n" + b"license: x\r\n\r\n" * 10_000).startswith("sha256:")


def test_no_card_does_not_take_a_licence_with_it(recipe: Path) -> None:
    card = recipe.with_name("merged") / "README.md"
    fill_in(card, OURS)
    before = card.read_bytes()
    done = invoke("run", "--no-card", recipe)
    assert (done.code, "holds README.md other than xttsrecipe wrote" in done.err, "XR503" in done.err) == (
        1,
        True,
        True,
    )
    assert card.read_bytes() == before
    assert invoke("run", "--no-card", "--force", recipe).code == 0
    assert not card.exists()


def test_a_card_beside_a_file_is_written_anew_with_its_model(tmp_path: Path) -> None:
    recipe = samples.pair(tmp_path)
    card = tmp_path / "merged.README.md"
    assert invoke("run", recipe).code == 0
    assert not card.exists()
    card.write_text("My notes.\n")
    assert invoke("run", recipe).out.endswith("up to date\n")
    card.unlink()
    assert invoke("run", "--card", recipe).code == 0
    before = card.read_text()
    assert invoke("run", recipe).out.endswith("up to date\n")
    recipe.write_text("description: anew\n" + recipe.read_text())
    assert invoke("run", recipe).code == 0
    assert card.read_text() != before
    assert "anew" in card.read_text()
