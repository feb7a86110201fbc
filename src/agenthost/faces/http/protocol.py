"""One connection: uvicorn's protocol with bounds on what a client may make it hold, and for how long.

A head has at most so many bytes and must come within a time; a body must go on coming. What breaks a bound gets a
short answer where one can still be given, and the connection ends.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from agenthost.core.errors import AgentHostError
from agenthost.faces.http.bodies import problem
from agenthost.faces.http.presence import ANSWERING
from agenthost.faces.http.streams import ABORT
from agenthost.wire import sockets as local

LOCAL = "agenthost.local"
"""In the scope: true where the connection came over the host's local socket."""


_LINGER = 1.0
"""Seconds in which a client may read why its connection ends."""


class Bounds(msgspec.Struct, frozen=True):
    """`head`: bytes of a request's head. `head_within`: seconds in which it must come. `body_silence`: seconds that a
    body may be silent while it is waited for."""

    head: int = 1024 * 1024  # Last-Event-ID names every task of a tree
    head_within: float = 20.0
    body_silence: float = 30.0


def protocol(bounds: Bounds, users: Collection[int] | None) -> type[HttpToolsProtocol]:
    """The protocol of a connection. `users`: over a unix socket these user ids are served and no others; None where
    it isn't one."""

    class Connection(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _size = 0
        _heard = 0.0
        _over = _in_body = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            super().connection_made(transport)
            self.app = _with(self.app, transport.abort, self._answering, users is not None)
            if users is not None:
                made = transport.get_extra_info("socket")
                user = local.peer_uid(made) if made is not None else None
                if user is not None and user not in users:
                    self.app = _refused(user)
            self._expect(bounds.head_within, self._too_late)

        def connection_lost(self, exc: Exception | None) -> None:
            self._expect(0, None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._over:
                return
            self._heard = self.loop.time()
            super().data_received(data)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._size, self._in_body = 0, False
            self._expect(bounds.head_within, self._too_late)

        def on_url(self, url: bytes) -> None:
            self._count(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count(len(name) + len(value) + 4)
            if not self._in_body:  # what stands after a body in chunks is no header (RFC 9110, section 6.5.1)
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._in_body = True
            super().on_headers_complete()
            self._expect(bounds.body_silence, self._silent)

        def on_message_complete(self) -> None:
            self._expect(0, None)
            super().on_message_complete()

        def _count(self, size: int) -> None:
            self._size += size
            if self._size > bounds.head:
                self._end(b"431 Request Header Fields Too Large")
                raise ValueError("a head that is too long")  # ends the parser, which can only be told so

        def send_400_response(self, msg: str) -> None:
            if not self.transport.is_closing():
                self._end(b"400 Bad Request")

        def _too_late(self) -> None:
            self._end(b"408 Request Timeout")

        def _silent(self) -> None:
            left = self._heard + bounds.body_silence - self.loop.time()
            if self.flow.read_paused:  # we don't take it, which isn't the client's fault
                left = bounds.body_silence
            if left > 0:
                self._expect(left, self._silent)
            elif self._answering():
                self.transport.abort()
            else:
                self._end(b"408 Request Timeout")

        def _end(self, status: bytes) -> None:
            if self._over:
                return
            if self._answering():
                self.transport.abort()
                return
            self._over = True
            self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            # Closed at once with something unread, it would be reset, and the answer lost with it.
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self._expect(_LINGER, self.transport.abort)

        def _answering(self) -> bool:
            cycle: Any = self.cycle  # None before the first request
            return cycle is not None and cycle.response_started and not cycle.response_complete

        def _expect(self, seconds: float, otherwise: Callable[[], None] | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_later(seconds, otherwise) if otherwise is not None else None

    return Connection


def _with(app: Any, abort: Callable[[], None], answering: Callable[[], bool], at_home: bool) -> ASGIApp:
    def known(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        scope[ABORT] = abort
        scope[ANSWERING] = answering
        scope[LOCAL] = at_home
        return app(scope, receive, send)

    return known


def _refused(user: int) -> ASGIApp:
    error = AgentHostError(f"this host belongs to another user, and user id {user} is not served")
    error.code = "forbidden"
    return problem(error, 403)
