"""Model servers on this machine are found by asking them, and nothing else is taken for one."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from agenthost.models import detect
from agenthost.models.detect import Found, Served, find
from tests.models.conftest import Bench

HELLO = {"rules": [{"reply": {"text": "Hello."}}]}


async def listing(bench: Bench, body: bytes, status: int = 200) -> str:
    async def models(request: web.Request) -> web.Response:
        return web.Response(body=body, status=status, content_type="application/json")

    app = web.Application()
    app.router.add_get("/v1/models", models)
    return await bench.serve(app) + "/v1"


async def test_servers_that_run_are_found_with_their_models(bench: Bench) -> None:
    ours = await bench.server(HELLO, models=("qwen3:8b", "llava"))
    other = await listing(bench, b'{"data": [{"id": "big", "max_model_len": 32768}, {"id": ""}]}')
    found = await find({"ollama": ours, "vllm": other + "/"}, patience=5)
    assert found == [
        Found("ollama", ours, (Served("qwen3:8b"), Served("llava"))),
        Found("vllm", other + "/", (Served("big", 32768),)),
    ]
    assert found[0].names == ["ollama:qwen3:8b", "ollama:llava"]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"<html>", 200), (b"[]", 200), (b"{}", 200), (b'{"data": null}', 200), (b'{"data": []}', 503), (b"\xff", 200)],
)
async def test_what_is_no_model_server_is_not_taken_for_one(bench: Bench, body: bytes, status: int) -> None:
    assert await find({"x": await listing(bench, body, status)}, patience=5) == []


async def test_a_server_without_models_is_found_with_none(bench: Bench) -> None:
    (found,) = await find({"ollama": await listing(bench, b'{"data": []}')}, patience=5)
    assert found.names == []


async def test_a_list_far_too_large_is_not_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "_MOST_BYTES", 100)
    body = b'{"data": [' + b" " * 200 + b"]}"
    assert await find({"x": await listing(bench, body)}, patience=5) == []


async def test_nobody_and_somebody_silent_are_no_servers() -> None:
    async def silent(reader: Any, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await find({"silent": f"http://127.0.0.1:{port}/v1"}, patience=0.1) == []
    server.close()
    assert await find({"gone": f"http://127.0.0.1:{port}/v1"}, patience=5) == []
