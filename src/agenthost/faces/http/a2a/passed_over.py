"""What the SDK passes over and the specification wants refused: a version that isn't served, a state that there isn't."""

import json
from typing import Any, cast

from a2a.server.request_handlers.response_helpers import build_error_response
from a2a.types.a2a_pb2 import TaskState
from a2a.utils.constants import VERSION_HEADER
from a2a.utils.error_handlers import build_rest_error_payload
from a2a.utils.errors import A2AError, InvalidParamsError, VersionNotSupportedError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MOST_LISTING = 64 * 1024
"""Bytes of a request for a list; what is larger is none."""


def problem_of_rpc(request: Request, body: bytes) -> Response | None:
    """Why a request by JSON-RPC is refused, as its answer; None where the SDK has the word."""
    version = _version_problem(request)
    listing = len(body) < MOST_LISTING and b"ListTasks" in body
    if version is None and not listing:
        return None
    try:
        asked: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(asked, dict):
        return None
    call = cast("dict[str, Any]", asked)
    params: Any = call.get("params")
    problem: A2AError | None = version
    if problem is None and call.get("method") == "ListTasks" and isinstance(params, dict):
        problem = _state_problem(cast("dict[str, Any]", params).get("status"))
    if problem is None:
        return None
    id: Any = call.get("id")
    named = id if isinstance(id, str | int) and not isinstance(id, bool) else None
    return JSONResponse(build_error_response(named, problem))


def problem_of_rest(request: Request, body: bytes) -> Response | None:
    """Why a request by HTTP+JSON is refused, as its answer; None where the SDK has the word."""
    problem: A2AError | None = _version_problem(request)
    if problem is None and request.method == "GET":
        problem = _state_problem(request.query_params.get("status"))
    return None if problem is None else JSONResponse(build_rest_error_payload(problem), 400)


def _version_problem(request: Request) -> VersionNotSupportedError | None:
    """The SDK looks at the version of methods of 1.0 alone. None is 0.3; patches don't count (specification 3.6)."""
    asked = request.headers.get(VERSION_HEADER) or request.query_params.get(VERSION_HEADER) or "0.3"
    major, _, rest = asked.strip().partition(".")
    minor = rest.partition(".")[0]
    if major.isdigit() and (not rest or minor.isdigit()) and (major == "1" or (major, minor) == ("0", "3")):
        return None
    return VersionNotSupportedError(f"A2A '{asked}' isn't served here; 1.0 and 0.3 are")


def _state_problem(state: Any) -> InvalidParamsError | None:
    known = [str(name) for name, number in TaskState.items() if number]
    if not isinstance(state, str) or not state or state in known or state == TaskState.Name(0):
        return None
    return InvalidParamsError(f"there is no state '{state}'; it is one of {', '.join(known)}")
