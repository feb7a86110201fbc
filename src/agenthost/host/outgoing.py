"""The guarded way to the internet for what others ask the host to reach: push notifications and other hosts' agents.

Only http and https, no redirects, no cookies, bounded in size and time, and only to addresses of the public internet, or
to what `[network] private` names. The address that was looked at is the one that is connected to.
"""

import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from agenthost.core.errors import Permanent, Temporary

if TYPE_CHECKING:
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
    """Sends requests. `addresses` says where they may go."""

    def __init__(self, addresses: Addresses) -> None:
        self.addresses = addresses

    async def problem(self, url: str) -> str:
        """Why nothing may be sent to a URL; empty where it may."""
        try:
            _, host, port = parts_of(url)
            await self.addresses(host, port)
        except (Permanent, Temporary) as error:
            return error.message
        return ""

    async def post(self, url: str, headers: dict[str, str], body: bytes, most: int, seconds: float) -> int:
        """POST `body`; the answer's status. Raises Permanent (`refused`), Temporary (`unreachable`, `timeout`)."""
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
                session.post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                await response.content.read(most)
                return response.status
        except TimeoutError as error:
            raise Temporary(f"{host} did not answer in {seconds:g} s.", code="timeout", sent=True) from error
        except (ClientError, OSError, ValueError) as error:
            raise Temporary(f"{host} can't be reached: {error}", code="unreachable", sent=True) from error


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
