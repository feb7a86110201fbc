"""httpx over connections that are looked at first: to the addresses that are given for a host, and no others."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable, Sequence
from typing import Any

import httpcore
import httpx

from agenthost.core.errors import Permanent, Temporary

Addresses = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host that may be connected to on a port. Raises Permanent (`refused`) where there is none."""

_ERRORS: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
}


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects by address. TLS is spoken with the name all the same."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        # Its type depends on what is installed.
        self._inner: Any = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            found = await self._addresses(host, port)
        except Permanent as error:
            raise Refused(error.message) from error
        except Temporary as error:
            raise httpcore.ConnectError(error.message) from error
        failed: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in found:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("no agent is on a local socket")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class Refused(httpcore.ConnectError):
    """Nothing may be sent there."""


class RefusedConnection(httpx.ConnectError):
    """The same, as httpx passes it on."""


class _Stream(httpx.AsyncByteStream):
    def __init__(self, pieces: AsyncIterator[bytes], close: Callable[[], Awaitable[None]]) -> None:
        self._pieces = pieces
        self._close = close

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        with _as_httpx():
            async for piece in self._pieces:
                yield piece

    async def aclose(self) -> None:
        await self._close()


class GuardedTransport(httpx.AsyncBaseTransport):
    """A pool of connections to where `addresses` allows."""

    def __init__(self, addresses: Addresses) -> None:
        context = httpx.create_ssl_context()
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context, max_connections=100, keepalive_expiry=30, network_backend=_Backend(addresses)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        url = httpcore.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        wanted = httpcore.Request(
            request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        with _as_httpx():
            response = await self._pool.handle_async_request(wanted)
        assert isinstance(response.stream, AsyncIterator) or hasattr(response.stream, "__aiter__")
        stream: Any = response.stream
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Stream(aiter(stream), stream.aclose),
            extensions=dict(response.extensions),  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


@contextlib.contextmanager
def _as_httpx() -> Generator[None]:
    """Errors of httpcore as httpx's."""
    try:
        yield
    except Refused as error:
        raise RefusedConnection(str(error)) from error
    except tuple(_ERRORS) as error:
        theirs = next(theirs for ours, theirs in _ERRORS.items() if isinstance(error, ours))
        raise theirs(str(error)) from error
