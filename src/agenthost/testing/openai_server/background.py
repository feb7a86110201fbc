"""Answers in the background: made whether anybody waits or not, and fetched by their id until they are deleted.

What an answer has come to follows from the clock alone: event number n is there `pause` x n seconds after the first.
"""

import asyncio
import time
from contextlib import suppress

import msgspec
from aiohttp import web
from msgspec import Struct

from agenthost.models.playbook import Play
from agenthost.testing.openai_server import faults, told


class _Made(Struct):
    play: Play
    model: str
    events: list[bytes]
    at: float
    pause: float
    stopped: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    cuts: int = 0

    @property
    def cancelled(self) -> bool:
        """Whether it was told to stop before it was ready."""
        return self.stopped.is_set()

    def wait(self, number: int) -> float:
        """Seconds until event `number` is there."""
        return self.at + number * self.pause - time.monotonic()

    @property
    def ready(self) -> int:
        """How many of its events are there by now."""
        return sum(self.wait(number) <= 0 for number in range(len(self.events)))


class Background:
    """The answers of one server. `cuts`: how often the stream of each is broken off before its last event."""

    def __init__(self, cuts: int = 0) -> None:
        self._made: dict[str, _Made] = {}
        self._cuts = cuts

    @property
    def cancelled(self) -> list[str]:
        """The ids of those that were cancelled before they were ready."""
        return [id for id, made in self._made.items() if made.cancelled]

    @property
    def going(self) -> list[str]:
        """The ids of those that are neither ready nor cancelled."""
        return [id for id, made in self._made.items() if not made.cancelled and made.ready < len(made.events)]

    def begin(self, play: Play, model: str, delay: float, pause: float) -> str:
        """Begin an answer; its id."""
        id = f"resp_{len(self._made) + 1}"
        events = [
            frame.replace(b'"id":"resp_1"', f'"id":"{id}"'.encode()) for frame in told.responses_stream(play, model)
        ]
        self._made[id] = _Made(play, model, events, time.monotonic() + delay, pause, cuts=self._cuts)
        return id

    async def began(self, request: web.Request, id: str, stream: bool) -> web.StreamResponse:
        """The response to whoever began it: the answer as it is, or its events."""
        return await self._streamed(request, self._made[id], -1) if stream else self._whole(id, self._made[id])

    async def get(self, request: web.Request) -> web.StreamResponse:
        """`GET /responses/ID`."""
        id = request.match_info["id"]
        made = self._made.get(id)
        if made is None:
            return _gone(id)
        if request.query.get("stream") == "true":
            return await self._streamed(request, made, int(request.query.get("starting_after", "-1")))
        return self._whole(id, made)

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """`POST /responses/ID/cancel`."""
        id = request.match_info["id"]
        made = self._made.get(id)
        if made is None:
            return _gone(id)
        if made.ready < len(made.events):
            made.stopped.set()
        return self._whole(id, made)

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """`DELETE /responses/ID`."""
        id = request.match_info["id"]
        if self._made.pop(id, None) is None:
            return _gone(id)
        return web.json_response({"id": id, "object": "response", "deleted": True})

    def _whole(self, id: str, made: _Made) -> web.Response:
        body = told.responses_whole(made.play, made.model) | {"id": id, "background": True}
        if made.cancelled or made.ready < len(made.events):
            status = "cancelled" if made.cancelled else "in_progress" if made.ready else "queued"
            body |= {"status": status, "output": [], "usage": None}
        return web.json_response(body)

    async def _streamed(self, request: web.Request, made: _Made, after: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number, event in enumerate(made.events):
            if number <= after:
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(made.stopped.wait(), max(0.0, made.wait(number)))
            if made.cancelled:
                break
            if number == len(made.events) - 1 and made.cuts:
                made.cuts -= 1
                faults.reset(request)
                return response
            await response.write(event)
        await response.write_eof()
        return response


def wants(body: msgspec.Raw | None) -> bool:
    """Whether a body's field `background` says yes."""
    return body is not None and msgspec.json.decode(body, type=bool)


def _gone(id: str) -> web.Response:
    return faults.error(404, "invalid_request_error", "", f"Response with id '{id}' not found.")
