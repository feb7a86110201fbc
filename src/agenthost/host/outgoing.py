"""The guarded way to the internet for what others ask the host to reach: push notifications and other hosts' agents.

Only http and https, no redirects, no cookies, bounded in size and time, and only to addresses of the public internet, or
to what `[network] private` names. The address that was looked at is the one that is connected to.
"""

import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from agenthost.core.errors import Permanent, Temporary
from agenthost.core.traces import traceparent

if TYPE_CHECKING:
    from aiohttp import StreamReader
    from aiohttp.abc import AbstractResolver

Addresses = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host that may be connected to on a port. Raises Permanent (`refused`) where there is none that may,
Temporary (`unreachable`) where it can't be looked up."""


def parts_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL. Raises Permanent (`refused`), which says what is wrong."""
    from yarl import URL

    try:
        read = URL(url)
        scheme, host, port = read.scheme, read.host, read.port
    except ValueError as error:
        raise Permanent(f"it is no URL ({error})", code="refused") from error
    if scheme not in ("http", "https") or not host or not port:
        raise Permanent("it is no URL of a server; write https://HOST/PATH", code="refused")
    if read.user or read.password:
        raise Permanent("a URL with a password in it is not taken", code="refused")
    return scheme, host, port


class Outgoing:
    """Sends requests. `addresses` says where they may go. `trace`: the share of traces that is kept, where requests carry
    theirs."""

    def __init__(self, addresses: Addresses, trace: float | None = None) -> None:
        self.addresses = addresses
        self._trace = trace

    def traced(self, key: str) -> dict[str, str]:
        """The header that says for which task, command or attempt (`core.traces`) a request is; none where it isn't said."""
        return {} if self._trace is None else {"traceparent": traceparent(key, self._trace)}

    async def problem(self, url: str) -> str:
        """Why nothing may ever be sent to a URL; empty where it may, or where its name can't be looked up now."""
        try:
            _, host, port = parts_of(url)
            await self.addresses(host, port)
        except Temporary:
            return ""
        except Permanent as error:
            return error.message
        return ""

    async def post(self, url: str, headers: dict[str, str], body: bytes, most: int, seconds: float) -> int:
        """POST `body`; the answer's status. Raises Permanent (`refused`), Temporary (`unreachable`, `timeout`)."""
        return (await self.exchange(url, headers, body, most, seconds))[0]

    async def exchange(
        self, url: str, headers: dict[str, str], body: bytes, most: int, seconds: float
    ) -> tuple[int, dict[str, str]]:
        """POST `body`; the answer's status and headers, whose names are in lower case. Raises as `post` does."""
        status, answered, _ = await self._send("POST", url, headers, body, most, seconds)
        return status, answered

    async def fetch(self, url: str, headers: dict[str, str], most: int, seconds: float) -> tuple[int, bytes]:
        """GET; the answer's status and the first `most` bytes of its body. Raises as `post` does."""
        plain = {"Accept-Encoding": "identity"} | headers
        status, _, body = await self._send("GET", url, plain, None, most, seconds)
        return status, body

    async def _send(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, most: int, seconds: float
    ) -> tuple[int, dict[str, str], bytes]:
        # aiohttp takes a tenth of a second to load, and most hosts never come here.
        from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

        _, host, port = parts_of(url)
        found = await self.addresses(host, port)
        connector = TCPConnector(resolver=_fixed(found), use_dns_cache=False)
        try:
            async with (
                ClientSession(
                    connector=connector,
                    timeout=ClientTimeout(total=seconds),
                    cookie_jar=DummyCookieJar(),
                    auto_decompress=False,
                    trust_env=False,
                ) as session,
                session.request(method, url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                came = await _first(response.content, most)
                return response.status, {name.lower(): value for name, value in response.headers.items()}, came
        except TimeoutError as error:
            raise Temporary(f"{host} did not answer in {seconds:g} s.", code="timeout", sent=True) from error
        except (ClientError, OSError, ValueError) as error:
            raise Temporary(f"{host} can't be reached: {error}", code="unreachable", sent=True) from error


async def _first(stream: "StreamReader", most: int) -> bytes:
    """The first `most` bytes of a body, however they come."""
    found = bytearray()
    while len(found) < most and (piece := await stream.read(most - len(found))):
        found += piece
    return bytes(found)


def _fixed(addresses: Sequence[str]) -> "AbstractResolver":
    """A resolver that knows these addresses alone, so that nothing is looked up a second time."""
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Fixed(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            return [
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                    proto=0,
                    flags=socket.AI_NUMERICHOST,
                )
                for address in addresses
            ]

        async def close(self) -> None:
            pass

    return Fixed()
