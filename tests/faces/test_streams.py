"""Event streams over connections that break, stall or are slow: every event once and in order."""

import asyncio
import json
import random
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agenthost.client.client import Client, connect
from agenthost.client.following import LONGEST_WAIT, Waits
from agenthost.client.transport import Address, Timing
from agenthost.core.api import LiveDelta, Order
from agenthost.core.errors import BadInput, HostUnreachable
from agenthost.core.events import Noted, Recorded
from agenthost.core.models import Delta
from agenthost.faces.http.app import Face
from agenthost.faces.http.guard import Everybody
from agenthost.faces.http.outbox import Outbox
from agenthost.faces.http.server import Offer, ServeSettings, serve
from agenthost.faces.http.streams import StreamSettings
from agenthost.testing.api import assert_in_order, followed
from agenthost.testing.memory_host import MemoryHost
from agenthost.wire.sse import Frame, Reader
from tests.faces.proxy import through_socket, through_tcp

PATIENCE = 60


async def work(host: MemoryHost, task: str, steps: int) -> None:
    """A task at work: events, and an answer's pieces between them, numbered."""
    for step in range(steps):
        host.append(task, Noted(f"w{step}"))
        for number in range(5):
            host.delta(task, f"m{step}", Delta(f"{number} "))
            await asyncio.sleep(0.0005)
    host.finish(task, "done")


def assert_deltas_hold_together(items: list[Recorded | LiveDelta]) -> None:
    """Pieces of one call follow each other without a hole; a cut is told by a reset."""
    last: dict[str, int] = {}
    for item in items:
        if isinstance(item, LiveDelta):
            if item.delta.reset:
                last.pop(item.command, None)
                continue
            number = int(item.delta.text)
            if item.command in last:
                assert number == last[item.command] + 1
            last[item.command] = number


