"""The model card of an output: what it was merged from and by which rules, as Hugging Face reads it.

Front matter: https://huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..companions import Companion
from ..licence import PLAIN_REMINDER, REMINDER, card_at, licence_at
from ..metadata import provenance_of, training_of
from ..plan import Plan, rules_of
from ..preflight import provenance_at
from ..report.fences import block, span
from ..report.layout import counted, printable
from ..report.plan import decision_text, loss_text, version_text
from ..version import __version__
from ..xtts import CARD_FILE, generation
from .record import recorded_files

_MADE = "Merged by xttsrecipe "
_BASE_MODELS = {"v1": "coqui/XTTS-v1", "v2": "coqui/XTTS-v2"}
# What means something in Markdown, wherever it stands in a line.
_MARKDOWN = frozenset("\\`*_[]<>#!|~&@$")


def with_card(plan: Plan) -> Plan:
    """The plan with a model card among the files that go with the model: README.md of a directory, NAME.README.md
    beside a file.
    """
    name = card_name(plan)
    licence = licence_at(plan.model_path.with_name(name))
    card = Companion(name, "the model card", card_text(plan, licence).encode())
    companions = (*plan.companions, card)
    files = {companion.name: companion.digest for companion in companions}
    return replace(plan, companions=companions, metadata=plan.metadata.with_files(files))


def card_name(plan: Plan) -> str:
    """What the model card of an output is called."""
    return CARD_FILE if plan.recipe.output.is_directory else f"{plan.recipe.output.path.stem}.{CARD_FILE}"


def has_card(plan: Plan) -> bool:
    """Whether a card lies beside the output that is there, which was written with it."""
    name = card_name(plan)
    return bool(card_at(plan.model_path.with_name(name))) and name in recorded_files(provenance_at(plan.model_path))


def is_our_card(path: Path) -> bool:
    """Whether a file says that it is a card of ours."""
    return _MADE.encode() in card_at(path)


def card_text(plan: Plan, licence: str = "") -> str:
    """The card, in Markdown; nothing in it depends on the machine or the day. ``licence``: the lines that say it in the
    front matter, each ending in a line break; a reminder where there are none.
    """
    recipe = plan.recipe
    is_xtts = plan.layout != "plain"
    parts = ["\n".join(_front_matter(plan, licence)), f"# {_inline(recipe.name)}"]
    if recipe.description:
        parts.append(_inline(recipe.description))
    count = counted(len(recipe.sources), "checkpoint")
    parts.append(f"{_MADE}{__version__} from {count} of {'XTTS' if is_xtts else 'one model'}.")
    parts.append("## Sources\n\n" + "\n".join(_sources(plan)))
    parts.append("## Rules\n\n" + "\n".join(_rules(plan)))
    training = training_of(plan.metadata.entries)
    if training:
        said = ", ".join(f"{name} {loss_text(value)}" for name, value in training.items())
        parts.append(
            f"The model carries {_inline(said)}: the largest step and epoch of the sources, the mean of their losses."
        )
    parts.append("## Recipe\n\n" + block(f"{recipe.text.rstrip()}\n", "yaml"))
    return "\n\n".join(parts)


def _front_matter(plan: Plan, licence: str) -> Iterator[str]:
    is_xtts = plan.layout != "plain"
    yield "---"
    if is_xtts:
        generations = {generation(header) for header in plan.headers}
        yield f"base_model:\n- {_BASE_MODELS['v1' if generations == {'v1'} else 'v2']}"
        yield "base_model_relation: merge"
        yield "pipeline_tag: text-to-speech"
    yield "tags:\n- merge\n- xttsrecipe" + ("\n- xtts\n- text-to-speech" if is_xtts else "")
    yield (licence or (REMINDER if is_xtts else PLAIN_REMINDER)).rstrip("\n")
    yield "---"


def _sources(plan: Plan) -> Iterator[str]:
    yield "| source | file | model | step | epoch | loss |"
    yield "|---|---|---|---|---|---|"
    recorded = provenance_of(plan.metadata.entries)["sources"]
    for source, header in zip(recorded, plan.headers, strict=True):
        training = training_of(header.entries)
        cells = [source["name"], source["file"], version_text(header)]
        cells += [loss_text(training[name]) if name in training else "" for name in ("step", "epoch", "model_loss")]
        yield f"| {' | '.join(map(_inline, cells))} |"


def _rules(plan: Plan) -> Iterator[str]:
    yield "| tensors | how | number | parameters |"
    yield "|---|---|---:|---:|"
    for pattern, steps in rules_of(plan).items():
        label = _code(pattern) if pattern is not None else "all others" if plan.recipe.rules else "all"
        how = _inline(decision_text(plan.recipe.decision_of(pattern), plan))
        yield f"| {label} | {how} | {len(steps)} | {sum(step.spec.numel for step in steps):,} |"


def _inline(text: str) -> str:
    """Text from a recipe or a file, inert in Markdown and in a table."""
    plain = printable(" ".join(text.encode("utf-8", "replace").decode().split()))
    escaped = "".join(f"\\{character}" if character in _MARKDOWN else character for character in plain)
    # What begins a list at the beginning of a line.
    return re.sub(r"^(\d*)([-+.)])(?=\s|$)", r"\1\\\2", escaped)


def _code(text: str) -> str:
    return span(printable(text).replace("|", "\\|"))
