"""What every tool behind the port Tool must do, and a context to call one in.

Subclass `ToolSuite` in a test module and give the fixtures `tool` and `context`.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from agenthost.core.ports import Blobs, Tool, ToolContext, Workspace
from agenthost.core.sandboxes import SandboxOutcome
from agenthost.core.tools import ToolResult


@dataclass
class PlainContext:
    """A ToolContext that runs commands as plain processes in the workspace's folder: for tests only,
    with commands that the test wrote."""

    workspace: Workspace
    blobs: Blobs
    task: str = "task"
    agent: str = "agent"
    key: str = "task/command"
    timeouts: list[float | None] = field(default_factory=list[float | None])
    reserved: list[tuple[str, float | None, int]] = field(default_factory=list[tuple[str, float | None, int]])

    async def reserve(self, model: str, cost: float | None, tokens: int = 0) -> None:
        """Keep what was asked for."""
        self.reserved.append((model, cost, tokens))

    async def run(self, command: str, timeout: float | None = None) -> SandboxOutcome:
        """Run a shell line."""
        self.timeouts.append(timeout)
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            command,
            cwd=self.workspace.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await process.communicate()
        return SandboxOutcome(process.returncode or 0, stdout, stderr, time.monotonic() - began)


class ToolSuite:
    """The conformance suite of Tool."""

    def test_its_specification_is_one_that_a_model_can_be_given(self, tool: Tool) -> None:
        from jsonschema import Draft202012Validator

        Draft202012Validator.check_schema(tool.spec.parameters)
        assert tool.spec.parameters.get("type") == "object"
        # OpenAI's rule for the names of functions.
        assert tool.spec.name.replace("_", "").replace("-", "").isalnum() and len(tool.spec.name) <= 64
        assert tool.spec.description

    @pytest.mark.parametrize("arguments", [{"no-such-argument": 1}, {"path": 7}, {"path": None, "command": []}])
    async def test_arguments_that_do_not_fit_are_an_error_result(
        self, tool: Tool, context: ToolContext, arguments: dict[str, Any]
    ) -> None:
        result = await tool.call(arguments, context)
        assert isinstance(result, ToolResult) and result.error
        assert tool.spec.name in result.text and "\n" not in result.text and len(result.text) < 1500
