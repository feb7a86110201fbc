"""What a caller finds at the door: agents and workflows as tools, with what each takes and gives."""

from typing import Any

import mcp.types as types
import msgspec
from jsonschema import Draft202012Validator
from msgspec import Struct

from agenthost.core.api import HostApi
from agenthost.core.errors import BadInput

FILE: dict[str, Any] = {
    "type": "object",
    "description": "A file: its content in base64 (data), or the uri of one that the host has (agenthost://files/...).",
    "properties": {
        "name": {"type": "string", "description": "Its name, such as sketch.png."},
        "data": {"type": "string", "contentEncoding": "base64", "description": "Its content in base64."},
        "mimeType": {"type": "string", "description": "Its media type; found out if not given."},
        "uri": {"type": "string", "description": "In place of data: a file of this host, or a data: URI."},
    },
    "anyOf": [{"required": ["data"]}, {"required": ["uri"]}],
}
_AGENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "What the agent is to do, in words."},
        "files": {"type": "array", "items": FILE, "description": "Files that it is shown."},
    },
    "required": ["text"],
    "additionalProperties": False,
}


class Work(Struct, frozen=True):
    """An agent or a workflow as a tool. `inputs`: the types of a workflow's inputs by name; empty for an agent."""

    name: str
    kind: str
    description: str
    schema: dict[str, Any]
    output: dict[str, Any] | None = None
    inputs: dict[str, str] = msgspec.field(default_factory=dict[str, str])

    def tool(self) -> types.Tool:
        """As it is listed."""
        return types.Tool(
            name=self.name,
            description=self.description or f"The {self.kind} {self.name}.",
            input_schema=self.schema,
            output_schema=self.output,
            execution=types.ToolExecution(task_support="optional"),
        )

    def check(self, arguments: dict[str, Any]) -> None:
        """Raises BadInput that says which argument is wrong."""
        validator = Draft202012Validator(self.schema)
        for error in sorted(validator.iter_errors(arguments), key=lambda error: error.json_path):  # pyright: ignore[reportUnknownMemberType]
            raise BadInput(f"the arguments of '{self.name}' are not what it takes: {error.json_path}: {error.message}")


async def works(api: HostApi) -> dict[str, Work]:
    """Everything that the caller may start, by name; a name that stands for both kinds is the workflow's."""
    found = {name: _agent(name, manifest["spec"]) for name, manifest in (await _manifests(api, "agent")).items()}
    found |= {name: _workflow(name, manifest["spec"]) for name, manifest in (await _manifests(api, "workflow")).items()}
    return dict(sorted(found.items()))


async def _manifests(api: HostApi, kind: str) -> dict[str, dict[str, Any]]:
    return {name: {"spec": {}} | manifest for name, manifest in (await api.manifests(kind)).items()}


def _agent(name: str, spec: dict[str, Any]) -> Work:
    output = spec.get("output")
    # MCP wants an object at the root of what comes out; any other value is told as text.
    shaped = output if output is not None and output.get("type") == "object" else None
    return Work(name, "agent", spec.get("description", ""), _AGENT, shaped)


def _workflow(name: str, spec: dict[str, Any]) -> Work:
    wanted: dict[str, dict[str, Any]] = spec.get("input") or {}
    properties = {key: _input(one) for key, one in wanted.items()}
    required = [key for key, one in wanted.items() if one.get("required", True) and one.get("default") is None]
    if not wanted:
        properties["text"] = {"type": "string", "description": "What it is to do, in words."}
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    kinds = {key: one.get("type", "string") for key, one in wanted.items()}
    return Work(name, "workflow", spec.get("description", ""), schema, None, kinds)


def _input(spec: dict[str, Any]) -> dict[str, Any]:
    kind = spec.get("type", "string")
    schema: dict[str, Any] = dict(FILE) if kind == "file" else {"type": kind}
    told = [spec["description"]] if spec.get("description") else []
    if spec.get("accept"):
        told.append(f"Takes {', '.join(spec['accept'])}.")
    if kind == "file":
        told.append(FILE["description"])
    if told:
        schema["description"] = " ".join(told)
    if spec.get("default") is not None:
        schema["default"] = spec["default"]
    return schema
