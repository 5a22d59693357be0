"""Runs the steps of a composite action or a workflow's job as GitHub's runner does: in bash, with its files."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .expressions import filled_in, holds
from .repositories import environment

Outputs = Mapping[str, str]


@dataclass
class Job:
    """A job that is run step by step: ``context`` is what expressions see, ``folder`` the checkout."""

    folder: Path
    context: dict[str, Any]
    temporary: Path
    more: Mapping[str, str] = field(default_factory=dict)  # for the environment
    log: str = ""
    summary: str = ""
    failed: bool = False

    def run(self, steps: Sequence[Mapping[str, Any]], given: Mapping[str, Outputs] | None = None) -> Job:
        """Runs the steps, but for those whose outputs are ``given`` by id."""
        done = self.context.setdefault("steps", {})
        for step in steps:
            condition = step.get("if", "")
            if "cancelled()" not in condition and self.failed:
                continue
            if condition and not holds(condition, self.context):
                continue
            name = step.get("id", "")
            if given and name in given:
                done[name] = {"outcome": "success", "outputs": dict(given[name])}
                continue
            code, outputs = self._step(step)
            self.failed = self.failed or code != 0
            done[name] = {"outcome": "failure" if code else "success", "outputs": outputs}
        return self

    def outputs(self, action: Mapping[str, Any]) -> dict[str, str]:
        """The outputs of the composite action whose steps were run."""
        return {name: filled_in(output["value"], self.context) for name, output in action["outputs"].items()}

    def _step(self, step: Mapping[str, Any]) -> tuple[int, dict[str, str]]:
        with tempfile.TemporaryDirectory(dir=self.temporary) as scratch:
            files = {name: Path(scratch, name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "script.sh")}
            for file in files.values():
                file.touch()
            files["script.sh"].write_text(step["run"], "utf-8")
            shown = {name: filled_in(str(value), self.context) for name, value in step.get("env", {}).items()}
            runner = {
                "RUNNER_TEMP": str(self.temporary),
                "GITHUB_WORKSPACE": str(self.folder),
                "GITHUB_ACTIONS": "true",
            }
            paths = {name: str(path) for name, path in files.items() if name.startswith("GITHUB")}
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", files["script.sh"]],
                cwd=self.folder,
                env=environment(**runner, **paths, **self.more, **shown),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=300,
            )
            self.log += done.stdout.decode("utf-8", "replace")
            self.summary += files["GITHUB_STEP_SUMMARY"].read_text("utf-8")
            return done.returncode, parsed_outputs(files["GITHUB_OUTPUT"].read_text("utf-8"))


def parsed_outputs(text: str) -> dict[str, str]:
    """What a step wrote to GITHUB_OUTPUT. Raises ValueError for what the runner refuses."""
    outputs = {}
    lines = iter(text.split("\n"))
    for line in lines:
        name, equals, value = line.partition("=")
        marked, begins, end = line.partition("<<")
        if begins and len(marked) < len(name):
            many: list[str] = []
            for one in lines:
                if one == end:
                    break
                many.append(one)
            else:
                raise ValueError(f"nothing ends {marked!r}")
            outputs[marked] = "\n".join(many)
        elif equals:
            outputs[name] = value
        elif line:
            raise ValueError(f"no output: {line!r}")
    return outputs
