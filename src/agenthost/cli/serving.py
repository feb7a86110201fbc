"""What `agenthost up` serves on its port: joins a host, who may come in, and the protocols that are enabled."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from agenthost.cli.faces import faces
from agenthost.cli.watching import watching
from agenthost.core.errors import BadInput
from agenthost.faces.http import metrics
from agenthost.faces.http.guard import GuardSettings
from agenthost.faces.http.origins import Network, networks
from agenthost.faces.http.server import Offer, ServeSettings, listen, serve
from agenthost.faces.http.site import Limits
from agenthost.faces.http.streams import Closing
from agenthost.host.host import Host
from agenthost.host.reception import Reception
from agenthost.host.settings import HttpSettings, Settings
from agenthost.telemetry.lag import watched


class Listening(Struct, frozen=True):
    """What `up` was told on the command line; None leaves it to the settings."""

    host: str | None = None
    port: int | None = None


@asynccontextmanager
async def served(host: Host, local: Path, wanted: Listening) -> AsyncGenerator[str]:
    """Serve a host on its local socket and its port while the context is open; the URL.

    Raises BadInput where it may not, or can't, listen there."""
    given = host.settings.http
    address = wanted.host if wanted.host is not None else given.host
    port = wanted.port if wanted.port is not None else given.port
    _check_files(given)
    trusted = _proxies(given)
    _check_grpc(host.settings)
    reception = await host.reception()
    listener = await asyncio.to_thread(listen, address, port)
    try:
        _check_reach(listener, address, given)
        url = _url(listener, address, given)
        host.entrance.url = url
        guard = _guard(address, given, trusted)
        if host.settings.telemetry.metrics_open:
            guard = msgspec.structs.replace(guard, public_here=frozenset({metrics.PATH}))
        settings = ServeSettings(guard=guard, certificate=given.certificate, key=given.key)
        closing = Closing()
        offer = _offer(host, reception, listener, closing)
        with watched(host.telling.figures.lag):
            async with (
                faces(host, reception, settings.streams, closing) as spoken,
                serve(host, local, settings, msgspec.structs.replace(offer, faces=spoken)),
            ):
                yield url
    finally:
        listener.close()


def _offer(host: Host, reception: Reception, listener: socket.socket, closing: Closing) -> Offer:
    def limits() -> Limits:
        now = host.settings.http
        return Limits(now.rate, now.requests, now.streams, now.upload)

    return Offer(
        reception,
        (listener,),
        ready=host.readiness,
        closing=closing,
        limits=limits,
        keeping=host.keeping,
        watch=watching(host, closing),
    )


def _check_files(given: HttpSettings) -> None:
    if bool(given.certificate) != bool(given.key):
        raise BadInput("TLS needs both `certificate` and `key` under [http]")
    for file in filter(None, (given.certificate, given.key)):
        if not Path(file).is_file():
            raise BadInput(f"there is no file {file}, named under [http]")


def _proxies(given: HttpSettings) -> tuple[Network, ...]:
    try:
        return networks(given.proxies)
    except ValueError as error:
        raise BadInput(f"`proxies` under [http] are addresses or networks such as 10.0.0.0/8: {error}") from error


def _check_reach(listener: socket.socket, address: str, given: HttpSettings) -> None:
    """By what is really listened on: a name may mean any address."""
    bound = _ip(listener.getsockname()[0])
    if bound.is_loopback:
        return
    where = "every address" if bound.is_unspecified else str(bound)
    if not given.public:
        raise BadInput(
            f"a host that listens on {where} is open to everybody there who has a token; where that is meant, "
            "set `public = true` under [http] in agenthost.toml, and `certificate` and `key` or a proxy that speaks TLS"
        )
    if bound.is_unspecified and not given.hosts:
        raise BadInput(
            "a host that listens on every address has to know its names: name those that people use as `hosts` under [http], "
            'such as hosts = ["agents.example.org"]; a page elsewhere could pass for it else'
        )
    if not given.certificate and not given.proxies:
        structlog.get_logger(__name__).warning(
            "tokens and passwords cross the network in the clear: set `certificate` and `key` under [http], or name "
            "the proxy that speaks TLS as `proxies`",
            address=where,
        )


def _check_grpc(settings: Settings) -> None:
    a2a = settings.a2a
    if not a2a.enabled or not a2a.grpc_port or settings.http.public:
        return
    near = a2a.grpc_host == "localhost"
    try:
        near = near or _ip(a2a.grpc_host.strip("[]")).is_loopback
    except ValueError:
        pass  # a name, which may mean any address
    if not near:
        raise BadInput(
            f"[a2a] grpc-host '{a2a.grpc_host}' may be reached from elsewhere; where that is meant, set `public = true` under "
            "[http] in agenthost.toml, and put a proxy that speaks TLS before it"
        )


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(text.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _guard(address: str, given: HttpSettings, trusted: tuple[Network, ...]) -> GuardSettings:
    names = {name.lower().rstrip(".") for name in given.hosts}
    if not _is_any(address):
        names.add(f"[{address}]" if ":" in address else address.lower())
    return GuardSettings(frozenset(names), frozenset(given.origins), proxies=trusted)


def _is_any(address: str) -> bool:
    try:
        return not address or _ip(address).is_unspecified
    except ValueError:
        return False


def _url(listener: socket.socket, address: str, given: HttpSettings) -> str:
    port = listener.getsockname()[1]
    name = "127.0.0.1" if _is_any(address) else address
    shown = f"[{name}]" if ":" in name else name
    return f"{'https' if given.certificate else 'http'}://{shown}:{port}"
