"""The use-cases of conversations for one caller: each person has their own."""

from collections.abc import AsyncIterator, Sequence

from msgspec.structs import replace

from agenthost.core.access import Caller, Right
from agenthost.core.conversations import ConversationInfo, Conversing, Line, LineFilter, Moved
from agenthost.core.routing import Topic
from agenthost.host.conversing.desk import Desk
from agenthost.host.guarded import forbidden


class OwnConversations(Conversing):
    """Fulfils core.conversations.Conversing for a caller."""

    def __init__(self, desk: Desk, caller: Caller) -> None:
        self._desk = desk
        self._caller = caller

    def _need(self, right: Right, what: str) -> None:
        if not self._caller.may(right):
            raise forbidden(self._caller, right, what)

    def _own(self, wanted: LineFilter) -> LineFilter:
        self._need("read", "read conversations")
        return replace(wanted, person=self._caller.person, namespace=self._caller.namespace)

    async def lines(self, wanted: LineFilter) -> list[Line]:
        return await self._desk.lines(self._own(wanted))

    def listen(self, wanted: LineFilter) -> AsyncIterator[Line]:
        return self._desk.listen(self._own(wanted))

    async def line(self, place: int, person: str = "", namespace: str = "") -> Line:
        self._need("read", "read conversations")
        return await self._desk.line(place, self._caller.person, self._caller.namespace)

    async def sent(self, place: int, ids: Sequence[str], person: str = "", namespace: str = "") -> None:
        self._need("work", "show lines")
        await self._desk.sent(place, ids, self._caller.person, self._caller.namespace)

    async def move(self, place: int, to: str, name: str = "", person: str = "", namespace: str = "") -> Moved:
        self._need("work", "move messages")
        return await self._desk.move(place, to, name, self._caller.person, self._caller.namespace)

    async def topics(self, conversation: str, all: bool = False, person: str = "", namespace: str = "") -> list[Topic]:
        self._need("read", "read conversations")
        return await self._desk.topics(conversation, all, self._caller.person, self._caller.namespace)

    async def conversations(self, limit: int = 50, person: str = "", namespace: str = "") -> list[ConversationInfo]:
        self._need("read", "read conversations")
        return await self._desk.conversations(limit, self._caller.person, self._caller.namespace)
