"""A model behind OpenAI's API: one attempt a call."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from agenthost.core.errors import AgentHostError, BadInput
from agenthost.core.models import ModelAnswer, ModelCard, ModelRequest
from agenthost.core.traces import traceparent
from agenthost.models.attempts import BYTES_A_TOKEN, Attempts
from agenthost.models.limits import Limiter
from agenthost.models.openai import failures
from agenthost.models.openai.chat import ChatWire
from agenthost.models.openai.connection import Sessions, base_url
from agenthost.models.openai.content import Read, said
from agenthost.models.openai.names import own_names
from agenthost.models.openai.reading import content_of, events_of
from agenthost.models.openai.responses import ResponsesWire
from agenthost.models.openai.sse import Parser
from agenthost.models.openai.wire import BadAnswer, Reader, Refused, Shape, Tell, Wire
from agenthost.models.settings import OPENAI, Provider

_TO_LEARN = 2048  # bytes of a stream that show its frame: some events
_PATIENCE = 0.5  # seconds that a server has to end a stream which it called done


Other = TypeVar("Other", bound="OpenAIModel")


class OpenAIModel:
    """One model of one provider.

    `read` gives a file's bytes by digest. The provider's base URL must be set. Raises BadInput for settings that
    can't be used.
    """

    def __init__(self, card: ModelCard, provider: Provider, sessions: Sessions, limiter: Limiter, read: Read) -> None:
        settings = provider.settings
        base = base_url(settings.base_url, provider.url_setting)
        official = base.host == URL(OPENAI).host
        chat = settings.wire == "chat" or (not settings.wire and not official)
        self._wire: Wire = ChatWire() if chat else ResponsesWire()
        self._url = base.with_path(base.path.rstrip("/") + self._wire.path)
        self._base = base
        self._provider = provider
        self._card = card
        self._settings = settings
        self._sessions = sessions
        self._limiter = limiter
        self._attempts = Attempts(limiter)
        self._read = read
        field = settings.output_field or ("max_completion_tokens" if official else "max_tokens")
        told = official if settings.prompt_cache_key is None else settings.prompt_cache_key
        self._shape = Shape(card.name, settings.stream, field, told, settings.extra)
        self._headers = _headers(provider)
        secrets = [provider.key, *settings.headers.values()]
        sources = (provider.key_setting, provider.url_setting)
        self._peer = failures.Peer(provider.name, card.name, str(base), sources, secrets, keyed=bool(provider.key))
        self._timeout = aiohttp.ClientTimeout(
            connect=settings.connect_timeout, sock_connect=settings.connect_timeout, sock_read=settings.idle_timeout
        )

    def __repr__(self) -> str:
        return f"OpenAIModel({self._card.name!r}, {str(self._base)!r})"

    @property
    def card(self) -> ModelCard:
        return self._card

    @property
    def refused(self) -> bool:
        """Whether the provider refused the key: whoever keeps this model should make it anew, with today's key."""
        return self._attempts.refused

    def another(self, kind: type[Other]) -> Other:
        """This model of this provider as another of its kinds, over the same connections and limits."""
        return kind(self._card, self._provider, self._sessions, self._limiter, self._read)

    async def answer(self, request: ModelRequest, tell: Tell) -> ModelAnswer:
        turns = await said(request.turns, self._read)
        body = msgspec.json.encode(self._wire.body(request, turns, self._shape))
        pictures = [picture for entry in turns for picture in entry.pictures]
        given = (len(body) - sum(len(picture.url) for picture in pictures)) // BYTES_A_TOKEN
        given += len(pictures) * self._card.image_tokens
        return await self._attempts.answer(given, request.max_output, lambda: self._attempt(body, request, tell))

    async def _attempt(self, body: bytes, request: ModelRequest, tell: Tell) -> ModelAnswer:
        names = own_names(request.tools)
        reader = self._wire.reader(tell, names)
        try:
            async with self._sent(body, request) as response:
                if response.content_type == "text/event-stream":
                    return await self._streamed(response, reader)
                return self._whole(await content_of(response), response.content_type, names)
        except BadAnswer as error:
            problem: AgentHostError = failures.bad_answer(str(error), self._peer)
        except Refused as error:
            problem = failures.reported(error.error, self._peer)
        except (aiohttp.ClientError, OSError) as error:  # time-outs are among both
            problem = failures.transport(error, self._peer)
            if reader.complete:  # what is missing is only the polite end of the stream
                with suppress(BadAnswer):
                    return reader.answer()
        # Raised out here so that it has no context: an error of aiohttp's can hold the request's headers.
        raise problem

    @asynccontextmanager
    async def _sent(self, body: bytes, request: ModelRequest) -> AsyncGenerator[aiohttp.ClientResponse]:
        """What comes to a request, where that is no refusal."""
        session = await self._sessions.session(self._base, self._settings.proxy, self._settings.ca_file)
        async with session.post(
            self._url, data=body, headers=self._headers_of(request), timeout=self._timeout, allow_redirects=False
        ) as response:
            if response.status != 200:
                content = await content_of(response)
                raise failures.answered(response.status, response.headers, content, self._peer, time.time())
            yield response

    async def _streamed(self, response: aiohttp.ClientResponse, reader: Reader) -> ModelAnswer:
        parser = Parser()
        async for chunk in response.content.iter_any():
            if reader.frame is None and len(chunk) > 2 * _TO_LEARN:
                reader.feed(events_of(parser, chunk[:_TO_LEARN]))
                chunk = chunk[_TO_LEARN:]
            reader.feed(events_of(parser, chunk, reader.frame))
            if reader.closed:
                if not response.content.at_eof():
                    await _drain(response)
                return reader.answer()
        with suppress(BadAnswer):  # half an event is a cut, not nonsense
            reader.feed(parser.close())
        if not reader.complete:
            raise failures.cut(self._peer)
        return reader.answer()

    def _whole(self, content: bytes, media_type: str, names: dict[str, str]) -> ModelAnswer:
        if media_type == "text/html" or content.lstrip()[:1] == b"<":
            raise BadAnswer("it is an HTML page instead of JSON")
        return self._wire.whole(content, names)

    def _headers_of(self, request: ModelRequest) -> Mapping[str, str]:
        labels = request.metadata if self._settings.labels else {}
        if not request.key and not labels:
            return self._headers
        headers = self._headers.copy()
        if request.key:
            headers["Idempotency-Key"] = request.key
            if self._provider.trace is not None:
                headers["traceparent"] = traceparent(request.key, self._provider.trace)
        for name, value in labels.items():
            if name != "person":  # whom an answer is for is nobody's business at a provider
                headers[f"X-AgentHost-{name.title()}"] = value
        return headers


def _headers(provider: Provider) -> CIMultiDict[str]:
    settings, key = provider.settings, provider.key
    headers = CIMultiDict({"Content-Type": "application/json", "User-Agent": "AgentHost"})
    headers["Accept"] = "text/event-stream" if settings.stream else "application/json"
    if key:
        _sendable(key, provider.key_setting)
        headers["Authorization"] = f"Bearer {key}"
    for name, value in settings.headers.items():
        _sendable(name + value, f"the header {name!r} in [models.providers.{provider.name}]")
        headers[name] = value
    return headers


def _sendable(text: str, setting: str) -> None:
    """Raises BadInput where `text` can't stand in a header (RFC 9110, 5.5), without repeating it."""
    if not text.isascii() or not text.isprintable():
        raise BadInput(f"{setting} holds a line break or a character that no HTTP header can have. Set it again.")


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read to the end of a stream that has said everything, so that its connection can be used again."""
    if response.content.at_eof():
        return
    try:
        async with asyncio.timeout(_PATIENCE):
            while not response.content.at_eof():
                await response.content.readany()
    except (TimeoutError, aiohttp.ClientError):
        response.close()
