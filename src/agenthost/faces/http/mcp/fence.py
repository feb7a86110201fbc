"""The edge: whatever a handler raises becomes an error of the protocol, with nothing of its inside."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import mcp.types as types
from mcp.server.context import HandlerResult
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from agenthost.core.errors import AgentHostError, BadInput
from agenthost.faces.http.bodies import mistake
from agenthost.faces.http.mcp.requests import Context

P = TypeVar("P")
Handler = Callable[[Context, P], Awaitable[HandlerResult]]


def fenced(handler: Handler[P]) -> Handler[P]:
    """`handler` behind the fence."""

    async def run(ctx: Context, params: P) -> HandlerResult:
        try:
            return await handler(ctx, params)
        except (MCPError, ValidationError):
            raise  # in the protocol's words already
        except AgentHostError as error:
            code = types.INVALID_PARAMS if isinstance(error, BadInput) else types.INTERNAL_ERROR
            told = error
        except Exception as error:  # noqa: BLE001 - the HTTP edge
            code, told = types.INTERNAL_ERROR, mistake(error, ctx.method)
        raise MCPError(code, told.message, data={"code": told.code})

    return run
