"""A server as somebody may publish it beside their agents."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.mcpserver import Context, MCPServer

from agenthost.core.ports import Filter
from agenthost.faces.http.mcp.requests import api_of, caller_of

NUMBER = 5


@asynccontextmanager
async def living(_: Any) -> AsyncGenerator[str]:
    yield "alive"


server: MCPServer[Any] = MCPServer("own", lifespan=living)


@server.tool(description="Who asks, and how many tasks they see.")
async def whoami(ctx: Context[Any, Any]) -> str:
    seen = await api_of(ctx.request_context).tasks(Filter())
    return f"{caller_of(ctx.request_context).person} sees {len(seen)} tasks"


@server.tool(description="What the lifespan made.")
async def lived(ctx: Context[Any, Any]) -> str:
    return str(ctx.request_context.lifespan_context)


@server.tool(description="Never reached: an agent has this name.")
async def echo(text: str) -> str:
    raise AssertionError
