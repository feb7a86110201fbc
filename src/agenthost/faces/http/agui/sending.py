"""A run's events as server-sent events: one `data` each, a comment in silence, the connection watched."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from ag_ui.core import BaseEvent, RunErrorEvent
from ag_ui.encoder import EventEncoder
from starlette.types import Receive, Scope, Send

from agenthost.core.errors import AgentHostError
from agenthost.faces.http.bodies import mistake
from agenthost.faces.http.outbox import Outbox
from agenthost.faces.http.streams import Closing, StreamSettings, beside, cut_off, until_left
from agenthost.wire import sse

CLOSING = "the host stops; the task goes on at its next start: run again to follow it"
SLOW = "the events of this run were not taken for too long; the task goes on: run again to follow it"

HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]


class RunStream:
    """The response of one run, an ASGI application. `left` is called once the stream is over, however that came: with
    whether the other side hung up, or lost what was sent."""

    def __init__(
        self,
        events: AsyncIterator[BaseEvent],
        settings: StreamSettings,
        closing: Closing,
        left: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._events = events
        self._settings = settings
        self._closing = closing
        self._left = left
        self._outbox = Outbox(settings.most)
        self._encoder = EventEncoder()
        self._gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with beside(self._pump(), self._watch(receive), self._watch_closing()):
                await self._send(scope, send)
        finally:
            await self._left(self._gone)

    async def _pump(self) -> None:
        try:
            async for event in self._events:
                if not await self._outbox.put(self._encoder.encode(event).encode(), self._settings.patience):
                    self._gone = True
                    self._outbox.close(self._error(SLOW, "slow"), drop=True)
                    return
            self._outbox.close()
        except AgentHostError as error:
            self._outbox.close(self._error(error.message, error.code))
        except Exception as error:  # noqa: BLE001 - the HTTP edge
            told = mistake(error, "ag-ui")
            self._outbox.close(self._error(told.message, told.code))
        finally:
            if (close := getattr(self._events, "aclose", None)) is not None:
                await close()

    def _error(self, message: str, code: str) -> bytes:
        return self._encoder.encode(RunErrorEvent(message=message, code=code)).encode()

    async def _watch(self, receive: Receive) -> None:
        await until_left(receive)
        self._gone = True
        self._outbox.close(drop=True)

    async def _watch_closing(self) -> None:
        await self._closing.wait()
        self._outbox.close(self._error(CLOSING, "closing"))

    async def _send(self, scope: Scope, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            while (piece := await self._outbox.take(self._settings.heartbeat)) is not None:
                async with asyncio.timeout(self._settings.patience):
                    await send({"type": "http.response.body", "body": piece or sse.HEARTBEAT, "more_body": True})
            with suppress(OSError):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            self._gone = True
            await cut_off(scope)
        except OSError:
            self._gone = True
