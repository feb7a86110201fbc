"""Agents and workflows as tools, over both revisions."""

import pytest

from tests.faces.over_mcp.clients import NEW, OLD, client
from tests.faces.over_mcp.conftest import Door

MODES = pytest.mark.parametrize("mode", [NEW, OLD])


@MODES
async def test_an_agent_is_a_tool(door: Door, mode: str) -> None:
    async with client(door.url, door.headers, mode) as mcp:
        tools = {tool.name: tool for tool in (await mcp.list_tools()).tools}
        result = await mcp.call_tool("echo", {"text": "one two"})
    assert tools["echo"].description == "Says it back."
    assert tools["echo"].input_schema["required"] == ["text"]
    assert not result.is_error
    assert result.content[0].text == "You said one two"
