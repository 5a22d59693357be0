"""What the recipe schema says of methods, made from the method table; ``test_schema`` holds the schema to it."""

from __future__ import annotations

from typing import Any

from xttsrecipe.methods import METHODS, MethodEntry, Parameter

_EXAMPLES: dict[str, Any] = {"number": 0.25, "integer": 42, "boolean": True}


def definitions() -> dict[str, Any]:
    """The schema's definitions that the table decides, by name."""
    names = list(METHODS)
    return {
        "methodName": {
            "title": "Method name",
            "description": "How tensors are combined; xttsrecipe methods NAME explains one.",
            "enum": names,
            "examples": names[:1],
        },
        "bareMethod": {
            "title": "Method name",
            "description": "How tensors are combined. These need no parameters; xttsrecipe methods NAME explains one.",
            "type": "string",
            "enum": [name for name, entry in METHODS.items() if not any(its.required for its in entry.settings)],
            "examples": names[:1],
        },
        "method": {
            "title": "Method",
            "description": "A method's name, or an object of its name and parameters.",
            "oneOf": [
                {"$ref": "#/definitions/bareMethod"},
                {
                    "type": "object",
                    "title": "Method with parameters",
                    "required": ["name"],
                    "properties": {"name": {"$ref": "#/definitions/methodName"}},
                    "allOf": [_case(entry) for entry in METHODS.values()],
                },
            ],
            "examples": ["linear", {"name": "ties", "density": 0.3}],
        },
    }


def _case(entry: MethodEntry) -> dict[str, Any]:
    properties = {name: _parameter(its) for its in entry.settings for name in (its.name, *its.aliases)}
    required = [parameter.name for parameter in entry.settings if parameter.required]
    return {
        "if": {"required": ["name"], "properties": {"name": {"const": entry.name}}},
        "then": {
            "title": f"Parameters of {entry.name}",
            "description": entry.summary,
            "additionalProperties": False,
            **({"required": required} if required else {}),
            "properties": {"name": {"$ref": "#/definitions/methodName"}, **properties},
        },
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    about: dict[str, Any] = {
        "title": parameter.name,
        "description": f"{parameter.meaning[0].upper()}{parameter.meaning[1:]}.",
    }
    if parameter.default is not None:
        about["default"] = parameter.default
    about["examples"] = [_EXAMPLES[parameter.kind] if parameter.default is None else parameter.default]
    if parameter.kind == "boolean":
        return {**about, "type": "boolean"}
    bounds: dict[str, Any] = {}
    if parameter.minimum is not None:
        bounds["minimum"] = parameter.minimum
    if parameter.maximum is not None:
        bounds["exclusiveMaximum" if parameter.below else "maximum"] = parameter.maximum
    if parameter.kind == "integer":
        return {**about, "type": "integer", **bounds}
    varied = "perSource" if parameter.per_source else "gradient"
    return {**about, "oneOf": [{"type": "number", **bounds}, {"$ref": f"#/definitions/{varied}"}]}
