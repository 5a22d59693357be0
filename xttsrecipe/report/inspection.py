"""How a checkpoint looks: its structure, config and training metadata, for people and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ..metadata import PROVENANCE, TRAINING, provenance_of, training_of
from ..patterns import compile_pattern
from ..specs import Header, StoredTensor, shape_text
from ..xtts import COMPONENTS, LEAVES, component_of
from .json_text import json_text
from .layout import amounts, columns, numbers, printable, short, size_text
from .plan import loss_text, version_text

_SHOWN_ENTRIES = (*TRAINING, "date")


def inspection_text(header: Header) -> str:
    """A checkpoint on a page: file, components, training-only tensors, config, training metadata."""
    facts = [
        *([["directory", str(header.directory)]] if header.directory else []),
        ["file", str(header.path)],
        ["format", f"{header.format}, {size_text(header.stamp.size)}"],
        ["layout", _layout(header)],
        ["model", version_text(header)],
        ["header sha256", header.digest],
    ]
    sections = [columns(facts, indent=""), _components(header)]
    extra = _extra(header)
    if extra:
        sections.append("not part of the model\n" + columns(extra, right=(1, 2)))
    if header.companions:
        sections.append("beside it\n" + _beside(header))
    sections.append(_training(header))
    return "\n\n".join(sections) + "\n"


def _layout(header: Header) -> str:
    meanings = {
        "release": "release (as the published model.pth)",
        "trainer": "trainer (keys begin with xtts., training-only tensors beside the model)",
        "shrunk": "shrunk (a trainer's file without optimizer and dvae)",
        "bare": "bare state dict (no 'model' entry: the XTTS client cannot load it; a merge makes it release)",
        "plain": "plain state dict, keys as they are",
    }
    return meanings[header.layout]


def _grouped(header: Header) -> Mapping[str, list[StoredTensor]]:
    groups: dict[str, list[StoredTensor]] = {name: [] for name in LEAVES}
    for key, tensor in header.tensors.items():
        groups.setdefault(_part(key, header), []).append(tensor)
    return {name: tensors for name, tensors in groups.items() if tensors}


def _part(key: str, header: Header) -> str:
    if header.layout == "plain":
        return key.partition(".")[0]
    name = component_of(key)
    return name if name in LEAVES else f"other {name}"  # not to be taken for the group @gpt


def _components(header: Header) -> str:
    rows = [["component", "tensors", "parameters", "bytes", "data types"]]
    rows += [["  " + name, *_amounts(tensors), _dtypes(tensors)] for name, tensors in _grouped(header).items()]
    rows.append(["  in all", *_amounts(header.tensors.values()), _dtypes(header.tensors.values())])
    return columns(rows, right=(1, 2, 3), indent="")


def _amounts(tensors: Iterable[StoredTensor]) -> list[str]:
    return amounts(tensor.spec for tensor in tensors)


def _dtypes(tensors: Iterable[StoredTensor]) -> str:
    kinds = Counter(str(tensor.spec.dtype) for tensor in tensors)
    return ", ".join(f"{dtype} {count}" if len(kinds) > 1 else dtype for dtype, count in kinds.most_common())


def _extra(header: Header) -> list[list[str]]:
    rows = []
    if header.training_only:
        count, _, size = _amounts(header.training_only.values())
        rows.append(["training-only tensors (dvae, spectrograms)", f"{count} tensors", size])
    if header.leftovers:
        rows.append(["tied copies from inference", f"{len(header.leftovers)} tensors", "-"])
    rows += [[name, "-", size_text(nbytes) if nbytes else "-"] for name, nbytes in header.bulk.items()]
    return rows


def _beside(header: Header) -> str:
    return columns(([name, size_text(file.stamp.size)] for name, file in header.companions.items()), right=(1,))


def _training(header: Header) -> str:
    shown = {**training_of(header.entries), "date": header.entries.get("date")}
    rows = [[name, short(loss_text(value))] for name, value in shown.items() if value is not None]
    if made := provenance_of(header.entries):
        rows.append(["made by", short(_provenance(made), 1_000)])
    rows += [
        [short(name), _short(value)]
        for name, value in header.entries.items()
        if name not in (*_SHOWN_ENTRIES, "config", PROVENANCE)
    ]
    text = "training\n" + columns(rows) if rows else "training\n  no step, epoch or losses in this file"
    config = header.entries.get("config")
    if isinstance(config, dict):
        return text + "\n\nconfig\n" + columns(_flat(config))
    if config is not None:
        return f"{text}\n\nconfig\n  {printable(_short(config))}"
    return text + "\n\nconfig\n  none in this file"


def _provenance(made: Mapping[str, Any]) -> str:
    sources = made.get("sources")
    names = (
        [str(source.get("name")) for source in sources if isinstance(source, dict)] if isinstance(sources, list) else []
    )
    return (
        f"xttsrecipe {made.get('version', '?')}, recipe {made.get('recipe_name', '?')}, from {', '.join(names) or '?'}"
    )


def _flat(config: Mapping[Any, Any], prefix: str = "") -> list[list[str]]:
    """One row per field, ``model_args.gpt_layers``."""
    rows = []
    for name, value in config.items():
        path = short(f"{prefix}{name}")
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{path}.")
        else:
            rows.append([path, _short(value)])
    return rows


def _short(value: Any) -> str:
    return short(value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False))


def inspection_keys_text(header: Header, pattern: str) -> str:
    """A line per tensor whose canonical key the pattern matches: key, shape, type, and its name in the file."""
    rows = [
        [
            key,
            shape_text(tensor.spec.shape),
            str(tensor.spec.dtype),
            "" if tensor.name == key else f"stored as {tensor.name}",
        ]
        for key, tensor in _matching(header, pattern).items()
    ]
    return columns(rows, indent="") + "\n" if rows else ""


def _matching(header: Header, pattern: str) -> Mapping[str, StoredTensor]:
    test = compile_pattern(pattern, COMPONENTS)
    return {key: tensor for key, tensor in {**header.tensors, **header.training_only}.items() if test(key)}


def inspection_json(header: Header, pattern: str | None) -> str:
    """The same facts for machines; ``keys`` only where a pattern asks for them."""
    data: dict[str, Any] = {
        "path": str(header.path),
        "directory": header.directory and str(header.directory),
        "companions": list(header.companions),
        "format": header.format,
        "bytes": header.stamp.size,
        "layout": header.layout,
        "version": header.version,
        "header_sha256": header.digest,
        "components": {
            name: {
                **numbers(tensor.spec for tensor in tensors),
                "dtypes": dict(Counter(str(tensor.spec.dtype) for tensor in tensors)),
            }
            for name, tensors in _grouped(header).items()
        },
        "training_only": {
            "tensors": len(header.training_only),
            "bytes": sum(tensor.spec.nbytes for tensor in header.training_only.values()),
            "entries": dict(header.bulk),
        },
        "inference_leftovers": list(header.leftovers),
        "entries": dict(header.entries),
    }
    if pattern is not None:
        data["keys"] = [
            {"key": key, "stored": tensor.name, "shape": list(tensor.spec.shape), "dtype": str(tensor.spec.dtype)}
            for key, tensor in _matching(header, pattern).items()
        ]
    return json_text(data)
