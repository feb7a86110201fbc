"""Reading what a provider sends, within bounds."""

import aiohttp

from agenthost.models.openai.sse import MOST_BYTES, Event, Parser
from agenthost.models.openai.wire import BadAnswer


async def content_of(response: aiohttp.ClientResponse, most: int | None = None) -> bytes:
    """A response's whole content. Raises BadAnswer where it is more than `most` bytes (64 MB)."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > (most or MOST_BYTES):
            raise BadAnswer("it is far too large")
    return b"".join(chunks)


def events_of(parser: Parser, chunk: bytes) -> list[Event]:
    """The events that a chunk of a stream completes. Raises BadAnswer where one is far too large."""
    try:
        return parser.feed(chunk)
    except ValueError as error:
        raise BadAnswer(str(error)) from None
