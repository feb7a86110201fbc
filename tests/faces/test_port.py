"""The host on a TCP port: who comes in, from where, and what a client may make a connection hold."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from agenthost.core.access import Caller
from agenthost.core.api import HostApi
from agenthost.core.errors import Unauthenticated
from agenthost.faces.http.guard import GuardSettings
from agenthost.faces.http.protocol import Bounds
from agenthost.faces.http.server import Offer, ServeSettings, listen, serve
from agenthost.testing.memory_host import MemoryHost

TOKEN = "ah_right"


class Doorkeeper:
    def __init__(self, host: HostApi) -> None:
        self.host = host
        self.asked: list[tuple[str, str]] = []

    def heed(self, changed: Callable[[], None]) -> None:
        """Nobody is ever changed."""

    async def known(self, token: str, address: str) -> Caller:
        self.asked.append((token, address))
        if token != TOKEN:
            raise Unauthenticated("nobody has this token")
        return Caller()

    def api(self, caller: Caller) -> HostApi:
        return self.host


@asynccontextmanager
async def port(tmp_path: Path, settings: ServeSettings | None = None) -> AsyncGenerator[int]:
    host = MemoryHost()
    listener = listen("127.0.0.1", 0)
    offer = Offer(Doorkeeper(host), (listener,))
    async with serve(host, tmp_path / "host.sock", settings, offer):
        yield listener.getsockname()[1]


async def sent(port: int, *pieces: bytes, pause: float = 0.0, end: bool = False) -> bytes:
    """Send bytes as they are; everything that comes until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if end:
            writer.write_eof()
        async with asyncio.timeout(30):
            answer = await reader.read()
    except ConnectionError:
        pass
    writer.close()
    return answer


def get(path: str, *headers: str, token: str = TOKEN, host: str = "127.0.0.1") -> bytes:
    told = [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *told, *headers, "", ""]).encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def problem(answer: bytes) -> str:
    return json.loads(answer.partition(b"\r\n\r\n")[2])["code"]


async def test_without_a_token_there_is_health_and_nothing_else(tmp_path: Path) -> None:
    async with port(tmp_path) as number:
        for path in ("/healthz", "/readyz"):
            assert status(await sent(number, get(path, token=""))) == 200
        for path in ("/api/v1/info", "/api/v1/tasks", "/api/v1/nonsense", "/", "/healthz/../api/v1/info", "//healthz"):
            answer = await sent(number, get(path, token=""))
            assert (status(answer), problem(answer)) == (401, "unauthenticated"), path
            assert b"www-authenticate: Bearer" in answer
        assert status(await sent(number, get("/api/v1/info"))) == 200
        assert status(await sent(number, get("/api/v1/info", f"X-API-Key: {TOKEN}", token=""))) == 200


async def test_answers_are_kept_by_no_cache_that_others_read(tmp_path: Path) -> None:
    async with port(tmp_path) as number:
        told = (await sent(number, get("/api/v1/tasks"))).lower()
    assert b"cache-control: private, no-cache" in told and b"x-content-type-options: nosniff" in told


