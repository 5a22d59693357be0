"""What the output says of itself: config, step, epoch, model_loss, and how it was made.

Works on plain data that the readers gave; everything it returns can be stored by any writer and loaded with
weights_only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from .codes import Code
from .errors import Problem, listed
from .recipe import Recipe, Source
from .settings import unexpanded
from .specs import Header
from .text_tokens import TextTokens, with_text_tokens
from .version import __version__
from .xtts import architecture

PROVENANCE = "xttsrecipe"

TRAINING = ("step", "epoch", "model_loss")
# What a merge keeps of a trainer's file beside the model; the rest has no meaning after it.
_MERGED_ENTRIES = ("config", *TRAINING)


@dataclass(frozen=True, slots=True)
class OutputMetadata:
    """The output's entries beside the model, as plain data, and remarks on how they came about.

    ``config_from``: index of the source that the config comes from; None where no source has one. ``notes`` are for
    who wants to know, ``warnings`` for everyone.
    """

    entries: Mapping[str, Any]
    config_from: int | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def with_files(self, files: Mapping[str, str]) -> OutputMetadata:
        """The same, with the names and digests of the files that are written with the model."""
        made = {**self.entries[PROVENANCE], "files": dict(files)} if files else self.entries[PROVENANCE]
        return replace(self, entries={**self.entries, PROVENANCE: made})

    def with_making(self, made: Mapping[str, Any]) -> OutputMetadata:
        """The same, with this said of how the output was made."""
        return replace(self, entries={**self.entries, PROVENANCE: dict(made)})

    @property
    def config(self) -> Mapping[str, Any] | None:
        """The config as data, where it is data."""
        config = self.entries.get("config")
        return config if isinstance(config, Mapping) else None

    def as_text(self) -> dict[str, str]:
        """The same entries as safetensors' ``__metadata__`` wants them: text to text, structures as JSON."""
        return {"format": "pt", **{name: _json(value) for name, value in self.entries.items()}}


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=True, sort_keys=False)


