"""Conversations at a host, over HTTP."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from agenthost.client.following import Waits
from agenthost.client.transport import Broken, Transport, path_of
from agenthost.core.conversations import ConversationInfo, Line, LineFilter, Moved
from agenthost.core.errors import AgentHostError, HostUnreachable
from agenthost.core.routing import Topic
from agenthost.wire import sse
from agenthost.wire.bodies import ConversationPage, LinePage, MoveBody, SentBody, TopicPage, encode
from agenthost.wire.cursors import encode_cursor
from agenthost.wire.problems import decode_problem

T = TypeVar("T")
_JSON = {"Content-Type": "application/json"}
_line = msgspec.json.Decoder(Line)


class RemoteConversations:
    """Fulfils core.conversations.Conversing, for whoever has the token."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def lines(self, wanted: LineFilter) -> list[Line]:
        return list((await self._get(LinePage, "lines", query=_asked(wanted))).items)

    def listen(self, wanted: LineFilter) -> AsyncIterator[Line]:
        return Listener(self._transport, wanted).items()

    async def line(self, place: int, person: str = "", namespace: str = "") -> Line:
        return await self._get(Line, "lines", str(place))

    async def sent(self, place: int, ids: Sequence[str], person: str = "", namespace: str = "") -> None:
        data = encode(SentBody(tuple(ids)))
        await self._transport.call("PUT", path_of("lines", str(place), "sent"), data=data, headers=_JSON)

    async def move(self, place: int, to: str, name: str = "", person: str = "", namespace: str = "") -> Moved:
        path, data = path_of("lines", str(place), "move"), encode(MoveBody(to, name))
        return self._transport.decode(await self._transport.call("POST", path, data=data, headers=_JSON), Moved)

    async def topics(self, conversation: str, all: bool = False, person: str = "", namespace: str = "") -> list[Topic]:
        query = {"conversation": conversation, "all": "true" if all else "false"}
        return list((await self._get(TopicPage, "topics", query=query)).items)

    async def conversations(self, limit: int = 50, person: str = "", namespace: str = "") -> list[ConversationInfo]:
        return list((await self._get(ConversationPage, "conversations", query={"limit": limit})).items)

    async def _get(self, type: type[T], *names: str, query: dict[str, Any] | None = None) -> T:
        path = path_of(*names) + (f"?{urlencode(query)}" if query else "")
        return self._transport.decode(await self._transport.call("GET", path), type)


def _asked(wanted: LineFilter) -> dict[str, str]:
    found = {
        "cursor": encode_cursor(wanted.after),
        "conversation": wanted.conversation,
        "channel": wanted.channel,
        "by": wanted.by,
        "task": wanted.task,
        "newest": "true" if wanted.newest else "",
        "limit": str(wanted.limit),
    }
    return {name: value for name, value in found.items() if value}


class Listener:
    """Lines for ever, over connections that may break: each is told once."""

    def __init__(self, transport: Transport, wanted: LineFilter) -> None:
        self._transport = transport
        self._wanted: LineFilter = wanted

    async def items(self) -> AsyncGenerator[Line]:
        """Lines in their order. Raises HostUnreachable where the host has gone for long."""
        loop = asyncio.get_running_loop()
        waits, gone_since = Waits(), loop.time()
        while True:
            try:
                async with aclosing(self._connection()) as lines:
                    async for line in lines:
                        waits.progress()
                        self._wanted = msgspec.structs.replace(self._wanted, after=line.place)
                        gone_since = loop.time()
                        yield line
            except Broken:
                gone_since = loop.time()
            except HostUnreachable:
                if loop.time() - gone_since > self._transport.timing.absent:
                    raise
            await asyncio.sleep(waits.next())

    async def _connection(self) -> AsyncGenerator[Line]:
        reader = sse.Reader()
        path = path_of("lines") + "?" + urlencode(_asked(self._wanted))
        async with self._transport.stream(path, headers={"Accept": "text/event-stream"}) as pieces:
            async for piece in pieces:
                for frame in reader.feed(piece):
                    if frame.event == sse.SAID:
                        yield _line.decode(frame.data)
                    elif frame.event == sse.PROBLEM:
                        raise decode_problem(frame.data) or AgentHostError("the host ended the stream with an error")
        raise Broken("the stream was cut")
