"""Answers that are made at the provider in the background, and fetched by whoever has their handle.

Source: OpenAI's guide "Background mode": `background` and `store` at the making; `GET /responses/ID`, with
`stream=true&starting_after=N` for the events after number N; `POST /responses/ID/cancel`. The provider keeps such an
answer for a while, so `store: false` of other calls is given up for it.
"""

import asyncio
import time
from contextlib import suppress

import aiohttp
import msgspec
from msgspec import Struct

from agenthost.core.errors import AgentHostError, BadInput, Permanent, Temporary
from agenthost.core.models import ModelAnswer, ModelCard, ModelRequest
from agenthost.models.attempts import BYTES_A_TOKEN
from agenthost.models.limits import Limiter
from agenthost.models.openai import failures
from agenthost.models.openai.connection import Sessions
from agenthost.models.openai.content import Read, said
from agenthost.models.openai.model import OpenAIModel
from agenthost.models.openai.names import own_names
from agenthost.models.openai.reading import content_of, events_of
from agenthost.models.openai.responses import ResponsesWire
from agenthost.models.openai.sse import Parser
from agenthost.models.openai.wire import BadAnswer, Reader, Refused, Tell
from agenthost.models.settings import Provider

_FIRST, _MOST = 0.5, 5.0  # seconds between two looks at an answer that isn't ready; doubles from the first to the last
_WAITING = ("queued", "in_progress")


class _Head(Struct):
    id: str = ""
    status: str = ""


class _Event(Struct):
    sequence_number: int | None = None
    response: _Head | None = None


_head = msgspec.json.Decoder(_Head).decode
_event = msgspec.json.Decoder(_Event).decode


class _Followed:
    """An answer's events as they are followed: who reads them, the last number, whether there is a stream at all."""

    def __init__(self, reader: Reader, stream: bool) -> None:
        self.reader = reader
        self.stream = stream
        self.last = -1