def provenance_of(entries: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a checkpoint says of how xttsrecipe made it; nothing where it was not."""
    made = entries.get(PROVENANCE)
    return made if isinstance(made, Mapping) else {}


def training_of(entries: Mapping[str, Any]) -> Mapping[str, Any]:
    """step, epoch and model_loss of a checkpoint: at top level, or where a release layout keeps them."""
    kept = provenance_of(entries).get("training")
    found = {**(kept if isinstance(kept, Mapping) else {}), **entries}
    return {name: found[name] for name in TRAINING if found.get(name) is not None}


def merge_metadata(
    recipe: Recipe, headers: Sequence[Header], layout: str, tokens: Mapping[int, TextTokens]
) -> OutputMetadata:
    """Config from one source, the largest step and epoch, model_loss as the weighted mean of those that have it.

    ``tokens`` as in ``text_tokens``.
    """
    notes: list[str] = []
    entries: dict[str, Any] = {}
    config_from = _config_source(recipe, headers, notes)
    if config_from is not None:
        entries["config"] = with_text_tokens(headers[config_from].entries["config"], tokens.get(config_from))
    training = _merged_training(recipe, headers)
    if layout == "trainer":
        # Without these the trainer cannot resume; it counts from 0 again whatever they are.
        training = {"step": 0, "epoch": 0, **training}
    made = _provenance(recipe, headers)
    warnings = []
    if layout == "release" and (recipe.output.layout == "release" or _lies_aside(headers)):
        entries[PROVENANCE] = {**made, "training": training} if training else made
    else:
        entries |= {**training, PROVENANCE: made}
        if layout == "release" and recipe.output.format == "torch zip" and training:
            warnings.append(
                f"{listed(list(training))} stay at top level of a release-layout file: given to the trainer as "
                "restore_path, it would train from scratch without a word; under output, 'layout: release' moves them "
                "aside and 'layout: trainer' makes a file to resume from"
            )
    return OutputMetadata(entries, config_from, tuple(notes), tuple(warnings))


def _lies_aside(headers: Sequence[Header]) -> bool:
    """Whether no source has its training metadata at top level, where a merge would bring them back to."""
    return not any(header.entries.get(name) is not None for header in headers for name in TRAINING)


def _merged_training(recipe: Recipe, headers: Sequence[Header]) -> dict[str, Any]:
    found = [training_of(header.entries) for header in headers]
    training: dict[str, Any] = {}
    for name in ("step", "epoch"):
        values = [value for entries in found if (value := _count(entries.get(name))) is not None]
        if values:
            training[name] = max(values)
    loss = _mean_loss(recipe, [entries.get("model_loss") for entries in found])
    if loss is not None:
        training["model_loss"] = loss
    return training


def _config_source(recipe: Recipe, headers: Sequence[Header], notes: list[str]) -> int | None:
    wanted = recipe.metadata_from or 0
    having = [index for index, header in enumerate(headers) if isinstance(header.entries.get("config"), (Mapping, str))]
    if not having:
        notes.append("no source has a config: the output has none")
        return None
    if wanted in having:
        return wanted
    name, other = recipe.sources[wanted].name, recipe.sources[having[0]].name
    if recipe.metadata_from is not None:
        notes.append(f"metadata.from names {name}, which has no config: the output has none")
        return None
    notes.append(f"{name} has no config: it comes from {other}")
    return having[0]


def _count(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _mean_loss(recipe: Recipe, losses: Sequence[Any]) -> float | dict[str, float | None] | None:
    """A number, or a dict of train_loss and eval_loss: what the trainer knows. Any other dict would end its run."""
    weights = recipe.default.shares
    if not any(isinstance(loss, Mapping) for loss in losses):
        return _weighted(losses, weights)
    # Beside dicts a bare number is read as the trainer reads it: the loss of the evaluation.
    fields = [loss if isinstance(loss, Mapping) else {"eval_loss": loss} for loss in losses]
    means = {name: _weighted([loss.get(name) for loss in fields], weights) for name in ("train_loss", "eval_loss")}
    return means if any(mean is not None for mean in means.values()) else None


def _weighted(values: Sequence[Any], weights: Sequence[float]) -> float | None:
    """The weighted mean of those values that are finite numbers; None where that means nothing."""
    pairs = [(value, Fraction(weight)) for value, weight in zip(values, weights, strict=True) if _is_number(value)]
    total = sum(weight for _, weight in pairs)
    if total <= 0:  # no value, or only negative weights
        return None
    try:
        # Exact, then rounded once: the mean of equal losses is that loss, however small.
        return float(sum(Fraction(value) * weight for value, weight in pairs) / total)
    except OverflowError:
        return None


def _is_number(value: Any) -> bool:
    """Whether this is a finite number, and no whole one beyond all floats."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def recorded_sources(made: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What an output's provenance says of its sources, by name; of a forged one what is of the right form."""
    sources = made.get("sources")
    entries = [entry for entry in sources if isinstance(entry, Mapping)] if isinstance(sources, (list, tuple)) else []
    return {entry["name"]: entry for entry in entries if isinstance(entry.get("name"), str)}


def _provenance(recipe: Recipe, headers: Sequence[Header]) -> dict[str, Any]:
    """How the output was made, without anything that differs between machines: no paths, no dates."""
    made: dict[str, Any] = {
        "version": __version__,
        "recipe_name": recipe.name,
        "recipe": recipe.text,
        "sources": [
            {
                "name": source.name,
                "file": _file_name(source),
                "size": header.stamp.size,
                "header_sha256": header.digest,
                **({"vocabulary_sha256": header.vocabulary.digest} if header.vocabulary else {}),
            }
            for source, header in zip(recipe.sources, headers, strict=True)
        ],
    }
    if recipe.settings:
        made["set"] = list(recipe.settings)
    return made


def _file_name(source: Source) -> str:
    """What a source's file is called; as it is written where that stands for something of this machine's own, which may
    be a secret.
    """
    path = Path(source.text) if unexpanded(source.text) else source.path
    # Names of files may hold bytes that are no text.
    return path.name.encode("utf-8", "replace").decode()


def left_behind(header: Header) -> list[str]:
    """Names of the entries of a source that no merge keeps: optimizer, scheduler, date …"""
    return [*header.bulk, *(name for name in header.entries if name not in (*_MERGED_ENTRIES, PROVENANCE))]


def architecture_problems(recipe: Recipe, headers: Sequence[Header]) -> list[Problem]:
    """Fields on which the configs describe different networks: the values of both, by name."""
    known: dict[str, tuple[str, Any]] = {}
    problems = []
    for source, header in zip(recipe.sources, headers, strict=True):
        own = f"the checkpoint of {source.name} itself"
        for name, config in ((source.name, header.entries.get("config")), (own, header.own_config)):
            for field, value in architecture(config).items():
                first, expected = known.setdefault(field, (name, value))
                if value != expected:
                    problems.append(
                        Problem(
                            Code.DIFFERENT_ARCHITECTURES,
                            f"the configs of {first} and {name} describe different networks",
                            source.where,
                            found=f"model_args.{field} is {expected!r} in {first} and {value!r} in {name}",
                            hint="only checkpoints of one architecture can be merged",
                        )
                    )
    return problems
