"""Bad input on every kind of route, over real connections: an answer or a closed connection, nothing leaked, nothing lost."""

import asyncio
import json
import os
import resource
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agenthost.core.ports import Filter
from agenthost.faces.http.app import table
from agenthost.faces.http.guard import Everybody
from agenthost.faces.http.protocol import Bounds
from agenthost.faces.http.server import Offer, ServeSettings, listen, serve
from agenthost.faces.http.site import Limits, Site
from agenthost.faces.http.streams import Closing
from agenthost.host.host import Host
from agenthost.testing.memory_host import MemoryHost
from tests.faces.rest.conftest import Served

OPERATIONS = table(Site(Everybody(MemoryHost()), Closing()))
POSTS = [each for each in OPERATIONS if each.body is not None]
GIB = 1024 * 1024 * 1024


class Port:
    """A real host on a port, spoken to in bytes."""

    def __init__(self, host: Host, number: int, token: str) -> None:
        self.host = host
        self.number = number
        self.token = token

    def head(self, method: str, path: str, *more: str) -> bytes:
        told = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {self.token}", *more, "", "")
        return "\r\n".join(told).encode("latin-1", errors="surrogateescape")

    async def sent(self, *pieces: bytes) -> tuple[int, bytes]:
        """Status (0 where there is no answer) and body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        answer = b""
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            async with asyncio.timeout(60):
                answer = await reader.read()
        except ConnectionError:
            pass
        writer.close()
        return (int(answer.split(b" ", 2)[1]) if answer else 0), answer.partition(b"\r\n\r\n")[2]

    async def well(self) -> None:
        """It goes on as if nothing had been."""
        status, _ = await self.sent(self.head("GET", "/api/v1/info", "Connection: close"))
        assert status == 200


@pytest.fixture
async def port(served: Served, tmp_path: Path) -> AsyncGenerator[Port]:
    host = served.host
    listener = listen("127.0.0.1", 0)
    reception = await host.reception()
    settings = ServeSettings(bounds=Bounds(head_within=2.0, body_silence=0.5))
    offer = Offer(reception, (listener,), limits=lambda: Limits(upload=2 * GIB), keeping=host.keeping)
    token = (host.settings.folder / "token").read_text().strip()
    async with serve(host, tmp_path / "s", settings, offer):
        yield Port(host, listener.getsockname()[1], token)


def paths(name: str) -> list[str]:
    return [
        each.whole.replace("{task}", "x").replace("{", "").replace("}", "")
        for each in OPERATIONS
        if each.method == name
    ]


async def test_text_that_is_none_in_paths_and_parameters_is_answered(port: Port) -> None:
    for odd in ("%ff%fe", "%00", "%0a", "%ed%a0%80", "..%2f..%2fetc%2fpasswd", "%E2%80%AE", "a" * 5000):
        for path in (
            f"/api/v1/tasks/{odd}",
            f"/api/v1/agents/{odd}",
            f"/api/v1/files/{odd}",
            f"/api/v1/tasks?name={odd}",
        ):
            status, body = await port.sent(port.head("GET", path, "Connection: close"))
            assert status in (200, 400, 404), (path, status, body)
        status, _ = await port.sent(port.head("GET", f"/api/v1/tasks?{odd}=1", "Connection: close"))
        assert status == 400
    await port.well()


@pytest.mark.parametrize("operation", POSTS, ids=lambda each: each.id)
async def test_a_body_that_is_wrong_is_answered(port: Port, operation: object) -> None:
    each = next(each for each in POSTS if each is operation)
    path = each.whole.replace("{", "").replace("}", "")
    deep = b"[" * 100_000 + b"]" * 100_000
    deeper = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    huge = b'{"name":"echo","text":"x","inputs":{"n":1' + b"0" * 5000 + b'},"seconds":1e999}'
    surrogate = b'{"name":"echo","text":"\\ud800"}'
    for body in (b"\xff\xfe\x00", b"{", b"null", b"[]", b"1e400", deep, deeper, huge, surrogate, b'{"name":"\x00"}'):
        for media in ("application/json", "text/html", "application/json; charset=utf-16", "x", ""):
            more = [f"Content-Type: {media}"] if media else []
            head = port.head(each.method, path, f"Content-Length: {len(body)}", "Connection: close", *more)
            status, told = await port.sent(head, body)
            assert 200 <= status < 500, (each.id, body[:40], media, status, told[:300])
            assert b"Traceback" not in told
    await port.well()


async def test_a_body_that_stops_halfway_ends_the_connection_on_every_route_that_takes_one(port: Port) -> None:
    async def halfway(method: str, path: str) -> int:
        return (await port.sent(port.head(method, path, "Content-Length: 1000"), b'{"name":'))[0]

    asked = [halfway(each.method, each.whole.replace("{", "").replace("}", "")) for each in POSTS]
    assert set(await asyncio.gather(*asked)) <= {0, 400, 403, 404, 408, 413, 415}
    assert await port.host.tasks(Filter()) == []
    await port.well()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_who_hangs_up_halfway_through_an_upload_leaves_nothing(port: Port) -> None:
    await port.well()
    before = (descriptors(), len(asyncio.all_tasks()))
    for number in range(50):
        _, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(port.head("POST", f"/api/v1/files?name={number}&media_type=a/b", "Content-Length: 999999"))
        writer.write(b"x" * 100_000)
        await writer.drain()
        writer.transport.abort()
    async with asyncio.timeout(30):
        while (descriptors(), len(asyncio.all_tasks())) > before:
            await asyncio.sleep(0.05)
    assert [path for path in (port.host.settings.folder / "blobs").rglob("*") if path.is_file()] == []
    await port.well()


async def test_a_gigabyte_goes_to_disk_and_comes_back_without_being_held(port: Port) -> None:
    piece = os.urandom(1024 * 1024)
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    writer.write(port.head("POST", "/api/v1/files?media_type=a/b", f"Content-Length: {GIB}", "Connection: close"))
    for _ in range(1024):
        writer.write(piece)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    kept = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert kept["size"] == GIB

    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(port.head("GET", f"/api/v1/files/{kept['digest']}", "Connection: close"))
    await reader.readuntil(b"\r\n\r\n")
    got = 0
    while some := await reader.read(1024 * 1024):
        got += len(some)
    writer.close()
    assert got == GIB
    # Sender and receiver live in this process too. In KiB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < 64 * 1024


async def test_a_gigabyte_of_json_is_refused_before_it_is_read(port: Port) -> None:
    for each in POSTS:
        if each.body is not None and each.body.type is not None and "abilities" not in each.path:
            path = each.whole.replace("{", "").replace("}", "")
            head = port.head(
                each.method, path, f"Content-Length: {GIB}", "Content-Type: application/json", "Connection: close"
            )
            status, _ = await port.sent(head, b'{"' + b"x" * 100_000)
            assert status in (0, 413), (each.id, status)
    await port.well()


async def test_a_thousand_headers_and_a_thousand_parameters_are_answered(port: Port) -> None:
    many = [f"X-{number}: {number}" for number in range(1000)]
    for path in sorted(set(paths("GET")) - {"/api/v1/tasks/x/events"}):
        status, _ = await port.sent(port.head("GET", path, "Connection: close", *many))
        assert status in (200, 400, 404, 409), path
    told = "&".join(f"state={state}" for state in ["working"] * 1000)
    status, _ = await port.sent(port.head("GET", f"/api/v1/tasks?{told}", "Connection: close"))
    assert status in (200, 400)
    await port.well()
