"""`Courier`: moves what people write to the host, and what the host says to people, each once, over crashes of any side.

In: what a channel gives is kept in the book before it is confirmed to its service, and forgotten once the host has placed it; the host counts it once by
its key. Out: every line is kept before the next is asked for; before a message is sent that is noted, and afterwards under which ids. So only messages that were under
way in a crash are in doubt, at most one a conversation, and these are sent again: an answer that comes twice is better than none.
"""

import asyncio
import time
from contextlib import aclosing
from typing import Protocol, cast

import structlog
from msgspec.structs import replace

from agenthost.core.conversations import LineFilter
from agenthost.core.errors import AgentHostError, Forbidden, HostUnreachable, Temporary, Unauthenticated
from agenthost.outposts.channel.book import Book
from agenthost.outposts.channel.busy import Busy
from agenthost.outposts.channel.doorman import Doorman
from agenthost.outposts.channel.inward import Inward
from agenthost.outposts.channel.lanes import FIRST, LONGEST, Lanes
from agenthost.outposts.channel.outward import Outward
from agenthost.outposts.channel.port import Channel, Posts
from agenthost.outposts.channel.ways import LOOK, Ways


class _Closing(Protocol):
    async def aclose(self) -> None: ...


class Courier:
    """One channel's. `book` is open. `run` goes on until it is cancelled, or raises what can't be mended by waiting (a token that isn't right)."""

    def __init__(self, channel: Channel, posts: Posts, book: Book, doorman: Doorman, ways: Ways) -> None:
        self._channel = channel
        self._posts = posts
        self._book = book
        self._log = structlog.get_logger(__name__).bind(channel=channel.name)
        self._busy = Busy(channel, ways.busy)
        self._inward = Inward(channel, posts, book, doorman, ways, self._busy)
        self._outward = Outward(channel, posts, book, ways, self._busy)

    async def run(self) -> None:
        """Carry messages, both ways."""
        try:
            await self._carry()
        except BaseExceptionGroup as error:
            known = error.subgroup(AgentHostError)
            if known is None:
                raise
            while isinstance(known, BaseExceptionGroup):
                known = known.exceptions[0]
            raise known from error

    async def _carry(self) -> None:
        async with asyncio.TaskGroup() as group:
            ins = Lanes(group, self._inward.work, self._inward.broken)
            outs = Lanes(group, self._outward.work, self._outward.broken)
            self._inward.told = outs.wake
            for conversation in await self._book.hearing():
                ins.wake(conversation)
            for conversation in await self._book.showing():
                outs.wake(conversation)
            for post in self._posts:
                group.create_task(self._listen(post, outs), name=f"lines for {post or 'everybody'}")
            group.create_task(self._busy.run(), name="who is at work")
            group.create_task(self._revive(outs), name="what couldn't be shown")
            await self._hear(ins, outs)

    async def _revive(self, lanes: Lanes) -> None:
        """Try again what couldn't be shown, when its time has come."""
        while True:
            for conversation in await self._book.revive(time.time()):
                lanes.wake(conversation)
            await asyncio.sleep(LOOK)

    async def _hear(self, lanes: Lanes, outs: Lanes) -> None:
        """Keep what comes; the channel confirms it when the next is asked for."""
        arrivals = self._channel.arrivals()
        async with aclosing(cast(_Closing, arrivals)):
            async for came in arrivals:
                await self._book.hear(came)
                for conversation in dict.fromkeys(one.conversation for one in came):
                    lanes.wake(conversation)
                    # Who writes can be written to: they may have blocked us before.
                    if await self._book.revive(0.0, conversation):
                        outs.wake(conversation)

    async def _wanted(self, post: str) -> LineFilter:
        """The lines that come next: all, of a host that was put back to what it was before, since it counts them from there again."""
        wanted = LineFilter(channel=self._channel.name, by="host")
        after = await self._book.cursor(post)
        if after and (last := await self._posts[post].last(wanted)) < after:
            self._log.warning("the host has fewer lines than it had: it was restored", post=post, had=after, has=last)
            await self._book.rewind(post)
            after = 0
        return replace(wanted, after=after)

    async def _listen(self, post: str, lanes: Lanes) -> None:
        """Keep the lines of a host, for ever; a host that is away is looked for again."""
        wait = FIRST
        while True:
            try:
                lines = self._posts[post].listen(await self._wanted(post))
                async with aclosing(cast(_Closing, lines)):
                    async for line in lines:
                        wait = FIRST
                        # What was shown before (by a courier whose book is lost) isn't shown again.
                        wanted_here = not line.sent and self._channel.mine(line.conversation)
                        await self._book.keep(post, line, wanted=wanted_here)
                        if wanted_here:
                            lanes.wake(line.conversation)
            except (Unauthenticated, Forbidden) as error:
                self._log.error(
                    "the host doesn't let this in; give it a key that is right", post=post, problem=error.message
                )
                wait = LONGEST
            except AgentHostError as error:
                if not isinstance(error, HostUnreachable | Temporary):
                    self._log.warning("the host's lines can't be read", post=post, problem=error.message)
            await asyncio.sleep(wait)
            wait = min(LONGEST, wait * 2)
