"""JSON Schema of the manifests.

`structural` is what Kubernetes takes as it is in a CustomResourceDefinition: no `$ref`, no unions but
int-or-string, `nullable` instead of null, enums instead of constants, no `additionalProperties`
beside `properties`. `for_editors` is the same, and also refuses unknown keys (draft 2020-12).
"""

from typing import Any, cast

from pydantic import BaseModel

from agenthost.core.manifests.common import NAME

Schema = dict[str, Any]

QUANTITY = "x-agenthost-quantity"
"""What kind of quantity a key is, for the docs."""

_KEPT = (
    *("type", "enum", "default", "description", "pattern", "minimum", "maximum", "anyOf", "items"),
    *("minLength", "maxLength", "minItems", "maxItems", "x-kubernetes-int-or-string", QUANTITY),
)
"""What is kept of a schema that pydantic writes; everything else is structure, or not for Kubernetes."""


def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of a kind, such as `Agent`."""
    schema = _inlined(model)
    _open(schema)
    # Kubernetes owns the metadata; a schema may say what a name is, and nothing more.
    name = {"type": "string", "pattern": NAME}
    schema["properties"]["metadata"] = {"type": "object", "properties": {"name": name}}
    return schema


def for_editors(model: type[BaseModel]) -> Schema:
    """The schema of a kind for editors: unknown keys are mistakes, and null is a type."""
    schema = _inlined(model)
    _close(schema)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": model.__name__}
    return {**head, **schema}


def _inlined(model: type[BaseModel]) -> Schema:
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _simple(raw, raw.get("$defs", {}))


def _simple(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    quantity = "x-kubernetes-int-or-string" in schema
    if "anyOf" in schema and not quantity:
        return _nullable(schema, definitions)
    if "const" in schema:
        schema = {**schema, "enum": [schema["const"]]}
    found = {key: schema[key] for key in _KEPT if key in schema}
    if "default" in found:
        default = _default(found.pop("default"))
        if default is not None:
            found["default"] = default
    if "properties" in schema:
        properties: dict[str, Schema] = schema["properties"]
        found["properties"] = {name: _simple(inner, definitions) for name, inner in properties.items()}
        if schema.get("required"):
            found["required"] = schema["required"]
    elif isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = _simple(schema["additionalProperties"], definitions)
    elif schema.get("type") == "object" or not ("type" in schema or quantity):
        found["x-kubernetes-preserve-unknown-fields"] = True
    if "items" in schema:
        found["items"] = _simple(schema["items"], definitions)
    return found


def _nullable(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    options: list[Schema] = [option for option in schema["anyOf"] if option.get("type") != "null"]
    if len(options) != 1:
        raise TypeError(f"a manifest's key has a free union, which Kubernetes refuses: {schema}")
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**_simple({**options[0], **rest}, definitions), "nullable": True}


def _default(value: Any) -> Any:
    """A default as Kubernetes takes it: 60, not 60.0, for what may be a number or a text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _default(inner) for key, inner in cast("Schema", value).items() if inner is not None}
    return value


def _open(schema: Schema) -> None:
    schema.pop(QUANTITY, None)
    for inner in _inside(schema):
        _open(inner)


def _inside(schema: Schema) -> list[Schema]:
    found = (*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties"))
    return [cast("Schema", inner) for inner in found if isinstance(inner, dict)]


def _close(schema: Schema) -> None:
    for inner in _inside(schema):
        _close(inner)
    if "properties" in schema:
        schema["additionalProperties"] = False
    if schema.pop("nullable", False):
        if "anyOf" in schema:
            schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
        elif "type" in schema:
            schema["type"] = [schema["type"], "null"]
