"""How a plan looks to people: on a page, and key by key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..metadata import left_behind, provenance_of, training_of
from ..plan import Plan, rules_of
from ..recipe import Merge, Take
from ..specs import Header, shape_text
from ..steps import Step
from .layers import layers_text
from .layout import amounts, columns, counted, printable, short, size_text
from .mixtures import made_text
from .problems import place_text
from .vocabulary import vocabulary_text


def plan_text(plan: Plan) -> str:
    """The plan on a page: sources, what each rule decides, the output and what the run needs."""
    recipe = plan.recipe
    title = f"{recipe.name}: {' '.join(recipe.description.split())}" if recipe.description else recipe.name
    sections = [printable(title)]
    sections.append("sources\n" + _sources(plan))
    sections.append(_decisions(plan))
    if layers := layers_text(plan):
        sections.append(layers)
    if plan.vocabulary:
        sections.append(vocabulary_text(plan.vocabulary, recipe.source_names))
    sections.append("output\n" + _output(plan))
    for title, remarks in (("notes", plan.notes), ("warnings", plan.warnings)):
        if remarks:
            sections.append(f"{title}\n" + "\n".join(f"  {printable(remark)}" for remark in remarks))
    return "\n\n".join(sections) + "\n"


def _sources(plan: Plan) -> str:
    rows = []
    for source, header in zip(plan.recipe.sources, plan.headers, strict=True):
        rows.append(
            [
                source.name,
                header.layout,
                version_text(header),
                size_text(header.stamp.size),
                training_text(header),
                place_text(header.place, header.directory is not None),
            ]
        )
    return columns(rows, right=(3,))


def version_text(header: Header) -> str:
    """``XTTS v2.0.3``, or what else the checkpoint is."""
    if header.layout == "plain":
        return "not XTTS"
    return f"XTTS {header.version or 'of unknown version'}"


def training_text(header: Header) -> str:
    """``step 1000, epoch 3``, as far as the checkpoint says."""
    known = {name: value for name, value in training_of(header.entries).items() if name != "model_loss"}
    return short(", ".join(f"{name} {value}" for name, value in known.items())) or "-"


def _decisions(plan: Plan) -> str:
    rows = [["decided by", "tensors", "parameters", "bytes", "how"]]
    for pattern, steps in rules_of(plan).items():
        label = "global weights" if pattern is None else f'"{pattern}"'
        rows.append([f"  {label}", *_amounts(steps), decision_text(plan.recipe.decision_of(pattern), plan)])
    carried = [step for step in plan.steps if step.method == "carried"]
    if carried:
        rows.append(
            ["  (training-only)", *_amounts(carried), f"carried from {plan.recipe.sources[carried[0].sources[0]].name}"]
        )
    rows.append(["  in all", *_amounts(plan.steps), ""])
    text = columns(rows, right=(1, 2, 3), indent="")
    return text + _integers(plan)


def _integers(plan: Plan) -> str:
    """A line on the tensors that weights would decide, were they not of integers."""
    taken = {rule.pattern for rule in plan.recipe.rules if isinstance(rule.decision, Take)}
    steps = [step for step in plan.steps if not step.spec.dtype.averages and step.method == "from"]
    steps = [step for step in steps if step.rule not in taken]
    if len(plan.headers) == 1 or not steps:
        return ""
    names = ", ".join(sorted({plan.recipe.sources[step.sources[0]].name for step in steps}))
    return f"\n  of these, {counted(len(steps), 'tensor')} of integers or booleans, never averaged: from {names}"


def _amounts(steps: Sequence[Step]) -> list[str]:
    return amounts(step.spec for step in steps)


def decision_text(decision: Take | Merge, plan: Plan) -> str:
    """What a rule or the global weights say: ``from news``, ``linear: news 0.6, audiobook 0.4``."""
    names = plan.recipe.source_names
    if isinstance(decision, Take):
        return f"from {names[decision.source]}"
    base = None if decision.base is None else names[decision.base]
    shares = [share for share in zip(names, decision.weights, strict=True) if share[0] != base]
    return made_text(decision.method.name, decision.method.parameters, shares, base)


def _output(plan: Plan) -> str:
    output = plan.recipe.output
    left = {source.name: left_behind(header) for source, header in zip(plan.recipe.sources, plan.headers, strict=True)}
    beside = [
        ["with" if not index else "", f"{file.name}, {file.origin} ({size_text(file.nbytes)})"]
        for index, file in enumerate(plan.companions)
    ]
    rows = [
        ["directory" if output.is_directory else "file", place_text(output.path, output.is_directory)],
        ["format", f"{output.format}, {plan.layout} layout"],
        ["data types", _dtypes(plan)],
        ["metadata", _metadata(plan)],
        [
            "left behind",
            "; ".join(f"{', '.join(names)} of {name}" for name, names in left.items() if names) or "nothing",
        ],
        *beside,
        ["size", f"{size_text(plan.nbytes)} of tensors; at most {size_text(plan.disk)} on disk"],
        ["memory", f"about {size_text(plan.memory)}, most of it torch itself (its CPU build)"],
    ]
    return columns(rows)


def dtype_changes(plan: Plan) -> Counter[tuple[str, str]]:
    """How many inputs change their type on the way to the output: (from, to)."""
    return Counter(
        (str(tensor.spec.dtype), str(step.spec.dtype))
        for step in plan.steps
        for tensor in step.inputs
        if tensor.spec.dtype != step.spec.dtype
    )


def _dtypes(plan: Plan) -> str:
    kinds = Counter(str(step.spec.dtype) for step in plan.steps)
    text = ", ".join(f"{dtype} ({counted(count, 'tensor')})" for dtype, count in kinds.most_common())
    changes = ", ".join(
        f"{old} to {new} in {counted(count, 'input')}" for (old, new), count in dtype_changes(plan).most_common()
    )
    return f"{text}; {'changes: ' + changes if changes else 'none changes'}"


def _metadata(plan: Plan) -> str:
    entries = plan.metadata.entries
    parts = []
    if plan.metadata.config_from is not None:
        parts.append(f"config from {plan.recipe.sources[plan.metadata.config_from].name}")
    training = training_of(entries)
    parts += [f"{name} {loss_text(value)}" for name, value in training.items()]
    if "training" in provenance_of(entries):
        parts[-1] += " (under xttsrecipe.training)"
    return ", ".join([*parts, "provenance"])


def loss_text(loss: Any) -> str:
    """``2.41``, or ``train_loss 2.41, eval_loss 2.73``."""
    if isinstance(loss, dict):
        return ", ".join(f"{name} {loss_text(value)}" for name, value in loss.items())
    return f"{loss:.6g}" if isinstance(loss, float) else str(loss)


def plan_keys_text(plan: Plan) -> str:
    """A line per tensor of the output: key, shape, type, the rule that decided it, and what that says."""
    return (
        columns(
            [step.name, shape_text(step.spec.shape), str(step.spec.dtype), _rule_text(step), step_text(step, plan)]
            for step in plan.steps
        )
        + "\n"
    )


def _rule_text(step: Step) -> str:
    if step.method == "carried":
        return "(training-only)"
    return f'"{step.rule}"' if step.rule else "global weights"


def step_text(step: Step, plan: Plan) -> str:
    """What a tensor is made from: ``from news``, ``linear: news 0.6, audiobook 0.4``."""
    names = [plan.recipe.sources[source].name for source in step.sources]
    if step.method in ("from", "carried"):
        return f"from {names[0]}"
    first = int(step.has_base)
    shares = list(zip(names, step.weights, strict=True))[first:]
    return made_text(step.method, step.parameters, shares, names[0] if first else None, step.by_token)
