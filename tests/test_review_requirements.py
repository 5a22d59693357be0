"""review-requirements.txt, with which hooks install without torch: held to what we and our dependencies ask for."""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
from collections.abc import Iterator, Mapping

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.commands import PROJECT

FILE = "review-requirements.txt"
NEVER = "torch"


def _read() -> dict[str, Requirement]:
    lines = (line.partition("#")[0].strip() for line in (PROJECT / FILE).read_text("utf-8").splitlines())
    found = [Requirement(line) for line in lines if line]
    assert len({one.name for one in found}) == len(found)
    return {canonicalize_name(one.name): one for one in found}


REQUIREMENTS = _read()

# Where hooks may run: markers must come out right in each.
ENVIRONMENTS = [
    {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_python_implementation": implementation,
        "implementation_name": implementation.lower(),
        "platform_system": system,
        "sys_platform": {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}[system],
        "os_name": "nt" if system == "Windows" else "posix",
        "platform_machine": machine,
        "extra": "",
    }
    for python, implementation, (system, machine) in itertools.product(
        ("3.10", "3.11", "3.12", "3.13", "3.14"),
        ("CPython", "PyPy"),
        (("Linux", "x86_64"), ("Linux", "riscv64"), ("Darwin", "arm64"), ("Windows", "AMD64")),
    )
]


def _applies(requirement: Requirement, environment: Mapping[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(dict(environment))


def _asked_by(distribution: str) -> list[Requirement]:
    """What an installed distribution depends on; nothing for one that this system does not need and so has not."""
    try:
        texts = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [Requirement(text) for text in texts]


def _closure(environment: Mapping[str, str]) -> dict[str, list[Requirement]]:
    """All that the command depends on, by name, with what is asked of it; without torch and what that needs."""
    asked: dict[str, list[Requirement]] = {}
    waiting = ["xttsrecipe"]
    while waiting:
        for requirement in _asked_by(waiting.pop()):
            name = canonicalize_name(requirement.name)
            if name == NEVER or not _applies(requirement, environment):
                continue
            if name not in asked:
                waiting.append(name)
            asked.setdefault(name, []).append(requirement)
    return asked


@functools.cache
def _closures() -> list[dict[str, list[Requirement]]]:
    return [_closure(environment) for environment in ENVIRONMENTS]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda one: " ".join(sorted({*one.values()} - {""})))
def test_the_file_names_what_every_system_needs_and_nothing_else(environment: dict[str, str]) -> None:
    named = {name for name, requirement in REQUIREMENTS.items() if _applies(requirement, environment)}
    assert named == set(_closure(environment))


def _near(requirement: Requirement) -> Iterator[Version]:
    """Versions at its bounds and just beside them."""
    for one in requirement.specifier:
        bound = Version(one.version)
        yield bound
        yield Version(f"{bound}.0.1")
        parts = list(bound.release)
        while parts and parts[-1] == 0:
            parts.pop()
        if parts:
            yield Version(".".join(map(str, [*parts[:-1], parts[-1] - 1, 999])))


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_no_version_is_allowed_that_somebody_refuses(name: str) -> None:
    ours = REQUIREMENTS[name]
    asked = {str(one): one for closure in _closures() for one in closure.get(name, [])}
    candidates = {version for one in (ours, *asked.values()) for version in _near(one)}
    refused = {
        (str(version), text)
        for text, one in asked.items()
        for version in candidates
        if ours.specifier.contains(version) and not one.specifier.contains(version)
    }
    assert refused == set()


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_what_the_tests_run_with_is_allowed(name: str) -> None:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("this system does without it")
    assert REQUIREMENTS[name].specifier.contains(version)


def test_torch_is_all_that_is_left_out() -> None:
    assert NEVER not in REQUIREMENTS
    assert NEVER in {canonicalize_name(one.name) for one in _asked_by("xttsrecipe")}


def test_hook_action_and_gitlab_install_with_it() -> None:
    (hook,) = yaml.safe_load((PROJECT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert hook["additional_dependencies"] == ["--no-deps", "--requirement", FILE]
    for name in ("action.yml", "docs/workflows/gitlab-ci.yml"):
        text = (PROJECT / name).read_text("utf-8")
        assert f"/{FILE}" in text
        assert "--no-deps" in text
