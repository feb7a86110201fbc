"""What `agenthost up` serves on its port: joins a host, who may come in, and the protocols that are enabled."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from agenthost.cli.faces import faces
from agenthost.core.errors import BadInput
from agenthost.faces.http.app import Face
from agenthost.faces.http.guard import LOOPBACK, GuardSettings
from agenthost.faces.http.server import Offer, ServeSettings, listen, serve
from agenthost.faces.http.site import Limits
from agenthost.faces.http.streams import Closing
from agenthost.host.host import Host
from agenthost.host.reception import Reception
from agenthost.host.settings import HttpSettings

ANY = frozenset({"0.0.0.0", "::", ""})


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
    _check(address, given)
    reception = await host.reception()
    listener = await asyncio.to_thread(listen, address, port)
    url = _url(listener, address, given)
    settings = ServeSettings(guard=_guard(address, given), certificate=given.certificate, key=given.key)
    closing = Closing()
    try:
        async with (
            faces(host, reception, settings.streams, closing) as spoken,
            serve(host, local, settings, _offer(host, reception, listener, spoken, closing)),
        ):
            yield url
    finally:
        listener.close()


def _offer(
    host: Host, reception: Reception, listener: socket.socket, spoken: Sequence[Face], closing: Closing
) -> Offer:
    def limits() -> Limits:
        now = host.settings.http
        return Limits(now.rate, now.requests, now.streams, now.upload)

    return Offer(reception, (listener,), spoken, host.readiness, closing, limits, host.keeping)


def _check(address: str, given: HttpSettings) -> None:
    if bool(given.certificate) != bool(given.key):
        raise BadInput("TLS needs both `certificate` and `key` under [http]")
    for file in filter(None, (given.certificate, given.key)):
        if not Path(file).is_file():
            raise BadInput(f"there is no file {file}, named under [http]")
    if not _loopback(address) and not given.public:
        raise BadInput(
            f"a host that listens on {address or 'every address'} is open to everybody there who has a token; where that is meant, "
            "set `public = true` under [http] in agenthost.toml, and `certificate` and `key` or a proxy that speaks TLS"
        )


def _loopback(address: str) -> bool:
    return address in LOOPBACK or address.startswith("127.")


def _guard(address: str, given: HttpSettings) -> GuardSettings:
    names = {name.lower() for name in given.hosts}
    if address not in ANY:
        names.add(f"[{address}]" if ":" in address else address.lower())
    return GuardSettings(frozenset(names), frozenset(given.origins))


def _url(listener: socket.socket, address: str, given: HttpSettings) -> str:
    port = listener.getsockname()[1]
    name = "127.0.0.1" if address in ANY else address
    shown = f"[{name}]" if ":" in name else name
    return f"{'https' if given.certificate else 'http'}://{shown}:{port}"
