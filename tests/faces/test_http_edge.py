"""What comes over the wire that nobody asked for: unknown paths, bad bodies, bodies too large or cut."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agenthost.client.client import Client, connect
from agenthost.core.api import HostInfo, ModelLine
from agenthost.core.errors import AgentHostError, BadInput, NotFound, Temporary
from agenthost.core.parts import FilePart
from agenthost.faces.http.guard import Everybody
from agenthost.faces.http.server import Offer, serve
from agenthost.faces.http.site import Limits
from agenthost.testing.memory_host import MemoryHost


async def raw(home: Path, *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes as they are, and read the whole answer."""
    reader, writer = await asyncio.open_unix_connection(str(home / "host.sock"))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return int(lines[0].split()[1]) if answer else 0, headers, body


def request(method: str, path: str, body: bytes = b"", *more: str) -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: a", "Connection: close", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def test_healthz_says_ok(tmp_path: Path) -> None:
    async with serve(MemoryHost(), tmp_path / "host.sock"):
        status, _, body = await raw(tmp_path, request("GET", "/healthz"))
    assert (status, json.loads(body)) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("sent", "status", "code", "words"),
    [
        (request("GET", "/api/v1/nonsense"), 404, "not-found", "no path 'GET /api/v1/nonsense'"),
        (request("GET", "/"), 404, "not-found", "no path"),
        (request("DELETE", "/api/v1/tasks"), 405, "bad-input", "refused"),
        (request("POST", "/api/v1/tasks", b"{not json"), 400, "bad-input", "the body is not what this path takes"),
        (request("POST", "/api/v1/tasks", b'{"name": 5}'), 400, "bad-input", "$.name"),
        (request("POST", "/api/v1/tasks", b""), 400, "bad-input", "the body"),
        (request("GET", "/api/v1/tasks?limit=many"), 400, "bad-input", "'limit'"),
        (request("GET", "/api/v1/tasks?state=nonsense"), 400, "bad-input", "'state'"),
        (request("GET", "/api/v1/tasks/x/events", b"", "Last-Event-ID: nonsense"), 400, "bad-input", "Last-Event-ID"),
        (request("GET", "/api/v1/tasks/unknown"), 404, "not-found", "'unknown'"),
        (request("GET", "/api/v1/tasks/unknown/events"), 404, "not-found", "'unknown'"),
    ],
)
async def test_a_request_that_is_wrong_gets_problem_details(
    tmp_path: Path, sent: bytes, status: int, code: str, words: str
) -> None:
    async with serve(MemoryHost(), tmp_path / "host.sock"):
        got, headers, body = await raw(tmp_path, sent)
    problem = json.loads(body)
    assert headers["content-type"] == "application/problem+json"
    assert (got, problem["status"], problem["code"]) == (status, status, code)
    assert words in problem["detail"]
    assert problem["title"]


