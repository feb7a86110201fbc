"""HTTP/1.1 in the clear: one request a connection, read and written anew, so that its Host is what was granted."""

import re

import h11

from agenthost.core.ports import Connection
from agenthost.sandboxes.egress.rules import Refused, host_and_port

# Said of one connection alone, and not passed on (RFC 9110 section 7.6.1).
_OF_THE_CONNECTION = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"te", b"upgrade")
)
# A method is a token (RFC 9110 section 5.6.2); servers take any, and skip empty lines before it.
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{0,64}")
_LONGEST_LINE = 16 * 1024


def like_http(begun: bytes) -> bool | None:
    """Whether bytes begin an HTTP request; None while that can't be told: until the first line that isn't empty ends."""
    text = begun.lstrip()
    line, ended, _ = text.partition(b"\n")
    if ended:
        return b"http/" in line.lower()
    if not _METHOD.fullmatch(text.replace(b"\t", b" ").partition(b" ")[0]):
        return False
    return True if len(begun) > _LONGEST_LINE else None


class Request:
    """A request on its way: `head` reads its beginning, then `read` gives the bytes to pass on, empty at its end."""

    def __init__(self, connection: Connection, what: str, begun: bytes = b"") -> None:
        self._connection = connection
        self._what = what
        self._theirs = h11.Connection(h11.SERVER)
        self._ours = h11.Connection(h11.CLIENT)
        self._ready = b""
        if begun:
            self._theirs.receive_data(begun)

    async def head(self) -> h11.Request:
        """Raises Refused where it is no request."""
        event = await self._next()
        if not isinstance(event, h11.Request):
            raise Refused(self._what, "it is no HTTP request that can be read")
        return event

    def host(self, head: h11.Request, port: int) -> tuple[str, int] | None:
        """Whom the Host header names."""
        named = [value for name, value in head.headers if name == b"host"]
        return host_and_port(named[0].decode("latin-1"), port) if len(named) == 1 else None

    def send(self, head: h11.Request, target: bytes, host: str) -> None:
        """Pass it on with this target and Host, and with the wish to close the connection behind it."""
        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in head.headers}:
            # Two servers behind each other may disagree on where it ends (RFC 9112 section 6.3).
            raise Refused(self._what, "its request tells its length in two ways")
        named = b",".join(value for name, value in head.headers if name == b"connection").lower().split(b",")
        dropped = _OF_THE_CONNECTION | {name.strip() for name in named} | {b"host"}
        kept = [(name, value) for name, value in head.headers if name not in dropped]
        headers = [(b"Host", host.encode("ascii")), *kept, (b"Connection", b"close")]
        try:
            request = h11.Request(method=head.method, target=target, headers=headers)
        except h11.LocalProtocolError:
            raise Refused(self._what, "it is no HTTP request that can be passed on") from None
        self._ready = self._written(request)

    async def read(self, most: int = 65536) -> bytes:
        """The next bytes for the server."""
        while not self._ready:
            event = await self._next()
            if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return b""
            if isinstance(event, h11.Data | h11.EndOfMessage):
                self._ready = self._written(event)
                if isinstance(event, h11.EndOfMessage) and not self._ready:
                    return b""
        ready, self._ready = self._ready, b""
        return ready

    @property
    def one_request(self) -> bool:
        return True

    @property
    def left(self) -> bytes:
        """What came behind a CONNECT."""
        return bytes(self._theirs.trailing_data[0])

    async def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            while (event := self._theirs.next_event()) is h11.NEED_DATA:
                self._theirs.receive_data(await self._connection.read())
        except h11.RemoteProtocolError:
            raise Refused(self._what, "it is no HTTP request that can be read") from None
        return event

    def _written(self, event: h11.Event) -> bytes:
        try:
            return self._ours.send(event) or b""
        except h11.LocalProtocolError:
            raise Refused(self._what, "it is no HTTP request that can be passed on") from None


def refusal(problem: Refused) -> bytes:
    """An answer that says why."""
    body = f"sandbox: refused connection to {problem.what}: {problem.reason}\n".encode("utf-8", "replace")
    head = f"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return head.encode("ascii") + b"Connection: close\r\n\r\n" + body
