"""The edge: whatever a handler raises becomes an error of the protocol, with nothing of its inside; and what was asked by
whoever may ask no more ends."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import mcp.types as types
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from agenthost.core.errors import AgentHostError, BadInput
from agenthost.faces.http.bodies import mistake
from agenthost.faces.http.mcp.requests import Context, request_of
from agenthost.faces.http.presence import staying

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


async def let_in(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Ends the handling of a request once whoever made it may make it no more: in a session it outlives its connection."""
    if ctx.request is None:
        return await call_next(ctx)
    # The package's scopes are anyio's, which take a task's own `cancel` for a failure.
    with anyio.CancelScope() as scope, staying(request_of(ctx).scope, scope.cancel):
        return await call_next(ctx)
    raise MCPError(types.INVALID_REQUEST, "what you came with was taken back, or you may do something else now")
