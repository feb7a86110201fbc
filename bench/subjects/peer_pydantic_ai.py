"""pydantic-ai alone: nothing is kept, so it stands beside the bare loop and not beside what is durable."""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


class Subject:
    """One agent with one tool."""

    def __init__(self) -> None:
        self._agents: dict[int, Any] = {}

    async def open(self, urls: dict[int, str], folder: str) -> None:
        self._agents = {
            latency: Agent(
                OpenAIChatModel("fake", provider=OpenAIProvider(base_url=url, api_key="none")),
                instructions="You add numbers with the tool.",
                tools=[add],
            )
            for latency, url in urls.items()
        }

    async def run(self, latency: int, number: int) -> str:
        return (await self._agents[latency].run("What is 2 + 3?")).output

    async def close(self) -> None:
        """Nothing to let go of."""
