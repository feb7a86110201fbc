"""In which conversations somebody is at work, shown to those who wait."""

import asyncio

from agenthost.core.errors import AgentHostError
from agenthost.outposts.channel.port import Channel

EVERY = 4.0
"""Seconds between two signs; Telegram, for one, shows each for five."""


class Busy:
    """Shown until `end`, or for so many seconds."""

    def __init__(self, channel: Channel, seconds: float) -> None:
        self._channel = channel
        self._seconds = seconds
        self._until: dict[str, float] = {}
        self._begun = asyncio.Event()

    def begin(self, conversation: str) -> None:
        """Somebody is at work there from now on."""
        self._until[conversation] = asyncio.get_running_loop().time() + self._seconds
        self._begun.set()

    def end(self, conversation: str) -> None:
        """There is an answer."""
        self._until.pop(conversation, None)

    async def run(self) -> None:
        """Go on until cancelled. A sign that can't be shown is left."""
        while True:
            await self._begun.wait()
            self._begun.clear()
            while self._until:
                await self._show()
                await asyncio.sleep(EVERY)

    async def _show(self) -> None:
        now = asyncio.get_running_loop().time()
        for conversation, until in [*self._until.items()]:
            if until < now:
                self.end(conversation)
                continue
            try:
                await self._channel.working(conversation)
            except AgentHostError:
                self.end(conversation)
