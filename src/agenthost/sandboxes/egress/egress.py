"""One run's way out: its name server, its proxy, and what becomes of each connection."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from agenthost.core.hosts import MOST_HOSTS
from agenthost.core.ports import Connection, silent
from agenthost.sandboxes.egress import web
from agenthost.sandboxes.egress.dns import Names, NameServer
from agenthost.sandboxes.egress.opening import Opening
from agenthost.sandboxes.egress.rules import EgressLimits, Refusals, Refused, Rules, Traffic, host_and_port
from agenthost.sandboxes.egress.way import Way
from agenthost.sandboxes.sockets import SocketConnection

_PROXY_PORTS = range(3128, 3129 + MOST_HOSTS)
_LIMITS = EgressLimits()


class _Source(Protocol):
    @property
    def one_request(self) -> bool: ...
    async def read(self, most: int = 65536) -> bytes: ...


class Egress:
    """Made for one run. `hosts` as in SandboxPolicy; `tell` hears of what is refused. Raises BadInput for hosts that
    can't be read.

    A back end listens inside, before the run begins, on 0.0.0.0 at each of `ports` and hands every connection to
    `handle`; it hands datagrams that come to 127.0.0.1:53 to `answer`; it sets `env`, and gives the run an
    /etc/resolv.conf of `nameserver 127.0.0.1`. `Handling` owns the tasks that this takes. At the run's end it cancels the handling, and puts `refused()` behind the run's stderr.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        way: Way,
        tell: Callable[[str], None] = silent,
        limits: EgressLimits = _LIMITS,
    ) -> None:
        self._rules = Rules(hosts)
        self._way = way
        self._limits = limits
        self._names = Names(limits.names)
        self._room = asyncio.Semaphore(limits.at_once)
        self._looking = asyncio.Semaphore(limits.looking)
        self._told_to_wait = False
        self._tell = tell
        self.traffic = Traffic()
        self._refusals = Refusals(self.traffic, tell)
        self._server = NameServer(self._rules, self._names, self._refusals, limits.questions)
        self._proxy_port = next(port for port in _PROXY_PORTS if port not in self._rules.ports)

    @property
    def ports(self) -> tuple[int, ...]:
        """TCP ports to listen on inside: those that are granted, and the proxy's."""
        return (*self._rules.ports, self._proxy_port)

    @property
    def env(self) -> dict[str, str]:
        """What the run's environment needs beside its own, for clients that go by a proxy."""
        proxy = f"http://127.0.0.1:{self._proxy_port}"
        names = {"http_proxy": proxy, "https_proxy": proxy, "no_proxy": "localhost,127.0.0.1,::1"}
        return names | {name.upper(): value for name, value in names.items()}

    def refused(self) -> bytes:
        """What was refused, for the run's stderr: a line each."""
        return self._refusals.text().encode("utf-8", "replace")

    def answer(self, datagram: bytes) -> bytes | None:
        """The name server's answer to a datagram; None for none."""
        return self._server.answer(datagram)

    async def handle(self, connection: Connection, local: tuple[str, int]) -> None:
        """Serve one connection to its end and close it. `local` is the address inside that the client connected to.

        As many as may be are served at once; the rest waits here. Cancelled, it closes the connection too,
        but not where it was cancelled before it began: that is the caller's to do.
        """
        address, port = local
        try:
            async with self._room:
                await self._serve(connection, address, port)
        except Refused as problem:
            self._refusals.add("connection to", problem)
        except OSError:
            pass  # one side hung up
        finally:
            await connection.close()

    async def _serve(self, connection: Connection, address: str, port: int) -> None:
        self.traffic.connections += 1
        if self.traffic.connections > self._limits.connections:
            raise Refused(f"{address}:{port}", "this run has made too many connections")
        if port == self._proxy_port:
            await self._proxy(connection)
            return
        name = self._names.name(address)
        if name is None:
            raise Refused(f"{address}:{port}", "this address stands for no granted host")
        self._rules.demand(name, port)
        opening = Opening(connection, name, port)
        await self._hear(opening)
        try:
            far = await self._out(name, port)
        except Refused as problem:
            with suppress(OSError):  # also who has hung up was refused
                await opening.refuse(problem)
            raise
        try:
            await self._join(opening, connection, far)
        finally:
            await far.close()

    async def _hear(self, opening: Opening) -> None:
        """Where the client speaks first, it is heard before anyone is connected to."""
        if opening.first:
            await opening.hear(self._limits.opening)

    async def _out(self, name: str, port: int) -> SocketConnection:
        return await self._way.open(name, port, self._limits.connect, self._waits, self._looking)

    def _waits(self, line: str) -> None:
        """Once is enough."""
        if not self._told_to_wait:
            self._told_to_wait = True
            self._tell(line)

    # --- the proxy ------------------------------------------------------------------------------

    async def _proxy(self, connection: Connection) -> None:
        """HTTP's own way to ask for a proxy: CONNECT, or a request whose target is a whole URL (RFC 9110 section 9.3.6)."""
        request = web.Request(connection, "the proxy")
        try:
            async with asyncio.timeout(self._limits.opening):
                head = await request.head()
        except TimeoutError:
            raise Refused("the proxy", "nothing was asked for in time") from None
        connecting = head.method == b"CONNECT"
        target = head.target.decode("latin-1")
        scheme, _, rest = target.partition("://")
        authority, slash, path = rest.partition("/")
        found = host_and_port(target, None) if connecting else host_and_port(authority, 80)
        try:
            if found is None or not (connecting or scheme.lower() == "http"):
                raise Refused("a request to the proxy", f"it asks for '{target[:100]}', which is no http:// address")
            self._rules.demand(*found)
            far = await self._out(*found)
        except Refused as problem:
            with suppress(OSError):
                await connection.write(web.refusal(problem))
            raise
        try:
            if connecting:
                await connection.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                opening = Opening(connection, *found, request.left)
                await self._hear(opening)
                await self._join(opening, connection, far)
            else:
                host = found[0] if found[1] == 80 else f"{found[0]}:{found[1]}"
                request.send(head, f"{slash or '/'}{path}".encode("latin-1"), host)
                await self._join(request, connection, far)
        finally:
            await far.close()

    # --- passing on -----------------------------------------------------------------------------

    async def _join(self, source: _Source, connection: Connection, far: SocketConnection) -> None:
        """Pass bytes both ways until the server is done."""
        failed: list[Exception] = []
        try:
            async with asyncio.TaskGroup() as group:
                up = group.create_task(self._up(source, far))
                while data := await far.read():
                    self.traffic.received += len(data)
                    self._measure()
                    await connection.write(data)
                up.cancel()
        except* (Refused, OSError) as problems:
            failed.extend(problems.exceptions)
        if failed:
            raise failed[0]

    async def _up(self, source: _Source, far: SocketConnection) -> None:
        while data := await source.read():
            self.traffic.sent += len(data)
            self._measure()
            await far.write(data)
        if not source.one_request:
            far.finish()  # behind a request the server closes; many take a half-closed connection for an end

    def _measure(self) -> None:
        if self.traffic.sent + self.traffic.received > self._limits.traffic:
            raise Refused("more", f"this run has moved its {self._limits.traffic // (1 << 20)} MiB")
