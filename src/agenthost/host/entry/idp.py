"""An OpenID provider over HTTP: what it publishes, and what it gives for a code. Everything it says is bounded."""

import asyncio
import base64
import time
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from agenthost.core.errors import BadInput, Temporary, Unauthenticated
from agenthost.host.entry.settings import OidcSettings

T = TypeVar("T", bound=Struct)

MOST = 1024 * 1024
"""Bytes of an answer."""
PATIENCE = 10.0
FRESH = 3600.0
"""Seconds for which what was published is believed without another look."""
AGAIN = 5.0
"""Seconds between two looks for a key that isn't known: else anybody could make us ask again and again."""
_WAYS = ("client_secret_basic", "client_secret_post")


class Published(Struct, frozen=True):
    """Of OpenID Connect Discovery 1.0, section 3, what is needed here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Tokens(Struct, frozen=True):
    """What a provider gives for a code."""

    id_token: str
    access_token: str = ""


class Exchange(Struct, frozen=True):
    """What is sent to have tokens for a code."""

    code: str
    redirect: str
    verifier: str
    secret: str = ""


class Idp:
    """One provider. Raises Unauthenticated, Temporary (it can't be reached) and BadInput (it is set up wrongly)."""

    def __init__(self, name: str, settings: OidcSettings) -> None:
        self.name = name
        self.settings = settings
        self._published: tuple[float, Published] | None = None
        self._keys: tuple[float, dict[str, Any]] | None = None
        self._failed: tuple[float, Temporary] | None = None
        self._turn = asyncio.Lock()

    async def published(self) -> Published:
        """Where what is."""
        async with self._turn:
            if self._failed is not None and self._failed[0] > time.monotonic() - AGAIN:
                raise self._failed[1]  # who waited here needn't find it out again, one after the other
            if self._published is None or self._published[0] < time.monotonic() - FRESH:
                issuer = self.settings.issuer
                _need_tls(issuer, f"[oidc.{self.name}] issuer")
                body = await self._ask("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
                found = self._read(body, Published)
                if found.issuer != issuer:
                    raise BadInput(
                        f"the OpenID provider '{self.name}' calls itself '{found.issuer[:200]}', and [oidc.{self.name}] says "
                        f"'{issuer}'; set `issuer` to exactly what it says, if that is the one you mean"
                    )
                urls = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint)
                for url in filter(None, urls):
                    _need_tls(url, f"what the OpenID provider '{self.name}' publishes")
                self._published = (time.monotonic(), found)
            return self._published[1]

    async def keys(self, known: dict[str, Any] | None = None) -> dict[str, Any]:
        """The provider's public keys. With `known`: others than those, where it has changed them meanwhile."""
        where = (await self.published()).jwks_uri
        async with self._turn:
            since = time.monotonic() - (self._keys[0] if self._keys else 0.0)
            stale = known is not None and self._keys is not None and self._keys[1] is known and since > AGAIN
            if self._keys is None or since > FRESH or stale:
                body = await self._ask("GET", where)
                try:
                    keys = msgspec.json.decode(body, type=dict[str, Any])
                except msgspec.DecodeError as error:
                    raise self._strange(error) from error
                if not isinstance(keys.get("keys"), list):
                    raise self._strange("no keys")
                self._keys = (time.monotonic(), keys)
            return self._keys[1]

    async def exchange(self, given: Exchange) -> Tokens:
        """Tokens for a code (RFC 6749, section 4.1.3; RFC 7636, section 4.5)."""
        published = await self.published()
        form = {
            "grant_type": "authorization_code",
            "code": given.code,
            "redirect_uri": given.redirect,
            "client_id": self.settings.client_id,
            "code_verifier": given.verifier,
        }
        headers: dict[str, str] = {"Accept": "application/json"}
        # Some that name both ways read the secret in the first alone.
        ways = [way for way in published.token_endpoint_auth_methods_supported if way in _WAYS]
        if given.secret and ways[:1] != ["client_secret_post"]:
            pair = f"{quote(self.settings.client_id, safe='')}:{quote(given.secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif given.secret:
            form["client_secret"] = given.secret
        return self._read(await self._ask("POST", published.token_endpoint, data=form, headers=headers), Tokens)

    async def about(self, access_token: str) -> dict[str, Any]:
        """What the provider says of whoever an access token is for; nothing where it says nothing."""
        where = (await self.published()).userinfo_endpoint
        if not where or not access_token:
            return {}
        body = await self._ask("GET", where, headers={"Authorization": f"Bearer {access_token}"})
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError:
            return {}  # signed user info (section 5.3.2) isn't asked for, and the ID token says what must be known

    async def _ask(self, method: str, url: str, **options: Any) -> bytes:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
                session.request(method, url, allow_redirects=False, **options) as response,
            ):
                body = await response.content.read(MOST)
                while len(body) < MOST and (more := await response.content.read(MOST - len(body))):
                    body += more
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            failure = Temporary(
                f"the OpenID provider '{self.name}' can't be reached ({type(error).__name__}); try again, or sign in another way",
                code="provider-unreachable",
                delay=AGAIN,
            )
            self._failed = (time.monotonic(), failure)
            raise failure from error
        if len(body) >= MOST:
            raise self._strange(f"more than {MOST:,} bytes")
        if status >= 500:
            raise Temporary(
                f"the OpenID provider '{self.name}' has a failure ({status}); try again",
                code="provider-failed",
                delay=5,
            )
        if status != 200:
            raise Unauthenticated(
                f"the OpenID provider '{self.name}' refuses ({status}{_code_of(body)}); begin the sign-in again"
            )
        return body

    def _read(self, body: bytes, type: type[T]) -> T:
        try:
            return msgspec.json.decode(body, type=type)
        except msgspec.DecodeError as error:
            raise self._strange(error) from error

    def _strange(self, what: object) -> Unauthenticated:
        return Unauthenticated(f"the answer of the OpenID provider '{self.name}' can't be used: {what}")


def _code_of(body: bytes) -> str:
    """The error's code in an answer (RFC 6749, section 5.2), where it has one that can be shown."""
    try:
        code = str(msgspec.json.decode(body, type=dict[str, Any]).get("error", ""))
    except msgspec.DecodeError:
        return ""
    return f", {code}" if code.replace("_", "").isalnum() and len(code) < 50 else ""


def _need_tls(url: str, what: str) -> None:
    """Plain HTTP is for a provider on this machine alone."""
    parts = urlsplit(url)
    near = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and near):
        raise BadInput(f"{what} has an address without TLS: '{url[:200]}'; give one that begins with https://")
