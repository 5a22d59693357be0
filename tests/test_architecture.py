"""The house as DESIGN.md draws it: floors, no cycles, torch in one place, small modules."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp
import pytest

PACKAGE = Path(__file__).parent.parent / "xttsrecipe"
ROOT = "xttsrecipe"

# Bottom to top, as in ARCHITECTURE.md. A module imports only from floors below its own; a package's modules may import
# each other, without cycles. A package stands for all its modules.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("codes", "errors", "version", "specs", "options", "interrupts"),
    ("yaml_syntax", "patterns", "positional", "torch_dtypes", "segments", "strict_json", "claims", "crew", "heap"),
    ("document", "xtts", "vocabulary"),
    ("schema", "checkpoints", "methods", "settings", "recipe_files", "depth"),
    ("recipe", "remains"),
    ("rules", "text_rows", "written_paths", "gradients"),
    ("steps", "text_tokens"),
    ("metadata",),
    ("licence", "run_folder"),
    ("companions", "lock"),
    ("caveats", "sources"),
    ("plan", "summary", "outcome", "changes"),
    ("preflight", "gather", "nonfinite", "source_files", "writers", "report", "digests"),
    ("lanes", "locking", "provenance", "review"),
    ("execute", "guard", "diff"),
    ("api",),
    ("validation", "starter", "verification"),
    ("verbs",),
    ("cli",),
    ("__main__",),
)
# The package itself hands out the functions of api.
ROOT_FLOOR = next(number for number, floor in enumerate(FLOORS) if "api" in floor) + 0.5

# Who may import what from outside the standard library.
OUTSIDE: Mapping[str, set[str]] = {
    "bracex": {"patterns", "xtts"},
    "jsonschema": {"schema"},
    "platformdirs": {"digests.cache"},
    "rich": {"report.progress"},
    "isal": {"writers.torch_zip"},
    "torch": {"execute", "gather", "lanes", "methods.draws", "nonfinite", "torch_dtypes", "writers.torch_zip"},
    "typer": {"cli", "verbs", "verbs.arguments", "verbs.diff", "verbs.init", "verbs.provenance", "verbs.run"},
    "yaml": {"document", "yaml_syntax"},
}

# Imports within functions: (module, what) and why.
LATE_IMPORTS = {
    ("__main__", ".cli"): "reading all that it needs takes a moment in which Ctrl-C may come",
    ("api", ".execute"): "importing torch takes a second or two, and only a run needs it",
    ("methods.draws", "torch"): "reading the method table imports no torch",
    ("provenance", "importlib.metadata"): "a hundredth of a second, which only a run needs to take",
    ("verbs.provenance", "..provenance"): "no other verb needs it, nor its memory",
    ("verbs.provenance", "..verification"): "the same",
    ("verbs.diff", "..diff.recipes"): "the same",
    ("verbs.diff", "..report.diff_formats"): "the same",
    ("report.progress", "rich.console"): "importing rich takes as long as reading a recipe; only terminals need it",
    ("report.progress", "rich.progress"): "the same",
}

FILES = sorted(PACKAGE.rglob("*.py"))


def module_name(file: Path) -> str:
    """``report.plan`` for xttsrecipe/report/plan.py; ``report`` for its __init__.py, nothing for the package's."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in FILES}


@pytest.fixture(scope="module")
def imports() -> Mapping[str, set[str]]:
    """For every module, those of the package that it imports when it runs; names without ``xttsrecipe.``."""
    graph = grimp.build_graph(ROOT, exclude_type_checking_imports=True, cache_dir=None)
    return {
        _short(name): {_short(found) for found in graph.find_modules_directly_imported_by(name)}
        for name in graph.modules
    }


def _short(name: str) -> str:
    return name.removeprefix(ROOT).removeprefix(".")


def floor(module: str) -> float:
    if not module:
        return ROOT_FLOOR
    for number, names in enumerate(FLOORS):
        if module.partition(".")[0] in names:
            return number
    raise AssertionError(f"{module} stands on no floor: add it to the table")


