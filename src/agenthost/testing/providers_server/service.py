"""The server: an aiohttp application over a playbook, in both dialects."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from agenthost.models.playbook import Play, Playbook, Tries
from agenthost.testing.openai_server.faults import end_badly, useless
from agenthost.testing.openai_server.heard import Malformed
from agenthost.testing.openai_server.record import Answered, Record
from agenthost.testing.providers_server.anthropic import Anthropic
from agenthost.testing.providers_server.dialect import Dialect, Trouble
from agenthost.testing.providers_server.gemini import Gemini

_MOST_BYTES = 256 * 2**20


class ProvidersService:
    """Answers by `playbook`. `key`: what clients must show, if anything. `latency` and `pause` in seconds."""

    def __init__(
        self,
        playbook: Playbook,
        record: Path | None = None,
        latency: float = 0.0,
        pause: float = 0.0,
        key: str = "",
    ) -> None:
        self._playbook = playbook
        self._record = Record(record)
        self._latency = latency
        self._pause = pause
        self._key = key
        self._tries = Tries()

    def application(self) -> web.Application:
        """The routes of both APIs."""

        async def anthropic(request: web.Request) -> web.StreamResponse:
            return await self._answer(request, Anthropic())

        async def gemini(request: web.Request) -> web.StreamResponse:
            return await self._answer(request, Gemini())

        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_post("/v1/messages", anthropic)
        app.router.add_post("/v1beta/models/{model}:{method}", gemini)
        return app

    def close(self) -> None:
        self._record.close()

    async def _answer(self, request: web.Request, dialect: Dialect) -> web.StreamResponse:
        content = await request.read()
        number = self._record.asked(content)
        shown = request.headers.get(dialect.key_header) or request.headers.get("Authorization", "").removeprefix(
            "Bearer "
        )
        if self._key and shown != self._key:
            trouble = dialect.troubles["auth"]
            # As a careless server may: with what it was shown.
            return _failed(dialect, trouble._replace(message=f"{trouble.message} ({shown})"), None)
        try:
            body: dict[str, Any] = msgspec.json.decode(content)
            heard = dialect.request(body, request)
        except (Malformed, msgspec.DecodeError, KeyError, TypeError) as error:
            return _failed(dialect, dialect.troubles["bad-request"]._replace(message=str(error)), None)
        play = self._playbook.play(heard, self._tries.so_far(heard))
        if play is None:
            silent = dialect.troubles["bad-request"]._replace(message="The playbook has no reply to this.")
            return _failed(dialect, silent, None)
        await asyncio.sleep(self._latency + play.delay)
        if play.fail is not None:
            self._tries.failed(heard, play.fail)
            if (early := _before(play, request, dialect)) is not None:
                return early
        noted = Answered(number, heard.key, dialect.name, heard.model, play.usage, heard.metadata.get("agent", ""))
        if dialect.streams(body, request):
            return await self._streamed(request, play, dialect.stream(play, heard.model), noted)
        return await self._sent(request, play, msgspec.json.encode(dialect.whole(play, heard.model)), noted)

    async def _streamed(
        self, request: web.Request, play: Play, frames: Iterator[bytes], noted: Answered
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if play.fail is not None:
            for frame in islice(frames, play.fail.after + 3):
                await response.write(frame)
            return await end_badly(play.fail, request, response)
        self._record.answered(noted)
        for frame in frames:
            await response.write(frame)
            await asyncio.sleep(self._pause or play.pause)
        await response.write_eof()
        return response

    async def _sent(self, request: web.Request, play: Play, content: bytes, noted: Answered) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(content)
        await response.prepare(request)
        if play.fail is not None:
            await response.write(content[: len(content) // 2])
            return await end_badly(play.fail, request, response)
        self._record.answered(noted)
        await response.write(content)
        await response.write_eof()
        return response


def _failed(dialect: Dialect, trouble: Trouble, retry: float | None) -> web.Response:
    response = web.json_response(dialect.error(trouble, retry), status=trouble.status)
    if retry is not None:
        response.headers["Retry-After"] = f"{retry:g}"
    return response


def _before(play: Play, request: web.Request, dialect: Dialect) -> web.Response | None:
    """What comes in place of an answer; None for the failures that begin with one (`cut`, `stall`)."""
    assert play.fail is not None
    trouble = dialect.troubles.get(play.fail.kind)
    if trouble is not None:
        told = trouble._replace(message=play.fail.message or trouble.message)
        return _failed(dialect, told, play.fail.retry)
    return useless(play.fail, request, dialect.empty())
