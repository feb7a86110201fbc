"""HTTP requests to one host: over its socket, or over TCP. The one door to aiohttp for clients."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from agenthost.core.errors import AgentHostError, BadInput, HostUnreachable
from agenthost.wire.bodies import ROOT
from agenthost.wire.problems import decode_problem
from agenthost.wire.sockets import short_path

if TYPE_CHECKING:  # aiohttp takes a tenth of a second to load, and a verb that fails early needs none of it
    import aiohttp


class Broken(HostUnreachable):
    """The connection broke after the request was sent; whether the host did it is not known."""


class Address(Struct, frozen=True):
    """Where a host is: `socket`, or `url` with a `token`."""

    socket: Path | None = None
    url: str = ""
    token: str = ""

    def __str__(self) -> str:
        return self.url or str(self.socket)


class Timing(Struct, frozen=True):
    """Seconds. `connect`: to get a connection. `answer`: most silence before and within an answer.
    `silence`: most silence of a stream (the host sends something every 15). `absent`: how long a
    stream tries to find the host again after it went."""

    connect: float = 5.0
    answer: float = 300.0
    silence: float = 60.0
    absent: float = 10.0


def path_of(*names: str) -> str:
    """A path below the API's root, each name escaped."""
    return ROOT + "".join("/" + quote(name, safe="") for name in names)


class Transport:
    """Requests to one host. Every failure is an AgentHostError: the host's own, or HostUnreachable."""

    def __init__(self, address: Address, timing: Timing) -> None:
        self.address = address
        self.timing = timing
        self._session: aiohttp.ClientSession | None = None
        self._held = contextlib.ExitStack()

    async def close(self) -> None:
        """Close the connections. The transport may be used again afterwards."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        self._held.close()

    async def call(self, method: str, path: str, **options: Any) -> bytes:
        """One request; the body of its answer. Raises what the host's problem says."""
        async with self._request(method, path, self.timing.answer, options) as response:
            return await response.read()

    async def length(self, path: str) -> int:
        """How many bytes a GET would give."""
        try:
            async with self._request("HEAD", path, self.timing.answer, {}) as response:
                return int(response.headers.get("Content-Length", 0))
        except Broken:
            raise
        except HostUnreachable:
            # The answer to a HEAD has no body that could say what is wrong.
            return len(await self.call("GET", path))

    @contextlib.asynccontextmanager
    async def stream(self, path: str, method: str = "GET", **options: Any) -> AsyncGenerator[AsyncIterator[bytes]]:
        """An event stream's pieces, as they come. Raises Broken where it is cut."""
        async with self._request(method, path, self.timing.silence, options) as response:
            if response.content_type != "text/event-stream":
                raise self._stranger(response.content_type)
            yield response.content.iter_any()

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, path: str, silence: float, options: dict[str, Any]
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.timing.connect, sock_read=silence)
        try:
            async with self._open().request(method, self._url(path), timeout=timeout, **options) as response:
                if response.status >= 400:
                    raise await self._problem(response)
                yield response
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self._absent(error) from error
        except aiohttp.InvalidURL as error:
            raise BadInput(
                f"AGENTHOST_URL is no address: {self.address.url}. Give one such as http://127.0.0.1:8484"
            ) from error
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise Broken(
                f"the connection to the host at {self.address} broke; whether it did what was asked is not known. "
                "Look with `agenthost tasks list` before trying again"
            ) from error

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            headers = {"Accept": "application/json"}
            if self.address.url:
                # Each stream holds one: no number of them may keep other requests from being sent.
                connector: aiohttp.BaseConnector = aiohttp.TCPConnector(limit=0)
                if self.address.token:
                    headers["Authorization"] = f"Bearer {self.address.token}"
            else:
                assert self.address.socket is not None
                try:
                    reachable = self._held.enter_context(short_path(self.address.socket))
                except OSError as error:
                    raise self._absent(error) from error
                connector = aiohttp.UnixConnector(reachable, limit=0)
            # Never a proxy's business: environment settings for proxies are not read here.
            self._session = aiohttp.ClientSession(connector=connector, headers=headers, trust_env=False)
        return self._session

    def _url(self, path: str) -> Any:
        from yarl import URL

        base = self.address.url.rstrip("/") or "http://agenthost"
        return URL(base + path, encoded=True)

    async def _problem(self, response: aiohttp.ClientResponse) -> AgentHostError:
        error = decode_problem(await response.read())
        return error if error is not None else self._stranger(f"status {response.status}, {response.content_type}")

    def _absent(self, error: Exception) -> HostUnreachable:
        how = "check AGENTHOST_URL" if self.address.url else "start one with `agenthost up`"
        return HostUnreachable(f"no host answers at {self.address} ({error}); {how}")

    def _stranger(self, what: str) -> HostUnreachable:
        return HostUnreachable(
            f"what answers at {self.address} is no AgentHost that this client understands ({what}); "
            "check AGENTHOST_URL, and that host and client have one version"
        )

    def decode(self, body: bytes, type: Any) -> Any:
        """An answer's body as a record. Raises HostUnreachable where it is something else."""
        try:
            return msgspec.json.decode(body, type=type)
        except msgspec.DecodeError as error:
            raise self._stranger(str(error)) from error
