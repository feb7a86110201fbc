"""Reading what a provider sends, within bounds."""

from typing import TypeVar

import aiohttp
import msgspec

from agenthost.models.openai.sse import MOST_BYTES, Event, Frame, Parser
from agenthost.models.openai.wire import BadAnswer, Refused, error_of

T = TypeVar("T")


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


def events_of(parser: Parser, chunk: bytes, frame: Frame | None = None) -> list[Event]:
    """The events that a chunk of a stream completes, as `Parser.feed`. Raises BadAnswer where one is far too large."""
    try:
        return parser.feed(chunk, frame)
    except ValueError as error:
        raise BadAnswer(str(error)) from None


def decoded(decoder: "msgspec.json.Decoder[T]", content: bytes, reports: bool = False) -> T:
    """JSON as a record. Raises BadAnswer where it is none, and, with `reports`, Refused where it tells of an error."""
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        reported = error_of(msgspec.json.decode(content)) if reports else None
        if reported is not None:
            raise Refused(reported) from None
        raise BadAnswer(f"its JSON is not of the API's form ({error})") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadAnswer("it is not JSON") from None
