"""What is built and shipped: the wheel, its metadata, and code that the oldest Python reads."""

from __future__ import annotations

import ast
import email
import re
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import xttsrecipe
from tests.commands import PROJECT, environment

# Distributions by what is imported from them, where the names differ.
DISTRIBUTIONS = {"yaml": "pyyaml"}
FILES = sorted(
    file for folder in ("xttsrecipe", "demo", "tests", "benchmarks") for file in (PROJECT / folder).rglob("*.py")
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist, and the wheel that was built from it; offline."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(PROJECT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (file,) = built.glob("*.whl")
    return zipfile.ZipFile(file)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def test_the_wheel_is_for_every_platform(built: Path) -> None:
    assert [file.name for file in built.glob("*.whl")] == [f"xttsrecipe-{xttsrecipe.__version__}-py3-none-any.whl"]


def test_the_wheel_carries_the_schema_of_the_checkout(wheel: zipfile.ZipFile) -> None:
    shipped = wheel.read("xttsrecipe/data/recipe.schema.json")
    assert shipped == (PROJECT / "schema" / "recipe.schema.json").read_bytes()


def test_the_wheel_carries_the_key_table(wheel: zipfile.ZipFile) -> None:
    name = "xttsrecipe/data/xtts_v2_keys.tsv"
    assert wheel.read(name) == (PROJECT / name).read_bytes()


def test_the_wheel_carries_every_module_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    data = {"xttsrecipe/data/recipe.schema.json", "xttsrecipe/data/xtts_v2_keys.tsv"}
    modules = {str(file.relative_to(PROJECT)) for file in (PROJECT / "xttsrecipe").rglob("*.py")}
    assert shipped - {"xttsrecipe/py.typed"} == modules | data
    assert not [name for name in shipped if "test" in name]


def test_the_wheel_carries_the_license(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("/LICENSE"))
    assert wheel.read(name) == (PROJECT / "LICENSE").read_bytes()


def test_what_is_said_to_be_typed_is_marked_so(wheel: zipfile.ZipFile, metadata: Message) -> None:
    assert "Typing :: Typed" in (metadata.get_all("Classifier") or [])
    assert "xttsrecipe/py.typed" in wheel.namelist()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], "Merge Coqui XTTS-V2 checkpoints"),
        (["schema"], '"$schema"'),
        (["validate", "recipes"], ": valid, "),
    ],
    ids=["--help", "schema", "validate"],
)
def test_the_unpacked_wheel_works_away_from_the_checkout(
    wheel: zipfile.ZipFile, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    wheel.extractall(tmp_path / "site")
    (tmp_path / "recipes").mkdir()
    for recipe in (PROJECT / "recipes").glob("*.yaml"):
        (tmp_path / "recipes" / recipe.name).write_bytes(recipe.read_bytes())
    script = "from xttsrecipe import __main__ as command; assert 'site' in command.__file__; command.main()"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(tmp_path / "site")),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


def test_the_sdist_carries_what_the_wheel_is_built_from_and_no_checkpoints(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "schema/recipe.schema.json", "demo/make_checkpoints.py"} <= names
    assert not [name for name in names if name.endswith((".pth", ".safetensors", ".pyc")) or name.startswith(".venv")]


def test_the_metadata_says_what_is_needed(metadata: Message) -> None:
    requirements = {
        (needed := Requirement(text)).name.lower(): needed for text in metadata.get_all("Requires-Dist") or []
    }
    assert SpecifierSet(str(metadata["Requires-Python"])) == SpecifierSet(">=3.10")
    assert requirements["torch"].specifier == SpecifierSet(">=2.6")
    assert requirements["torch"].marker is None
    assert metadata["Version"] == xttsrecipe.__version__
    assert metadata["License-Expression"] == "Apache-2.0"


def test_everything_that_is_imported_is_declared(metadata: Message) -> None:
    declared = {
        Requirement(text).name.lower() for text in metadata.get_all("Requires-Dist") or [] if "extra ==" not in text
    }
    imported = {
        name.partition(".")[0]
        for file in (PROJECT / "xttsrecipe").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        for name in _imported(node)
    }
    outside = imported - sys.stdlib_module_names - {"xttsrecipe"}
    assert {DISTRIBUTIONS.get(name, name) for name in outside} == declared


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names):
            return [name.name for name in names]
        case ast.ImportFrom(str(module), _, 0):
            return [module]
    return []


def test_the_command_is_installed(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert re.search(r"^xttsrecipe = xttsrecipe\.__main__:main$", wheel.read(name).decode(), flags=re.MULTILINE)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_a_file_has_no_syntax_newer_than_python_3_10(file: Path) -> None:
    ast.parse(file.read_text("utf-8"), feature_version=(3, 10))


def test_no_library_is_used_that_python_3_10_lacks() -> None:
    """Modules and names that came with 3.11 or later, as far as they tempt here."""
    newer = re.compile(
        r"\bimport tomllib\b|\bStrEnum\b|\bdatetime\.UTC\b|\bExceptionGroup\b|\btyping\.Self\b"
        r"|from typing import .*\b(Self|LiteralString|assert_never|override|Never)\b|\bhashlib\.file_digest\b"
        r"|\bcontextlib\.chdir\b|\bitertools\.batched\b|\.walk\(\)|walk_up="
    )
    found = {
        str(file.relative_to(PROJECT))
        for file in (PROJECT / "xttsrecipe").rglob("*.py")
        if newer.search(file.read_text("utf-8"))
    }
    assert found == set()
