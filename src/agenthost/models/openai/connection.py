"""Connections to providers: one pool for each base URL, proxy and CA, made in the loop that uses it."""

import asyncio
import ssl
from collections.abc import Mapping

from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from yarl import URL

from agenthost.core.errors import BadInput

_KEEP_ALIVE = 30.0  # seconds; a server that closes earlier says so, and the pool forgets the connection
_NAMES_KEPT = 300  # seconds that a name's addresses are remembered
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def base_url(text: str, setting: str) -> URL:
    """A base URL as one can use it. Raises BadInput, naming the setting that it came from."""
    example = "such as https://api.openai.com/v1"
    try:
        url = URL(text.strip())
        host, _ = url.host, url.port
    except ValueError:
        raise BadInput(f"{setting} is not a URL. Give one {example}.") from None
    if url.scheme not in ("http", "https") or not host:
        raise BadInput(f"{setting} is {text!r}. It must be an http:// or https:// address, {example}.")
    if url.user or url.password:
        raise BadInput(f"{setting} has a user name or password in it. Leave them out and set the provider's api-key.")
    if url.query_string or url.fragment:
        raise BadInput(f"{setting} is {text!r}. Leave out what follows the path.")
    path = url.path.rstrip("/")
    for end in ("/chat/completions", "/responses", "/models", "/completions"):
        if path.endswith(end):
            raise BadInput(f"{setting} is {text!r}. Leave out {end}: give {url.with_path(path.removesuffix(end))}.")
    return url.with_path(path)


def proxy_for(url: URL, setting: str, environ: Mapping[str, str]) -> URL | None:
    """The proxy for `url`: the setting's, or what HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say
    (in either case). The environment's is never used for this machine itself."""
    if setting:
        return None if setting == "none" else _proxy(setting, "the provider's proxy")
    host = url.host or ""
    if host in _LOOPBACK:
        return None
    for name in (f"{url.scheme}_proxy", "all_proxy"):
        found = environ.get(name) or environ.get(name.upper())
        if found:
            direct = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
            return None if _named(host, url.port, direct) else _proxy(found, name.upper())
    return None


def _named(host: str, port: int | None, direct: str) -> bool:
    """Whether NO_PROXY's list names the host: `*`, a name (its subdomains too), or name:port."""
    for entry in direct.replace(" ", ",").lower().split(","):
        name, _, at = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
        name = name.removeprefix("*").lstrip(".") if name != "*" else name
        if name and (name == "*" or host == name or host.endswith("." + name)) and at in ("", str(port)):
            return True
    return False


def _proxy(text: str, setting: str) -> URL:
    try:
        url = URL(text if "://" in text else f"http://{text}")
        host = url.host
    except ValueError:
        host, url = None, URL()
    if not host or url.scheme not in ("http", "https"):
        raise BadInput(f"{setting} is not an address of an HTTP proxy. Give one such as http://proxy.example:3128.")
    return url


class Sessions:
    """Hands out the session of a pool; makes it when it is first asked for. For one event loop."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._sessions: dict[tuple[str, str, str], ClientSession] = {}

    async def session(self, url: URL, proxy: str = "", ca_file: str = "") -> ClientSession:
        """Raises BadInput where the proxy is no address or the CA can't be read."""
        key = (str(url), proxy, ca_file)
        session = self._sessions.get(key)
        if session is not None:
            return session
        connector_ssl = await self._ssl(url, ca_file)
        if key not in self._sessions:  # else another call made it while this one read certificates
            self._sessions[key] = ClientSession(
                connector=TCPConnector(
                    limit=0, keepalive_timeout=_KEEP_ALIVE, ttl_dns_cache=_NAMES_KEPT, ssl=connector_ssl
                ),
                cookie_jar=DummyCookieJar(),
                proxy=proxy_for(url, proxy, self._environ),
            )
        return self._sessions[key]

    async def close(self) -> None:
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            await session.close()

    async def _ssl(self, url: URL, ca_file: str) -> ssl.SSLContext | bool:
        file = ca_file or self._environ.get("SSL_CERT_FILE", "")
        if url.scheme != "https" or not file:
            return True
        try:
            return await asyncio.to_thread(_context, file)
        except ssl.SSLError:
            reason = "it holds no certificate"
        except OSError as error:
            reason = error.strerror or "it can't be read"
        setting = "the provider's ca-file" if ca_file else "SSL_CERT_FILE"
        raise BadInput(f"{setting} ({file}) can't be used: {reason}. Give a file of PEM certificates.")


def _context(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=ca_file)
    return context
