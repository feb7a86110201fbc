"""An OpenID provider of our own on loopback, which does as it is told: also what none may."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

CLIENT, SECRET = "agent host", "s3cret/+ of it"


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class Provider:
    """`claims` are laid over those of a good token; `sign` writes one. `published` is laid over its description."""

    def __init__(self) -> None:
        self.url = ""
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.keys: list[Any] = [self.key]
        self.also: list[dict[str, Any]] = []
        self.claims: dict[str, Any] = {}
        self.without: set[str] = set()
        self.published: dict[str, Any] = {}
        self.about: dict[str, Any] = {}
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.asked: list[dict[str, str]] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.looked = 0
        self.broken = 0

    def signed(self, claims: dict[str, Any], key: Any = None, **header: Any) -> str:
        key = key or self.key
        head = {"alg": "RS256", "kid": key.kid, **header}
        return jws.serialize_compact(head, json.dumps(claims).encode(), key, algorithms=[head["alg"]])

    def unsigned(self, claims: dict[str, Any], alg: str = "none") -> str:
        return f"{_part({'alg': alg, 'kid': 'one'})}.{_part(claims)}."

    def with_public_key_as_secret(self, claims: dict[str, Any]) -> str:
        """RFC 8725, section 2.1: the public key taken for a shared secret."""
        text = f"{_part({'alg': 'HS256', 'kid': 'one'})}.{_part(claims)}"
        made = hmac.new(self.key.as_pem(private=False), text.encode(), hashlib.sha256).digest()
        return f"{text}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"

    def with_own_key(self, claims: dict[str, Any]) -> str:
        """A key in the token's own header."""
        other = RSAKey.generate_key(2048, {"kid": "one"})
        return self.signed(claims, other, jwk=other.as_dict(private=False))

    def swapped(self, claims: dict[str, Any]) -> str:
        return self.signed(claims, RSAKey.generate_key(2048, {"kid": "one"}))

    def good(self, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        found = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "1234",
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "email": "eve@desk.example",
            "email_verified": True,
            "name": "Eve Adams",
            "groups": ["staff"],
        } | self.claims
        return {name: value for name, value in found.items() if name not in self.without}

    async def describe(self, request: web.Request) -> web.Response:
        if self.broken:
            return web.Response(status=self.broken)
        return web.json_response(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "userinfo_endpoint": f"{self.url}/about",
            }
            | self.published
        )

    async def publish(self, request: web.Request) -> web.Response:
        self.looked += 1
        return web.json_response({"keys": [*self.also, *(key.as_dict(private=False) for key in self.keys)]})

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(form | {"Authorization": request.headers.get("Authorization", "")})
        begun = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            begun is None
            or begun["code_challenge"] != challenge.rstrip(b"=").decode()
            or begun["redirect_uri"] != form["redirect_uri"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response(
            {"id_token": self.sign(self.good(begun["nonce"])), "access_token": "for-more", "token_type": "Bearer"}
        )

    async def more(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer for-more"
        return web.json_response(self.about)

    def agree(self, url: str) -> dict[str, str]:
        """What the browser brings back from the address that it was sent to, where the person agrees."""
        asked = dict(parse_qsl(urlsplit(url).query))
        code = f"code-{len(self.asked)}-{len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}


def elliptic(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig"})


@asynccontextmanager
async def provider() -> AsyncGenerator[Provider]:
    made = Provider()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", made.describe)
    app.router.add_get("/keys", made.publish)
    app.router.add_post("/token", made.token)
    app.router.add_get("/about", made.more)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server: Any = site._server
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        await runner.cleanup()
