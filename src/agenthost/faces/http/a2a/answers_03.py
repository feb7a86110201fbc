"""Answers to clients of 0.3, mended where the SDK's own adapter leaves what that version's clients can't read."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from a2a.utils.error_handlers import build_rest_error_payload
from a2a.utils.errors import A2A_REASON_TO_ERROR, JSON_RPC_ERROR_CODE_MAP, A2AError, InternalError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Endpoint = Callable[[Request], Awaitable[Response]]
CARD = "/v1/card"
_LARGE = 64 * 1024
"""Bytes of an answer that is neither an error nor empty."""


def rpc_03(endpoint: Endpoint) -> Endpoint:
    """JSON-RPC: wrong parameters are invalid parameters, and an answer without anything in it has a result of null."""

    async def answering(request: Request) -> Response:
        response = await endpoint(request)
        if not isinstance(response, JSONResponse) or len(response.body) > _LARGE:
            return response
        content = bytes(response.body)
        if b'"result"' in content or (b'"error"' in content and b"-32600" not in content):
            return response
        told: dict[str, Any] = json.loads(content)
        error: dict[str, Any] | None = told.get("error")
        if error is None:
            told.setdefault("result", None)
        elif error.get("code") == -32600 and isinstance(data := error.get("data"), str):
            # The adapter reads a request whole: by here all but its parameters was looked at.
            lines = [line for line in data.splitlines() if not line.lstrip().startswith("For further information")]
            told["error"] = {"code": -32602, "message": "Invalid params", "data": "\n".join(lines)}
        return JSONResponse(told)

    return answering


def rest_03(endpoint: Endpoint) -> Endpoint:
    """HTTP+JSON: errors are also told by their type's name, or its code, streams that can't begin are errors, and how
    to authenticate is told as the proto has it, beside the specification's JSON."""

    async def answering(request: Request) -> Response:
        response: Any = await endpoint(request)
        if isinstance(getattr(response, "body_iterator", None), AsyncGenerator):
            response = await _begun(response)
        if not isinstance(response, JSONResponse):
            return response
        if response.status_code < 400 and not request.url.path.endswith(CARD):
            return response
        told: dict[str, Any] = json.loads(bytes(response.body))
        if response.status_code < 400:
            for scheme in told.get("securitySchemes", {}).values():
                scheme["httpAuthSecurityScheme"] = {key: scheme[key] for key in ("scheme", "description")}
            return JSONResponse(told)
        return _refusal(told, response.status_code)

    return answering


async def _begun(response: Any) -> Response:
    """A stream whose first event is there, or the error in the place of all."""
    events: AsyncGenerator[Any] = response.body_iterator
    try:
        first = await anext(events)
    except StopAsyncIteration:
        return response
    except A2AError as error:
        told = build_rest_error_payload(error)
        return JSONResponse(told, told["error"]["code"])

    async def all_of() -> AsyncIterator[Any]:
        try:
            yield first
            async for event in events:
                yield event
        finally:
            await events.aclose()

    response.body_iterator = all_of()
    return response


def _refusal(told: dict[str, Any], status: int) -> Response:
    error: dict[str, Any] = told.get("error", {})
    details: list[dict[str, Any]] = error.get("details") or [{}]
    kind = A2A_REASON_TO_ERROR.get(str(details[0].get("reason", "")), InternalError)
    told |= {
        "type": kind.__name__,
        "code": JSON_RPC_ERROR_CODE_MAP.get(kind, -32603),
        "message": str(error.get("message", "")),
    }
    return JSONResponse(told, status)
