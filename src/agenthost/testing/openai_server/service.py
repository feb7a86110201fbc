"""The server: an aiohttp application over a playbook."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from ssl import SSLContext
from typing import Any, Protocol

import msgspec
from aiohttp import web

from agenthost.core.models import ModelRequest
from agenthost.models.playbook import Heard, Play, Playbook, Tries
from agenthost.models.scripted import pieces
from agenthost.testing.openai_server import background, faults, told
from agenthost.testing.openai_server.background import Background
from agenthost.testing.openai_server.heard import Malformed, pictures_of, request_of
from agenthost.testing.openai_server.offers import Offers
from agenthost.testing.openai_server.record import Answered, Record

_MOST_BYTES = 256 * 2**20


class Mind(Protocol):
    """What answers in a playbook's place: it is shown the pictures too, by digest."""

    def play(self, request: ModelRequest, seen: dict[str, bytes]) -> Play: ...


class Service:
    """Answers by `playbook`, or out of a mind. `latency`: seconds before the first byte; `pause`: between any two pieces of a
    stream. `key`: what clients must show, if anything. `models` is what /v1/models lists."""

    def __init__(
        self,
        playbook: Playbook | Mind,
        record: Path | None = None,
        latency: float = 0.0,
        pause: float = 0.0,
        key: str = "",
        models: tuple[str, ...] = ("scripted",),
        offers: Offers | None = None,
        background: Background | None = None,
    ) -> None:
        self._playbook = playbook
        self._record = Record(record)
        self._latency = latency
        self._pause = pause
        self._key = key
        self._models = models
        self._tries = Tries()
        self.offers = offers or Offers()
        self.background = background or Background()

    def application(self) -> web.Application:
        """The routes of the API."""
        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/responses", self._responses)
        app.router.add_get("/v1/responses/{id}", self.background.get)
        app.router.add_post("/v1/responses/{id}/cancel", self.background.cancel)
        app.router.add_delete("/v1/responses/{id}", self.background.delete)
        self.offers.add(app, self._heard, self._batched)
        return app

    def close(self) -> None:
        self._record.close()

    async def _list(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "agenthost"} for name in self._models]
        return web.json_response({"object": "list", "data": data})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "chat")

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "responses")

    def _refused(self, request: web.Request) -> web.Response | None:
        if not self._key or request.headers.get("Authorization") == f"Bearer {self._key}":
            return None
        # As OpenAI does, and as a careless server may: with what it was shown.
        shown = request.headers.get("Authorization", "nothing").removeprefix("Bearer ")
        return faults.error(401, "invalid_request_error", "invalid_api_key", f"Incorrect API key provided: {shown}.")

    async def _answer(self, request: web.Request, wire: str) -> web.StreamResponse:
        content = await request.read()
        number = self._record.asked(content)
        if (refused := self._refused(request)) is not None:
            return refused
        try:
            body = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
            stream = msgspec.json.decode(body.get("stream", msgspec.Raw(b"false")), type=bool)
            heard = request_of(wire, msgspec.json.decode(content), request.headers)
        except (Malformed, msgspec.DecodeError, UnicodeDecodeError) as error:
            return faults.error(400, "invalid_request_error", "", str(error))
        play = self._play(heard, content)
        if play is None:
            return _speechless(heard)
        await asyncio.sleep(self._latency + play.delay)
        if play.fail is not None:
            self._tries.failed(heard, play.fail)
            if (response := await faults.before_answer(play.fail, request, wire)) is not None:
                return response
        answered = Answered(number, heard.key, wire, heard.model, play.usage, heard.metadata.get("agent", ""))
        if background.wants(body.get("background")):
            self._record.answered(msgspec.structs.replace(answered, wire="background"))
            id = self.background.begin(play, heard.model, self._latency, self._pause or play.pause)
            return await self.background.began(request, id, stream)
        if stream:
            usage = b'"include_usage":true' in content.replace(b" ", b"")
            frames = (
                told.chat_stream(play, heard.model, usage)
                if wire == "chat"
                else told.responses_stream(play, heard.model)
            )
            return await self._streamed(request, play, frames, answered)
        whole = told.chat_whole(play, heard.model) if wire == "chat" else told.responses_whole(play, heard.model)
        return await self._sent(request, play, msgspec.json.encode(whole), answered)

    def _play(self, heard: ModelRequest, content: bytes) -> Play | None:
        if isinstance(self._playbook, Playbook):
            return self._playbook.play(heard, self._tries.so_far(heard))
        return self._playbook.play(heard, pictures_of(msgspec.json.decode(content)))

    async def _heard(self, request: web.Request) -> web.Response | None:
        """Keep what another endpoint was asked; the refusal where the key is wrong."""
        content = await request.read()
        self._record.asked(content)
        await asyncio.sleep(self._latency)
        return self._refused(request)

    def _batched(self, url: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """One request of a batch: status and body of its answer."""
        wire = "chat" if url.endswith("/chat/completions") else "responses"
        try:
            heard = request_of(wire, msgspec.json.decode(body), {})
        except Malformed as error:
            return 400, {"error": {"message": str(error), "type": "invalid_request_error", "param": None, "code": None}}
        play = self._play(heard, body)
        if play is None:
            return 400, {
                "error": {"message": "No reply.", "type": "invalid_request_error", "code": "scripted_no_reply"}
            }
        return 200, told.chat_whole(play, heard.model) if wire == "chat" else told.responses_whole(play, heard.model)

    async def _streamed(
        self, request: web.Request, play: Play, frames: Iterator[bytes], answered: Answered
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        if play.fail is not None:
            for frame in islice(frames, play.fail.after + 1):
                await response.write(frame)
            return await faults.end_badly(play.fail, request, response)
        last = b""
        pause = self._pause or play.pause
        for frame in frames:
            if last:
                await response.write(last)
                if pause:
                    await asyncio.sleep(pause)
            last = frame
        self._record.answered(answered)
        await response.write(last)
        await response.write_eof()
        return response

    async def _sent(self, request: web.Request, play: Play, content: bytes, answered: Answered) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(content)
        pause = (self._pause or play.pause) * len(pieces(play.text))
        if play.fail is not None:
            await response.prepare(request)
            await response.write(content[: min(len(content) - 1, 4 * play.fail.after)])
            return await faults.end_badly(play.fail, request, response)
        if pause:
            await asyncio.sleep(pause)
        await response.prepare(request)
        self._record.answered(answered)
        await response.write(content)
        await response.write_eof()
        return response


def _speechless(request: ModelRequest) -> web.Response:
    """No rule fits: said as a provider says it, with our own codes."""
    if any(file.media_type.startswith("image/") for file in Heard(request).files):
        message = "The playbook knows another picture, not this one."
        return faults.error(400, "invalid_request_error", "scripted_unreadable", message)
    message = "The playbook has no reply to this."
    return faults.error(400, "invalid_request_error", "scripted_no_reply", message)


@asynccontextmanager
async def serving(
    application: web.Application, port: int = 0, ssl_context: SSLContext | None = None
) -> AsyncGenerator[str]:
    """Serve on loopback while the context is open; the address, such as `http://127.0.0.1:8123`."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=ssl_context).start()
        scheme = "https" if ssl_context is not None else "http"
        yield f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
