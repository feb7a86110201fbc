"""Signing in by providers as they are in the world: Okta, Google and Microsoft Entra of npm's `emulate`, on loopback."""

import asyncio
import os
import re
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import pytest
import yaml
from testbeds.npm import NODE, npm_folder

from agenthost.host.host import Host
from tests.faces.signin.browser import Browser, browsers
from tests.host.conftest import ECHO, PLAYS, Opens

PACKAGES = {"emulate": "0.12.2"}
SERVICES = ("okta", "google", "microsoft")
PERSON = {"okta": "ann@okta.local", "google": "ann@desk.example", "microsoft": "ann@outlook.example"}


def free(several: int) -> int:
    """The first of some ports in a row that nobody has."""
    # Two workers that look at once begin at different places.
    begin = 23_000 + os.getpid() % 2000 * several
    for first in range(begin, begin + 1000, several):
        opened: list[socket.socket] = []
        try:
            for port in range(first, first + several):
                made = socket.socket()
                opened.append(made)
                made.bind(("127.0.0.1", port))
        except OSError:
            continue
        else:
            return first
        finally:
            for each in opened:
                each.close()
    raise AssertionError("no ports are free")


def seed(back: str) -> str:
    client = {"client_id": "agenthost", "client_secret": "s3cret", "name": "AgentHost"}
    clients = {name: [client | {"redirect_uris": [f"{back}/sign-in/oidc/{name}/callback"]}] for name in SERVICES}
    return yaml.safe_dump(
        {
            "okta": {
                "users": [{"login": PERSON["okta"], "email": PERSON["okta"], "first_name": "Ann", "last_name": "Lee"}],
                "oauth_clients": clients["okta"],
            },
            "google": {
                "users": [{"email": PERSON["google"], "name": "Ann Lee", "hd": "desk.example"}],
                "oauth_clients": clients["google"],
            },
            "microsoft": {
                "users": [{"email": PERSON["microsoft"], "name": "Ann Lee"}],
                "oauth_clients": clients["microsoft"],
            },
        }
    )


@asynccontextmanager
async def emulated(folder: Path, first: int, back: str) -> AsyncGenerator[dict[str, str]]:
    """The providers' addresses by name."""
    packages = await asyncio.to_thread(npm_folder, **PACKAGES)
    (folder / "seed.yaml").write_text(seed(back))
    script = packages / "node_modules" / "emulate" / "dist" / "index.js"
    told = ["start", "--service", ",".join(SERVICES), "--port", str(first), "--seed", str(folder / "seed.yaml")]
    running = await asyncio.create_subprocess_exec(
        str(NODE), str(script), *told, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        assert running.stdout is not None
        async with asyncio.timeout(60):
            said = b""
            while b"Ready" not in said:
                line = await running.stdout.readline()
                assert line, said.decode()
                said += line
        yield {name: f"http://localhost:{first + at}" for at, name in enumerate(SERVICES)}
    finally:
        running.terminate()
        await running.communicate()


async def issuer_of(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/.well-known/openid-configuration") as answer:
        return (await answer.json())["issuer"]


@asynccontextmanager
async def signing_in(opens: Opens, folder: Path) -> AsyncGenerator[tuple[Host, Browser]]:
    """A host with three providers, and a browser at it."""
    first = free(len(SERVICES) + 1)
    port = first + len(SERVICES)
    async with emulated(folder, first, f"http://127.0.0.1:{port}") as urls:
        tables = [
            f'[oidc.{name}]\nissuer = "{await issuer_of(url)}"\nclient-id = "agenthost"\nclient-secret = "OIDC"\nrole = "user"\n'
            for name, url in urls.items()
        ]
        host = await opens(PLAYS, ECHO, toml="[a2a]\nenabled = false\n[mcp]\nenabled = false\n" + "".join(tables))
        await host.set_secret("OIDC", "s3cret")
        async with browsers(host, folder, port) as make:
            yield host, make()


@pytest.mark.parametrize("name", SERVICES)
async def test_a_person_signs_in_at_their_provider(opens: Opens, tmp_path: Path, name: str) -> None:
    async with signing_in(opens, tmp_path) as (host, browser):
        page = await browser.get("/sign-in?goal=/tasks")
        way = re.search(rf'href="(/sign-in/oidc/{name}[^"]*)"', page.text)
        assert way is not None
        begun = await browser.get(way[1], "same-origin")
        assert begun.status == 303 and "SameSite=Lax" in begun.headers["Set-Cookie"]

        choice = await browser.get(begun.goes_to(), None)
        forms = [form.partition("</form>")[0] for form in choice.text.split("<form")[1:]]
        mine = next(form for form in forms if PERSON[name] in form)
        chosen = browser_form(mine)
        action = re.search(r'action="([^"]+)"', mine)
        assert action is not None
        there = urljoin(begun.goes_to(), action[1])
        agreed = await browser.post(there, chosen, None, headers={"Origin": ""})
        assert agreed.status in (302, 303), agreed.text

        back = await browser.get(agreed.goes_to(), "cross-site")
        assert back.status == 200, back.text
        assert back.goes_to().endswith("/tasks")
        told = await browser.get("/api/v1/me", "same-origin")
        assert told.json["person"]["role"] == "user"
        assert told.json["person"]["name"].startswith("Ann")
        assert told.json["person"]["id"] == "ann"
        (ann,) = [person for person in await host.admin().people() if person.id == "ann"]
        assert ann.subject.startswith("http://localhost:")

        again = await browser.get(agreed.goes_to(), "cross-site")
        assert again.status == 401  # the cookie of the sign-in is gone, and the code was spent


def browser_form(text: str) -> dict[str, str]:
    """The hidden fields of a form."""
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text))
