"""What was said in conversations: shown to whoever looks and listens, and the host's own words among it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

from msgspec.structs import replace

from agenthost.core.access import OWNER
from agenthost.core.conversations import ConversationInfo, Conversations, Line, LineFilter, LineKind, Thread, Wanted
from agenthost.core.errors import NotFound
from agenthost.core.routing import Topic
from agenthost.host.conversing import scenes
from agenthost.host.conversing.doing import Done, versions

LOOK = 30.0
"""Seconds after which lines are looked for without a call: another process may have written some."""


class Listening:
    """The part of the port `core.conversations.Conversing` that changes nothing of what was decided."""

    def __init__(self, kept: Conversations) -> None:
        self._kept = kept
        self._listening: set[asyncio.Event] = set()

    async def _say(self, line: Line, done: Done, kind: LineKind = "told") -> tuple[Line, ...]:
        """The host's own words to a line, once for each of the texts that it had."""
        if not done.text:
            return ()
        task = done.task.id if done.task is not None else ""
        id = f"{line.id}:{kind}{versions(line)}"
        said = Line(line.conversation, id, "host", kind, time.time(), done.text, buttons=done.buttons, reply_to=line.id)
        said = replace(said, task=task, channel=line.channel, namespace=line.namespace, person=line.person)
        if kind in ("which", "settled"):
            # A channel knows by it which buttons are of no use any more.
            said = replace(said, question=which_of(line))
        kept = tuple(await self._kept.add([said]))
        self.told()
        return kept

    def told(self) -> None:
        """Something was said: whoever listens looks."""
        for event in self._listening:
            event.set()

    async def lines(self, wanted: LineFilter) -> list[Line]:
        """Lines of a person's conversations."""
        return await self._kept.lines(wanted)

    async def listen(self, wanted: LineFilter) -> AsyncIterator[Line]:
        """Lines after a place, for ever."""
        event = asyncio.Event()
        self._listening.add(event)
        try:
            while True:
                event.clear()
                found = await self._kept.lines(wanted)
                for line in found:
                    yield line
                    wanted = replace(wanted, after=line.place)
                if len(found) < wanted.limit:
                    try:
                        async with asyncio.timeout(LOOK):
                            await event.wait()
                    except TimeoutError:
                        pass
        finally:
            self._listening.discard(event)

    async def line(self, place: int, person: str = OWNER, namespace: str = "default") -> Line:
        """One line. Raises NotFound where it isn't theirs."""
        line = await self._kept.line(place)
        if line is None or (line.namespace, line.person) != (namespace, person):
            raise NotFound(f"there is no line {place} in your conversations")
        return line

    async def sent(self, place: int, ids: Sequence[str], person: str = OWNER, namespace: str = "default") -> None:
        """The channel has shown a line."""
        await self.line(place, person, namespace)
        await self._kept.shown(place, ids)

    async def topics(
        self, conversation: str, all: bool = False, person: str = OWNER, namespace: str = "default"
    ) -> list[Topic]:
        """The tasks of a conversation."""
        wanted = Wanted(open=50, ended=50 if all else 0, found=0)
        return list(scenes.scene(await self._kept.gather(Thread(namespace, person, conversation), wanted), None).topics)

    async def conversations(
        self, limit: int = 50, person: str = OWNER, namespace: str = "default"
    ) -> list[ConversationInfo]:
        """A person's conversations."""
        return await self._kept.conversations(namespace, person, limit)


def which_of(line: Line) -> str:
    """What tells the question for which task a line is from every other."""
    return f"which/{line.place}" + (f"/{len(line.before)}" if line.before else "")