class Failing(MemoryHost):
    """A host whose listing fails with what it is told."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def models(self, provider: str = "") -> list[ModelLine]:
        raise self.error

    async def info(self) -> HostInfo:
        return await super().info()


async def test_an_error_that_nobody_foresaw_tells_nothing_of_its_inside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(Failing(RuntimeError("secret-inside")), tmp_path / "host.sock"):
        status, _, body = await raw(tmp_path, request("GET", "/api/v1/models"))
        async with connect(tmp_path, {}) as client:
            with pytest.raises(AgentHostError) as caught:
                await client.models()
            assert (await client.info()).version == "0"
    assert status == 500
    assert b"secret-inside" not in body
    assert caught.value.code == "internal"
    assert "request failed" in capsys.readouterr().out


async def test_a_temporary_failure_carries_retry_after(tmp_path: Path) -> None:
    async with serve(Failing(Temporary("later", code="rate-limit", delay=7.4)), tmp_path / "host.sock"):
        status, headers, _ = await raw(tmp_path, request("GET", "/api/v1/models"))
    assert (status, headers["retry-after"]) == (503, "7")


async def test_an_idempotency_key_header_counts(tmp_path: Path) -> None:
    host = MemoryHost()
    body = b'{"name": "slow"}'
    async with serve(host, tmp_path / "host.sock"):
        first = await raw(tmp_path, request("POST", "/api/v1/tasks", body, "Idempotency-Key: one"))
        second = await raw(tmp_path, request("POST", "/api/v1/tasks", body, "Idempotency-Key: one"))
    assert first[0] == second[0] == 201
    assert first[2] == second[2]
    assert len(host.rows) == 1


async def test_a_page_of_tasks_names_where_the_next_begins(tmp_path: Path) -> None:
    host = MemoryHost()
    async with serve(host, tmp_path / "host.sock"):
        for _ in range(3):
            await raw(tmp_path, request("POST", "/api/v1/tasks", b'{"name": "slow"}'))
        first = json.loads((await raw(tmp_path, request("GET", "/api/v1/tasks?limit=2")))[2])
        second = json.loads((await raw(tmp_path, request("GET", f"/api/v1/tasks?limit=2&cursor={first['next']}")))[2])
    assert [row["id"] for row in first["items"] + second["items"]] == sorted(host.rows, reverse=True)
    assert "next" not in second


class Counting(MemoryHost):
    """Notes every file that was put, empty ones too."""

    def __init__(self) -> None:
        super().__init__()
        self.put: list[tuple[str, int]] = []

    async def put_file(self, name: str, content: bytes, media_type: str = "") -> FilePart:
        self.put.append((name, len(content)))
        return await super().put_file(name, content, media_type)


async def test_an_upload_that_is_cut_keeps_nothing(tmp_path: Path) -> None:
    host = Counting()
    head = b"POST /api/v1/files?name=a.bin HTTP/1.1\r\nHost: a\r\n"
    async with serve(host, tmp_path / "host.sock"):
        for cut in (
            head + b"Content-Length: 1000\r\n\r\n" + b"x" * 999,
            head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ):
            _, writer = await asyncio.open_unix_connection(str(tmp_path / "host.sock"))
            writer.write(cut)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        async with connect(tmp_path, {}) as client:
            kept = await client.put_file("b.bin", b"whole")
            assert await client.get_file(kept.digest) == b"whole"
    assert host.put == [("b.bin", 5)]


async def test_an_upload_that_is_too_large_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    host = Counting()
    offer = Offer(Everybody(host), limits=lambda: Limits(upload=1000))
    async with serve(host, tmp_path / "host.sock", offer=offer), connect(tmp_path, {}) as client:
        with pytest.raises(BadInput, match="more than 1,000 bytes") as caught:
            await client.put_file("big.bin", bytes(8 * 1024 * 1024))
        assert caught.value.exit_code == 2
        assert (await client.put_file("small.bin", bytes(1000))).size == 1000
    assert host.put == [("small.bin", 1000)]


async def test_an_upload_of_unsaid_length_is_refused_where_it_grows_too_large(tmp_path: Path) -> None:
    host = Counting()
    offer = Offer(Everybody(host), limits=lambda: Limits(upload=1000))
    head = b"POST /api/v1/files?name=a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n" % 600 + b"x" * 600 + b"\r\n"
    async with serve(host, tmp_path / "host.sock", offer=offer):
        status, _, body = await raw(tmp_path, head + chunk + chunk)
    assert status == 413
    assert json.loads(body)["code"] == "bad-input"
    assert host.put == []


async def test_files_are_handed_out_as_attachments(tmp_path: Path) -> None:
    async with serve(MemoryHost(), tmp_path / "host.sock"), connect(tmp_path, {}) as client:
        kept = await client.put_file("page.html", b"<script>", "text/html")
        _, headers, body = await raw(tmp_path, request("GET", f"/api/v1/files/{kept.digest}"))
    assert body == b"<script>"
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == "attachment"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "a?b=c#d", "ä ö", "%2e%2e", "."])
async def test_names_with_special_characters_arrive_as_they_are(tmp_path: Path, name: str) -> None:
    host = MemoryHost()
    async with serve(host, tmp_path / "host.sock"), connect(tmp_path, {}) as client:
        with pytest.raises(NotFound) as caught:
            await client.task(name)
    if "/" not in name and name != ".":
        assert caught.value.details == {"task": name}


async def test_many_requests_at_once_are_all_answered(tmp_path: Path) -> None:
    async with (
        serve(MemoryHost(), tmp_path / "host.sock"),
        connect(tmp_path, {}) as first,
        connect(tmp_path, {}) as second,
    ):
        clients: list[Client] = [first, second] * 50
        answers: list[Any] = await asyncio.gather(*(client.info() for client in clients))
    assert len({answer.pid for answer in answers}) == 1
