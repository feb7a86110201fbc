"""Requests read and answers written: JSON by msgspec, bodies bounded, errors as problem details."""

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar, cast

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from agenthost.core.errors import AgentHostError, BadInput, Temporary
from agenthost.wire.bodies import encode
from agenthost.wire.problems import MEDIA_TYPE, encode_problem, problem_of

T = TypeVar("T")

MOST_JSON = 16 * 1024 * 1024
"""Bytes that a JSON body may have."""


class WrongType(BadInput):
    """The body of a request is of a media type that its path doesn't take."""


_DRAINED = 1024 * 1024

A = TypeVar("A", bound=ASGIApp)
Endpoint = Callable[[Request], Awaitable[Response]]


class TooLarge(BadInput):
    """The body of a request is larger than it may be."""


_CLOSER: dict[type[AgentHostError], int] = {TooLarge: 413, WrongType: 415}
"""The statuses that HTTP has for what is plain bad input elsewhere."""


def edge(
    handler: Callable[[Request], Awaitable[A]],
    refusal: Callable[[Request, AgentHostError], Response] = lambda request, error: problem(error),
) -> Callable[[Request], Awaitable[A | Response]]:
    """`handler` behind the fence: whatever it raises becomes an answer, by `refusal`."""

    async def fenced(request: Request) -> A | Response:
        try:
            return await handler(request)
        except AgentHostError as error:
            return refusal(request, error)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - the HTTP edge
            return refusal(request, mistake(error, request.url.path))

    return fenced


def mistake(error: Exception, where: str) -> AgentHostError:
    """An error that nobody foresaw, logged; what the other side is told has nothing of its inside."""
    structlog.get_logger(__name__).error("request failed", path=where, exc_info=error)
    told = AgentHostError("the host made a mistake with this request; its log says more. Please report it")
    told.code = "internal"
    return told


def problem(error: AgentHostError, status: int | None = None, headers: dict[str, str] | None = None) -> Response:
    """An error as a response."""
    told = problem_of(error, next((closer for kind, closer in _CLOSER.items() if isinstance(error, kind)), status))
    headers = dict(headers or {})
    if isinstance(error, Temporary) and error.delay is not None:
        headers["Retry-After"] = str(max(1, round(error.delay)))
    return Response(encode_problem(told), told.status, headers, MEDIA_TYPE)


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A record as a JSON response."""
    return Response(encode(value), status, headers, "application/json")


async def read(request: Request, most: int) -> bytes:
    """The whole body. Raises TooLarge before more than `most` bytes are held, ClientDisconnect where it is cut."""
    return b"".join([piece async for piece in pieces(request, most)])


async def read_json(request: Request, type: type[T], most: int = MOST_JSON) -> T:
    """The body as a record. Raises BadInput that names the part that is wrong, WrongType where it says to be no JSON."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media and media != "application/json" and not media.endswith("+json"):
        await _drain(request)
        raise WrongType(
            f"the body is {media[:80]}, and this path takes JSON; send it with Content-Type: application/json"
        )
    body = await read(request, most)
    try:
        return msgspec.json.decode(body, type=type)
    except (msgspec.DecodeError, RecursionError) as error:
        if isinstance(error, msgspec.ValidationError) and b".0" in body:
            # To JSON Schema 31.0 is an integer as 31 is, and some clients have no other numbers.
            with contextlib.suppress(msgspec.DecodeError, RecursionError):
                return msgspec.convert(_whole(msgspec.json.decode(body)), type)
        raise BadInput(f"the body is not what this path takes: {error}") from error


async def _drain(request: Request) -> None:
    """Read a body that nobody wants, where it is short: a connection that is closed with something unread is reset, and
    the answer lost with it."""
    if 0 < _told(request) <= _DRAINED and "expect" not in request.headers:
        await read(request, _DRAINED)


def _whole(value: Any) -> Any:
    """A JSON value whose whole numbers are integers."""
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_whole(each) for each in cast("list[Any]", value)]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


async def pieces(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body as it comes. Raises TooLarge at the first byte too many, ClientDisconnect where it is cut."""
    if _told(request) > most:
        await _drain(request)
    _check_size(_told(request), most)
    size = 0
    async for piece in request.stream():
        size += len(piece)
        _check_size(size, most)
        if piece:
            yield piece


_PLACE = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)


def place_of(message: str) -> tuple[str, str]:
    """msgspec's message cut in two: where something is wrong (empty: all of it), and what."""
    found = _PLACE.fullmatch(message)
    return (found[2], found[1]) if found else ("", message)


def query(request: Request, name: str, type: type[T], default: T) -> T:
    """A query parameter as a value. Raises BadInput that names it."""
    text = request.query_params.get(name)
    return default if text is None else _convert(name, text, type)


def query_all(request: Request, name: str, type: Any) -> tuple[Any, ...]:
    """Every value of a query parameter that may stand more than once. Raises BadInput that names it."""
    return tuple(_convert(name, text, type) for text in request.query_params.getlist(name))


def _convert(name: str, text: str, type: type[T]) -> T:
    try:
        return msgspec.convert(text, type, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(f"the parameter '{name}' is wrong: {error}") from error


def _told(request: Request) -> int:
    """The length that a request says its body has, 0 where it doesn't."""
    told = request.headers.get("content-length", "")
    return int(told) if told.isdecimal() else 0


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise TooLarge(f"the body has more than {most:,} bytes, the most that this path takes; send less at once")
