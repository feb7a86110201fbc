"""Idempotency-Key: the same request of the same person does its work once, and has its answer again for a day.

The body isn't held for it: it is told from another one by its hash, which is known when it has been read.
"""

import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message

from agenthost.core.errors import AgentHostError, BadInput, Conflict, Permanent
from agenthost.core.keeping import ANSWERS_KEPT, Keeping, KeptAnswer, answers_of
from agenthost.faces.http.bodies import MOST_JSON, pieces
from agenthost.faces.http.callers import caller_of
from agenthost.faces.http.operations import Handler, Operation
from agenthost.faces.http.site import Limits

LONGEST_KEY = 200
MOST_KEPT = 1024 * 1024
"""Bytes of an answer that is kept; what is longer is made again."""


def key_of(request: Request) -> str | None:
    """The Idempotency-Key of a request, where it has one. Raises BadInput where it can't be one."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise BadInput(f"Idempotency-Key has {len(key)} characters; give 1 to {LONGEST_KEY}")
    return key


class Keyed:
    """Wraps the handlers of operations that create."""

    def __init__(self, keeping: Keeping | None, limits: Callable[[], Limits]) -> None:
        self._keeping = keeping
        self._limits = limits
        self._maker = secrets.token_hex(8)
        self._making: set[str] = set()

    def __call__(self, operation: Operation, handler: Handler) -> Handler:
        if not operation.creates:
            return handler

        async def keyed(request: Request) -> ASGIApp:
            key = key_of(request)
            if key is None:
                return await handler(request)
            may = operation.right is None or caller_of(request).may(operation.right)
            if self._keeping is None or not may:  # the answer to a person's one key is not for their lesser ones
                return await handler(request)
            return await self._once(self._keeping, request, _name(request, key), handler)

        return keyed

    async def _once(self, keeping: Keeping, request: Request, name: str, handler: Handler) -> ASGIApp:
        now = time.time()
        found = await keeping.begin_answer(name, KeptAnswer("", self._maker, now), now - ANSWERS_KEPT)
        if found is not None and found.status:
            return await self._again(request, found)
        # One that was begun here and isn't being made came to an end that couldn't be kept.
        if name in self._making:
            raise Conflict("a request with this Idempotency-Key is being answered; ask again when that has ended")
        self._making.add(name)
        try:
            return await self._make(keeping, request, name, handler, now)
        finally:
            self._making.discard(name)

    async def _make(self, keeping: Keeping, request: Request, name: str, handler: Handler, now: float) -> ASGIApp:
        made: KeptAnswer | None = None
        try:
            hashed = _Hashed(request)
            answer = await handler(Request(request.scope, hashed.receive))
            if isinstance(answer, Response) and _may_be_kept(answer):
                head = msgspec.json.encode(dict(answer.headers))
                made = KeptAnswer(hashed.digest(), self._maker, now, answer.status_code, head, bytes(answer.body))
        except BaseException:
            await keeping.end_answer(name, None)
            raise
        # It is done: who asked hears so, also where that can't be kept.
        with suppress(AgentHostError):
            await keeping.end_answer(name, made)
        return answer

    async def _again(self, request: Request, found: KeptAnswer) -> Response:
        hashed = _Hashed(request)
        async for _ in pieces(Request(request.scope, hashed.receive), max(MOST_JSON, self._limits().upload)):
            pass
        if hashed.digest() != found.fingerprint:
            raise Permanent(
                "this Idempotency-Key stands for another request, with another body; choose another key",
                code="key-reused",
            )
        headers = msgspec.json.decode(found.head, type=dict[str, str]) | {"idempotency-replayed": "true"}
        headers.pop("content-length", None)
        return Response(found.body, found.status, headers)


class _Hashed:
    """A request's body, hashed as it is read."""

    def __init__(self, request: Request) -> None:
        self._receive: Callable[[], Awaitable[Message]] = request.receive
        self._hash = hashlib.sha256(request.scope.get("query_string", b"") + b"\0")

    async def receive(self) -> Message:
        message = await self._receive()
        self._hash.update(message.get("body", b""))
        return message

    def digest(self) -> str:
        return self._hash.hexdigest()


def _may_be_kept(answer: Response) -> bool:
    """Not what failed, what is too long, or what holds a secret: who makes that knows its key by itself."""
    secret = "no-store" in answer.headers.get("cache-control", "")
    return answer.status_code < 400 and len(answer.body) <= MOST_KEPT and not secret


def _name(request: Request, key: str) -> str:
    caller = caller_of(request)
    told = "\0".join((request.method, request.url.path, key))
    hashed = hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()
    return answers_of(caller.namespace, caller.person) + hashed
