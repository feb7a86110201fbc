"""AgentHost as a person has it: a host opened on a home, started work, followed to its end.

SQLite with `synchronous=FULL`, the journal with every event, the ledger, the `openai` adapter over HTTP with
streaming, the tools' registry with argument checks: nothing is left out for the measurement.
"""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec import structs

from agenthost.core.api import Order
from agenthost.core.events import Answered, Finished, Recorded
from agenthost.core.ids import task_id
from agenthost.core.parts import text_of
from agenthost.core.ports import Append, NewTask
from agenthost.core.tools import ToolResult
from agenthost.host.host import Host, open_host
from agenthost.host.settings import Settings
from agenthost.models.settings import ModelSettings, NameSettings, ProviderSettings
from bench.tools import ADD

MANIFEST = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: %s}
spec:
  model: %s
  instructions: You add numbers with the tool.
  tools: [%s]
  maxOutputTokens: %d
"""


def _settings(urls: dict[str, str], folder: str, stream: bool) -> Settings:
    return Settings(
        home=folder,
        models=ModelSettings(
            providers={
                name: ProviderSettings(base_url=url, api_key="none", wire="chat", stream=stream)
                for name, url in urls.items()
            },
            names={"small": NameSettings("loop:fake", card={"window": 3000})},
        ),
        tools={"add": "bench.tools:ADD"},
    )


class Subject:
    """One host; each run is a task of its own."""

    stream = True

    def __init__(self) -> None:
        self.host: Host | None = None

    async def open(self, urls: dict[int, str], folder: str) -> None:
        home = Path(folder) / "home"
        named = {f"fake{latency}": url for latency, url in urls.items()}
        named["loop"] = urls[0].replace("/l0/", "/loop0/")
        self.host = await open_host(_settings(named, str(home), self.stream), work=True)
        texts = {f"adder{ms}.yaml": MANIFEST % (f"adder{ms}", f"fake{ms}:fake", "add", 4096) for ms in urls}
        texts["counter.yaml"] = MANIFEST % ("counter", "small", "add", 64)
        _, problems = await self.host.apply(texts)
        if problems:
            raise RuntimeError(f"the manifest is refused: {problems}")

    async def run(self, latency: int, number: int) -> str:
        assert self.host is not None
        row = await self.host.start(Order(f"adder{latency}", "What is 2 + 3?"))
        said = ""
        async for item in self.host.follow(row.id):
            if isinstance(item, Recorded) and isinstance(item.event, Finished):
                if item.event.verdict.outcome != "done":
                    raise RuntimeError(f"a task ended with {item.event.verdict}")
                said = text_of(item.event.parts)
        return said

    async def long(self, rounds: int) -> dict[str, Any]:
        """One task of so many rounds of a model call and a tool call; time and CPU between two calls
        of the tool, and how many events there were at each."""
        assert self.host is not None
        ADD.rounds, ADD.times = rounds, []
        row = await self.host.start(Order("counter", "Go on adding until the tool says that it is done."))
        events: list[int] = []
        async for item in self.host.follow(row.id):
            if isinstance(item, Recorded):
                if isinstance(item.event, Answered) and isinstance(item.event.answer, ToolResult):
                    events.append(item.seq)
                if isinstance(item.event, Finished) and item.event.verdict.outcome != "done":
                    raise RuntimeError(f"the long task ended with {item.event.verdict}")
        steps = list(pairwise(ADD.times))
        return {
            "times_ms": [(after[0] - before[0]) * 1000 for before, after in steps],
            "cpu_ms": [(after[1] - before[1]) * 1000 for before, after in steps],
            "events": events,
        }

    async def fill(self, count: int) -> dict[str, float]:
        """Put finished tasks with whole journals into the database, through the port; its size in MB.

        They are copies, under other ids, of a task that was really run.
        """
        assert self.host is not None
        store = self.host.engine.services.parts.store
        row = await self.host.start(Order("adder0", "What is 2 + 3?"))
        async for _ in self.host.follow(row.id):
            pass
        done, events = await store.task(row.id), await store.events(row.id)
        assert done is not None

        async def copy(number: int) -> None:
            made = structs.replace(
                done, id=task_id(1_600_000_000_000 + number, number), state="submitted", outcome="", reason="", seq=1
            )
            made = structs.replace(made, root=made.id, epoch=1, owner="filler", created=done.created - count + number)
            await store.create(NewTask(made, events[0]))
            rest = tuple(events[1:])
            await store.append(Append(made.id, 1, rest, done.state, done.updated, done.outcome, done.reason))

        for first in range(0, count, 2000):
            await asyncio.gather(*(copy(number) for number in range(first, min(first + 2000, count))))
        file = Path(self.host.settings.home) / "agenthost.db"
        return {"megabytes": file.stat().st_size / 1e6}

    async def close(self) -> None:
        if self.host is not None:
            await self.host.close()


class Whole(Subject):
    """The same with answers that come in one piece, as all other subjects ask for them."""

    stream = False