async def test_small_answers_are_not_held_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nagle's algorithm with a client's delayed acknowledgement costs 40 ms for each request of a kept connection."""
    seen: list[int] = []
    made = HttpToolsProtocol.connection_made

    def looked(self: HttpToolsProtocol, transport: asyncio.Transport) -> None:  # type: ignore[override]
        accepted = transport.get_extra_info("socket")
        seen.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        made(self, transport)

    monkeypatch.setattr(HttpToolsProtocol, "connection_made", looked)
    async with port(tmp_path) as number:
        assert status(await sent(number, get("/healthz"))) == 200
    assert seen and all(seen)


async def test_wrong_tokens_have_to_wait_and_the_right_one_has_not(tmp_path: Path) -> None:
    settings = ServeSettings(guard=GuardSettings(wrong_tokens=3))
    async with port(tmp_path, settings) as number:
        answers = [await sent(number, get("/api/v1/info", token=f"ah_{n}")) for n in range(5)]
        assert [status(answer) for answer in answers] == [401, 401, 401, 429, 429]
        assert b"retry-after: 60" in answers[-1]
        assert status(await sent(number, get("/api/v1/info"))) == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:8484", "[::2]"])
async def test_a_name_that_isnt_ours_is_refused(tmp_path: Path, host: str) -> None:
    async with port(tmp_path) as number:
        answer = await sent(number, get("/api/v1/info", host=host))
        assert (status(answer), problem(answer)) == (403, "host-header")


async def test_names_of_ours_are_served(tmp_path: Path) -> None:
    settings = ServeSettings(guard=GuardSettings(names=frozenset({"desk.example"})))
    async with port(tmp_path, settings) as number:
        for host in (
            "localhost",
            "LOCALHOST:99",
            f"127.0.0.1:{number}",
            "[::1]:8484",
            "desk.example:443",
            "Desk.Example",
        ):
            assert status(await sent(number, get("/api/v1/info", host=host))) == 200, host


async def test_a_page_from_elsewhere_is_refused_unless_it_is_named(tmp_path: Path) -> None:
    named = "https://desk.example"
    settings = ServeSettings(guard=GuardSettings(origins=frozenset({named})))
    async with port(tmp_path, settings) as number:
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
            answer = await sent(number, get("/api/v1/info", f"Origin: {origin}"))
            assert (status(answer), problem(answer)) == (403, "origin")
            assert b"access-control-allow" not in answer
        assert status(await sent(number, get("/api/v1/info", "Origin: http://127.0.0.1"))) == 200
        answer = await sent(number, get("/api/v1/info", f"Origin: {named}"))
        assert status(answer) == 200 and f"access-control-allow-origin: {named}".encode() in answer
        preflight = get("/api/v1/tasks", f"Origin: {named}", "Access-Control-Request-Method: POST", token="")
        answer = await sent(number, preflight.replace(b"GET", b"OPTIONS", 1))
        assert status(answer) == 204 and b"access-control-allow-methods" in answer
        refused = await sent(number, get("/api/v1/tasks", f"Origin: {named}", token=""))
        assert status(refused) == 401 and b"access-control-allow-origin" in refused


async def test_a_head_that_is_too_long_is_refused_and_a_thousand_headers_are_not(tmp_path: Path) -> None:
    settings = ServeSettings(bounds=Bounds(head=100_000))
    async with port(tmp_path, settings) as number:
        assert status(await sent(number, get("/api/v1/info", *(f"X-{n}: {n}" for n in range(1000))))) == 200
        many = get("/api/v1/info", *(f"X-{n}: {'v' * 1000}" for n in range(200)))
        assert status(await sent(number, many)) == 431
        assert status(await sent(number, get("/api/v1/info" + "x" * 200_000))) == 431
        assert status(await sent(number, get("/api/v1/info"))) == 200


async def test_what_stands_after_a_body_in_chunks_is_no_header_of_the_request(tmp_path: Path) -> None:
    head = b"POST /api/v1/manifests/validate HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
    body = b"\r\n2\r\n{}\r\n0\r\n"
    async with port(tmp_path) as number:
        smuggled = await sent(number, head + body + f"Authorization: Bearer {TOKEN}\r\n\r\n".encode())
        named = await sent(
            number, head + f"Authorization: Bearer {TOKEN}".encode() + body + b"Host: evil.example\r\n\r\n"
        )
        slow = await sent(number, head + body, f"Authorization: Bearer {TOKEN}\r\n\r\n".encode(), pause=0.1)
    assert (status(smuggled), status(slow)) == (401, 401)
    assert status(named) == 400


async def test_a_head_or_a_body_that_doesnt_come_ends_the_connection(tmp_path: Path) -> None:
    settings = ServeSettings(bounds=Bounds(head_within=0.3, body_silence=0.3))
    head = b"POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ah_right\r\nContent-Length: 100\r\n\r\n"
    async with port(tmp_path, settings) as number:
        assert status(await sent(number)) == 408
        assert status(await sent(number, b"GET /healthz HTTP/1.1\r\nHost:")) == 408
        assert status(await sent(number, head)) == 408
        assert status(await sent(number, head, b'{"na', b'me":', pause=0.2)) == 408
        drip = [b"G", b"E", b"T", b" ", b"/"]
        assert status(await sent(number, *drip, pause=0.1)) == 408


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET \xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nBad Header: 1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_what_isnt_http_gets_an_answer_or_an_end_and_the_host_goes_on(tmp_path: Path, garbage: bytes) -> None:
    async with port(tmp_path) as number:
        answer = await sent(number, garbage, end=True)
        assert status(answer) in (0, 400, 401, 403, 404, 405), answer
        assert status(await sent(number, get("/api/v1/info"))) == 200


async def test_a_hundred_clients_that_hang_up_halfway_leave_nothing_behind(tmp_path: Path) -> None:
    async with port(tmp_path) as number:
        before = len(asyncio.all_tasks())
        for n in range(100):
            _, writer = await asyncio.open_connection("127.0.0.1", number)
            writer.write(get("/api/v1/info")[: 5 + n] if n % 2 else get("/api/v1/tasks/unknown/events")[:-2] + b"\r\n")
            await writer.drain()
            writer.transport.abort()
        async with asyncio.timeout(20):
            while len(asyncio.all_tasks()) > before:
                await asyncio.sleep(0.05)
        assert status(await sent(number, get("/api/v1/info"))) == 200