def in_one_package(module: str, other: str) -> bool:
    return module.partition(".")[0] == other.partition(".")[0]


def test_the_floors_are_those_of_the_architecture_document() -> None:
    text = (PACKAGE.parent / "ARCHITECTURE.md").read_text("utf-8")
    documented = {
        name.rstrip("/"): int(row[1])
        for row in re.finditer(r"(?m)^\| (\d+) \| ((?:`\w+/?`(?:, )?)+) \|", text)
        for name in re.findall(r"`([\w/]+)`", row[2])
    }
    assert documented == {name: number for number, names in enumerate(FLOORS) for name in names if name != "__main__"}


def test_every_module_stands_on_a_floor() -> None:
    assert all(floor(module) >= 0 for module in MODULES)
    tops = {module.partition(".")[0] for module in MODULES if module}
    assert {name for names in FLOORS for name in names} == tops


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_floors_below(module: str, imports: Mapping[str, set[str]]) -> None:
    upwards = {
        other for other in imports[module] if not in_one_package(module, other) and floor(other) >= floor(module)
    }
    assert upwards == set()


def test_there_is_no_import_cycle(imports: Mapping[str, set[str]]) -> None:
    """Leaving out the package itself, which is imported before any of its modules."""
    graph = {module: others - {""} for module, others in imports.items() if module}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert set(order) == set(MODULES) - {""}


def test_there_is_no_import_cycle_through_the_package_itself(imports: Mapping[str, set[str]]) -> None:
    assert list(graphlib.TopologicalSorter(imports).static_order())


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


@functools.cache
def _imports(module: str) -> frozenset[tuple[str, bool]]:
    """What a module imports when it runs (``.name`` where relative), and whether it does so within a function."""
    return frozenset(_imported(_tree(module)))


def _imported(node: ast.AST, late: bool = False) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import(names):
                for name in names:
                    yield name.name, late
            case ast.ImportFrom(source, names, level) if level:
                for name in names if source is None else names[:1]:
                    yield "." * level + (source or name.name), late
            case ast.ImportFrom(str(source)):
                yield source, late
            case ast.If(ast.Name("TYPE_CHECKING")):
                for other in child.orelse:
                    yield from _imported(other, late)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                yield from _imported(child, late=True)
            case _:
                yield from _imported(child, late)


@pytest.mark.parametrize("package", OUTSIDE)
def test_what_comes_from_outside_is_imported_where_it_belongs(package: str) -> None:
    using = {module for module in MODULES if any(name.partition(".")[0] == package for name, _ in _imports(module))}
    assert using == OUTSIDE[package]


def test_nothing_else_comes_from_outside() -> None:
    outside = {name.partition(".")[0] for module in MODULES for name, _ in _imports(module) if name[0] != "."}
    assert outside - sys.stdlib_module_names - {ROOT} == set(OUTSIDE)


def test_imports_within_functions_are_the_agreed_ones() -> None:
    found = {(module, name) for module in MODULES for name, late in _imports(module) if late}
    assert found == set(LATE_IMPORTS)


def test_only_the_inert_reader_knows_pickle() -> None:
    using = {module for module in MODULES if any(name == "pickle" for name, _ in _imports(module))}
    assert using == {"checkpoints.inert_pickle"}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_ever_evaluated(module: str) -> None:
    called = {
        node.func.id
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called & {"eval", "exec", "compile", "__import__"} == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_short(module: str) -> None:
    assert len(MODULES[module].read_text("utf-8").splitlines()) <= 340


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_owns(module: str) -> None:
    assert ast.get_docstring(_tree(module))


def test_no_module_is_a_drawer_for_everything() -> None:
    names = {part for module in MODULES for part in module.split(".")}
    assert names & {"utils", "util", "helpers", "helper", "common", "misc", "manager", "core", "base"} == set()


def _public(node: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for child in node.body:
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)) and not child.name.startswith("_"):
            yield child


@pytest.mark.parametrize("module", MODULES)
def test_what_is_public_is_documented(module: str) -> None:
    without = {node.name for node in _public(_tree(module)) if not ast.get_docstring(node)}
    assert without == set()
