"""MCP servers of the owner's own, written with the official package and named in the settings: what they have is
served at the same door.

Such a server is trusted Python in the host's process. Its functions find the host as their caller may use it with
`requests.api_of(context.request_context)`.
"""

import importlib
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from mcp.server import MCPServer, Server
from mcp.server.context import HandlerResult
from msgspec import Struct

from agenthost.core.errors import Forbidden, Unavailable
from agenthost.faces.http.mcp.requests import Context, caller_of


class Published(Struct, frozen=True):
    """A server by the name that the settings give it, and what its lifespan made."""

    name: str
    server: Server[Any]
    state: Any

    def has(self, method: str) -> bool:
        """Whether it serves a method."""
        return self.server.get_request_handler(method) is not None

    async def __call__(self, ctx: Context) -> HandlerResult:
        """Its own answer to a request, by its own middleware."""
        call = self._answer
        for middleware in reversed(self.server.middleware[1:]):  # the first traces, as the host's own does already
            call = partial(_through, middleware, call)
        return await call(replace(ctx, lifespan_context=self.state))

    async def _answer(self, ctx: Context) -> HandlerResult:
        entry = self.server.get_request_handler(ctx.method)
        assert entry is not None
        return await entry.handler(ctx, entry.params_type.model_validate(ctx.params or {}, by_name=False))


def _through(middleware: Any, call: Any, ctx: Context) -> Any:
    return middleware(ctx, call)


@dataclass(frozen=True)
class Publishers:
    """All of them, in the order of the settings: the first that has a name has it."""

    servers: tuple[Published, ...] = ()

    async def listed(self, ctx: Context, method: str, key: str) -> list[Any]:
        """What all of them list together."""
        found: list[Any] = []
        for one in self.servers:
            if one.has(method):
                found += await _pages(one, ctx, method, key)
        return found

    async def holder(self, ctx: Context, method: str, key: str, name: str) -> Published | None:
        """Who lists something of that name."""
        for one in self.servers:
            if one.has(method) and any(each.name == name for each in await _pages(one, ctx, method, key)):
                return one
        return None

    async def reader(self, ctx: Context, uri: str) -> Published | None:
        """Who has a resource, by its address or by a template's beginning."""
        for one in self.servers:
            if not one.has("resources/read"):
                continue
            fixed = await _pages(one, ctx, "resources/list", "resources")
            open = await _pages(one, ctx, "resources/templates/list", "resource_templates")
            if any(str(each.uri) == uri for each in fixed):
                return one
            if any(uri.startswith(each.uri_template.partition("{")[0]) for each in open):
                return one
        return None


async def _pages(one: Published, ctx: Context, method: str, key: str) -> list[Any]:
    """The whole list of one of them."""
    found: list[Any] = []
    cursor: str | None = None
    while one.has(method):
        params: dict[str, Any] = {"_meta": (ctx.params or {}).get("_meta")} if (ctx.params or {}).get("_meta") else {}
        if cursor is not None:
            params["cursor"] = cursor
        result = cast(Any, await one(replace(ctx, method=method, params=params)))
        found += getattr(result, key)
        cursor = result.next_cursor
        if cursor is None:
            break
    return found


def may_call(ctx: Context) -> None:
    """Raises Forbidden where the caller may only look."""
    if not caller_of(ctx).may("work"):
        raise Forbidden("you may look here, and not call tools; ask the host's owner for the right to work")


@asynccontextmanager
async def publishing(places: Mapping[str, str]) -> AsyncGenerator[Publishers]:
    """The servers that `places` names (name to `module:attribute`), alive. Raises Unavailable that says which isn't."""
    async with AsyncExitStack() as stack:
        servers: list[Published] = []
        for name, place in places.items():
            server = _load(name, place)
            servers.append(Published(name, server, await stack.enter_async_context(server.lifespan(server))))
        yield Publishers(tuple(servers))


def _load(name: str, place: str) -> Server[Any]:
    module, _, attribute = place.partition(":")
    if not module or not attribute:
        raise Unavailable(f"the MCP server '{name}' is set to '{place}'; give it as module:attribute")
    root = logging.getLogger()
    before = list(root.handlers), root.level
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        if callable(found) and not isinstance(found, (MCPServer, Server)):
            found = found()
    except Exception as error:  # the fence around a plugin: its code may raise anything
        raise Unavailable(
            f"the MCP server '{name}' can't be loaded from '{place}': {type(error).__name__}: {error}; mend the setting, "
            "or see that its module can be imported where the host runs"
        ) from error
    finally:
        # An MCPServer sets up logging for a process of its own; the host's is the host's.
        root.handlers[:] = before[0]
        root.setLevel(before[1])
    if isinstance(found, MCPServer):
        server = cast("MCPServer[Any]", found)
        server.streamable_http_app()  # makes the session manager, by which the plain server is reached
        return server.session_manager.app
    if isinstance(found, Server):
        return cast("Server[Any]", found)
    raise Unavailable(f"'{place}' of the MCP server '{name}' is a {type(found).__name__}; give an MCPServer")
