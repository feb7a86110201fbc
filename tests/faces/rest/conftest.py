"""A real host behind the whole application: SQLite in a temporary home, the scripted model, people with keys."""

import json
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlencode

import pytest

from agenthost.cli.faces import desks
from agenthost.core.access import ALL_RIGHTS, Key, Person, Right, Role
from agenthost.core.api import LiveDelta, Order
from agenthost.faces.http import metrics
from agenthost.faces.http.app import application
from agenthost.faces.http.site import Limits, Site
from agenthost.faces.http.streams import Closing
from agenthost.host.host import Host
from agenthost.host.reception import digest_of
from tests.faces.asgi import told
from tests.host.conftest import ASKER, ECHO, PLAYS, Lines, Opens, log, opens

__all__ = ["Lines", "log", "opens"]

Told = tuple[int, dict[str, str], Any]


class Served:
    """A host's application, and requests to it as somebody. The content of JSON answers is decoded."""

    def __init__(self, host: Host, limits: Limits | None = None) -> None:
        self.host = host
        self.limits = limits or Limits()
        self.site: Site
        self.app: Any

    async def open(self) -> None:
        reception = await self.host.reception()
        self.site = Site(reception, Closing(), limits=lambda: self.limits, keeping=self.host.keeping)
        self.app = application(self.site, faces=[desks(self.host), metrics.face(self.host.telling.metrics)])

    async def person(self, id: str, role: Role, *rights: Right) -> str:
        """Somebody with a key; their token."""
        if await self.host.accounts.person(id) is None:
            await self.host.accounts.put_person(Person(id, role, 1.0))
        token = f"ah_{id}_{'_'.join(rights)}"
        await self.host.accounts.put_key(Key(f"k-{token}", id, digest_of(token), 1.0, rights=rights or ALL_RIGHTS))
        return token

    async def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None, query: Any = None, **headers: str
    ) -> Told:
        """`token` None: as the host's own user; empty: without any. Headers with `_` for `-`."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            given["Authorization"] = f"Bearer {token}"
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if body is not None and not isinstance(body, bytes):
            given.setdefault("Content-Type", "application/json")
        asked = urlencode(query or {}, doseq=True)
        status, found, got = await told(self.app, method, path, asked, given, content, local=token is None)
        if "json" in found.get("content-type", "") and got:
            return status, found, json.loads(got)
        return status, found, got

    async def ended(self, text: str = "hello", **order: Any) -> str:
        """A task that has ended."""
        row = await self.host.start(Order("echo", text, **order))
        async for _ in self.host.follow(row.id):
            pass
        return row.id

    async def asking(self, **order: Any) -> str:
        """A task that waits for an answer."""
        row = await self.host.start(Order("asker", "ask me", **order))
        async for item in self.host.follow(row.id):
            if not isinstance(item, LiveDelta) and (await self.host.task(row.id)).questions:
                break
        return row.id


@pytest.fixture
async def served(opens: Opens) -> AsyncGenerator[Served]:
    host = await opens(PLAYS, ECHO, ASKER, work=True)
    made = Served(host)
    await made.open()
    yield made
