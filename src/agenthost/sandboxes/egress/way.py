"""The guarded way out: a name is looked up here, and only an address of the public internet is connected to."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

from agenthost.core.errors import BadInput
from agenthost.core.hosts import read_host
from agenthost.sandboxes.egress.rules import Refused
from agenthost.sandboxes.sockets import SocketConnection

Resolve = Callable[[str, int], Awaitable[Sequence[tuple[str, int]]]]
"""Addresses of a host, each with the port to connect to. Raises OSError where there are none."""

_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
# 6to4 and Teredo carry a v4 address within them, which could be anybody's.
_CARRIERS = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))
_MOST_ADDRESSES = 4


async def look_up(host: str, port: int) -> list[tuple[str, int]]:
    """What the machine's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((str(address[0]), port) for _, _, _, _, address in found))


def is_public(address: str) -> bool:
    """Whether an address is anybody's on the internet: not private, not this machine, no metadata service, no group."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if not found.is_global or found.is_multicast or found.is_reserved or found.is_unspecified:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return True
    # Mapped, translated (NAT64) and site-local forms lie outside of the one block of public addresses.
    return found in _PUBLIC_V6 and not any(found in carrier for carrier in _CARRIERS)


class Way:
    """Opens connections for sandboxes. `private` are the hosts with their ports (`git.lan:443`) that may have an
    address that isn't public; a manifest has to grant them all the same. Raises BadInput for one that can't be read."""

    def __init__(self, private: Sequence[str] = (), resolve: Resolve = look_up) -> None:
        self._resolve = resolve
        try:
            rules = [read_host(entry) for entry in private]
        except ValueError as problem:
            raise BadInput(f"[network] private has an entry that can't be used: {problem}.") from problem
        if wild := [rule.name for rule in rules if rule.wildcard]:
            raise BadInput(f"[network] private names each host by itself; *.{wild[0]} can't be used.")
        self._private = {(rule.name, port) for rule in rules for port in rule.ports}

    async def open(self, host: str, port: int, within: float) -> SocketConnection:
        """Connect to the host within so many seconds. Raises Refused, with the reason for people."""
        what = f"{host}:{port}"
        try:
            async with asyncio.timeout(within):
                addresses = await self._resolve(host, port)
                usable = [found for found in addresses if (host, port) in self._private or is_public(found[0])]
                if addresses and not usable:
                    raise Refused(
                        what,
                        f"its address {addresses[0][0]} is not a public one; to allow it, list '{what}' in "
                        "agenthost.toml under [network] private",
                    )
                return await self._first(usable[:_MOST_ADDRESSES])
        except TimeoutError:
            raise Refused(what, "it does not answer") from None
        except OSError as problem:
            raise Refused(what, f"it can't be reached ({problem.strerror or problem})") from problem

    async def _first(self, addresses: Sequence[tuple[str, int]]) -> SocketConnection:
        """The first that answers. The address that was looked at is the one that is connected to."""
        failed = OSError("it has no address")
        for address, port in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            side = socket.socket(family, socket.SOCK_STREAM)
            try:
                side.setblocking(False)
                await asyncio.get_running_loop().sock_connect(side, (address, port))
                return SocketConnection(side)
            except OSError as problem:
                side.close()
                failed = problem
            except BaseException:
                side.close()
                raise
        raise failed
