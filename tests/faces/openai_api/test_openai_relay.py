"""One client's stream: gathered, bounded, left behind where nobody takes it."""

import asyncio
from typing import Any

import pytest

from agenthost.core.errors import AgentHostError
from agenthost.faces.http.openai.relay import Relay, Sink
from agenthost.faces.http.streams import ABORT, Closing, StreamSettings


async def nobody() -> None:
    pass


async def forever() -> Any:
    await asyncio.Event().wait()


def fault(error: AgentHostError) -> bytes:
    return error.message.encode()


async def test_what_is_ready_is_sent_together() -> None:
    sent: list[bytes] = []

    async def pump(sink: Sink) -> None:
        for at in range(100):
            sink.put(b"%d " % at)

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    relay = Relay(pump, fault, nobody, StreamSettings(), Closing(), [])
    await relay({}, forever, send)
    assert [piece for piece in sent if piece] == [b"".join(b"%d " % at for at in range(100))]


async def test_a_client_that_takes_nothing_is_cut_off_and_no_more_is_gathered_than_may_be() -> None:
    cut, put = asyncio.Event(), 0

    async def pump(sink: Sink) -> None:
        nonlocal put
        while True:
            sink.put(b"x" * 100)
            put += 100
            await sink.room()
            await asyncio.sleep(0)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await cut.wait()

    relay = Relay(pump, fault, nobody, StreamSettings(heartbeat=0.01, patience=0.05, most=1000), Closing(), [])
    async with asyncio.timeout(20):
        await relay({ABORT: cut.set}, forever, send)
    assert cut.is_set() and put < 3000


async def test_silence_is_broken_by_comments() -> None:
    sent: list[bytes] = []
    enough = asyncio.Event()

    async def pump(sink: Sink) -> None:
        await enough.wait()

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if sent.count(b": alive\n\n") == 3:
            enough.set()

    relay = Relay(pump, fault, nobody, StreamSettings(heartbeat=0.01), Closing(), [])
    async with asyncio.timeout(20):
        await relay({}, forever, send)


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_whoever_hangs_up_is_told_to_who_wants_to_know(hangs_up: bool) -> None:
    left: list[bool] = []
    go = asyncio.Event()

    async def pump(sink: Sink) -> None:
        sink.put(b"x")
        await (forever() if hangs_up else go.wait())

    async def receive() -> Any:
        await go.wait()
        if not hangs_up:
            await forever()
        return {"type": "http.disconnect"}

    async def leave() -> None:
        left.append(True)

    async def send(message: Any) -> None:
        if message.get("body"):
            go.set()

    async with asyncio.timeout(20):
        await Relay(pump, fault, leave, StreamSettings(), Closing(), [])({}, receive, send)
    assert left == [True] * hangs_up
