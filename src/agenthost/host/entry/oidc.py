"""Signing in by an OpenID provider: the authorization code flow with PKCE, state and nonce.

What must be known when the browser comes back is in a cookie of its own, sealed: so that only the browser that
began a sign-in can end it, and nobody fills the host's memory by beginning many.
"""

import base64
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode

import msgspec
import structlog
from msgspec import Struct

from agenthost.core.errors import BadInput, NotFound, Unauthenticated, Unavailable, nearest
from agenthost.host.entry.claims import UnknownKey, check_id_token
from agenthost.host.entry.entrance import Entrance, Session
from agenthost.host.entry.idp import Exchange, Idp
from agenthost.host.entry.settings import OidcSettings
from agenthost.host.entry.subjects import Recognized, admitted

LASTS = 600.0
"""Seconds that somebody may take at their provider."""

SecretOf = Callable[[str], Awaitable[str | None]]


class Begun(Struct, frozen=True):
    """A sign-in that began: where the browser goes, and the cookie that it brings back."""

    url: str
    cookie: str


class Arrived(Struct, frozen=True):
    """A sign-in that is done: the session, and where the person wanted to go."""

    session: Session
    goal: str


class _Pending(Struct, frozen=True):
    provider: str
    state: str
    nonce: str
    verifier: str
    redirect: str
    goal: str
    until: float


class Providers:
    """The providers of the settings."""

    def __init__(self, settings: Mapping[str, OidcSettings], entrance: Entrance, secret_of: SecretOf) -> None:
        for name, given in settings.items():
            _check(name, given)
        self._idps = {name: Idp(name, given) for name, given in settings.items()}
        self._entrance = entrance
        self._secret_of = secret_of
        self._key = os.urandom(32)

    def titles(self) -> dict[str, str]:
        """What each is called."""
        return {name: idp.settings.title or name for name, idp in self._idps.items()}

    async def begin(self, name: str, redirect: str, goal: str) -> Begun:
        """Begin a sign-in that ends at `redirect`. Raises NotFound, BadInput, Temporary."""
        idp = self._idp(name)
        published = await idp.published()
        verifier, state, nonce = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": idp.settings.client_id,
            "redirect_uri": redirect,
            "scope": " ".join(dict.fromkeys(("openid", *idp.settings.scopes))),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in published.authorization_endpoint else "?"
        pending = _Pending(name, state, nonce, verifier, redirect, goal, time.time() + LASTS)
        return Begun(published.authorization_endpoint + joint + urlencode(asked), self._seal(pending))

    async def finish(self, name: str, query: Mapping[str, str], cookie: str, address: str) -> Arrived:
        """The session of whoever came back from their provider. Raises Unauthenticated, Forbidden, Temporary, BadInput."""
        idp = self._idp(name)
        pending = self._opened(cookie)
        told = query.get("state", "")
        if (
            pending is None
            or pending.provider != name
            or not hmac.compare_digest(told.encode(), pending.state.encode())
        ):
            raise Unauthenticated("this sign-in wasn't begun in this browser, or took too long; begin it again")
        try:
            claims = await self._claims(idp, query, pending)
        except Unauthenticated as error:
            structlog.get_logger(__name__).warning("sign-in refused", provider=name, address=address, why=error.message)
            raise
        found = Recognized(name, idp.settings, claims)
        person = await admitted(found, self._entrance.register, address)
        return Arrived(await self._entrance.begin(person, "oidc", address), pending.goal)

    async def _claims(self, idp: Idp, query: Mapping[str, str], pending: _Pending) -> dict[str, object]:
        published = await idp.published()
        issuer = query.get("iss")
        # RFC 9207: one provider's answer must not be taken for another's.
        if issuer != idp.settings.issuer and (issuer or published.authorization_response_iss_parameter_supported):
            raise Unauthenticated("the answer is another provider's; begin the sign-in again")
        if "error" in query or not query.get("code"):
            raise Unauthenticated(f"'{idp.name}' didn't sign you in{_shown(query.get('error', ''))}; begin again")
        secret = ""
        if wanted := idp.settings.client_secret:
            secret = await self._secret_of(wanted) or ""
            if not secret:
                raise Unavailable(
                    f"there is no secret '{wanted}' for [oidc.{idp.name}]: `agenthost secrets set {wanted}`"
                )
        tokens = await idp.exchange(Exchange(query["code"], pending.redirect, pending.verifier, secret))
        keys = await idp.keys()
        try:
            claims = check_id_token(tokens.id_token, keys, idp.settings, pending.nonce)
        except UnknownKey:
            claims = check_id_token(tokens.id_token, await idp.keys(keys), idp.settings, pending.nonce)
        wanted_claims = {"email", "email_verified", "name", idp.settings.groups_claim}
        if not wanted_claims <= claims.keys():
            more = await idp.about(tokens.access_token)
            if more.get("sub") == claims["sub"]:
                claims = more | claims
        return claims

    def _idp(self, name: str) -> Idp:
        found = self._idps.get(name)
        if found is None:
            raise NotFound(f"there is no OpenID provider '{name[:50]}'. {nearest(name[:50], list(self._idps))}")
        return found

    def _seal(self, pending: _Pending) -> str:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(12)
        return base64.urlsafe_b64encode(
            nonce + AESGCM(self._key).encrypt(nonce, msgspec.json.encode(pending), b"oidc")
        ).decode()

    def _opened(self, cookie: str) -> _Pending | None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            raw = base64.urlsafe_b64decode(cookie.encode())
            body = AESGCM(self._key).decrypt(raw[:12], raw[12:], b"oidc")
        except (ValueError, InvalidTag):
            return None
        pending = msgspec.json.decode(body, type=_Pending)
        return pending if pending.until > time.time() else None


def _shown(code: str) -> str:
    return f" ({code})" if code.replace("_", "").isalnum() and len(code) < 50 else ""


def _check(name: str, given: OidcSettings) -> None:
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise BadInput(
            f"[oidc.{name}] can't be a provider's name: it stands in addresses; use letters, digits, - and _"
        )
    weak = [each for each in given.algorithms if each.lower() == "none" or each.startswith("HS")]
    if weak or not given.algorithms:
        raise BadInput(
            f"[oidc.{name}] `algorithms` are of public keys, such as RS256 and ES256; not {weak or 'none at all'}"
        )
