"""A host over the fake provider, with everything outside that a run may leave, and what of it is there."""

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from agenthost.cli.serving import Listening, served
from agenthost.core.api import Order
from agenthost.core.budgets import Spend, day_account
from agenthost.core.errors import Conflict
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter
from agenthost.core.tasks import TaskRow
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from tests.control.provider import Provider, provided
from tests.control.runs import FLOWS, MANIFESTS, PLAYBOOK, Hold

PATIENCE = 60.0
"""Seconds after which a test that hangs fails; nothing is asserted on time."""

SETTINGS = """
[models]
default = "fake:m"
[models.providers.fake]
base-url = "URL"
labels = true
[models.providers.busy]
base-url = "URL"
labels = true
[models.providers.slow]
base-url = "URL"
wire = "responses"
labels = true
[models.names.later]
model = "slow:m"
card = {background = true}
[tools]
hold = "tests.control.runs:hold"
look = "tests.control.runs:look"
cling = "tests.control.runs:cling"
[machine]
memory = "4Gi"
cpu = 64
[network]
private = ["127.0.0.1:PORT", "held.example.test:80"]
[budgets]
person = {tokens = 1_000_000_000}
"""


class Outside:
    """A server that says nothing, and how many are connected to it. `resolve` is where names are."""

    def __init__(self) -> None:
        self.connected = 0
        self.port = 0

    async def resolve(self, host: str, port: int) -> list[tuple[str, int]]:
        return [("127.0.0.1", self.port)]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        try:
            with suppress(OSError):
                while await reader.read(65536):
                    pass
        finally:
            self.connected -= 1
            writer.close()


class Bed:
    """`times`: seconds from each cancel to its `canceled`, by kind of run."""

    def __init__(self, host: Host, provider: Provider, outside: Outside, mark: str, url: str) -> None:
        self.host, self.provider, self.outside, self.mark, self.url = host, provider, outside, mark, url
        self._always = set(host.engine._supervisor.names)
        self.times: dict[str, list[float]] = {}

    def order(self, name: str) -> Order:
        return Order(name, "" if name in FLOWS else "go")

    @property
    def token(self) -> str:
        """The owner's."""
        return (Path(self.host.settings.home) / "token").read_text().strip()

    def processes(self) -> list[str]:
        return marked(self.mark)

    def going(self) -> list[str]:
        """What goes on in the host and didn't before the first task."""
        return [name for name in self.host.engine._supervisor.names if name not in self._always]

    async def seen(self, task: str) -> int:
        return sum(row.seq for row in await self.host.tasks(Filter(root=task, limit=100)))

    async def stays(self, task: str) -> int:
        """Wait until a run is at the place where it would stay; after how many events."""
        before, quiet = -1, 0
        while quiet < 4:
            now = await self.seen(task)
            quiet = quiet + 1 if now == before else 0
            before = now
            await asyncio.sleep(0.1)
        return before

    async def cancel(self, task: str) -> bool:
        """False where it has ended by now."""
        try:
            await self.host.cancel(task)
        except Conflict:
            return False
        return True

    async def ended(self, task: str) -> None:
        async for _ in self.host.follow(task):
            pass

    async def quiet(self) -> None:
        """Until nothing is worked on, and nobody outside waits. A peer sees a moment later that a connection is closed."""
        while (
            self.host.engine.working()
            or self.provider.open
            or self.outside.connected
            or self.host._adapters.machine.holding()
            or self.going()
        ):
            await asyncio.sleep(0.01)

    async def rows(self) -> list[TaskRow]:
        """Every task."""
        found: list[TaskRow] = []
        while page := await self.host.tasks(Filter(before=found[-1].id if found else "", limit=1000)):
            found += page
        return found

    async def left(self) -> dict[str, object]:
        """What is there that shouldn't be."""
        rows = await self.rows()
        engine, machine = self.host.engine, self.host._adapters.machine
        folders = Path(self.host.settings.home) / "workspaces"
        return {
            "unfinished": [
                f"{row.id} {row.name} {row.state} {row.hold}" for row in rows if row.state not in FINAL or row.hold
            ],
            "working": engine.working(),
            "going": self.going(),
            "processes": self.processes(),
            "streams": self.provider.open,
            "answers in the background": self.provider.made_on,
            "connections": self.outside.connected,
            "tools": Hold.now,
            "slots": {key: taken for key, (taken, waiting, _) in engine.slots.counts().items() if taken or waiting},
            "machine": [*machine.holding(), *machine.waiting()],
            "followers": engine.services.bus.followers,
            "questions": [each.ask.id for each in await self.host.questions()],
            "inboxes": [row.id for row in rows if await self.host._adapters.store.inbox(row.id)],
            "folders": [each.name for each in folders.iterdir() if not each.name.startswith(".")],
            "accounts": await self._accounts(),
        }

    async def _accounts(self) -> list[str]:
        """Calls that are settled although nobody answered, and a person's day that isn't the sum of the ledger."""
        answered, used = self.provider.answered, Counter[str]()
        found: list[str] = []
        for row in [row for row in await self.rows() if not row.parent]:
            for entry in await self.host.ledger(row.id):
                key = f"{entry.task}/{entry.command}/{entry.attempt}"
                if (
                    entry.settled
                    and entry.spent != Spend()
                    and key not in answered
                    and not entry.model.startswith("a2a")
                ):
                    found.append(f"{key} is settled, and nobody answered it")
                used[day_of(entry.at)] += (entry.spent or entry.worst).tokens
        for day, tokens in used.items():
            account = await self.host._adapters.store.spent(day_account(day, "person/default/owner"))
            if account.tokens != tokens:
                found.append(f"{account.tokens} tokens on {day}, and {tokens} in the ledger")
        return found


