"""What a browser does, as far as it matters here: cookies, Origin and Sec-Fetch-Site, forms that post."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agenthost.cli.serving import Listening, served
from agenthost.host.host import Host


class Seen(msgspec.Struct):
    """An answer."""

    status: int
    headers: Any
    text: str
    url: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.text)

    def fields(self) -> dict[str, str]:
        """The hidden fields of the first form."""
        form = self.text[self.text.index("<form") :].partition("</form>")[0]
        found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
        return {unescape(name): unescape(value) for name, value in found}

    def goes_to(self) -> str:
        """Where it leads by itself."""
        if "Location" in self.headers:
            return urljoin(self.url, self.headers["Location"])
        found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', self.text)
        assert found, self.text
        return urljoin(self.url, unescape(found[1]))


class Browser:
    """One person's browser on a host. `site` is what it says in Sec-Fetch-Site; None for one that says nothing."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def ask(self, method: str, path: str, site: str | None = "", **options: Any) -> Seen:
        whole = urljoin(self.url, path)
        usual = {"Accept": "text/html,*/*"}
        if method not in ("GET", "HEAD"):
            parts = urlsplit(self.url)
            usual["Origin"] = f"{parts.scheme}://{parts.netloc}"
        if site is not None:
            usual["Sec-Fetch-Site"] = site or ("none" if method == "GET" else "same-origin")
        headers = {name: value for name, value in (usual | options.pop("headers", {})).items() if value}
        async with self._session.request(method, whole, headers=headers, allow_redirects=False, **options) as answer:
            return Seen(answer.status, answer.headers, await answer.text(), whole)

    async def get(self, path: str, site: str | None = "", **options: Any) -> Seen:
        return await self.ask("GET", path, site, **options)

    async def post(self, path: str, data: Any = None, site: str | None = "", **options: Any) -> Seen:
        return await self.ask("POST", path, site, data=data, **options)

    async def sign_in(self, person: str, password: str, **more: str) -> Seen:
        return await self.post("/sign-in", {"person": person, "password": password, **more})

    async def csrf(self) -> dict[str, str]:
        return {"X-CSRF-Token": (await self.get("/api/v1/me", "same-origin")).json["csrf"]}

    def cookies(self) -> dict[str, str]:
        return {cookie.key: cookie.value for cookie in self._session.cookie_jar}

    def put_cookies(self, cookies: dict[str, str]) -> None:
        from yarl import URL

        self._session.cookie_jar.update_cookies(cookies, URL(self.url))

    async def close(self) -> None:
        await self._session.close()


@asynccontextmanager
async def browsers(host: Host, folder: Path, port: int = 0) -> AsyncGenerator[Any]:
    """A host on a port, and as many browsers at it as are made."""
    opened: list[Browser] = []
    async with served(host, folder / "s.sock", Listening("127.0.0.1", port)) as url:

        def make(named: str = "") -> Browser:
            opened.append(Browser(named or url))
            return opened[-1]

        try:
            yield make
        finally:
            for each in opened:
                await each.close()


def made_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of its own for loopback, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*plain))
    return folder / "cert.pem", folder / "key.pem"
