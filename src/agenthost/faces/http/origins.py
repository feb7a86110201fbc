"""By which name a request comes, from which page, from which address: what of its headers may be believed.

Only a proxy that the settings trust says who is behind it. Everybody else's X-Forwarded-* is ignored.
"""

import ipaddress
import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import Scope

from agenthost.core.errors import Forbidden

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?)(?::[0-9]{1,5})?")
_MUTUAL = {"same-origin", "none"}


def networks(named: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks as they are written in settings. Raises ValueError."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in named)


def believe(scope: Scope, headers: Headers, trusted: Sequence[Network]) -> None:
    """Write the client's own address, and the scheme that it used, into `scope` where a trusted proxy tells them."""
    client = scope.get("client")
    if not trusted or not client or not _within(client[0], trusted):
        return
    passed = [part.strip() for line in headers.getlist("x-forwarded-for") for part in line.split(",")]
    address = client[0]
    # From the right: what a trusted proxy wrote is true, what stands before an untrusted one's own entry may be made up.
    for told in reversed(passed):
        found = _address(told)
        if found is None:
            break
        address = found
        if not _within(found, trusted):
            break
    scope["client"] = (address, 0)
    scheme = (headers.getlist("x-forwarded-proto") or [""])[-1].rpartition(",")[2].strip().lower()
    if scheme in ("http", "https"):
        scope["scheme"] = scheme


def _address(text: str) -> str | None:
    """An address as proxies write it, some with a port."""
    bare = text.strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return None


def _within(address: str, trusted: Sequence[Network]) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found.version == network.version and found in network for network in trusted)


def host_of(headers: Headers, names: frozenset[str]) -> str:
    """The `Host` of a request, which must be one of ours. Raises Forbidden."""
    hosts = headers.getlist("host")
    host = hosts[0].lower() if len(hosts) == 1 else ""
    found = _HOST.fullmatch(host)
    name = found[1] if found else ""
    if name in LOOPBACK or (name and name in names):
        return host
    shown = host[:100] if host.isprintable() else ""
    raise _refused("host-header", f"this host has no name '{shown}'; add it to `hosts` under [http] if it has")


def foreign_origin(headers: Headers, scheme: str, host: str, named: frozenset[str]) -> str:
    """The origin of a page elsewhere that may use the host; empty for one of our own, or none. Raises Forbidden."""
    origins = headers.getlist("origin")
    if not origins:
        return ""
    origin = origins[0] if len(origins) == 1 else "null"
    if _is_own(origin, scheme, host):
        return ""
    if origin in named:
        return origin
    shown = origin[:200] if origin.isprintable() else ""
    raise _refused("origin", f"pages of {shown} may not use this host; add it to `origins` under [http] if they may")


def _is_own(origin: str, scheme: str, host: str) -> bool:
    their, parted, place = origin.lower().partition("://")
    if not parted or place != host:
        # A browser leaves out the port that goes without saying; whoever wrote Host may not have.
        usual = {"http": ":80", "https": ":443"}.get(their, "")
        if not parted or not usual or place + usual != host:
            return False
    # Where we speak plain HTTP, a proxy that nobody told us of may speak TLS. A plain page is never ours where we do.
    return their == "https" or (their == "http" and scheme == "http")


def need_own_page(headers: Headers, scheme: str, host: str, changes: bool) -> None:
    """That a request with a cookie comes from a page of ours, or from the person's own hand. Raises Forbidden.

    All ports of a machine are one site, so that SameSite alone doesn't keep their pages away."""
    site = headers.get("sec-fetch-site", "")
    origin = headers.get("origin", "")
    if site and site not in _MUTUAL or (origin and not _is_own(origin, scheme, host)):
        raise _refused("origin", "a page of another origin may not use this session; open the host's own page")
    if changes and not origin and not site:
        raise _refused("origin", "with a session a request says where it comes from (`Origin`); a program uses a key")


def _refused(code: str, message: str) -> Forbidden:
    error = Forbidden(message)
    error.code = code
    return error
