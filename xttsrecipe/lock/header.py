"""A source's header as a lock has it, and back: all that a plan needs to know of a checkpoint that is not here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..metadata import PROVENANCE, TRAINING, left_behind, training_of
from ..specs import CompanionFile, DType, FileStamp, Header, TensorSpec
from ..xtts import (
    COMPANION_FILES,
    LAYOUTS,
    MODEL_FILES,
    is_version,
    known_tensors,
    planned_arguments,
    training_only_tensors,
)
from .node import Node
from .tensors import read_tensors, tensors_data

_TABLE = "XTTS-V2 2.0.3"
_NOTHING = "nothing"
_FORMATS = ("torch zip", "safetensors")
_MAX_NAMES = 10_000

Specs = Mapping[str, TensorSpec]


def header_data(header: Header, others: Mapping[str, Header]) -> dict[str, Any]:
    """What a lock says of a header, its vocabulary aside; ``others``: sources of the same lock that come before.

    Raises ValueError for keys that a lock has no form for.
    """
    data = _told(header, {name: other.entries.get("config") for name, other in others.items()})
    known = {
        name: _specs(other) for name, other in others.items() if (other.layout == "plain") == (header.layout == "plain")
    }
    data["tensors"] = tensors_data(header.tensors, _tables(header.layout) | known)
    if header.training_only:
        data["training_only"] = tensors_data(header.training_only, {_TABLE: training_only_tensors(), _NOTHING: {}})
    return data


def other_fields(header: Header, locked: Header) -> list[str]:
    """The fields in which a lock would say another thing of a header than it does, its vocabulary aside."""
    told, says = ({**_told(its, {}), **_of_tensors(its)} for its in (header, locked))
    return [name for name in dict.fromkeys([*told, *says]) if told.get(name) != says.get(name)]


def _of_tensors(header: Header) -> dict[str, Any]:
    both = {"tensors": header.tensors, "training_only": header.training_only}
    return {
        name: {key: (its.spec, None if its.is_contiguous else its.strides) for key, its in tensors.items()}
        for name, tensors in both.items()
    }


def _told(header: Header, configs: Mapping[str, Any]) -> dict[str, Any]:
    """All but the tensors. ``configs``: those of other sources, which one may be like."""
    data: dict[str, Any] = {"format": header.format, "layout": header.layout}
    if header.version:
        data["version"] = header.version
    if header.directory:
        data["model_file"] = header.path.name
    data["header_sha256"] = header.digest
    training = {name: value for name, value in training_of(header.entries).items() if _is_told(name, value)}
    if training:
        data["training"] = training
    if not any(header.entries.get(name) is not None for name in TRAINING) and training:
        data["training_aside"] = True
    for field, config in (("config", header.entries.get("config")), ("own_config", header.own_config)):
        if isinstance(config, (Mapping, str)):
            data[field] = _config_data(config, configs)
    if left := left_behind(header):
        data["left_behind"] = left
    if header.leftovers:
        data["inference_leftovers"] = len(header.leftovers)
    if header.mel_stats:
        data["mel_stats"] = f"{header.mel_stats[0]} {header.mel_stats[1]}"
    if header.companions:
        data["companions"] = {
            name: {"digest": file.digest, "size": file.stamp.size} for name, file in sorted(header.companions.items())
        }
    return data


def _specs(header: Header) -> Specs:
    return {key: tensor.spec for key, tensor in header.tensors.items()}


def _tables(layout: str) -> dict[str, Specs]:
    return {_NOTHING: {}} if layout == "plain" else {_TABLE: known_tensors(), _NOTHING: {}}


def _is_told(name: str, value: Any) -> bool:
    """Whether a lock has a form for a value of the training metadata: plain ones, and losses by name."""
    if isinstance(value, Mapping) and name == "model_loss":
        return all(isinstance(field, str) and _is_plain(item) for field, item in value.items())
    return _is_plain(value)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, str)) or (isinstance(value, (int, float)) and abs(value) < 1e300)


def _config_data(config: Mapping[str, Any] | str, others: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(config, str):
        return {"text": True}
    arguments = _arguments(config)
    like = next((name for name, other in others.items() if arguments and _arguments(other) == arguments), None)
    return {"model_args_like": like} if like is not None else {"model_args": arguments}


def _arguments(config: Any) -> dict[str, Any]:
    return {
        name: value if isinstance(value, (bool, int, float, str)) else repr(value)
        for name, value in planned_arguments(config).items()
    }


def read_header(node: Node, place: Path, size: int, others: Mapping[str, Header]) -> Header:
    """The header that a lock describes; ``place``: what the recipe names, which may not be there.

    Its tensors have no places in the file. Raises RecipeError.
    """
    layout = node["layout"].one_of(LAYOUTS)
    directory = place if "model_file" in node else None
    entries = dict.fromkeys(node.names("left_behind"))
    training = {name: _training(name, value) for name, value in node.part("training") if name in TRAINING}
    entries |= {PROVENANCE: {"training": training}} if node.flag("training_aside") else training
    if "config" in node:
        entries["config"] = _config(node["config"], others)
    beside = dict(node.part("companions"))
    if foreign := next((name for name in beside if name not in COMPANION_FILES), None):
        beside[foreign].fail(f"one of {', '.join(COMPANION_FILES)}")
    companions = {
        name: CompanionFile(place / name, FileStamp(file["size"].count(), 0, 0), file["digest"].text())
        for name in COMPANION_FILES
        if (file := beside.get(name))
    }
    known = {name: _specs(other) for name, other in others.items()}
    leftovers = node["inference_leftovers"].count() if "inference_leftovers" in node else 0
    tensors = read_tensors(node["tensors"], _tables(layout) | known)
    tables = {_TABLE: training_only_tensors(), _NOTHING: {}}
    return Header(
        path=place / node["model_file"].one_of(MODEL_FILES) if directory else place,
        stamp=FileStamp(size, 0, 0),
        format=node["format"].one_of(_FORMATS),
        layout=layout,
        trainer_keys=layout in ("trainer", "shrunk"),
        version=_version(node["version"]) if "version" in node else None,
        tensors=tensors,
        training_only=read_tensors(node["training_only"], tables) if "training_only" in node else {},
        leftovers=("",) * min(leftovers, _MAX_NAMES),
        entries=entries,
        bulk={},
        digest=node["header_sha256"].sha256(),
        mel_stats=_mel_stats(node["mel_stats"]) if "mel_stats" in node else None,
        own_config=_config(node["own_config"], others) if "own_config" in node else None,
        directory=directory,
        companions=companions,
    )


def _training(name: str, node: Node) -> Any:
    value = node.plain()
    return value if _is_told(name, value) else node.fail("a number, text, or null; of model_loss also these by name")


def _version(node: Node) -> str:
    return node.text() if is_version(node.text()) else node.fail("a version of XTTS, as v2.0.3")


def _scalar(node: Node) -> bool | int | float | str:
    value = node.plain()
    return value if isinstance(value, (bool, int, float, str)) else node.fail("a number or text")


def _config(node: Node, others: Mapping[str, Header]) -> Mapping[str, Any] | str:
    if node.flag("text"):
        return "(in the checkpoint)"
    if "model_args_like" in node:
        name = node["model_args_like"].text()
        other = others[name].entries.get("config") if name in others else None
        if not isinstance(other, Mapping):
            node["model_args_like"].fail("a source before this one that has a config")
        return other
    arguments = {name: _scalar(value) for name, value in node.part("model_args")}
    return {"model_args": arguments} if arguments else {}


def _mel_stats(node: Node) -> tuple[DType, str]:
    label, _, digest = node.text().partition(" ")
    dtype = DType.named(label)
    return (dtype, digest) if dtype else node.fail("an element type and a sha256")
