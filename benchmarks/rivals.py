"""The other mergers: how they are installed, each in an environment of its own, and how they are called.

Both read flat .safetensors files; neither reads a checkpoint as XTTS has it. How they fail is in the README.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .children import PROJECT, run
from .inputs import FLAT, RELEASE, InputsError, unfinished

FOLDER = PROJECT / ".venv-rivals"
MERGEKIT, SD_MECHA = "mergekit", "sd-mecha"  # as they are called on PyPI
VERSIONS = {MERGEKIT: "0.1.4", SD_MECHA: "1.1.5"}

# Methods of mergekit's to compare with (its ties and sce end with an error on these files), and parameters that they
# need.
METHODS: Mapping[str, Mapping[str, float]] = {
    "linear": {},
    "slerp": {},
    "karcher": {},
    "model_stock": {},
    "task_arithmetic": {},
    "breadcrumbs_ties": {"density": 0.5, "gamma": 0.01},
}

Weights = Mapping[Path, float]


def python_of(rival: str) -> Path:
    """The interpreter of a rival's environment."""
    return FOLDER / rival / "bin" / "python"


def install() -> None:
    """Make the environments that are not there yet: 1.4 GB each. Raises InputsError."""
    for rival, version in VERSIONS.items():
        installed = FOLDER / rival / f"installed-{version}"
        if installed.exists():
            continue
        print(f"installing {rival} {version} in {FOLDER.name}/{rival}", file=sys.stderr)
        pip = (python_of(rival), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run([sys.executable, "-m", "venv", "--clear", FOLDER / rival], f"{rival} cannot be installed")
        _run([*pip, "-c", PROJECT / "constraints.txt", f"{rival}=={version}"], f"{rival} cannot be installed")
        installed.touch()


def flatten(folder: Path, names: Sequence[str]) -> None:
    """Make these of the rivals' inputs from the release files beside them. Raises InputsError. Whatever breaks it off
    may leave an unfinished one.
    """
    script = Path(__file__).with_name("flatten.py")
    for name in names:
        release, target = folder / RELEASE[FLAT.index(name)], unfinished(folder / name)
        _run([python_of(SD_MECHA), script, release, target], f"{name} cannot be made")
        target.replace(folder / name)


def mergekit_config(weights: Weights) -> str:
    """The configuration of a weighted mean."""
    models = "".join(
        f"  - model: {json.dumps(str(path))}\n    parameters: {{weight: {weight}}}\n"
        for path, weight in weights.items()
    )
    return f"merge_method: linear\ndtype: float32\nmodels:\n{models}"


def mergekit_method(method: str, paths: Sequence[Path], has_base: bool) -> str:
    """The configuration of another method of mergekit's, over flat files of which the first may be the base."""
    parameters = "".join(f", {name}: {value}" for name, value in METHODS[method].items())
    base = f"base_model: {json.dumps(str(paths[0]))}\n" if has_base or method == "slerp" else ""
    alone = "parameters: {t: 0.5}\n" if method == "slerp" else ""
    models = "".join(
        f"  - model: {json.dumps(str(path))}\n    parameters: {{weight: 1.0{parameters}}}\n"
        for path in paths[int(has_base) :]
    )
    return f"merge_method: {method}\ndtype: float32\n{base}{alone}models:\n{models}"


def mergekit_command(config: Path, output: Path) -> tuple[str | Path, ...]:
    """Merges into ``output``, a folder."""
    return (python_of(MERGEKIT).with_name("mergekit-pytorch"), "--quiet", config, output)


def sd_mecha_command(weights: Weights, output: Path) -> tuple[str | Path, ...]:
    """Merges into ``output``, a .safetensors file."""
    script = Path(__file__).with_name("with_sd_mecha.py")
    return (python_of(SD_MECHA), script, output, *(f"{path}={weight}" for path, weight in weights.items()))


def _run(command: Sequence[str | Path], failure: str) -> None:
    status, _ = run(command)
    if status:
        raise InputsError(f"{failure}: exit status {status} of: {' '.join(map(str, command))}")