def marked(mark: str) -> list[str]:
    """Command lines with a mark, of whatever user and session."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if mark in line:
                found.append(line)
    return found


def day_of(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as side:
        side.bind(("127.0.0.1", 0))
        return side.getsockname()[1]


@asynccontextmanager
async def made(
    folder: Path, manifests: str = MANIFESTS, more: str = "", sandbox: str = "bubblewrap"
) -> AsyncGenerator[Bed]:
    """A bed, the host of which is served on loopback too."""
    mark = f"9{os.getpid()}.{os.urandom(3).hex().translate(str.maketrans('abcdef', '123456'))}"
    playbook, home = folder / "playbook.yaml", folder / "home"
    playbook.write_text(PLAYBOOK.replace("MARK", mark))
    home.mkdir(mode=0o700)
    port, outside = free_port(), Outside()
    server = await asyncio.start_server(outside.serve, "127.0.0.1", 0)
    outside.port = server.sockets[0].getsockname()[1]
    async with server, provided(playbook) as provider:
        (home / "agenthost.toml").write_text(SETTINGS.replace("URL", provider.url).replace("PORT", str(port)) + more)
        host = await open_host(load(home, {"AGENTHOST_SANDBOX": sandbox}), work=True, serving=True)
        await host.recovered()
        assert (await host._adapters.sandbox.available()).available
        sandbox_of(host)._way._resolve = outside.resolve
        try:
            async with served(host, home / "host.sock", Listening("127.0.0.1", port)) as url:
                await host.set_secret("here", (home / "token").read_text().strip())
                _, problems = await host.apply({"m.yaml": manifests.replace("MARK", mark).replace("HERE", url)})
                assert not problems, problems
                yield Bed(host, provider, outside, mark, url)
        finally:
            await host.close()


def sandbox_of(host: Host) -> Any:
    """The one sandbox that a bed's host has."""
    choice: Any = host._adapters.sandbox
    (found,) = choice._made.values()
    while hasattr(found, "inner"):
        found = found.inner
    return found


async def until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.02)
