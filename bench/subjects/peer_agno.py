"""agno with its SQLite database, which stores a run at its end."""

import itertools
from typing import Any

from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.openai import OpenAIChat


def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


class Subject:
    """One agent; each run is a session of its own."""

    def __init__(self) -> None:
        self._agents: dict[int, Any] = {}
        self._count = itertools.count()

    async def open(self, urls: dict[int, str], folder: str) -> None:
        database = SqliteDb(db_file=f"{folder}/agno.db")
        self._agents = {
            latency: Agent(
                model=OpenAIChat(id="fake", base_url=url, api_key="none"),
                instructions="You add numbers with the tool.",
                tools=[add],
                db=database,
                telemetry=False,
            )
            for latency, url in urls.items()
        }

    async def run(self, latency: int, number: int) -> str:
        done = await self._agents[latency].arun("What is 2 + 3?", session_id=f"session-{next(self._count)}")
        return str(done.content)

    async def close(self) -> None:
        """Nothing to let go of."""
