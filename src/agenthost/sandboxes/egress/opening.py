"""What a client says first, held to the name that it asked for: TLS by its server name, HTTP by its Host."""

import asyncio
from contextlib import suppress

from agenthost.core.ports import Connection
from agenthost.sandboxes.egress import hello, web
from agenthost.sandboxes.egress.rules import Refused

# Fatal alerts (RFC 8446 section 6): the client's error then says what is wrong.
_WRONG_NAME = bytes((21, 3, 3, 0, 2, 2, 112))
_ACCESS_DENIED = bytes((21, 3, 3, 0, 2, 2, 49))


class Opening:
    """The client's side of one connection: nothing is read from it before it was looked at.

    On 443 a client speaks TLS and on 80 HTTP, and nothing else. On other ports it may speak what it likes, after
    the server too; but what looks like TLS or HTTP is held to the name as well.
    """

    def __init__(self, connection: Connection, name: str, port: int, begun: bytes = b"") -> None:
        self._connection = connection
        self._name = name
        self._port = port
        self._what = f"{name}:{port}"
        self._begun = begun
        self._heard = False
        self._request: web.Request | None = None

    @property
    def first(self) -> bool:
        """Whether the client speaks first on this port."""
        return self._port in (443, 80)

    @property
    def one_request(self) -> bool:
        """Whether what is passed on is one HTTP request, whose end is not the connection's."""
        return self._request is not None

    async def hear(self, within: float) -> None:
        """Wait for what the client says first, so many seconds. Raises Refused."""
        try:
            async with asyncio.timeout(within):
                await self._hear()
        except TimeoutError:
            raise Refused(self._what, "nothing was said in time") from None
        if not self._begun and not self._request:
            raise Refused(self._what, "nothing was said")

    async def refuse(self, problem: Refused) -> None:
        """Tell the client in its own protocol that its server can't be had."""
        if self._request is not None:
            await self._connection.write(web.refusal(problem))
        elif self._begun[:1] == bytes((hello.HANDSHAKE,)):
            await self._connection.write(_ACCESS_DENIED)

    async def read(self, most: int = 65536) -> bytes:
        """The next bytes for the server; empty at the end. Raises Refused."""
        if not self._heard:
            await self._hear()
        if self._request is not None:
            return await self._request.read()
        if self._begun:
            begun, self._begun = self._begun, b""
            return begun
        return await self._connection.read(most)

    async def _more(self) -> bool:
        more = await self._connection.read()
        self._begun += more
        return bool(more)

    async def _hear(self) -> None:
        self._heard = True
        if not self._begun and not await self._more():
            return
        if self._begun[0] == hello.HANDSHAKE and self._port != 80:
            await self._greeting()
            return
        while (http := web.like_http(self._begun)) is None and await self._more():
            pass
        if self._port == 443:
            raise Refused(self._what, "this port is for TLS, and it does not begin with a TLS greeting")
        if http:
            await self._http()
        elif self._port == 80:
            raise Refused(self._what, "this port is for HTTP, and it does not begin with an HTTP request")

    async def _greeting(self) -> None:
        try:
            while (wanted := hello.server_name(self._begun)) is None:
                if not await self._more():
                    raise Refused(self._what, "it hung up within its TLS greeting")
            reason = "" if wanted == self._name else f"its TLS greeting asks for another server, {wanted[:100]!r}"
        except hello.Unreadable as problem:
            reason = str(problem)
        if reason:
            with suppress(OSError):
                await self._connection.write(_WRONG_NAME)
            raise Refused(self._what, reason)

    async def _http(self) -> None:
        request = web.Request(self._connection, self._what, self._begun)
        head = await request.head()
        # A target with a host of its own (RFC 9112 section 3.2.2) would count more than the Host.
        plain = head.target.startswith(b"/") or head.target == b"*"
        if not plain or request.host(head, self._port) != (self._name, self._port):
            problem = Refused(self._what, "its request has another Host than the name that was looked up")
            with suppress(OSError):
                await self._connection.write(web.refusal(problem))
            raise problem
        request.send(head, head.target, self._name if self._port == 80 else self._what)
        self._request = request
