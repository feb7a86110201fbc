"""Errors over HTTP: RFC 9457 problem details with AgentHost's stable `code`, there and back again.

Beside RFC 9457's members a problem has `code` (stable, for programs), `kind` (the class of the error,
so that a client raises the same), `exitCode`, `details`, and for temporary failures `delay` and `sent`.
"""

from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core import errors
from agenthost.core.errors import AgentHostError, Temporary

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[AgentHostError], int] = {
    errors.BadInput: 400,
    errors.Unusable: 422,
    errors.NotFound: 404,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.Conflict: 409,
    errors.Stale: 412,
    errors.Unavailable: 409,
    errors.HomeBusy: 409,
    errors.LostLease: 409,
    errors.BudgetRefused: 409,
    errors.Permanent: 422,
    errors.Temporary: 503,
    errors.HostUnreachable: 502,
    errors.StoreDamaged: 500,
    errors.NewerVersion: 500,
    AgentHostError: 500,
}
"""The HTTP status (RFC 9110) that each class of error has; a class not named here has its parent's."""

_CLASSES: dict[str, type[AgentHostError]] = {cls.code: cls for cls in STATUS}


class Problem(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Problem details as JSON. `detail` is the error's message; `delay` is in seconds."""

    title: str
    status: int
    detail: str
    code: str
    kind: str = "error"
    type: str = "about:blank"
    exit_code: int = 1
    details: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    delay: float | None = None
    sent: bool = False


def problem_of(error: AgentHostError, status: int | None = None) -> Problem:
    """The problem details of an error; `status` where HTTP has a closer word than the error's class."""
    known = _nearest(error)
    temporary = error if isinstance(error, Temporary) else None
    return Problem(
        title=known.code.replace("-", " ").capitalize(),
        status=status or STATUS[known],
        detail=error.message,
        code=error.code,
        kind=known.code,
        type=f"urn:agenthost:problem:{error.code}",
        exit_code=error.exit_code,
        details=error.details,
        delay=temporary.delay if temporary else None,
        sent=temporary.sent if temporary else False,
    )


def _nearest(error: AgentHostError) -> type[AgentHostError]:
    """The class named in STATUS that is nearest to the error's own."""
    above = [cls for cls in STATUS if isinstance(error, cls)]
    return max(above, key=lambda cls: len(cls.__mro__))


def error_of(problem: Problem) -> AgentHostError:
    """The error that a problem tells of: the same class, message, code and details."""
    cls = _CLASSES.get(problem.kind, AgentHostError)
    if cls is Temporary:
        error: AgentHostError = Temporary(problem.detail, delay=problem.delay, sent=problem.sent)
    else:
        error = cls(problem.detail)
    error.code = problem.code
    error.exit_code = problem.exit_code
    error.details = dict(problem.details)
    return error


def encode_problem(problem: Problem) -> bytes:
    """The problem as JSON. Details that JSON has no form for are written as their text."""
    return msgspec.json.encode(problem, enc_hook=str)


def decode_problem(body: bytes) -> AgentHostError | None:
    """The error in a problem's JSON, None where it is none."""
    try:
        return error_of(msgspec.json.decode(body, type=Problem))
    except msgspec.DecodeError:
        return None
