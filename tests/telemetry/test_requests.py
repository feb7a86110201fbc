"""The log of requests: who, what, how long; an id in and out; never what was said or a token."""

import asyncio
import json
from pathlib import Path
from typing import Any

import structlog

from agenthost.cli.logs import kept
from tests.faces.over_mcp.clients import OLD, plain
from tests.telemetry.conftest import make_home, up

SECRET = "what-nobody-may-read"
_AG_UI: dict[str, Any] = {"state": {}, "tools": [], "context": [], "forwardedProps": {}}


def lines_of(home: Path) -> list[dict[str, Any]]:
    text = (home / "logs" / "agenthost.log").read_text()
    assert SECRET not in text
    assert (home / "token").read_text().strip() not in text
    return [line for line in map(json.loads, text.splitlines()) if line["event"] == "request"]


async def test_each_request_is_a_line_that_says_who_and_what_and_never_a_secret(tmp_path: Path) -> None:
    home = await asyncio.to_thread(make_home, tmp_path)
    async with up(home) as client:
        order = {"name": "quick", "text": SECRET}
        async with client.post("/api/v1/tasks", json=order, headers={"X-Request-Id": "mine-1"}) as answer:
            assert answer.headers["X-Request-Id"] == "mine-1"
            task = (await answer.json())["id"]
        async with client.get(f"/api/v1/tasks/{task}") as answer:
            assert answer.headers["X-Request-Id"]
        async with client.get(f"/{SECRET}?token={SECRET}", headers={"X-Request-Id": "bad id, with more"}) as answer:
            assert "bad" not in answer.headers["X-Request-Id"]
        async with client.get("/api/v1/info", headers={"Authorization": f"Bearer {SECRET}"}) as answer:
            assert answer.status == 401
        async with client.get("/healthz") as answer:
            assert answer.status == 200
        async with client.get(f"/api/v1/tasks/{task}/events") as answer:
            await answer.read()
    lines = await asyncio.to_thread(lines_of, home)
    told = [(line["method"], line["route"], line["status"], line.get("who")) for line in lines]
    assert told == [
        ("POST", "/api/v1/tasks", 201, "owner"),
        ("GET", "/api/v1/tasks/{task}", 200, "owner"),
        ("GET", "unknown", 404, "owner"),
        ("GET", "unknown", 401, None),
        ("GET", "/api/v1/tasks/{task}/events", 200, "owner"),
    ]
    assert lines[0]["request"] == "mine-1"
    assert len({line["request"] for line in lines}) == len(lines)
    assert [line.get("task") for line in lines] == [task, task, None, None, task]
    assert all(line["bytes"] > 0 and line["seconds"] > 0 for line in lines)


async def test_every_protocols_requests_tell_who_asked_and_for_which_task(tmp_path: Path) -> None:
    home = await asyncio.to_thread(make_home, tmp_path)
    said = {"role": "user", "content": "hello"}
    part = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "hello"}]}
    async with up(home) as client:

        async def post(path: str, body: Any, **headers: str) -> Any:
            async with client.post(path, json=body, headers=headers) as answer:
                assert answer.status < 300, await answer.text()
                text = await answer.text()
                return json.loads(text) if answer.content_type.endswith("json") else text

        await post("/v1/chat/completions", {"model": "quick", "messages": [said]})
        await post("/v1/chat/completions", {"model": "quick", "messages": [said], "stream": True})
        made = await post("/v1/responses", {"model": "quick", "input": "hello", "background": True})
        async with client.get(f"/v1/responses/{made['id']}?stream=true") as answer:
            await answer.read()
        await post("/ag-ui/quick", {"threadId": "t1", "runId": "r1", "messages": [said | {"id": "1"}], **_AG_UI})
        sending = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": part}}
        await post("/a2a/quick", sending, **{"A2A-Version": "1.0"})
        rest = await post("/a2a/quick/message:send", {"message": part}, **{"A2A-Version": "1.0"})
        async with client.get(f"/a2a/quick/tasks/{rest['task']['id']}", headers={"A2A-Version": "1.0"}) as answer:
            await answer.read()
        url, token = str(client._base_url).rstrip("/") + "/mcp", client.headers["Authorization"]  # pyright: ignore[reportPrivateUsage]
        async with plain(url, {"Authorization": token}) as mcp:
            await mcp.ask("tools/call", {"name": "quick", "arguments": {"text": "hello"}})
        async with plain(url, {"Authorization": token}, OLD) as mcp:
            await mcp.ask("tools/call", {"name": "quick", "arguments": {"text": "hello"}})
        async with client.get("/api/v1/tasks") as answer:
            tasks = [item["id"] for item in (await answer.json())["items"]][::-1]
    lines = [line for line in await asyncio.to_thread(lines_of, home) if line.get("task")]
    about = [(line["route"].split("/")[1], line["task"]) for line in lines]
    chat, streamed, background, agui, rpc, sent, new, old = tasks
    assert about == [
        *(("v1", task) for task in (chat, streamed, background, background)),
        ("ag-ui", agui),
        *(("a2a", task) for task in (rpc, sent, sent)),
        *(("mcp", task) for task in (new, old)),
    ]
    assert {(line["who"], line["via"]) for line in lines} == {("owner", "token")}


async def test_a_setting_keeps_requests_out_of_the_log(tmp_path: Path) -> None:
    home = await asyncio.to_thread(make_home, tmp_path, "[telemetry]\nrequests = false\n")
    async with up(home) as client, client.get("/api/v1/info") as answer:
        assert answer.status == 200
    assert await asyncio.to_thread(lines_of, home) == []


def test_the_log_turns_over_and_stays_within_its_bounds(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "agenthost.log"
    with kept("text", "critical", file):
        log = structlog.stdlib.get_logger("agenthost")
        for _ in range(120):
            log.info("filler", text="x" * 100_000)
    sizes = [each.stat().st_size for each in file.parent.iterdir()]
    assert len(sizes) == 4
    assert max(sizes) <= 2_100_000