@pytest.mark.parametrize("seed", range(6))
async def test_a_stream_cut_anywhere_gives_every_event_once_and_in_order(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    (tmp_path / "front").mkdir()
    host = MemoryHost()
    items: list[Recorded | LiveDelta] = []
    async with serve(host, tmp_path / "host.sock"):
        row = await host.start(Order("slow"))
        async with (
            through_socket(
                tmp_path / "host.sock",
                tmp_path / "front" / "host.sock",
                lambda number: draw.randrange(4000) if number < 25 else None,
            ) as proxy,
            connect(tmp_path / "front", {}) as client,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(work(host, row.id, 150))
            async with asyncio.timeout(PATIENCE):
                items = [item async for item in client.follow(row.id)]
    assert proxy.cuts >= 3
    assert [item for item in items if isinstance(item, Recorded)] == host.journals[row.id]
    assert_deltas_hold_together(items)
    assert any(isinstance(item, LiveDelta) and not item.delta.reset for item in items)


async def test_pieces_of_an_answer_that_was_cut_are_taken_back_before_anything_else(tmp_path: Path) -> None:
    (tmp_path / "front").mkdir()
    host = MemoryHost()
    async with serve(host, tmp_path / "host.sock"):
        row = await host.start(Order("slow"))
        async with (
            through_socket(tmp_path / "host.sock", tmp_path / "front" / "host.sock", lambda _: None) as proxy,
            connect(tmp_path / "front", {}) as client,
            asyncio.timeout(PATIENCE),
            aclosing(cast("Any", client.follow(row.id))) as items,
        ):
            seen: list[Any] = [await anext(items), await anext(items)]
            host.delta(row.id, "m1", Delta("half an ans"))
            seen.append(await anext(items))
            proxy.cut()
            reset = await anext(items)
            assert reset == LiveDelta(row.id, "m1", 1, Delta(reset=True))
            host.finish(row.id, "done")
            assert isinstance(await anext(items), Recorded)


async def test_a_connection_that_opens_and_breaks_every_time_is_made_ever_more_seldom() -> None:
    waits = Waits()
    first = [waits.next() for _ in range(8)]
    assert first == sorted(first)
    assert first[-1] == LONGEST_WAIT
    waits.progress()
    assert waits.next() == first[0]


async def test_an_open_connection_alone_is_no_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    waited = asyncio.sleep

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        await waited(0)

    monkeypatch.setattr("agenthost.client.following.asyncio.sleep", sleep)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: alive\n\n")
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass  # the follower was stopped while it was connecting
        finally:
            writer.close()

    async with (
        await asyncio.start_unix_server(connected, str(tmp_path / "host.sock")),
        connect(tmp_path, {}) as client,
        asyncio.TaskGroup() as group,
    ):
        following = group.create_task(followed(client, "x"))
        async with asyncio.timeout(PATIENCE):
            while len(asked) < 8:
                await waited(0.001)
        following.cancel()
    assert [seconds for seconds in asked if seconds][:8] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


async def test_a_connection_that_falls_silent_is_given_up_and_made_anew(tmp_path: Path) -> None:
    (tmp_path / "front").mkdir()
    host = MemoryHost()
    settings = ServeSettings(StreamSettings(heartbeat=0.05))
    async with serve(host, tmp_path / "host.sock", settings):
        row = await host.start(Order("slow"))
        address = Address(socket=tmp_path / "front" / "host.sock")
        async with (
            through_socket(tmp_path / "host.sock", tmp_path / "front" / "host.sock", lambda _: None) as proxy,
            Client(address, Timing(silence=1.0)) as client,
            asyncio.timeout(PATIENCE),
            aclosing(cast("Any", client.follow(row.id))) as items,
            asyncio.TaskGroup() as group,
        ):
            first = [await anext(items), await anext(items)]
            # Heartbeats alone keep the connection: it is the same one after more silence than is borne.
            await asyncio.sleep(1.5)
            assert proxy.connections == 1
            proxy.flowing.clear()
            host.append(row.id, Noted("w1"))
            following = group.create_task(anext(items))
            while proxy.connections < 2:
                await asyncio.sleep(0.01)
            proxy.flowing.set()
            assert [*first, await following] == host.journals[row.id]


@asynccontextmanager
async def raw_stream(home: Path, task: str, *headers: str, query: str = "") -> AsyncIterator[AsyncIterator[bytes]]:
    """A stream as it comes, its chunks taken apart, comments and all."""
    reader, writer = await asyncio.open_unix_connection(str(home / "host.sock"))
    head = [f"GET /api/v1/tasks/{task}/events{query} HTTP/1.1", "Host: a", *headers]
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n")

    async def pieces() -> AsyncIterator[bytes]:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        while size := int(await reader.readline(), 16):
            yield (await reader.readexactly(size + 2))[:size]

    async with asyncio.timeout(PATIENCE):
        yield pieces()
    writer.transport.abort()


async def raw_frames(home: Path, task: str, *headers: str, query: str = "") -> list[Frame]:
    reader = Reader()
    async with raw_stream(home, task, *headers, query=query) as pieces:
        return [frame async for piece in pieces for frame in reader.feed(piece)]


async def test_last_event_id_takes_a_tree_up_again_at_any_of_its_events(tmp_path: Path) -> None:
    host = MemoryHost()
    async with serve(host, tmp_path / "host.sock"):
        row = await host.start(Order("family", "hello"))
        whole = await raw_frames(tmp_path, row.id)
        assert [frame.event for frame in whole] == ["recorded"] * (len(whole) - 1) + ["end"]
        assert json.loads(whole[-1].data) == {"reason": "done"}
        for place, frame in enumerate(whole[:-1]):
            rest = await raw_frames(tmp_path, row.id, f"Last-Event-ID: {frame.id}")
            assert rest == whole[place + 1 :]


async def test_a_journal_alone_has_plain_numbers_as_ids(tmp_path: Path) -> None:
    host = MemoryHost()
    async with serve(host, tmp_path / "host.sock"):
        row = await host.start(Order("family", "hello"))
        whole = await raw_frames(tmp_path, row.id, query="?tree=false")
        assert [frame.id for frame in whole[:-1]] == [str(number) for number in range(1, len(whole))]
        assert await raw_frames(tmp_path, row.id, "Last-Event-ID: 2", query="?tree=false") == whole[2:]
        assert await raw_frames(tmp_path, row.id, query="?tree=false&after=2") == whole[2:]


async def test_silence_is_filled_with_heartbeats(tmp_path: Path) -> None:
    host = MemoryHost()
    async with serve(host, tmp_path / "host.sock", ServeSettings(StreamSettings(heartbeat=0.02))):
        row = await host.start(Order("slow"))
        seen = b""
        async with raw_stream(tmp_path, row.id) as pieces:
            async for piece in pieces:
                seen += piece
                if seen.count(b": alive\n\n") >= 3:
                    break
    assert seen.count(b"event: recorded") == 2


async def test_a_host_that_stops_tells_its_followers(tmp_path: Path) -> None:
    host = MemoryHost()
    reader = Reader()
    frames: list[Frame] = []
    async with asyncio.TaskGroup() as group, serve(host, tmp_path / "host.sock"):
        row = await host.start(Order("slow"))
        opened = asyncio.Event()

        async def follow() -> None:
            async with raw_stream(tmp_path, row.id) as pieces:
                async for piece in pieces:
                    frames.extend(reader.feed(piece))
                    opened.set()

        group.create_task(follow())
        await opened.wait()
    assert [frame.event for frame in frames] == ["recorded", "recorded", "end"]
    assert json.loads(frames[-1].data) == {"reason": "closing"}
    assert host.followers == 0


async def test_a_request_that_never_ends_is_cut_off_when_the_host_stops(tmp_path: Path) -> None:
    host = MemoryHost()
    began, ended = asyncio.Event(), asyncio.Event()

    async def never(request: Request) -> Response:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Response()

    offer = Offer(Everybody(host), faces=[Face((Route("/never", never),), ("/never",))])
    async with asyncio.timeout(PATIENCE):
        async with serve(host, tmp_path / "host.sock", ServeSettings(grace=0.1), offer):
            _, writer = await asyncio.open_unix_connection(str(tmp_path / "host.sock"))
            writer.write(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
            await began.wait()
    assert ended.is_set()
    writer.close()


async def test_a_follower_goes_on_by_itself_when_the_host_comes_back(tmp_path: Path) -> None:
    host = MemoryHost()
    async with connect(tmp_path, {}) as client, asyncio.TaskGroup() as group:
        async with serve(host, tmp_path / "host.sock"):
            row = await host.start(Order("slow"))
            following = group.create_task(followed(client, row.id))
            while not host.followers:
                await asyncio.sleep(0.001)
        host.append(row.id, Noted("w1"))
        async with serve(host, tmp_path / "host.sock"):
            host.finish(row.id, "done")
            assert await following == host.journals[row.id]


async def test_where_the_host_stays_away_the_follower_says_how_to_go_on(tmp_path: Path) -> None:
    host = MemoryHost()
    address = Address(socket=tmp_path / "host.sock")
    async with Client(address, Timing(absent=0.2)) as client, asyncio.timeout(PATIENCE):
        async with serve(host, tmp_path / "host.sock"):
            row = await host.start(Order("slow"))
            items = cast("Any", client.follow(row.id))
            await anext(items)
            await anext(items)
        async with aclosing(items):
            with pytest.raises(HostUnreachable, match=f"agenthost tasks follow {row.id}"):
                await anext(items)


async def test_a_follower_that_takes_nothing_is_let_go_and_may_come_back(tmp_path: Path) -> None:
    host = MemoryHost()
    settings = ServeSettings(StreamSettings(patience=0.2, most=65536))
    async with serve(host, tmp_path / "host.sock", settings), asyncio.timeout(PATIENCE):
        row = await host.start(Order("slow"))
        with sockets.socket(sockets.AF_UNIX) as slow:
            slow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
            slow.connect(str(tmp_path / "host.sock"))
            slow.sendall(f"GET /api/v1/tasks/{row.id}/events HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            while not host.followers:
                await asyncio.sleep(0.001)
            for number in range(1000):
                host.append(row.id, Noted(f"{number} " + "x" * 4096))
            while host.followers:
                await asyncio.sleep(0.01)
            host.finish(row.id, "done")
            slow.settimeout(20)
            seen = await asyncio.to_thread(_all_of, slow)
        # Far less than the 4 MB that there are: what had waited was dropped.
        assert len(seen) < 1024 * 1024
        async with connect(tmp_path, {}) as client:
            events = await followed(client, row.id)
    assert_in_order(events)
    assert events == host.journals[row.id]


def _all_of(connection: sockets.socket) -> bytes:
    seen = bytearray()
    try:
        while piece := connection.recv(65536):
            seen += piece
    except ConnectionError:
        pass
    return bytes(seen)


async def test_an_outbox_never_holds_more_than_it_may_and_one_frame() -> None:
    outbox = Outbox(1000)
    most = 0
    async with asyncio.TaskGroup() as group:

        async def put() -> None:
            nonlocal most
            for _ in range(200):
                assert await outbox.put(b"x" * 300, 20)
                most = max(most, outbox.size)
            outbox.close(b"last")

        group.create_task(put())
        taken = b""
        while (piece := await outbox.take(20)) is not None:
            taken += piece
    assert taken == b"x" * 60_000 + b"last"
    assert most <= 1300


async def test_an_outbox_without_room_says_so_and_a_last_word_replaces_what_waited() -> None:
    outbox = Outbox(10)
    assert await outbox.put(b"x" * 20, 0.01)
    assert not await outbox.put(b"y", 0.01)
    outbox.close(b"gone", drop=True)
    assert not await outbox.put(b"z", 0.01)
    assert await outbox.take(1) == b"gone"
    assert await outbox.take(1) is None


# --- over TCP ---------------------------------------------------------------------------------------


async def test_agenthost_url_and_token_reach_a_host_over_tcp(tmp_path: Path) -> None:
    host = MemoryHost()
    async with serve(host, tmp_path / "host.sock"), through_tcp(tmp_path / "host.sock", lambda _: None) as (url, proxy):
        environ = {"AGENTHOST_URL": url + "/", "AGENTHOST_TOKEN": "secret-token"}
        async with connect(tmp_path / "nowhere", environ) as client:
            row = await client.start(Order("family", "hello"))
            assert [event.seq for event in await followed(client, row.id, tree=False)] == [
                event.seq for event in host.journals[row.id]
            ]
    assert all(b"Authorization: Bearer secret-token\r\n" in head for head in proxy.heads if b"HTTP/1.1" in head)


async def test_an_order_whose_connection_breaks_is_given_again_and_starts_once(tmp_path: Path) -> None:
    host = MemoryHost()
    async with (
        serve(host, tmp_path / "host.sock"),
        through_tcp(tmp_path / "host.sock", lambda number: None if number else 5) as (url, proxy),
        connect(tmp_path / "nowhere", {"AGENTHOST_URL": url}) as client,
    ):
        row = await client.start(Order("slow"))
    assert list(host.rows) == [row.id]
    assert proxy.cuts == 1


@pytest.mark.parametrize("url", ["127.0.0.1:8484", "ftp://a", "nonsense"])
def test_an_agenthost_url_that_is_no_address_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadInput, match="AGENTHOST_URL"):
        connect(tmp_path, {"AGENTHOST_URL": url})


async def test_an_agenthost_url_where_nobody_listens_is_named_with_exit_code_3(tmp_path: Path) -> None:
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with connect(tmp_path, {"AGENTHOST_URL": url}) as client:
        with pytest.raises(HostUnreachable, match="check AGENTHOST_URL") as caught:
            await client.info()
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>hi</html>",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"",
    ],
)
async def test_what_is_no_host_is_said_to_be_none(tmp_path: Path, answer: bytes) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        address = Address(url=f"http://127.0.0.1:{port}")
        async with Client(address, Timing(absent=0.2)) as client, asyncio.timeout(PATIENCE):
            with pytest.raises(HostUnreachable):
                await client.info()
            with pytest.raises(HostUnreachable):
                await followed(client, "x")
