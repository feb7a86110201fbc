"""One POST to an address that somebody gave: public ones alone, unless the settings name the host; no redirects, no
proxy, no cookies, bounded in time and size."""

import asyncio
import errno
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from msgspec import Struct

from agenthost.core.errors import BadInput
from agenthost.sandboxes.egress.way import is_public

Resolve = Callable[[str, int], Awaitable[Sequence[tuple[str, int]]]]

MOST_ANSWER = 64 * 1024
"""Bytes that are read of an answer; what it says beyond its status is for nobody."""

MOST_URL = 2048


class Outcome(Struct, frozen=True):
    """What came of a try. `status` is 0 where there was no answer; `wait`: seconds that the other side asks for."""

    status: int
    reason: str = ""
    wait: float = 0.0

    @property
    def taken(self) -> bool:
        """Whether the other side has it."""
        return 200 <= self.status < 300


class Sender:
    """Sends. `private` are the hosts with their ports that may have an address that isn't public (`[network] private`).
    `resolve` stands in for the machine's resolver."""

    def __init__(self, private: frozenset[tuple[str, int]], timeout: float, resolve: Resolve | None = None) -> None:
        self._private = private
        self._timeout = timeout
        self._resolve = resolve or _look_up

    def check(self, url: str) -> None:
        """Raise BadInput for a URL that can't be called."""
        from yarl import URL

        try:
            parsed = URL(url)
            host, port = parsed.host, parsed.port
        except ValueError:
            host, port, parsed = None, None, URL()
        if not host or not port or parsed.scheme not in ("http", "https") or len(url) > MOST_URL:
            raise BadInput("a webhook's url is an address such as https://example.com/hook, at most 2,048 characters")
        if parsed.user or parsed.password:
            raise BadInput("a webhook's url has no user and password; its signature says who calls")
        if _is_address(host) and not is_public(host):
            raise BadInput(
                f"{host} is not a public address; webhooks go to public ones, or to hosts that {_named(host, port)}"
            )

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        """POST, and what came of it. Raises nothing but what ends the caller."""
        # aiohttp takes a tenth of a second to load, and most hosts never come here.
        import aiohttp

        try:
            self.check(url)
            connector = aiohttp.TCPConnector(resolver=_resolver(self), use_dns_cache=False, force_close=True)
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=aiohttp.ClientTimeout(total=self._timeout),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                    trust_env=False,
                ) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                await response.content.read(MOST_ANSWER)
                return _outcome(response.status, response.headers.get("retry-after", ""))
        except BadInput as error:
            return Outcome(0, error.message)
        except TimeoutError:
            return Outcome(0, f"it did not answer in {self._timeout:g} s")
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
            return Outcome(0, f"it can't be reached: {error or type(error).__name__}"[:500])

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses that may be called for a host. Raises OSError where there is none."""
        found = [address for address, _ in await self._resolve(host, port)]
        if (host, port) in self._private:
            return found
        usable = [address for address in found if is_public(address) and not _is_own(address)]
        if found and not usable:
            raise OSError(
                errno.EACCES,
                f"{host} has the address {found[0]}, which is not a public one; to allow it, {_named(host, port)}",
            )
        return usable


def _outcome(status: int, retry_after: str) -> Outcome:
    if 200 <= status < 300:
        return Outcome(status)
    if 300 <= status < 400:
        return Outcome(status, f"it answered {status}, and redirects are not followed; give the address it stands for")
    return Outcome(status, f"it answered {status}", _seconds(retry_after))


def _seconds(text: str) -> float:
    """What a Retry-After asks for (RFC 9110, section 10.2.3)."""
    if text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (ValueError, TypeError):
        return 0.0


def _named(host: str, port: int) -> str:
    return f"list '{host}:{port}' in agenthost.toml under [network] private"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_own(address: str) -> bool:
    """Whether an address is this machine's: what listens on it may think that who calls is a neighbour."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


async def _look_up(host: str, port: int) -> list[tuple[str, int]]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(str(address[0]), port) for _, _, _, _, address in found]


def _resolver(sender: Sender) -> Any:
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Guarded(AbstractResolver):
        """Gives aiohttp the addresses that may be called and no others, at the moment of the connection."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
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
                for address in await sender.addresses(host, port)
            ]

        async def close(self) -> None:
            return None

    return Guarded()
