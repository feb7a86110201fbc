"""The guarded way out: a name is looked up here, and only an address of the public internet is connected to."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from agenthost.core.errors import BadInput
from agenthost.core.hosts import read_host
from agenthost.core.ports import silent
from agenthost.sandboxes.egress.rules import Refused
from agenthost.sandboxes.sockets import SocketConnection

Resolve = Callable[[str, int], Awaitable[Sequence[tuple[str, int]]]]
"""Addresses of a host, each with the port to connect to. Raises OSError where there are none."""

_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
# Beside what `ipaddress` knows, which differs from one Python to the next: IETF's own blocks (a metadata service lives
# at 192.0.0.192), 6to4 and Teredo (they carry a v4 address, which could be anybody's), documentation, and Azure's
# service of the machine itself, which has a public address. IANA's special-purpose registries; RFC 6890.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(block)
    for block in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)
_MOST_ADDRESSES = 4
MOST_CONNECTIONS = 256
"""A process may have 1,024 files open on most machines; a connection is one, and what it comes from may be another."""


class Resolver:
    """The machine's resolver, in threads of its own: names that nobody answers for hold up no other work of the host."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(16, "look-up")

    async def __call__(self, host: str, port: int) -> list[tuple[str, int]]:
        """Addresses, each with the port. Raises OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[tuple[str, int]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((str(address[0]), port) for _, _, _, _, address in found))


def is_public(address: str) -> bool:
    """Whether an address is anybody's on the internet: not private, not this machine, no metadata service, no group."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if not found.is_global or found.is_multicast or found.is_reserved or found.is_unspecified:
        return False
    if any(found.version == block.version and found in block for block in _NOT_PUBLIC):
        return False
    # Mapped, translated (NAT64) and site-local forms lie outside of the one block of public addresses.
    return isinstance(found, ipaddress.IPv4Address) or found in _PUBLIC_V6


def _address(host: str) -> str:
    """The address that a host is, empty where it is a name."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return ""


def _own_place(entry: str) -> tuple[str, int] | None:
    """An entry for the host itself alone, which a sandbox can't be granted: an address, or this machine. Any port (`*`)
    is 0."""
    name, colon, number = entry.strip().lower().rpartition(":")
    name = name.strip("[]")
    if not colon or not (name == "localhost" or _address(name)):
        return None
    if number == "*":
        return name, 0
    return (name, int(number)) if number.isdigit() and 0 < int(number) < 65536 else None


def _is_own(side: socket.socket) -> bool:
    """Whether both ends of a connection have one address."""
    try:
        return side.getsockname()[0] == side.getpeername()[0]
    except OSError:
        return False  # it has hung up already


class Counted(SocketConnection):
    """A connection that gives its place back when it is closed."""

    def __init__(self, side: socket.socket, closed: Callable[[], None]) -> None:
        super().__init__(side)
        self._closed: Callable[[], None] | None = closed

    async def close(self) -> None:
        await super().close()
        if self._closed is not None:
            closed, self._closed = self._closed, None
            closed()


class Way:
    """Opens connections for sandboxes. `private` are the hosts with their ports (`git.lan:443`) that may have an
    address that isn't public; a manifest has to grant them all the same. `resolve` stands in for the machine's resolver.
    `most` connections are open at once, over all runs of the host; whoever wants one more waits. Raises BadInput for an
    entry that can't be read."""

    def __init__(
        self, private: Sequence[str] = (), resolve: Resolve | None = None, most: int = MOST_CONNECTIONS
    ) -> None:
        self._resolver = Resolver()
        self._resolve = resolve or self._look_up
        self._most = most
        self._room = asyncio.Semaphore(most)
        own = {place for entry in private if (place := _own_place(entry)) is not None}
        try:
            rules = [read_host(entry) for entry in private if _own_place(entry) is None]
        except ValueError as problem:
            raise BadInput(f"[network] private has an entry that can't be used: {problem}.") from problem
        if wild := [rule.name for rule in rules if rule.wildcard]:
            raise BadInput(f"[network] private names each host by itself; *.{wild[0]} can't be used.")
        self._private = own | {(rule.name, port) for rule in rules for port in rule.ports}

    async def addresses(self, host: str, port: int, within: float = 15.0) -> list[str]:
        """The addresses of a host that the host itself may connect to. Raises Refused, with the reason for people, and
        OSError where it can't be looked up."""
        host = host.lower().strip("[]").removesuffix(".")
        try:
            async with asyncio.timeout(within):
                literal = _address(host)
                found = [(literal, port)] if literal else await self._resolve(host, port)
        except UnicodeError as problem:
            raise Refused(f"{host}:{port}", "it is no name that can be looked up") from problem
        return [address for address, _ in self._usable(host, port, found)][:_MOST_ADDRESSES]

    async def open(
        self,
        host: str,
        port: int,
        within: float,
        tell: Callable[[str], None] = silent,
        looking: asyncio.Semaphore | None = None,
    ) -> SocketConnection:
        """Connect to the host within so many seconds, once there is room, for which `tell` hears that it waits.
        `looking` bounds the look-ups that go on at once. Raises Refused, with the reason for people."""
        if self._room.locked():
            tell(
                f"sandbox: {host}:{port} waits for one of the {self._most} connections that all runs here may have open"
            )
        await self._room.acquire()
        try:
            found = await self._open(host, port, within, looking or asyncio.Semaphore())
        except BaseException:
            self._room.release()
            raise
        return Counted(found, self._room.release)

    async def _look_up(self, host: str, port: int) -> Sequence[tuple[str, int]]:
        # A dot at its end makes a name a whole one: the machine's search domains are for its own names, which are `private`.
        return await self._resolver(host if self._is_private(host, port) else f"{host}.", port)

    async def _open(self, host: str, port: int, within: float, looking: asyncio.Semaphore) -> socket.socket:
        what = f"{host}:{port}"
        try:
            async with asyncio.timeout(within):
                async with looking:
                    addresses = await self._resolve(host, port)
                usable = self._usable(host, port, addresses)
                return await self._first(usable[:_MOST_ADDRESSES], self._is_private(host, port))
        except TimeoutError:
            raise Refused(what, "it does not answer") from None
        except UnicodeError:
            raise Refused(what, "it is no name that can be looked up") from None
        except OSError as problem:
            raise Refused(what, f"it can't be reached ({problem.strerror or problem})") from problem

    def _usable(self, host: str, port: int, addresses: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        private = self._is_private(host, port)
        usable = [found for found in addresses if private or is_public(found[0])]
        if addresses and not usable:
            raise Refused(
                f"{host}:{port}",
                f"its address {addresses[0][0]} is not a public one; to allow it, list '{host}:{port}' in "
                "agenthost.toml under [network] private",
            )
        return usable

    def _is_private(self, host: str, port: int) -> bool:
        return (host, port) in self._private or (host, 0) in self._private

    async def close(self) -> None:
        """Nobody looks anything up any more."""
        self._resolver.close()

    async def _first(self, addresses: Sequence[tuple[str, int]], own: bool) -> socket.socket:
        """The first that answers. The address that was looked at is the one that is connected to; `own`: also where it
        is this machine's own, however public."""
        failed = OSError("it has no address")
        for address, port in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            side = socket.socket(family, socket.SOCK_STREAM)
            try:
                side.setblocking(False)
                await asyncio.get_running_loop().sock_connect(side, (address, port))
                if not own and _is_own(side):
                    # What listens here may trust whoever comes from here.
                    raise OSError(f"its address {address} is this machine's own")
                return side
            except OSError as problem:
                side.close()
                failed = problem
            except BaseException:
                side.close()
                raise
        raise failed
