"""What takes the files of another agent's work into a task's workspace. No model is ever offered it."""

from typing import Any, cast

from agenthost.core.ports import Tool, ToolContext
from agenthost.core.tools import ToolResult, ToolSpec, text_result
from agenthost.tools.workspace import WorkspaceTool

NAME = "keep_files"


def keep_files() -> Tool:
    """The tool: files by path and content hash, as the host has kept them already."""
    file = {
        "type": "object",
        "properties": {"path": {"type": "string", "minLength": 1}, "digest": {"type": "string"}},
        "required": ["path", "digest"],
    }
    parameters: dict[str, Any] = {
        "type": "object",
        "properties": {"files": {"type": "array", "items": file}},
        "required": ["files"],
    }
    told = "Keep files of another agent's work in the workspace."
    return WorkspaceTool(ToolSpec(NAME, told, parameters, idempotent=True, workspace=True), _keep)


async def _keep(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
    paths: list[str] = []
    for file in cast("list[dict[str, str]]", arguments["files"]):
        await context.workspace.write(file["path"], await context.blobs.get(file["digest"]))
        paths.append(file["path"])
    return text_result(f"Kept: {', '.join(paths)}.")
