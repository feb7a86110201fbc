"""How a provider misbehaves: the playbook's kinds of failure, as bytes on the wire."""

import asyncio
import socket
import struct
from typing import Any

from aiohttp import web

from agenthost.models.playbook import Fail

HTML = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>"
_FOREVER = 86_400.0  # seconds
GARBAGE = b'{"id": "chatcmpl-1", "choices": [{"index": 0, "mess'
_STATUS: dict[str, tuple[int, str, str, str]] = {
    "rate-limit": (429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    "server-error": (500, "server_error", "", "The server had an error while processing your request."),
    "overloaded": (503, "service_unavailable_error", "", "The engine is currently overloaded, please try again later."),
    "auth": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    "quota": (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    "context": (400, "invalid_request_error", "context_length_exceeded", "This request is longer than the context."),
    "bad-request": (400, "invalid_request_error", "", "The request can't be understood."),
    "not-found": (404, "invalid_request_error", "model_not_found", "The model does not exist."),
}


def error(status: int, type: str, code: str, message: str) -> web.Response:
    """An error in OpenAI's form."""
    body = {"error": {"message": message, "type": type, "param": None, "code": code or None}}
    return web.json_response(body, status=status)


async def before_answer(fail: Fail, request: web.Request, wire: str) -> web.Response | None:
    """What comes in place of an answer; None for the failures that begin with one (`cut`, `stall`)."""
    if fail.kind in _STATUS:
        status, type, code, message = _STATUS[fail.kind]
        response = error(status, type, code, fail.message or message)
        if fail.retry is not None:
            response.headers["Retry-After"] = f"{fail.retry:g}"
        return response
    field = "choices" if wire == "chat" else "output"
    return useless(fail, request, {"id": "1", "model": "m", "status": "completed", field: []})


def useless(fail: Fail, request: web.Request, empty: Any) -> web.Response | None:
    """An answer that is none: a broken connection, nonsense, or `empty`; None for other failures."""
    match fail.kind:
        case "reset":
            reset(request)
            return web.Response()  # nobody is left to read it
        case "html":
            return web.Response(body=HTML, content_type="text/html")
        case "garbage":
            return web.Response(body=GARBAGE, content_type="application/json")
        case "empty":
            return web.json_response(empty)
        case _:
            return None


def reset(request: web.Request) -> None:
    """Break the connection as a crashed server does: with RST, not FIN."""
    transport = request.transport
    if transport is None:
        return
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def end_badly(fail: Fail, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Break off an answer that has begun, or say nothing more until the client leaves."""
    if fail.kind == "stall":
        await asyncio.sleep(_FOREVER)  # cancelled when the client leaves
    elif request.transport is not None:
        request.transport.close()
    return response
