"""A host's client as a courier uses it."""

from collections.abc import AsyncIterator, Sequence

from msgspec.structs import replace

from agenthost.client import Client
from agenthost.core.api import Incoming, Placed
from agenthost.core.conversations import Line, LineFilter
from agenthost.core.parts import FilePart
from agenthost.core.ports import Abilities


class ClientPost:
    """The port `port.Post` over a client, which whoever made it closes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._conversations = client.conversations()

    async def place(self, came: Incoming) -> Placed:
        return await self._client.place(came)

    def listen(self, wanted: LineFilter) -> AsyncIterator[Line]:
        return self._conversations.listen(wanted)

    async def last(self, wanted: LineFilter) -> int:
        found = await self._conversations.lines(replace(wanted, after=0, newest=True, limit=1))
        return found[-1].place if found else 0

    async def sent(self, place: int, ids: Sequence[str]) -> None:
        await self._conversations.sent(place, ids)

    async def put_file(self, name: str, content: bytes, media_type: str = "") -> FilePart:
        return await self._client.put_file(name, content, media_type)

    async def get_file(self, digest: str) -> bytes:
        return await self._client.get_file(digest)

    async def abilities(self, name: str) -> Abilities:
        return await self._client.abilities(name)