class BackgroundModel(OpenAIModel):
    """The port `core.ports.Resumable` over the responses wire."""

    def __init__(self, card: ModelCard, provider: Provider, sessions: Sessions, limiter: Limiter, read: Read) -> None:
        super().__init__(card, provider, sessions, limiter, read)
        if not isinstance(self._wire, ResponsesWire):
            raise BadInput(
                f"the model '{provider.name}:{card.name}' can't answer in the background by Chat Completions: take "
                f'`background` off its card, or set wire = "responses" in [models.providers.{provider.name}]'
            )

    async def begin(self, request: ModelRequest) -> str:
        """Have an answer made; its id at the provider."""
        turns = await said(request.turns, self._read)
        made = self._wire.body(request, turns, self._shape) | {"background": True, "store": True}
        body = msgspec.json.encode(made)
        async with self._attempts.attempt(len(body) // BYTES_A_TOKEN + request.max_output):
            return await self._posted(body, request)

    async def resume(self, handle: str, request: ModelRequest, tell: Tell) -> ModelAnswer:
        """Follow an answer to its end, by its stream where there is one, else by looking at it again and again."""
        loop = asyncio.get_running_loop()
        followed = _Followed(self._wire.reader(tell, own_names(request.tools)), self._settings.stream)
        wait, failing = _FIRST, 0.0
        while True:
            try:
                answer = await self._look(handle, request, followed)
                if answer is not None:
                    return answer
                failing = 0.0
            except Temporary as error:
                failing = failing or loop.time()
                if error.sent or loop.time() - failing > self._settings.idle_timeout:
                    raise
                wait = max(wait, min(error.delay or 0.0, self._settings.idle_timeout))
            await asyncio.sleep(wait)
            wait = min(_MOST, wait * 2)

    async def cancel(self, handle: str) -> None:
        """Tell the provider to stop; what has ended, or is not there, stays as it is."""
        session = await self._session()
        problem: AgentHostError | None = None
        try:
            async with session.post(
                self._url / handle / "cancel", headers=self._headers, timeout=self._timeout, allow_redirects=False
            ) as response:
                content = await content_of(response)
                if response.status not in (200, 400, 404, 409):
                    problem = failures.answered(response.status, response.headers, content, self._peer, time.time())
        except BadAnswer as error:
            problem = failures.bad_answer(str(error), self._peer)
        except (aiohttp.ClientError, OSError) as error:
            problem = failures.transport(error, self._peer)
        if problem is not None:
            raise problem

    async def _session(self) -> aiohttp.ClientSession:
        return await self._sessions.session(self._base, self._settings.proxy, self._settings.ca_file)

    async def _posted(self, body: bytes, request: ModelRequest) -> str:
        try:
            async with self._sent(body, request) as response:
                if response.content_type != "text/event-stream":
                    return _id(await content_of(response))
                parser = Parser()
                async for chunk in response.content.iter_any():
                    for event in events_of(parser, chunk):
                        head = _event(event.data).response
                        if head is not None and head.id:
                            response.close()  # the answer is made on; whoever waits for it comes by its id
                            return head.id
                raise BadAnswer("its stream ended before the answer had an id")
        except BadAnswer as error:
            problem: AgentHostError = failures.bad_answer(str(error), self._peer)
        except msgspec.DecodeError:
            problem = failures.bad_answer("it is not JSON of the API's form", self._peer)
        except (aiohttp.ClientError, OSError) as error:
            problem = failures.transport(error, self._peer)
        raise problem

    async def _look(self, handle: str, request: ModelRequest, followed: _Followed) -> ModelAnswer | None:
        """The answer, None where it isn't ready. Raises as the port's `resume` does."""
        try:
            if followed.stream and await self._follow(handle, followed):
                return followed.reader.answer()
            return await self._polled(handle, request)
        except BadAnswer as error:
            problem: AgentHostError = failures.bad_answer(str(error), self._peer)
        except Refused as error:
            raise failures.reported(error.error, self._peer) from None
        except msgspec.DecodeError:
            problem = failures.bad_answer("it is not JSON of the API's form", self._peer)
        except (aiohttp.ClientError, OSError) as error:
            problem = failures.transport(error, self._peer)
        # A look that failed costs nothing, and another may see more.
        raise _unsent(problem)

    async def _follow(self, handle: str, followed: _Followed) -> bool:
        """Follow the stream of events from where it was left; whether everything that makes the answer has come."""
        query = {"stream": "true"} | ({"starting_after": str(followed.last)} if followed.last >= 0 else {})
        session = await self._session()
        try:
            async with session.get(
                (self._url / handle).with_query(query),
                headers=self._headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                if response.status != 200 or response.content_type != "text/event-stream":
                    followed.stream = False
                    return False
                parser = Parser()
                async for chunk in response.content.iter_any():
                    for event in events_of(parser, chunk):
                        number = _event(event.data).sequence_number if event.data != b"[DONE]" else None
                        if number is not None and number <= followed.last:
                            continue  # told already: this server begins anew
                        followed.last = followed.last if number is None else number
                        followed.reader.feed([event])
                    if followed.reader.complete:
                        return True
        except (aiohttp.ClientError, OSError):
            pass  # a stream that is cut says nothing of the answer; how that is, a look without stream tells
        return followed.reader.complete

    async def _polled(self, handle: str, request: ModelRequest) -> ModelAnswer | None:
        session = await self._session()
        async with session.get(
            self._url / handle, headers=self._headers, timeout=self._timeout, allow_redirects=False
        ) as response:
            content = await content_of(response)
            if response.status == 404:
                raise _gone(f"{self._peer.name} no longer has the answer {handle}")
            if response.status != 200:
                problem = failures.answered(response.status, response.headers, content, self._peer, time.time())
                raise _unsent(problem)
        status = _head(content).status
        if status in _WAITING:
            return None
        if status == "cancelled":
            raise _gone(f"the answer {handle} was cancelled at {self._peer.name}")
        return self._wire.whole(content, own_names(request.tools))


def _id(content: bytes) -> str:
    head = _Head()
    with suppress(msgspec.DecodeError):
        head = _head(content)
    if not head.id:
        raise BadAnswer("it has no id, by which a background answer is fetched")
    return head.id


def _gone(message: str) -> Permanent:
    return Permanent(f"{message}. It is made again.", code="gone")


def _unsent(error: AgentHostError) -> AgentHostError:
    if isinstance(error, Temporary) and error.sent:
        return Temporary(error.message, code=error.code, delay=error.delay, **error.details)
    return error
