"""A real host behind MCP's door, on a port of this machine, as the server in front would serve it."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from agenthost.core.access import Caller
from agenthost.core.api import HostApi
from agenthost.faces.http.callers import admit
from agenthost.faces.http.mcp.face import McpFace
from agenthost.faces.http.streams import Closing


@dataclass
class Door:
    """Where it is, and who comes: `callers` by token, else `caller`."""

    url: str
    api: HostApi
    caller: Caller = field(default_factory=Caller)
    callers: dict[str, Caller] = field(default_factory=dict[str, Caller])


class Server(uvicorn.Server):
    """Told to stop by its attribute alone."""

    def install_signal_handlers(self) -> None:
        pass


@asynccontextmanager
async def served(
    api: HostApi, servers: Mapping[str, str] | None = None, port: int = 0, caller: Caller | None = None
) -> AsyncGenerator[Door]:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    door = Door(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", api, caller or Caller())
    closing = Closing()
    async with McpFace(closing, servers) as face:
        app = Starlette(routes=face.routes())

        async def admitting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                shown = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
                admit(scope, door.callers.get(shown, door.caller), door.api)
            await app(scope, receive, send)

        config = uvicorn.Config(admitting, lifespan="off", log_config=None, ws="none", timeout_graceful_shutdown=2)
        server = Server(config)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve([listener]))
            try:
                yield door
            finally:
                closing.set()
                server.should_exit = True
    listener.close()
