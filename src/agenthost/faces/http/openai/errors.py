"""Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}` with the status that its clients act on."""

from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agenthost.core.commands import Verdict
from agenthost.core.errors import (
    AgentHostError,
    BadInput,
    BudgetRefused,
    Forbidden,
    NotFound,
    Temporary,
    Unauthenticated,
    Unusable,
)
from agenthost.faces.http.bodies import Endpoint, TooLarge, mistake
from agenthost.wire.problems import problem_of

_INVALID = "invalid_request_error"
_SERVER = "server_error"

_ENDS: dict[str, tuple[int, str, str]] = {
    "budget": (429, "insufficient_quota", "insufficient_quota"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "rate-limit": (429, "rate_limit_error", "rate_limit_exceeded"),
    "context-too-long": (400, _INVALID, "context_length_exceeded"),
    "no-images": (400, _INVALID, "image_not_supported"),
    "no-tools": (400, _INVALID, "tools_not_supported"),
    "canceled": (409, _INVALID, "canceled"),
}
"""How an error tells of a task that came to nothing, by the verdict's code: status, type, code."""


class Refused(BadInput):
    """A request that OpenAI's API would refuse too: `param` names what is wrong, `told` is OpenAI's code for it."""

    def __init__(self, message: str, param: str | None = None, told: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.told = told
        self.status = status


class Ended(AgentHostError):
    """The task behind a request came to nothing."""

    def __init__(self, verdict: Verdict, task: str) -> None:
        what = "was cancelled" if verdict.outcome == "canceled" else "came to nothing"
        super().__init__(f"the task {task} {what}: {verdict.reason}")
        self.code = "canceled" if verdict.outcome == "canceled" else verdict.code or verdict.outcome
        self.task = task


class Faults(msgspec.Struct, frozen=True):
    """An error as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None
    code: str | None


def fault_of(error: AgentHostError) -> tuple[int, Faults]:
    """Status and body of an error."""
    if isinstance(error, Refused):
        return error.status, Faults(error.message, _INVALID, error.param, error.told)
    if isinstance(error, Ended):
        status, kind, code = _ENDS.get(error.code, (500, _SERVER, error.code))
        return status, Faults(error.message, kind, None, code)
    status = problem_of(error, 413 if isinstance(error, TooLarge) else None).status
    if isinstance(error, Unauthenticated):
        return status, Faults(error.message, _INVALID, None, "invalid_api_key")
    if isinstance(error, Forbidden):
        return status, Faults(error.message, "permission_error", None, "insufficient_permissions")
    if isinstance(error, BudgetRefused) or (error.code in _ENDS and isinstance(error, Temporary)):
        status, kind, code = _ENDS.get(error.code, _ENDS["budget"])
        return status, Faults(error.message, kind, None, code)
    if isinstance(error, NotFound):
        return status, Faults(error.message, _INVALID, None, "not_found")
    if isinstance(error, Unusable):
        return 400, Faults(error.message, _INVALID, None, error.code)  # OpenAI has no 422
    return status, Faults(error.message, _INVALID if status < 500 else _SERVER, None, error.code)


def body_of(fault: Faults) -> bytes:
    """An error's body."""
    return msgspec.json.encode({"error": fault})


def refusal(error: AgentHostError, status: int | None = None) -> Response:
    """An error as a response. A task that came to nothing is not to be begun again by a client's own retries."""
    own, fault = fault_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, Temporary) and error.delay is not None:
        headers["Retry-After"] = str(max(1, round(error.delay)))
    if isinstance(error, Ended | BudgetRefused):
        headers["x-should-retry"] = "false"
    if isinstance(error, Ended):
        headers["x-agenthost-task"] = error.task
    return Response(body_of(fault), status or own, headers, "application/json")


class Fenced:
    """`handler` as an application behind the fence: whatever it raises becomes an answer in OpenAI's shape."""

    def __init__(self, handler: Endpoint) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._handler(request)
        except AgentHostError as error:
            response = refusal(error)
        except ClientDisconnect:
            response = Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - the HTTP edge
            response = refusal(mistake(error, request.url.path))
        await response(scope, receive, send)


def no_model(name: str, error: NotFound) -> Refused:
    """There is no agent or workflow of that name (or not for whoever asks)."""
    return Refused(f"The model '{name}' does not exist: {error.message}", "model", "model_not_found", 404)


def unsupported(param: str, why: str) -> Refused:
    """A parameter that nothing here can honour."""
    return Refused(f"Unsupported parameter: '{param}'. {why}", param, "unsupported_parameter")


def wrong(param: str, why: str) -> Refused:
    """A value that can't be used."""
    return Refused(f"Invalid value for '{param}': {why}", param, "invalid_value")


def decoded(body: bytes, type: Any) -> Any:
    """A body as a record. Raises Refused that names the part that is wrong."""
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at `$")
        if said.startswith("Object missing required field"):
            name = said.rpartition(" ")[2].strip("`")
            param = f"{where.rstrip('`').lstrip('.')}.{name}".lstrip(".")
            raise Refused(f"Missing required parameter: '{param}'.", param, "missing_required_parameter") from error
        param = where.rstrip("`").lstrip(".") or None
        raise Refused(f"Invalid type for '{param or 'body'}': {said}.", param, "invalid_type") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"The body is not JSON that can be read: {error}", None, "invalid_json") from error
